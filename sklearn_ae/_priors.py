"""Draws from densities of other libraries, repeatable and without side effects."""

from __future__ import annotations

import copy
import inspect
import threading
from typing import Any

import numpy as np
from sklearn.base import clone

# Objects without a seed of their own draw from numpy's global state.
_global_state = threading.Lock()


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
        return density.set_params(**unset).fit(Z.astype(np.float64, copy=False))
    except ValueError as error:
        raise ValueError(
            f"latent_density={density} could not be fitted on the codes of {len(Z)} "
            f"rows: {error}"
        ) from error


def draw(density: Any, n_samples: int, seed: int) -> np.ndarray:
    """Draw rows, in random order, that depend on `seed` only.

    Parameters
    ----------
    density : object with `sample(n_samples)`
        Its answer may be a tuple, whose first item counts (`GaussianMixture`).
    n_samples : int
    seed : int

    Returns
    -------
    ndarray of shape (n_samples, n_components)
    """
    state = np.random.RandomState(seed % 2**32)
    if "random_state" in inspect.signature(density.sample).parameters:
        rows = density.sample(n_samples, random_state=state)
    elif hasattr(density, "random_state"):
        # A copy, so that the draw leaves the fitted object's state alone.
        density = copy.copy(density)
        density.random_state = state
        rows = density.sample(n_samples)
    else:
        rows = _draw_from_global_state(density, n_samples, state)
    rows = np.asarray(rows[0] if isinstance(rows, tuple) else rows)
    return rows[state.permutation(len(rows))]


def _draw_from_global_state(
    density: Any, n_samples: int, state: np.random.RandomState
) -> Any:
    with _global_state:
        saved = np.random.get_state()
        np.random.set_state(state.get_state())
        try:
            return density.sample(n_samples)
        finally:
            np.random.set_state(saved)
