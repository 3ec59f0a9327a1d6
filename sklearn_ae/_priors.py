"""Draws from densities of other libraries, repeatable and without side effects."""

from __future__ import annotations

import copy
import inspect
import random
import threading
from typing import Any

import numpy as np
from scipy.special import ndtri
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklearn_ae._torch import own_global_seed

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
