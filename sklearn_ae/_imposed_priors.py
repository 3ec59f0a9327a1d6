"""Distributions that codes are trained to have: specs, and objects of other libraries.

Only draws of them are needed. Those of a spec are made on the device of the generator;
an object of another library is asked for more with a fresh seed, or once for many.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, InvalidParameterError
from torch import Tensor

from sklearn_ae._priors import draw_with_components, is_seedable
from sklearn_ae._torch import derive_seed, draw_seed, make_generator
from sklearn_ae.architectures._dense import FLOAT

# Draws that are kept of a prior that cannot be asked again: without a seed of its own,
# or by the component.
_POOL = 2**14


class CodeSource(ABC):
    """Draws codes for training.

    Attributes
    ----------
    n_modes : int
        Components that can be asked for one by one; 0 if there are none.
    """

    n_modes: int = 0

    @abstractmethod
    def draw(
        self, n: int, generator: torch.Generator, modes: Tensor | None = None
    ) -> Tensor:
        """Draw `n` codes, of given components or of the whole."""


class ImposedPrior(BaseEstimator, ABC):
    """What codes are to be distributed like: a spec, for the parameter `prior`.

    Attributes
    ----------
    name : str
        The name that stands for the spec at its defaults.
    is_planar : bool
        Whether it has two components, no more and no fewer.
    """

    name: str
    is_planar: bool = False
    _parameter_constraints = {}

    @property
    def n_modes(self) -> int:
        """Components that can be asked for one by one; 0 if there are none."""
        return 0

    @abstractmethod
    def draw(
        self,
        n: int,
        n_components: int,
        generator: torch.Generator,
        modes: Tensor | None = None,
    ) -> Tensor:
        """Draw `n` codes on the generator's device, of given components if it has."""

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

    def draw(
        self,
        n: int,
        n_components: int,
        generator: torch.Generator,
        modes: Tensor | None = None,
    ) -> Tensor:
        """Draw `n` codes."""
        return _normal((n, n_components), generator)


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

    def draw(
        self,
        n: int,
        n_components: int,
        generator: torch.Generator,
        modes: Tensor | None = None,
    ) -> Tensor:
        """Draw `n` codes."""
        return 2 * _uniform((n, n_components), generator) - 1


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
    noise : float, default=0.1
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
    noise: float = 0.1

    name = "swiss_roll"
    is_planar = True
    _parameter_constraints = {
        "n_turns": [Interval(Real, 0, None, closed="neither")],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "noise": [Interval(Real, 0, None, closed="left")],
    }

    def draw(
        self,
        n: int,
        n_components: int,
        generator: torch.Generator,
        modes: Tensor | None = None,
    ) -> Tensor:
        """Draw `n` codes."""
        share = _uniform((n,), generator).sqrt()
        angle = 2 * math.pi * self.n_turns * share
        spiral = torch.stack([angle.cos(), angle.sin()], dim=-1)
        noise = self.noise * _normal((n, 2), generator)
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
    width : float, default=0.1
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
    width: float = 0.1

    name = "gaussian_mixture"
    is_planar = True
    _parameter_constraints = {
        "n_modes": [Interval(Integral, 1, None, closed="left")],
        "radius": [Interval(Real, 0, None, closed="left")],
        "length": [Interval(Real, 0, None, closed="neither")],
        "width": [Interval(Real, 0, None, closed="neither")],
    }

    def draw(
        self,
        n: int,
        n_components: int,
        generator: torch.Generator,
        modes: Tensor | None = None,
    ) -> Tensor:
        """Draw `n` codes, of given Gaussians or of any."""
        if modes is None:
            modes = torch.randint(
                self.n_modes, (n,), generator=generator, device=generator.device
            )
        along, across = _normal((2, n), generator)
        along, across = self.radius + self.length * along, self.width * across
        angle = (2 * math.pi / self.n_modes) * modes
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([cos * along - sin * across, sin * along + cos * across], -1)


PRIORS = {
    spec.name: spec for spec in (StandardNormal, UniformBox, SwissRoll, GaussianRing)
}


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.empty(shape, dtype=FLOAT, device=generator.device).normal_(
        generator=generator
    )


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.empty(shape, dtype=FLOAT, device=generator.device).uniform_(
        generator=generator
    )


class _SpecSource(CodeSource):
    """Draws from a spec."""

    def __init__(self, spec: ImposedPrior, n_components: int) -> None:
        self.spec, self.n_components = spec, n_components
        self.n_modes = spec.n_modes

    def draw(
        self, n: int, generator: torch.Generator, modes: Tensor | None = None
    ) -> Tensor:
        """Draw `n` codes, of given components or of the whole."""
        return self.spec.draw(n, self.n_components, generator, modes)


class _ForeignSource(CodeSource):
    """Draws from a function of (n_samples, random_state) or an object with `sample`.

    What cannot be asked again, or not for one component, is asked once for many.
    """

    def __init__(self, prior: Any, n_components: int, seed: int, by_mode: bool) -> None:
        self.prior, self.n_components = prior, n_components
        self._pool: Tensor | None = None
        self._members: list[Tensor] = []
        if not by_mode and is_seedable(prior):
            return
        codes, modes = self.ask(_POOL, seed)
        self._pool = torch.from_numpy(codes).float()
        if by_mode and modes is not None and modes.dtype.kind in "iu":
            places = (np.flatnonzero(modes == c) for c in range(modes.max() + 1))
            members = itertools.takewhile(len, places)
            self._members = [torch.from_numpy(found) for found in members]
        self.n_modes = len(self._members)

    def ask(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Draw codes, and the components that they are of, if it tells."""
        try:
            codes, modes = draw_with_components(self.prior, n, seed)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"prior={self.prior!r} could not be drawn from: {error}"
            ) from error
        codes = check_array(codes, dtype=np.float64, input_name="the prior's codes")
        if codes.shape != (n, self.n_components):
            raise ValueError(
                f"prior={self.prior!r} answers codes of shape {codes.shape}, where "
                f"{(n, self.n_components)} is expected."
            )
        return codes, modes

    def draw(
        self, n: int, generator: torch.Generator, modes: Tensor | None = None
    ) -> Tensor:
        """Draw `n` codes, of given components or of the whole."""
        device = generator.device
        if self._pool is None:
            seed = torch.randint(2**62, (), generator=generator, device=device)
            codes, _ = self.ask(n, int(seed))
            return torch.from_numpy(codes).to(device, torch.float32)
        share = _uniform((n,), generator).cpu()
        places = _places(share, len(self._pool))
        if modes is not None:
            asked = modes.cpu()
            for mode in asked.unique().tolist():
                is_asked, members = asked == mode, self._members[mode]
                places[is_asked] = members[_places(share[is_asked], len(members))]
        return self._pool[places].to(device)


def _places(share: Tensor, n: int) -> Tensor:
    # The product may round up to n.
    return (share * n).long().clamp(max=n - 1)


def code_source(
    prior: Any, n_components: int, seed: int, n_classes: int = 0
) -> CodeSource:
    """Answer what draws codes from the parameter `prior`.

    Parameters
    ----------
    prior : str, ImposedPrior, object with `sample` or callable
    n_components : int
    seed : int
        Where draws come from that are made once.
    n_classes : int, default=0
        How many of its components are going to be asked for one by one.

    Raises
    ------
    ValueError
        If it cannot be drawn from, has another width, or too few components.
    """
    spec = PRIORS[prior]() if isinstance(prior, str) else prior
    if isinstance(spec, type):
        raise InvalidParameterError(
            "The 'prior' parameter must be a name, an object or a function. "
            f"Got the class {spec.__name__} instead; call it to get an object."
        )
    if isinstance(spec, ImposedPrior):
        spec.check(n_components)
        source = _SpecSource(spec, n_components)
    else:
        source = _ForeignSource(spec, n_components, seed, by_mode=n_classes > 0)
    if source.n_modes < n_classes:
        raise ValueError(
            "label_conditioned=True puts each class on a component of the prior, but "
            f"prior={prior!r} has {source.n_modes or 'none'} for {n_classes} classes. "
            "'gaussian_mixture', GaussianRing(n_modes=...) and a fitted "
            "GaussianMixture have components."
        )
    return source


def sample_codes(
    prior: Any, n: int, n_components: int, seed: int, frequencies: np.ndarray | None
) -> np.ndarray:
    """Draw codes for new rows, of the components in these proportions if given."""
    n_classes = 0 if frequencies is None else len(frequencies)
    source = code_source(prior, n_components, derive_seed(seed, "pool"), n_classes)
    if isinstance(source, _ForeignSource) and not n_classes:
        # As many as are asked for, where training may have to do with a pool.
        codes, _ = source.ask(n, derive_seed(seed, "codes"))
        return codes
    generator, modes = make_generator(seed, "codes"), None
    if n_classes:
        weights = torch.from_numpy(frequencies).double()
        modes = torch.multinomial(weights, n, replacement=True, generator=generator)
    return source.draw(n, generator, modes).double().numpy()
