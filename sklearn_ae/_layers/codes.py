"""What the encoder's answer says of the code: the code itself, or a distribution."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import chi
from torch import Tensor, nn

from sklearn_ae._compute.seeds import Random, derive_seed, make_generator
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._layers.functions import ACTIVATIONS

_LOG_TWO_PI = math.log(2 * math.pi)
# The log-variance of a component whose rows are all alike falls without end.
_LEAST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE = -20.0, 20.0
# Fewer points tell too little of a decoder that is not linear.
_LEAST_POINTS = 64


class Normal(NamedTuple):
    """Independent normal distributions, one for each component.

    Attributes
    ----------
    mean, log_variance : Tensor of shape (..., n_components)
    """

    mean: Tensor
    log_variance: Tensor

    @property
    def deviation(self) -> Tensor:
        """Standard deviations."""
        return torch.exp(0.5 * self.log_variance)

    def at(self, points: Tensor) -> Tensor:
        """Answer codes at points of a standard normal distribution."""
        return self.mean + self.deviation * points

    def log_density(self, z: Tensor) -> Tensor:
        """Log-density of codes in nats, summed over components."""
        distance = (z - self.mean).square() * torch.exp(-self.log_variance)
        return -0.5 * (_LOG_TWO_PI + self.log_variance + distance).sum(-1)

    def divergence_from(self, other: Normal) -> Tensor:
        r"""Kullback-Leibler divergence of each component from another, in nats.

        .. math:: \tfrac{1}{2} ((\mu - m)^2 / s^2 + \sigma^2 / s^2 - 1
                  - \log \sigma^2 / s^2)
        """
        log_ratio = self.log_variance - other.log_variance
        distance = (self.mean - other.mean).square() * torch.exp(-other.log_variance)
        return 0.5 * (distance + log_ratio.exp() - 1 - log_ratio)

    def divergence_from_standard(self) -> Tensor:
        r"""Kullback-Leibler divergence of each component from N(0, 1), in nats.

        .. math:: \tfrac{1}{2} (\mu^2 + \sigma^2 - 1 - \log \sigma^2)
        """
        mean, log_variance = self
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def within_bounds(log_variance: Tensor) -> Tensor:
    """Answer log-variances that can be computed with."""
    return log_variance.clamp(_LEAST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)


def standard(z: Tensor) -> Normal:
    """Answer the standard normal distribution of codes like these."""
    return Normal(torch.zeros_like(z), torch.zeros_like(z))


class Posterior(nn.Module, ABC):
    """Turns what the encoder answers into codes; one that is `Random` draws them.

    Attributes
    ----------
    encoder_activation : str
        What the encoder's last layer has for its activation.
    n_draws : int
        How many codes of each row are trained on.
    """

    encoder_activation: str
    n_draws = 1

    @abstractmethod
    def n_answers(self, n_components: int) -> int:
        """How many numbers the encoder answers."""

    @abstractmethod
    def mean(self, h: Tensor) -> Tensor:
        """Answer the code, shape (n_rows, n_components)."""

    @abstractmethod
    def forward(self, h: Tensor, noise: Tensor | None) -> Tensor:
        """Answer codes to train on, shape (n_draws * n_rows, n_components)."""


class Certain(Posterior):
    """The encoder's answer is the code."""

    def __init__(self, encoder_activation: str = "identity") -> None:
        super().__init__()
        self.encoder_activation = encoder_activation

    def n_answers(self, n_components: int) -> int:
        return n_components

    def mean(self, h: Tensor) -> Tensor:
        return h

    def forward(self, h: Tensor, noise: Tensor | None) -> Tensor:
        return h


class GaussianPosterior(Posterior, Random):
    r"""The encoder answers means and log-variances of independent components.

    .. math:: q(z | x) = N(\mu(x), \operatorname{diag} \sigma^2(x))

    Draws are reparametrised, :math:`z = \mu + \sigma \epsilon` (Kingma and Welling
    2014), so that gradients pass through them.

    Parameters
    ----------
    n_components : int
    activation : str
        Of the means.
    n_draws : int
        How many codes of each row are trained on.
    """

    encoder_activation = "identity"

    def __init__(self, n_components: int, activation: str, n_draws: int) -> None:
        super().__init__()
        self.n_components, self.activation = n_components, activation
        self.n_draws = n_draws

    def n_answers(self, n_components: int) -> int:
        return 2 * n_components

    def of(self, h: Tensor) -> Normal:
        """Answer the distribution of each row's code."""
        mean, log_variance = h.chunk(2, -1)
        return Normal(
            ACTIVATIONS[self.activation].function(mean),
            within_bounds(log_variance),
        )

    def mean(self, h: Tensor) -> Tensor:
        return self.of(h).mean

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw points of a standard normal distribution for the rows of a batch."""
        shape = (self.n_draws, x.shape[-2], self.n_components)
        noise = torch.empty(shape, dtype=x.dtype, device=x.device)
        return noise.normal_(generator=generator)

    def forward(self, h: Tensor, noise: Tensor | None) -> Tensor:
        return self.of(h).at(noise).flatten(0, 1)


class Encode(NamedTuple):
    """The encode function that a prior may see: rows in, distributions of codes out.

    It holds the modules, not a function of them, so that copies of a net keep their
    own.
    """

    encoder: nn.Module
    posterior: GaussianPosterior

    def __call__(self, x: Tensor) -> Normal:
        """Answer the distributions of the codes of standardised rows."""
        return self.posterior.of(self.encoder(x))


def spread_points(n_components: int, seed: int) -> Tensor:
    """Answer points that stand for a standard normal distribution: always the same.

    They are the ends of orthonormal axes in random directions, in bases of different
    length: its lengths stand for those of normal points (Genz and Monahan 1998). Means
    over them are exact for polynomials of degree three, as expected squared errors of a
    linear decoder are.

    Returns
    -------
    Tensor of shape (n_points, n_components), of float64
    """
    n_bases = max(1, math.ceil(_LEAST_POINTS / (2 * n_components)))
    shares = (np.arange(n_bases) + 0.5) / n_bases
    lengths = chi.ppf(shares, n_components)
    lengths *= math.sqrt(n_components / np.square(lengths).mean())
    generator = make_generator(seed, "points of the bound")
    shape = (n_bases, n_components, n_components)
    random = torch.empty(shape, dtype=torch.float64).normal_(generator=generator)
    with one_thread():
        axes = torch.linalg.qr(random).Q * torch.from_numpy(lengths).reshape(-1, 1, 1)
    return torch.cat([axes, -axes]).flatten(0, 1)


@one_thread()
def drawn_points(n_points: int, n_components: int, seed: int) -> Tensor:
    """Answer points that are each standard normal, and evenly spread together.

    They are a scrambled Sobol sequence (Owen 1998), so that rows may share them: of
    independent draws the same few would decide for all rows.

    Returns
    -------
    Tensor of shape (n_points, n_components), of float64
    """
    seed = derive_seed(seed, "importance samples") % 2**31
    sequence = torch.quasirandom.SobolEngine(n_components, scramble=True, seed=seed)
    uniform = sequence.draw(n_points, dtype=torch.float64)
    tiny = torch.finfo(torch.float32).eps / 2
    return torch.special.ndtri(uniform.clamp(tiny, 1 - tiny))
