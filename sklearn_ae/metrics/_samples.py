"""How like real rows drawn ones are: MMD, fidelity, coverage, copies.

No one of them is enough. The mean of all rows has fidelity and no coverage, noise has
neither, and copied training rows have both, with a copy rate of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist
from sklearn.neighbors import NearestNeighbors

from sklearn_ae._compute.ambient import undisturbed
from sklearn_ae._compute.arguments import check_methods
from sklearn_ae._data.rows import row_slices
from sklearn_ae._objective.divergences import KERNEL_WIDTHS, similarity
from sklearn_ae._priors.foreign import as_prior
from sklearn_ae.metrics._measures import check_digits, check_width, dense
from sklearn_ae.metrics._sizes import difference, exponent_of

# The share of real rows that is near enough to others.
_NEAR = 0.95
_N_NEIGHBORS = 5
# A copy is nearer than this to a real row, in units of a row's deviation.
_COPY = 1e-3
# Rows whose distances tell a usual one.
_MOST_ROWS = 4096
# Draws that are farther off are so far off; squares of larger numbers overflow.
_FARTHEST = 2.0**450


def mmd(
    drawn: np.ndarray, real: np.ndarray, widths: Sequence[float] | None = None
) -> float:
    """Return the unbiased squared MMD, of a sum of Gaussian kernels.

    Widths are half, one and two median distances of the real rows if not given, so that
    rivals are measured by the same kernels.
    """
    if min(len(drawn), len(real)) < 2:
        raise ValueError("The discrepancy needs two rows at least, and two draws.")
    if widths is None:
        unit = _usual_distance(real)
        widths = [width * unit for width in KERNEL_WIDTHS]
    # Squares of numbers far from 0 would leave nothing of their differences.
    center = real.mean(axis=0, dtype=np.float64)
    pair = [torch.from_numpy(rows - center) for rows in (drawn, real)]
    # Without the pairs of a row with itself, whose kernel is 1.
    within = [(len(x) * _mean_kernel(x, x, widths) - 1) / (len(x) - 1) for x in pair]
    return len(widths) * (sum(within) - 2 * _mean_kernel(*pair, widths))


def _usual_distance(rows: np.ndarray) -> float:
    distances = pdist(rows[:: -(-len(rows) // _MOST_ROWS)])
    # Most rows may be the same.
    return float(np.median(distances)) or float(np.mean(distances)) or 1.0


def _mean_kernel(
    one: torch.Tensor, other: torch.Tensor, widths: Sequence[float]
) -> float:
    """Return the mean over all pairs, a few rows at a time."""
    parts = [one[rows] for rows in row_slices(len(one), len(other))]
    return sum(len(p) * float(similarity(p, other, widths)) for p in parts) / len(one)


def usual_gap(real: np.ndarray, others: np.ndarray | None = None) -> float:
    """Return what most of others are nearer than to a real row; of these, by default.

    Without rows to ask for, no row is a neighbour of itself.
    """
    return float(np.quantile(_gaps(real, others), _NEAR))


def _gaps(real: np.ndarray, rows: np.ndarray | None, n_neighbors: int = 1) -> Any:
    """Return the distance of each row to the real row that is so many places off."""
    known = NearestNeighbors(n_neighbors=n_neighbors).fit(real)
    return known.kneighbors(rows)[0][:, -1]


def fidelity(drawn: np.ndarray, real: np.ndarray, gap: float | None = None) -> float:
    """Return the share of drawn rows that are as near to real rows as most of these."""
    gap = usual_gap(real) if gap is None else gap
    return float((_gaps(real, drawn) <= gap).mean())


def coverage(drawn: np.ndarray, real: np.ndarray) -> float:
    """Return the share of real rows with a drawn one among their five neighbours."""
    radii = _gaps(real, None, min(_N_NEIGHBORS, len(real) - 1))
    return float((_gaps(drawn, real) <= radii).mean())


def copies(drawn: np.ndarray, real: np.ndarray) -> float:
    """Return the share of drawn rows that are real rows."""
    deviation = np.sqrt(real.var(axis=0, dtype=np.float64).sum())
    return float((_gaps(real, drawn) <= _COPY * deviation).mean())


MEASURES = {"mmd": mmd, "fidelity": fidelity, "coverage": coverage, "copies": copies}
# Scores are the better the higher they are.
_LOSSES = ("mmd", "copies")


@undisturbed
def sample_score(
    estimator: Any,
    X: ArrayLike,
    y: Any = None,
    *,
    measure: str,
    n_samples: int | None,
    random_state: int,
) -> float:
    check_methods(estimator, "sample")
    check_digits(X)
    real = dense(X)
    if len(real) < 2:
        raise ValueError(f"measure={measure!r} needs two rows of X at least.")
    drawn = _draw(estimator, n_samples or len(real), random_state)
    check_width("The estimator", drawn, real)
    exponent, origin = exponent_of([real]), real[0]
    drawn = difference(drawn, origin, exponent).clip(-_FARTHEST, _FARTHEST)
    value = MEASURES[measure](drawn, difference(real, origin, exponent))
    return 0.0 - value if measure in _LOSSES else value


def _draw(estimator: Any, n_samples: int, random_state: int) -> np.ndarray:
    state = np.random.RandomState(random_state)
    answer = as_prior(estimator).sample(n_samples, 0, state)
    # Mixtures tell the components, too.
    drawn = answer[0] if isinstance(answer, tuple) else answer
    return dense(drawn, "what is drawn")
