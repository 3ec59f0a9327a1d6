"""Waves whose steps stand in order, and waves of which some have changed places."""

from __future__ import annotations

import numpy as np

N_STEPS, N_FEATURES = 30, 2


def draw_waves(n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return sinusoids as rows of 30 steps with two features each.

    Both features have one frequency, and each a phase and a size of its own.
    """
    t = np.linspace(0, 1, N_STEPS, endpoint=False)[:, np.newaxis]
    frequency = rng.uniform(1, 4, (n_rows, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (n_rows, 1, N_FEATURES))
    size = rng.uniform(0.5, 1.5, (n_rows, 1, N_FEATURES))
    waves = size * np.sin(2 * np.pi * frequency * t + phase)
    return waves.reshape(n_rows, -1).astype(np.float32)


def disorder(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows of which a quarter of the steps have changed places."""
    changed = X.reshape(-1, N_STEPS, N_FEATURES).copy()
    for row in changed:
        places = rng.choice(N_STEPS, N_STEPS // 4, replace=False)
        row[places] = row[rng.permutation(places)]
    return changed.reshape(len(X), -1)
