"""Draws of codes from densities of other libraries and from specs, all repeatable."""

from __future__ import annotations

import copy
import inspect
import itertools
import random
import threading
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_array
from sklearn.utils._param_validation import InvalidParameterError
from torch import Tensor

from sklearn_ae._compute.seeds import derive_seed, make_generator, own_global_seed
from sklearn_ae._priors.drawn import PRIORS, ImposedPrior, draw_uniform

# Objects without a seed of their own draw from numpy's global state.
_global_state = threading.Lock()

# Codes are numpy's, whatever rows were; some densities refuse to dispatch at all.
_ON_ARRAYS = {"array_api_dispatch": False}


def fit_density(density: Any, Z: np.ndarray, seed: int) -> Any:
    """Fit a clone of a scikit-learn density on codes, seeded where it can be.

    In double precision: covariances in single precision are no longer positive
    definite to within what numpy expects when it draws.

    Raises
    ------
    ValueError
        If the codes do not suffice, for example fewer rows than mixture components.
    """
    density = clone(density)
    unset = {
        name: seed
        for name, value in density.get_params().items()
        if (name == "random_state" or name.endswith("__random_state")) and value is None
    }
    try:
        with config_context(**_ON_ARRAYS):
            return density.set_params(**unset).fit(Z.astype(np.float64, copy=False))
    except ValueError as error:
        raise ValueError(
            f"latent_density={density} could not be fitted on the codes of {len(Z)} "
            f"rows: {error}"
        ) from error


def is_seedable(density: Any) -> bool:
    """Whether each draw can be given a seed, without a look at global state."""
    if not hasattr(density, "sample"):
        return True
    density = _unwrapped(density)
    return _takes_seed(density) or hasattr(density, "random_state")


def draw(density: Any, n_samples: int, seed: int) -> np.ndarray:
    """Draw rows, in random order, that depend on `seed` only.

    Parameters
    ----------
    density : object with `sample(n_samples)`, or callable
        See `draw_with_components`.
    n_samples : int
    seed : int

    Returns
    -------
    ndarray of shape (n_samples, n_components)
    """
    rows, _ = draw_with_components(density, n_samples, seed)
    return rows


def draw_with_components(
    density: Any, n_samples: int, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw rows, in random order, and the components that they are of.

    Parameters
    ----------
    density : object with `sample(n_samples)`, or callable
        The answer may be a tuple, as of `GaussianMixture`, of rows and the numbers of
        the components that they are of. A function is called with `n_samples` and a
        `RandomState`.
    n_samples : int
    seed : int

    Returns
    -------
    ndarray of shape (n_samples, n_components)
    ndarray of shape (n_samples,) or None
        Their components, where it tells.
    """
    state = np.random.RandomState(seed % 2**32)
    with config_context(**_ON_ARRAYS):
        answer = _ask(density, n_samples, state)
    rows, *components = answer if isinstance(answer, tuple) else (answer,)
    rows = np.asarray(rows)
    order = state.permutation(len(rows))
    return rows[order], np.asarray(components[0])[order] if components else None


def normal_quantiles(probabilities: np.ndarray, n_components: int) -> np.ndarray:
    """Answer those of independent standard normal components, one column for each."""
    return np.tile(ndtri(probabilities)[:, np.newaxis], n_components)


def _ask(density: Any, n_samples: int, state: np.random.RandomState) -> Any:
    if not hasattr(density, "sample"):
        return density(n_samples, state)
    density = _unwrapped(density)
    if _takes_seed(density):
        return density.sample(n_samples, random_state=state)
    if hasattr(density, "random_state"):
        # A copy, so that the draw leaves the fitted object's state alone.
        density = copy.copy(density)
        density.random_state = state
        return density.sample(n_samples)
    return _draw_from_global_state(density, n_samples, state)


def _unwrapped(density: Any) -> Any:
    # A seed set on what only passes calls on would not arrive.
    while isinstance(density, FrozenEstimator):
        density = density.estimator
    return density


def _takes_seed(density: Any) -> bool:
    return "random_state" in inspect.signature(density.sample).parameters


def _draw_from_global_state(
    density: Any, n_samples: int, state: np.random.RandomState
) -> Any:
    seed = int(state.randint(2**31 - 1))
    with _global_state, own_global_seed(seed):
        saved, saved_by_python = np.random.get_state(), random.getstate()
        np.random.set_state(state.get_state())
        random.seed(seed)
        try:
            return density.sample(n_samples)
        finally:
            np.random.set_state(saved)
            random.setstate(saved_by_python)


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


class _SpecSource(CodeSource):
    """Draws from a spec."""

    def __init__(self, spec: ImposedPrior, n_components: int) -> None:
        self.spec, self.n_components = spec, n_components
        self.n_modes = spec.n_modes

    def draw(
        self, n: int, generator: torch.Generator, modes: Tensor | None = None
    ) -> Tensor:
        """Draw `n` codes, of given components or of the whole."""
        if modes is None:
            return self.spec.draw(n, self.n_components, generator)
        return self.spec.draw_modes(modes, generator)


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
        share = draw_uniform((n,), generator).cpu()
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
    prior: Any,
    n: int,
    n_components: int,
    seed: int,
    pool_seed: int,
    frequencies: np.ndarray | None,
) -> np.ndarray:
    """Draw codes for new rows, of the components in these proportions if given.

    What training has drawn once, by `pool_seed`, is drawn the same again.
    """
    n_classes = 0 if frequencies is None else len(frequencies)
    source = code_source(prior, n_components, pool_seed, n_classes)
    if isinstance(source, _ForeignSource) and not n_classes:
        # As many as are asked for, where training may have to do with a pool.
        codes, _ = source.ask(n, derive_seed(seed, "codes"))
        return codes
    generator, modes = make_generator(seed, "codes"), None
    if n_classes:
        weights = torch.from_numpy(frequencies).double()
        modes = torch.multinomial(weights, n, replacement=True, generator=generator)
    return source.draw(n, generator, modes).double().numpy()
