"""Densities of other libraries: fitted on codes, drawn from, and as priors."""

from __future__ import annotations

import copy
import inspect
import itertools
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import InvalidParameterError
from torch import Tensor

from sklearn_ae._compute.seeds import own_global_seed
from sklearn_ae._layers.codes import Encode
from sklearn_ae._priors.drawn import DrawnPrior
from sklearn_ae._priors.prior import (
    LatentDensity,
    OwnDensity,
    Prior,
    draw_codes,
    draw_uniform,
)

# Objects without a seed of their own draw from numpy's global state.
_global_state = threading.Lock()

# Draws that are kept of a prior that cannot be asked again: without a seed of its own,
# or by the component.
_POOL = 2**14


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
        with config_context(array_api_dispatch=False):
            return density.set_params(**unset).fit(Z.astype(np.float64, copy=False))
    except ValueError as error:
        raise ValueError(
            f"latent_density={density} could not be fitted on the codes of {len(Z)} "
            f"rows: {error}"
        ) from error


def _ask(density: Any, n_samples: int, state: np.random.RandomState) -> Any:
    sample = _seeded(density, state) or partial(_from_global_state, density, state)
    # Codes are numpy's, whatever rows were; some densities refuse to dispatch at all.
    with config_context(array_api_dispatch=False):
        answer = sample(n_samples)
    return answer.detach().numpy() if isinstance(answer, Tensor) else answer


def _seeded(density: Any, state: np.random.RandomState) -> Callable[[int], Any] | None:
    """Answer what draws by a state, or None where draws depend on global state."""
    if not hasattr(density, "sample"):
        return lambda n_samples: density(n_samples, state)
    # A seed set on what only passes calls on would not arrive.
    while isinstance(density, FrozenEstimator):
        density = density.estimator
    takes = inspect.signature(density.sample).parameters
    if "random_state" in takes:
        return partial(density.sample, random_state=state)
    if hasattr(density, "random_state"):
        # A copy, so that the draw leaves the fitted object's state alone.
        density = copy.copy(density)
        density.random_state = state
        return density.sample
    if "generator" in takes:
        seed = int(state.randint(2**31 - 1))
        return partial(density.sample, generator=torch.Generator().manual_seed(seed))
    return None


def _from_global_state(
    density: Any, state: np.random.RandomState, n_samples: int
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


class ForeignPrior(Prior):
    """An object of another library, or a function, as a prior.

    Parameters
    ----------
    source : object with `sample`, or callable
        `sample(n_samples)` answers codes, or a tuple of these and of the numbers of the
        components that they are of. A function gets a `RandomState`, too.
    """

    def __init__(self, source: Any) -> None:
        self.source = source

    def __repr__(self) -> str:
        return repr(self.source)

    def sample(
        self, n_samples: int, n_components: int, random_state: np.random.RandomState
    ) -> Any:
        """Draw codes, of as many components as there are."""
        return _ask(self.source, n_samples, random_state)


class ForeignDensity(ForeignPrior):
    """One with `log_density`, too, whose `sample` gets a torch generator."""

    def build(
        self, n_components: int, n_features: int, encode: Encode, seed: int
    ) -> LatentDensity:
        """Build the density."""
        return OwnDensity(self.source, n_components)


def as_prior(value: Any) -> Prior:
    """Answer the prior that an object or a function is."""
    if isinstance(value, Prior):
        return value
    if isinstance(value, type):
        raise InvalidParameterError(
            "The 'prior' parameter must be a name, an object or a function. "
            f"Got the class {value.__name__} instead; call it to get an object."
        )
    is_density = hasattr(value, "log_density")
    return ForeignDensity(value) if is_density else ForeignPrior(value)


class Pool(DrawnPrior):
    """Codes of a prior, drawn once, to draw from again and again.

    What cannot be asked again, or not for one component, is asked once for many.
    """

    def __init__(self, prior: Prior, n_components: int, seed: int) -> None:
        codes, modes = draw_codes(prior, _POOL, n_components, seed)
        self._codes = torch.from_numpy(codes).float()
        self._members: list[Tensor] = []
        if modes is not None and modes.dtype.kind in "iu":
            places = (np.flatnonzero(modes == c) for c in range(modes.max() + 1))
            members = itertools.takewhile(len, places)
            self._members = [torch.from_numpy(found) for found in members]

    @property
    def n_modes(self) -> int:
        """Components that told which codes are theirs."""
        return len(self._members)

    def draw(self, n: int, n_components: int, generator: torch.Generator) -> Tensor:
        """Draw `n` codes."""
        share = draw_uniform((n,), generator).cpu()
        return self._codes[_places(share, len(self._codes))].to(generator.device)

    def draw_modes(self, modes: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a code of each of the given components."""
        share, asked = draw_uniform((len(modes),), generator).cpu(), modes.cpu()
        places = torch.empty_like(asked)
        for mode in asked.unique().tolist():
            is_asked, members = asked == mode, self._members[mode]
            places[is_asked] = members[_places(share[is_asked], len(members))]
        return self._codes[places].to(generator.device)


def _places(share: Tensor, n: int) -> Tensor:
    # The product may round up to n.
    return (share * n).long().clamp(max=n - 1)


def repeatable(prior: Prior, n_components: int, seed: int, by_mode: bool) -> Prior:
    """Answer what draws of a prior are made from in training: it, or a pool of it.

    Parameters
    ----------
    prior : Prior
    n_components : int
    seed : int
        Where draws come from that are made once.
    by_mode : bool
        Whether its components are going to be asked for one by one.

    Raises
    ------
    ValueError
        If it cannot be drawn from, or has another width.
    """
    prior.check(n_components)
    state = np.random.RandomState(seed % 2**32)
    is_once = isinstance(prior, ForeignPrior) and not _seeded(prior.source, state)
    if is_once or (by_mode and not prior.n_modes):
        return Pool(prior, n_components, seed)
    return prior
