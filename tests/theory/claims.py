"""What the theory tests share: exact data, figures, trivial stubs, and the protocol.

A claim holds where the median of the seeds keeps its bound and no seed misses it by
more than a factor of two. With `--stubs` the same claims are put to trivial models,
which must not keep them all. SSE is the squared error of a row, summed over features
and averaged over rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

N_PERMUTATIONS = 500
SPECTRUM = 10 * 0.7 ** np.arange(20)


@dataclass(frozen=True)
class Claim:
    """A bound that a figure keeps.

    `at_most` and `at_least` may be missed by a factor of two by some seeds, but not by
    the median; `never_below` and `never_above` are bounds of mathematics, which no seed
    crosses.
    """

    figure: str
    at_most: float = math.inf
    at_least: float = -math.inf
    never_below: float = -math.inf
    never_above: float = math.inf

    def is_kept(self, values: Iterable[float]) -> bool:
        values = np.asarray(list(values), dtype=float)
        median, low, high = np.median(values), values.min(), values.max()
        return bool(
            np.isfinite(values).all()
            and self.at_least <= median <= self.at_most
            and self.at_least / 2 <= low
            and high <= 2 * self.at_most
            and self.never_below <= low
            and high <= self.never_above
        )

    def __str__(self) -> str:
        bounds = ((k, v) for k, v in vars(self).items() if k != "figure")
        return ", ".join(f"{k} {v:g}" for k, v in bounds if math.isfinite(v))


def check_claims(
    request: pytest.FixtureRequest,
    figures: Callable[[Any, int], dict[str, float]],
    estimator: BaseEstimator,
    claims: Iterable[Claim],
    stubs: Iterable[BaseEstimator] = (),
    min_seeds: int = 1,
) -> None:
    """Assert that an estimator keeps the claims and that no stub does.

    Parameters
    ----------
    request : pytest.FixtureRequest
        Slow tests run `--seeds` seeds, others one; with `--stubs` all do.
    figures : callable
        From an estimator that is not fitted, and a seed, to figures by name.
    estimator : estimator
        Cloned for each seed, which becomes its `random_state`.
    claims : iterable of Claim
    stubs : iterable of estimator
        Each must fail at least one of the claims.
    min_seeds : int, default=1
        Where the claim itself is about a median.
    """
    claims, with_stubs = list(claims), request.config.getoption("--stubs")
    is_slow = request.node.get_closest_marker("slow") is not None
    asked = request.config.getoption("--seeds") if is_slow or with_stubs else 1
    seeds = range(max(asked, min_seeds))
    failures = _failures(request, figures, estimator, claims, seeds)
    if failures:
        pytest.fail("\n".join(failures))
    for stub in stubs if with_stubs else ():
        if not _failures(request, figures, stub, claims, seeds):
            pytest.fail(f"{stub} keeps every claim: they show nothing")


def _failures(
    request: pytest.FixtureRequest,
    figures: Callable[[Any, int], dict[str, float]],
    estimator: BaseEstimator,
    claims: list[Claim],
    seeds: range,
) -> list[str]:
    records = []
    for seed in seeds:
        model = clone(estimator)
        if "random_state" in model.get_params():
            model.set_params(random_state=seed)
        records.append(figures(model, seed))
    failures = []
    for claim in claims:
        values = [record[claim.figure] for record in records]
        seen = " ".join(f"{value:.4g}" for value in values)
        kept = claim.is_kept(values)
        line = f"{claim.figure}: {claim}; seen {seen}"
        # Shown by `-rP`: the table of figures.
        print(f"{request.node.name} | {estimator} | {line} | {kept}")
        if not kept:
            failures.append(line)
    return failures


def check_identity(check: Callable[[Any], None], right: Any, *wrong: Any) -> None:
    """Assert an exact identity, and that the check refutes wrong constants."""
    check(right)
    for value in wrong:
        with pytest.raises(AssertionError):
            check(value)


# Data


def gaussian_rows(
    seed: int, n: int = 5000, spectrum: np.ndarray = SPECTRUM
) -> np.ndarray:
    """Draw Gaussian rows whose covariance has this spectrum, in a random basis."""
    random, d = np.random.RandomState(seed), len(spectrum)
    basis, _ = np.linalg.qr(random.normal(size=(d, d)))
    return random.normal(size=(n, d)) * np.sqrt(spectrum) @ basis.T


def digits() -> np.ndarray:
    """Answer the digits with pixels in [0, 1]."""
    return load_digits().data / 16


def digits_split(seed: int, scale: float = 1 / 16) -> list[np.ndarray]:
    """Split digits 75 to 25: X_train, X_test, y_train, y_test."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X * scale, y, random_state=seed)


# Figures


def principal_axes(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answer eigenvalues, descending, and axes (columns) of the (1/n) covariance."""
    variances, axes = np.linalg.eigh(np.cov(X.T, bias=True))
    return variances[::-1], axes[:, ::-1]


def total_variance(X: np.ndarray) -> float:
    """Answer the mean squared distance of the rows from their mean."""
    return float(X.var(axis=0).sum())


def pca_floor(X: np.ndarray, k: int) -> float:
    """Answer the least SSE of any decoder that is affine in k numbers."""
    return float(principal_axes(X)[0][k:].sum())


def rebuild(model: Any, X: np.ndarray) -> np.ndarray:
    return model.inverse_transform(model.transform(X))


def sse(model: Any, X: np.ndarray) -> float:
    return float(np.square(X - rebuild(model, X)).sum(axis=1).mean())


def excess(model: Any, X: np.ndarray, k: int) -> float:
    """Answer how far the SSE is above PCA's, relative to it."""
    return sse(model, X) / pca_floor(X, k) - 1


def decoder_matrix(model: Any, k: int) -> np.ndarray:
    """Answer W2 of an affine decoder, shape (n_features, k)."""
    rows = model.inverse_transform(np.vstack([np.eye(k), np.zeros((1, k))]))
    return (rows[:-1] - rows[-1]).T


def encoder_matrix(model: Any, d: int) -> np.ndarray:
    """Answer W1 of an affine encoder, shape (k, n_features)."""
    codes = model.transform(np.vstack([np.eye(d), np.zeros((1, d))]))
    return (codes[:-1] - codes[-1]).T


def end_to_end_matrix(model: Any, d: int) -> np.ndarray:
    """Answer A = W2 W1 of an affine model."""
    rows = rebuild(model, np.vstack([np.eye(d), np.zeros((1, d))]))
    return (rows[:-1] - rows[-1]).T


def largest_angle(U: np.ndarray, V: np.ndarray) -> float:
    """Answer the largest principal angle, in radians, of two spans of columns."""
    angles = subspace_angles(U, V)
    return float(angles[0]) if len(angles) == V.shape[1] else math.pi / 2


def parameters_of(model: Any) -> int:
    return sum(p.numel() for p in model.to_module().parameters())


def weight_matrices_of(model: Any) -> int:
    return sum(p.ndim == 2 for p in model.to_module().parameters())


def kernel_matrix(Z: np.ndarray) -> np.ndarray:
    """Sum Gaussian kernels of .5, 1, 2 times the median distance; 0 on the diagonal."""
    squares = cdist(Z, Z, "sqeuclidean")
    median = np.median(np.sqrt(squares[np.triu_indices(len(Z), 1)]))
    K = sum(np.exp(-squares / (2 * (c * median) ** 2)) for c in (0.5, 1, 2))
    np.fill_diagonal(K, 0)
    return K


def discrepancy(K: np.ndarray, is_first: np.ndarray) -> float:
    """Answer the unbiased squared MMD of the rows that are first and the others."""
    a, b = is_first.astype(float), (~is_first).astype(float)
    n, m = a.sum(), b.sum()
    within = a @ K @ a / (n * (n - 1)) + b @ K @ b / (m * (m - 1))
    return float(within - 2 * a @ K @ b / (n * m))


def mmd(A: np.ndarray, B: np.ndarray) -> float:
    """Answer the unbiased squared MMD of two sets of rows."""
    is_first = np.arange(len(A) + len(B)) < len(A)
    return discrepancy(kernel_matrix(np.concatenate([A, B])), is_first)


def p_value(A: np.ndarray, B: np.ndarray, random: np.random.RandomState) -> float:
    """Answer how often a random split of both has as large a discrepancy."""
    K = kernel_matrix(np.concatenate([A, B]))
    is_first = np.arange(len(K)) < len(A)
    seen = discrepancy(K, is_first)
    others = (
        discrepancy(K, random.permutation(is_first)) for _ in range(N_PERMUTATIONS)
    )
    return (1 + sum(other >= seen for other in others)) / (1 + N_PERMUTATIONS)


# Stubs; `sklearn.decomposition.PCA` is another


class Stub(TransformerMixin, BaseEstimator):
    """A trivial model; subclasses say what."""

    def __init__(self, n_components: int = 2, random_state: int | None = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self


class MeanPredictor(Stub):
    """Answers the training mean, whatever the row."""

    def transform(self, X):
        return np.zeros((len(X), self.n_components))

    def inverse_transform(self, X):
        return np.tile(self.mean_, (len(X), 1))


class Identity(Stub):
    """Keeps the row as its code."""

    def transform(self, X):
        return np.array(X)

    def inverse_transform(self, X):
        return np.array(X)


class RandomProjection(Stub):
    """Projects on random orthonormal axes."""

    def fit(self, X, y=None):
        random = np.random.RandomState(self.random_state)
        shape = X.shape[1], self.n_components
        self.axes_, _ = np.linalg.qr(random.normal(size=shape))
        return super().fit(X)

    def transform(self, X):
        return (X - self.mean_) @ self.axes_

    def inverse_transform(self, X):
        return X @ self.axes_.T + self.mean_
