"""Distributions that are drawn from as they are: nothing of them is learned."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import ndtri
from sklearn.utils._param_validation import Interval
from torch import Tensor

from sklearn_ae._compute.ambient import Undisturbed
from sklearn_ae._compute.seeds import draw_seed, make_generator
from sklearn_ae._layers.codes import Encode, Normal, standard
from sklearn_ae._priors.prior import LatentDensity, Prior, draw_normal, draw_uniform


class DrawnPrior(Undisturbed, Prior, ABC):
    """A prior that is drawn by torch."""

    _takes_tensors = True

    @abstractmethod
    def draw(self, n: int, n_components: int, generator: torch.Generator) -> Tensor:
        """Draw `n` codes on the generator's device."""

    def sample(
        self,
        n_samples: int = 1,
        n_components: int = 2,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
        n_components : int, default=2
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        self.check(n_components)
        generator = make_generator(draw_seed(random_state), "imposed prior")
        return self.draw(n_samples, n_components, generator).double().numpy()


class StandardNormal(DrawnPrior):
    r"""The normal distribution of independent components.

    .. math:: z \sim N(0, I)

    References
    ----------
    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey. Adversarial
    autoencoders. arXiv:1511.05644 (2015).

    Examples
    --------
    >>> from sklearn_ae import StandardNormal
    >>> StandardNormal().sample(1000, 5, random_state=0).shape
    (1000, 5)
    """

    name = "normal"

    def draw(self, n: int, n_components: int, generator: torch.Generator) -> Tensor:
        """Draw `n` codes."""
        return draw_normal((n, n_components), generator)

    def quantiles(self, probabilities: np.ndarray, n_components: int) -> np.ndarray:
        """Answer those of each component of the code, one column each."""
        return np.tile(ndtri(probabilities)[:, np.newaxis], n_components)

    def log_density(self, z: Tensor) -> Tensor:
        """Answer the log-density of codes in nats: shape (...) of (..., k)."""
        return standard(z).log_density(z)

    def build(
        self, n_components: int, n_features: int, encode: Encode, seed: int
    ) -> LatentDensity:
        """Build the density."""
        return NormalDensity(n_components)


class NormalDensity(LatentDensity):
    """N(0, I), whose divergences are known exactly."""

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.n_components = n_components

    def log_density(self, z: Tensor) -> Tensor:
        return standard(z).log_density(z)

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        return draw_normal((n_samples, self.n_components), generator, torch.float64)

    def divergences(self, posterior: Normal, z: Tensor) -> Tensor:
        return posterior.divergence_from_standard()


class UniformBox(DrawnPrior):
    r"""The uniform distribution between -1 and 1 in each component.

    .. math:: z_j \sim U(-1, 1)

    References
    ----------
    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey. Adversarial
    autoencoders. arXiv:1511.05644 (2015).

    Examples
    --------
    >>> from sklearn_ae import UniformBox
    >>> Z = UniformBox().sample(1000, random_state=0)
    >>> bool((abs(Z) <= 1).all())
    True
    """

    name = "uniform"

    def draw(self, n: int, n_components: int, generator: torch.Generator) -> Tensor:
        """Draw `n` codes."""
        return 2 * draw_uniform((n, n_components), generator) - 1


@dataclass(eq=False, repr=False)
class SwissRoll(DrawnPrior):
    r"""A spiral in the plane, uniform along it: for `n_components=2` only.

    .. math:: z = r \sqrt{u} \, (\cos t, \sin t) + \sigma \varepsilon, \quad
              t = 2 \pi k \sqrt{u}, \quad u \sim U(0, 1), \; \varepsilon \sim N(0, I)

    Parameters
    ----------
    n_turns : float, default=1.5
        How often it goes round, k.
    radius : float, default=3.0
        Where it ends, r.
    noise : float, default=0.15
        Standard deviation of what is added in each component.

    References
    ----------
    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey. Adversarial
    autoencoders. arXiv:1511.05644 (2015).

    Examples
    --------
    >>> from sklearn_ae import SwissRoll
    >>> SwissRoll(n_turns=3).sample(1000, random_state=0).shape
    (1000, 2)
    """

    n_turns: float = 1.5
    radius: float = 3.0
    noise: float = 0.15

    name = "swiss_roll"
    is_planar = True
    _parameter_constraints = {
        "n_turns": [Interval(Real, 0, None, closed="neither")],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "noise": [Interval(Real, 0, None, closed="left")],
    }

    def draw(self, n: int, n_components: int, generator: torch.Generator) -> Tensor:
        """Draw `n` codes."""
        share = draw_uniform((n,), generator).sqrt()
        angle = 2 * math.pi * self.n_turns * share
        spiral = torch.stack([angle.cos(), angle.sin()], dim=-1)
        noise = self.noise * draw_normal((n, 2), generator)
        return self.radius * share[:, None] * spiral + noise


@dataclass(eq=False, repr=False)
class GaussianRing(DrawnPrior):
    r"""A ring of Gaussians in the plane, elongated along its radii, equally likely.

    .. math:: z = R_c \, (r + \sigma_1 \varepsilon_1, \; \sigma_2 \varepsilon_2), \quad
              \varepsilon \sim N(0, I)

    with the rotation :math:`R_c` by the c-th of `n_modes` equal angles, c drawn at
    random or, of an autoencoder with `label_conditioned=True`, the class of a row. For
    `n_components=2` only.

    Parameters
    ----------
    n_modes : int, default=10
        Number of Gaussians.
    radius : float, default=2.0
        Distance of their means from 0, r.
    length : float, default=0.5
        Standard deviation along the radius.
    width : float, default=0.15
        Standard deviation across it.

    References
    ----------
    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey. Adversarial
    autoencoders. arXiv:1511.05644 (2015).

    Examples
    --------
    >>> from sklearn_ae import GaussianRing
    >>> GaussianRing(n_modes=3).sample(1000, random_state=0).shape
    (1000, 2)
    """

    n_modes: int = 10
    radius: float = 2.0
    length: float = 0.5
    width: float = 0.15

    name = "gaussian_ring"
    is_planar = True
    _parameter_constraints = {
        "n_modes": [Interval(Integral, 1, None, closed="left")],
        "radius": [Interval(Real, 0, None, closed="left")],
        "length": [Interval(Real, 0, None, closed="neither")],
        "width": [Interval(Real, 0, None, closed="neither")],
    }

    def draw(self, n: int, n_components: int, generator: torch.Generator) -> Tensor:
        """Draw `n` codes."""
        modes = torch.randint(
            self.n_modes, (n,), generator=generator, device=generator.device
        )
        return self.draw_modes(modes, generator)

    def draw_modes(self, modes: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a code of each of the given Gaussians."""
        along, across = draw_normal((2, len(modes)), generator)
        along, across = self.radius + self.length * along, self.width * across
        angle = (2 * math.pi / self.n_modes) * modes
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([cos * along - sin * across, sin * along + cos * across], -1)
