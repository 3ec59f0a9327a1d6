"""What the public metrics compute: rows in slices, noise, probes, neighbours."""

import math
import re
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_chunked
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from sklearn_ae._compute.arguments import check_choice, check_methods
from sklearn_ae._compute.suggestions import check_takes
from sklearn_ae._compute.tensors import as_array
from sklearn_ae._data.checks import (
    hint_on_refused,
    names_of_columns,
    refuse_lost_digits,
)
from sklearn_ae._data.moments import moments
from sklearn_ae._data.rows import row_slices
from sklearn_ae._objective.noise import NOISES, GaussianNoise, Noise
from sklearn_ae.metrics._sizes import (
    columns_near_one,
    difference,
    exponent_of,
    for_distances,
    near_one,
)

_BLOCK_MIB = 32  # of distances at a time, in each of the two spaces


def parts_of(X: ArrayLike) -> Iterator[tuple[slice, Any]]:
    """Yield rows of X as they came (frames keep their names), a few MiB at a time."""
    X = as_array(X)
    if issparse(X):
        X = X.tocsr()
    elif not hasattr(X, "shape"):
        X = check_array(X, allow_nd=True)
    # Of no rows there is a part, too: it is refused where it is read.
    for part in row_slices(max(1, X.shape[0]), math.prod(X.shape[1:])):
        yield part, getattr(X, "iloc", X)[part]


def dense(rows: Any, name: str = "X") -> np.ndarray:
    rows = as_array(rows)
    rows = rows.toarray() if issparse(rows) else rows
    # One memory order, so that sums over frames are rounded as those over arrays are.
    try:
        rows = check_array(
            rows, dtype=np.float64, order="C", allow_nd=True, input_name=name
        )
    except (TypeError, ValueError) as error:
        hint = hint_on_refused(rows, str(error))
        if hint is None:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{error} {hint}.") from error
    return rows.reshape(len(rows), -1)


def check_digits(X: ArrayLike) -> None:
    """Refuse 64-bit integers that float64 does not tell apart."""
    X = as_array(X)
    refuse_lost_digits(X if hasattr(X, "shape") else np.asarray(X))


def check_width(what: str, values: np.ndarray, rows: np.ndarray) -> None:
    width, expected = values.shape[1], rows.shape[1]
    if width != expected:
        raise ValueError(f"{what} gives rows of {width} features, X has {expected}.")


def squared_deviations(X: ArrayLike, exponent: int = 0) -> float:
    """Return sum ||x - mean(X)||^2 in one pass: Welford's update, slice by slice.

    It is in squared units of ``2**exponent``.
    """
    total, seen, center, first = 0.0, 0, 0.0, None
    for _, part in parts_of(X):
        rows = dense(part)
        # From a row, not from 0: a constant X is left exactly without variance, and
        # one far from 0 with all of its own.
        first = rows[0] if first is None else first
        rows = difference(rows, first, exponent)
        seen += len(rows)
        before = rows - center
        center = center + before.sum(axis=0) / seen
        total += _product(before, rows - center)
    return total


def _product(a: np.ndarray, b: np.ndarray) -> float:
    """Return sum a b; threads of BLAS would wait for others, and round differently."""
    return float(np.multiply(a, b).sum())


def r2(estimator: Any, X: ArrayLike, corrupt: Callable | None = None) -> float:
    check_methods(estimator, "transform", "inverse_transform")
    check_digits(X)
    residual, exponent = 0.0, exponent_of(dense(rows) for _, rows in parts_of(X))
    for part, rows in parts_of(X):
        clean = dense(rows)
        seen = rows if corrupt is None else in_kind_of(rows, corrupt(clean, part))
        rebuilt = estimator.inverse_transform(estimator.transform(seen))
        rebuilt = dense(rebuilt, "the reconstruction")
        check_width("The reconstruction", rebuilt, clean)
        error = difference(clean, rebuilt, exponent)
        # What is that much larger than the rows scores minus infinity.
        with np.errstate(over="ignore"):
            residual += _product(error, error)
    total = squared_deviations(X, exponent)
    return 1 - residual / total if total else float(residual == 0)


def in_kind_of(rows: Any, values: np.ndarray) -> Any:
    """Return values as the estimator knows its input: named columns, float32."""
    if hasattr(rows, "iloc"):
        return type(rows)(values, columns=rows.columns)
    if hasattr(rows, "columns"):
        columns = dict(zip(names_of_columns(rows), values.T, strict=True))
        return getattr(rows, "from_pydict", type(rows))(columns)
    values = values.reshape(rows.shape)
    return values.astype(np.float32) if rows.dtype == np.float32 else values


def denoising_r2(
    estimator: Any, X: ArrayLike, y: Any = None, *, noise, noise_level, random_state
) -> float:
    check_methods(estimator, "transform", "inverse_transform")
    if callable(noise):
        clean, random = dense(X), np.random.RandomState(random_state)
        noisy = dense(noise(clean.copy(), random), "the noisy X")
        check_consistent_length(noisy, clean)
        check_width("The noise", noisy, clean)
        return r2(estimator, X, lambda rows, part: noisy[part])
    spec = noise_spec(noise)
    return r2(estimator, X, known_noise(X, spec, noise_level, random_state))


def check_noise(noise: Any, level: float) -> None:
    if isinstance(noise, type):
        raise InvalidParameterError(
            f"noise must be an object, got the class {noise.__name__}: call it."
        )
    if callable(noise):
        check_takes("noise", noise, "X", "random_state")
        return
    spec = noise_spec(noise)
    if spec is None:
        kinds = sorted(NOISES)
        check_choice("noise", noise, kinds, "a noise object, a callable or ")
    if not isinstance(level, Real):
        raise InvalidParameterError(f"noise_level must be a number, got {level!r}.")
    spec.check_level(level)


def noise_spec(noise: Any) -> Noise | None:
    """Return the noise object of a name, or the object itself."""
    if isinstance(noise, str) and noise in NOISES:
        return NOISES[noise]()
    return noise if isinstance(noise, Noise) else None


def known_noise(X: ArrayLike, noise: Noise, level: float, seed: int) -> Callable:
    """Return corrupt(rows, part): what `noise` does in training, slice after slice."""
    known = moments(checked_rows(X), with_medians=False)
    if isinstance(noise, GaussianNoise):
        level *= math.sqrt(known.variance / len(known.mean))
    corrupt = noise.corrupter(level, known, seed)
    return lambda rows, part: corrupt(rows)


def checked_rows(X: ArrayLike) -> Any:
    """Return X as a finite array or CSR matrix, without a copy where it is one."""
    X = check_array(as_array(X), accept_sparse="csr", allow_nd=True)
    return X if issparse(X) else X.reshape(len(X), -1)


def probe_accuracy(
    estimator: Any, X: ArrayLike, y: Any = None, *, classifier, n_labels, random_state
) -> float:
    check_methods(estimator, "transform")
    if y is None:
        raise ValueError(
            "A probe needs the class labels y, got None. Pass them: scorer(estimator, "
            "X, y), or search.fit(X, y)."
        )
    y = column_or_1d(as_array(y))
    check_consistent_length(X, y)
    check_classification_targets(y)
    n_classes = len(np.unique(y))
    if n_classes < 2:
        raise ValueError("A probe needs at least two classes in y, got one.")
    if not n_classes <= n_labels <= len(y) - n_classes:
        raise ValueError(
            f"n_labels={n_labels} of {len(y)} rows with {n_classes} classes: it must "
            f"be at least {n_classes} and leave at least {n_classes} rows to score on."
        )
    train, rest = train_test_split(
        np.arange(len(y)), train_size=n_labels, stratify=y, random_state=random_state
    )
    codes = dense(estimator.transform(X), "the code")
    if classifier is None:
        codes = columns_near_one(codes)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probe = clone(classifier).fit(codes[train], y[train])
    return float(np.mean(probe.predict(codes[rest]) == y[rest]))


def simplest_within_error(cv_results: dict, *, metric, parameter) -> int:
    if not isinstance(cv_results, dict):
        raise TypeError(
            f"cv_results must be the dict of a search, got "
            f"{type(cv_results).__name__}. Pass the rule itself, refit=rule."
        )

    def names(prefix):
        return [key[len(prefix) :] for key in cv_results if key.startswith(prefix)]

    metrics, parameters = names("mean_test_"), names("param_")
    if metric not in metrics:
        raise ValueError(f"metric={metric!r} is not in cv_results_; it has {metrics}.")
    if parameter is None and len(parameters) == 1:
        (parameter,) = parameters
    if parameter not in parameters:
        raise ValueError(
            f"parameter={parameter!r} does not name a searched parameter; the search "
            f"has {parameters}."
        )
    means = np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)
    means = np.where(np.isfinite(means), means, -np.inf)
    best = int(np.argmax(means))
    if means[best] == -np.inf:
        raise ValueError(f"No candidate has a finite mean_test_{metric}.")
    split = re.compile(rf"split\d+_test_{re.escape(metric)}")
    n_splits = sum(split.fullmatch(key) is not None for key in cv_results)
    error = cv_results[f"std_test_{metric}"][best] / math.sqrt(n_splits)
    values = np.ma.asarray(cv_results[f"param_{parameter}"])
    present = np.flatnonzero(~np.ma.getmaskarray(values))
    if not all(isinstance(values[i], Real) for i in present):
        raise ValueError(f"parameter={parameter!r} has values that are not numbers.")
    within = [i for i in present if means[i] >= means[best] - error]
    return int(max(within, key=lambda i: (values[i], means[i]), default=best))


def decoder_directions(estimator: Any, X: ArrayLike) -> np.ndarray:
    """Return rows that span what the decoder reaches."""
    if hasattr(estimator, "components_"):
        return near_one(np.asarray(estimator.components_, dtype=np.float64))
    codes = dense(estimator.transform(X), "the code")
    exponent = exponent_of([codes])
    moved = difference(codes, codes[0], exponent)
    # One step for all units, on the scale of the codes: a dead unit has none of its own
    step = math.ldexp(math.sqrt(moved.var(axis=0).mean()), exponent) or 1.0
    center = codes[0] + np.ldexp(moved.mean(axis=0), exponent)
    corners = center + step * np.eye(codes.shape[1] + 1, codes.shape[1], -1)
    decoded = dense(estimator.inverse_transform(corners), "the decoder's output")
    exponent = exponent_of([decoded])
    return difference(decoded[1:], decoded[0], exponent)


def check_pair(X, X_embedded, metric, n_neighbors, divisor):
    precomputed = isinstance(metric, str) and metric == "precomputed"
    X, X_embedded = as_array(X), as_array(X_embedded)
    if hasattr(X_embedded, "fit"):
        raise TypeError(
            f"X_embedded are codes, got {type(X_embedded).__name__}: pass what its "
            "transform(X) answers."
        )
    for rows in (X, X_embedded):
        check_digits(rows)
    sparse = False if precomputed else "csr"
    # One memory order, so that a frame's ties are rounded as an array's are.
    X = check_array(
        X,
        dtype=[np.float64, np.bool_],
        order="C",
        accept_sparse=sparse,
        allow_nd=not precomputed,
    )
    X = X.reshape(len(X), -1) if X.ndim > 2 else X
    X_embedded = check_array(
        X_embedded, dtype=np.float64, order="C", input_name="X_embedded"
    )
    check_consistent_length(X, X_embedded)
    if precomputed and X.shape[0] != X.shape[1]:
        raise ValueError(f"Precomputed distances must be square, got shape {X.shape}.")
    limit = len(X_embedded) / divisor
    is_number = isinstance(n_neighbors, Integral) and not isinstance(n_neighbors, bool)
    if not (is_number and 1 <= n_neighbors < limit):
        raise InvalidParameterError(
            f"n_neighbors must be an integer, at least 1 and less than {limit:g} for "
            f"{len(X_embedded)} rows; got {n_neighbors!r}."
        )
    return for_distances(X, metric), for_distances(X_embedded, "euclidean")


def distance_blocks(X, X_embedded, metric) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the same rows of both distance matrices, a row's own place at infinity."""
    options = {"working_memory": _BLOCK_MIB}
    originals = pairwise_distances_chunked(X, metric=metric, **options)
    start = 0
    for embedded in pairwise_distances_chunked(X_embedded, **options):
        rows = np.arange(len(embedded))
        # scikit-learn does not cut precomputed distances into blocks.
        original = X[start + rows] if metric == "precomputed" else next(originals)
        if np.isinf(original).any():
            raise ValueError(
                "Distances between rows of X exceed what float64 can hold, "
                f"{np.finfo(np.float64).max:.2g}: divide X."
            )
        original[rows, start + rows] = embedded[rows, start + rows] = np.inf
        _refuse_no_numbers(original, start, metric)
        start += len(embedded)
        yield original, embedded


def _refuse_no_numbers(distances: np.ndarray, start: int, metric: Any) -> None:
    pairs = np.argwhere(np.isnan(distances))
    if len(pairs):
        row, other = pairs[0]
        raise ValueError(
            f"The distance between rows {start + row} and {other} of X is not a number "
            f"with metric={metric!r}: these rows have none, or what is computed of "
            "their entries exceeds float64. Leave such rows out, or scale X."
        )


def nearest(distances: np.ndarray, k: int) -> np.ndarray:
    """Return a mask of the k nearest in each row, exactly k: ties by row number."""
    kth = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    nearest = distances <= kth
    for row in np.flatnonzero(nearest.sum(axis=1) > k):
        tied = np.flatnonzero(distances[row] == kth[row])
        surplus = nearest[row].sum() - k
        nearest[row, tied[-surplus:]] = False
    return nearest


def rank(distances: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the place (from 1) of one target per row among its distances."""
    reach = distances[np.arange(len(target)), target][:, None]
    earlier = np.arange(distances.shape[1]) < target[:, None]
    return ((distances < reach) | ((distances == reach) & earlier)).sum(axis=1) + 1
