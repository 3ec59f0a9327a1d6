"""What rows are like, given their codes: densities in nats.

They take the place of a loss: a reconstruction costs minus its log-likelihood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.moments import Moments
from sklearn_ae._objective.losses import (
    BernoulliReconstruction,
    BinaryCrossEntropy,
    Loss,
    RealReconstruction,
    Reconstruction,
    SquaredError,
)

# The least variance that is learned, of that of the rows: without a least one the
# density of a constant column has no bound.
_LEAST_VARIANCE = 1e-4
_LARGEST_RATIO = 1e12
# A variance falls by a factor of hundreds, weights move by less than one: at the
# learning rate of weights it would take most of a training.
_SPEED = 10.0


class GaussianReconstruction(RealReconstruction):
    r"""Minus the log-density of N(x_hat, c) in nats.

    .. math:: \tfrac{1}{2} \sum_j \log(2 \pi c_j) + (x_j - \hat x_j)^2 / c_j

    Parameters
    ----------
    output_activation : str
    moments : Moments
    noise_variance : "learned", "learned_per_feature" or float
        c, in squared units of X.
    """

    least: Tensor

    def __init__(
        self, output_activation: str, moments: Moments, noise_variance: str | float
    ) -> None:
        n_features = len(moments.mean)
        super().__init__(output_activation, moments, n_features / 2)
        self.is_learned = isinstance(noise_variance, str)
        least = _LEAST_VARIANCE
        if self.is_learned:
            n_variances = 1 if noise_variance == "learned" else n_features
            zeros = torch.zeros(n_variances, dtype=torch.float32)
            self.log_variance = nn.Parameter(zeros)
        else:
            least = noise_variance / moments.scale**2
        self.register_buffer("least", torch.tensor(least, dtype=torch.float64))

    @property
    def floor(self) -> Tensor:
        """Cost in nats where residuals are 0 and the variance is the least."""
        variance = 2 * math.pi * self.least * self.scale**2
        return 0.5 * self.shift.shape[-1] * torch.log(variance)

    @property
    def variance(self) -> Tensor:
        """The variance c in squared units of `scale`, one or one per feature."""
        if not self.is_learned:
            return self.least
        return self.least + torch.exp(_SPEED * self.log_variance)

    @property
    def noise_variance(self) -> Tensor:
        """The variance c in squared units of X."""
        with one_thread():
            return self.variance.detach().double() * self.scale**2

    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        variance = self.variance
        residual = self._standardized_mean(a) - x
        cost = 0.5 * (residual.square() / variance + torch.log(variance / self.least))
        if weights is not None:
            # A missing entry has no density, and so none of the floor.
            none = -self.floor / self.shift.shape[-1]
            cost = torch.where(weights == 0, none.to(cost.dtype), cost)
        return self._relative(cost.sum(-1))

    def draw(
        self, x_hat: Tensor, deviation: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Draw observations around `x_hat`, with the variance c."""
        return super().draw(x_hat, self.noise_variance.sqrt().cpu(), generator)


class BernoulliDensity(BernoulliReconstruction):
    """Minus the log-probability of the entries that are not missing, in nats."""

    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        observed = None if weights is None else weights != 0
        return super().forward(a, x, observed)


@dataclass(eq=False, repr=False)
class GaussianLikelihood(Loss):
    """`-log N(x; x_hat, c)` in nats.

    Parameters
    ----------
    noise_variance : "learned", "learned_per_feature" or float
        c, in squared units of X.
    """

    noise_variance: str | float = "learned"

    name = "gaussian"
    measured_in = "nats"

    def unit(self, moments: Moments) -> float:
        """Answer what weights of penalties are multiples of: nats."""
        return 1.0

    def of_codes(self, moments: Moments) -> Loss:
        """Answer the squared error."""
        return SquaredError()

    def build(self, output_activation: str, moments: Moments) -> Reconstruction:
        """Build the end of the net.

        Raises
        ------
        ValueError
            If a given variance is none that X could have.
        """
        if not isinstance(self.noise_variance, str):
            ratio = self.noise_variance / moments.scale**2
            if not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO:
                raise ValueError(
                    f"noise_variance={self.noise_variance:g} is {ratio:.3g} times the "
                    "mean variance of the features, which float32 cannot tell from "
                    "none or from all."
                )
        name = "identity" if output_activation == "auto" else output_activation
        return GaussianReconstruction(name, moments, self.noise_variance)


class BernoulliLikelihood(BinaryCrossEntropy):
    """`-sum_j x_j log x_hat_j + (1 - x_j) log(1 - x_hat_j)` in nats, X in [0, 1]."""

    name = "bernoulli"
    parameter = "likelihood"
    reconstruction = BernoulliDensity
