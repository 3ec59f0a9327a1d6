"""A predictor with row targets: a net with a bottleneck that answers y."""

from __future__ import annotations

from dataclasses import field

from sklearn_ae._estimators.base import BaseNetEstimator
from sklearn_ae._estimators.predictions import RegressionMixin


class BottleneckRegressor(RegressionMixin, BaseNetEstimator):
    """Regressor whose rows pass a code on their way to the targets."""

    pretraining: str | None = field(default=None, init=False)
    latent_density: object = field(default=None, init=False)
    tied_weights: bool = field(default=False, init=False)
