"""A variant: an autoencoder whose codes are smooth in the order of components."""

from __future__ import annotations

from numbers import Real

from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from sklearn_ae._data.moments import Units, objective_weight
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._objective.penalties import Pass, Penalty


class Roughness(Penalty):
    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        return self.weight * rows.z.diff(dim=-1).square().sum(-1).mean()


class SmoothAutoencoder(BaseAutoencoder):
    r"""Autoencoder with neighbouring components that are alike.

    Parameters
    ----------
    smoothness : float, default=1e-3
        Weight of the squared difference of neighbouring components of the code.
    """

    smoothness: float = 1e-3

    _parameter_constraints = {"smoothness": [Interval(Real, 0, None, closed="left")]}

    def _build_penalties(self, units: Units) -> dict[str, Penalty]:
        weight = objective_weight(self.smoothness, units.cost)
        return super()._build_penalties(units) | {"roughness": Roughness(weight)}

    def _may_be_batched(self) -> bool:
        return False
