"""What makes rows of draws of a prior, without an encoder."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np

from sklearn_ae._data.moments import Moments
from sklearn_ae._estimators.base import BaseNetEstimator
from sklearn_ae._estimators.codes import RowsMixin
from sklearn_ae._nets.generator import GeneratorModule, NormalCodes


class BaseGenerator(RowsMixin, BaseNetEstimator):
    """A decoder of codes that are drawn; its penalties are what it is trained on."""

    code_activation: str = field(default="identity", init=False)
    tied_weights: bool = field(default=False, init=False)
    pretraining: str | None = field(default=None, init=False)
    pretraining_epochs: int = field(default=20, init=False)
    latent_density: Any = field(default=None, init=False)

    _absent_attributes = ("latent_density_", "pretraining_curves_")

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw new rows: codes from the prior, decoded.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            An int makes the draw repeatable, whatever was drawn before.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the shape of the training rows.
        """
        return self._sample(n_samples, random_state, observation_noise=False)

    def _build_module(
        self, row_shape: tuple[int, ...] | None, moments: Moments, seed: int
    ) -> GeneratorModule:
        posterior = self._build_posterior()
        _, decoder = self._build_parts(row_shape, moments, posterior, seed)
        reconstruction = self._loss().build(self.output_activation, moments)
        architecture = self._checked_architecture().settled(row_shape)
        return GeneratorModule(
            NormalCodes(self.n_components),
            decoder,
            reconstruction,
            self._build_penalties(self._units(reconstruction)),
            architecture.checked_row_shape(len(moments.mean)),
        )

    def _may_be_batched(self) -> bool:
        return False
