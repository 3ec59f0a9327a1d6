"""Distributions that codes are trained to have, as specs.

Only draws of them are needed, which are made on the device of the generator.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor

from sklearn_ae._compute.ambient import Undisturbed
from sklearn_ae._compute.seeds import draw_seed, make_generator
from sklearn_ae._layers.dense import FLOAT


class ImposedPrior(Undisturbed, BaseEstimator, ABC):
    """What codes are to be distributed like: a spec, for the parameter `prior`.

    Attributes
    ----------
    name : str
        The name that stands for the spec at its defaults.
    is_planar : bool
        Whether it has two components, no more and no fewer.
    """

    _takes_tensors = True
    name: str
    is_planar: bool = False
    _parameter_constraints = {}

    @property
    def n_modes(self) -> int:
        """Components that can be asked for one by one; 0 if there are none.

        One that has any also has `draw_modes(modes, generator)`, a code of each.
        """
        return 0

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

    def check(self, n_components: int) -> None:
        """Refuse wrong parameters, and a number of components that it does not have.

        Raises
        ------
        ValueError
        """
        self._validate_params()
        if self.is_planar and n_components != 2:
            raise ValueError(
                f"prior={self.name!r} lies in a plane and needs n_components=2, got "
                f"n_components={n_components}. An object with `sample`, such as a "
                "fitted GaussianMixture, or a function can be a prior of any width."
            )


class StandardNormal(ImposedPrior):
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


class UniformBox(ImposedPrior):
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
class SwissRoll(ImposedPrior):
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
class GaussianRing(ImposedPrior):
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

    name = "gaussian_mixture"
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


PRIORS = {
    spec.name: spec for spec in (StandardNormal, UniformBox, SwissRoll, GaussianRing)
}


def draw_normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw from N(0, 1) on the device of the generator."""
    return torch.empty(shape, dtype=FLOAT, device=generator.device).normal_(
        generator=generator
    )


def draw_uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw from U(0, 1) on the device of the generator."""
    return torch.empty(shape, dtype=FLOAT, device=generator.device).uniform_(
        generator=generator
    )
