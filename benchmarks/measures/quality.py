"""How good is a code: neighbours kept, labels found again, rows reconstructed."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.manifold import trustworthiness
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.common import median_seconds, timed
from benchmarks.data.datasets import Split
from benchmarks.data.tables import holds_classes

N_NEIGHBORS = 5
# Trustworthiness and continuity hold a distance for each pair of rows.
MAX_PAIRED_ROWS = 2000


def measure(estimator: Any, split: Split) -> dict[str, Any]:
    """Fit an estimator and measure it; keys with an underscore are for pictures."""
    fit_seconds, _ = timed(lambda: estimator.fit(split.X_train))
    Z_train = training_codes(estimator, split.X_train)
    trust, continuity = neighborhoods(split.X_train, Z_train)
    result = {
        "fit_seconds": fit_seconds,
        "embed_ms": None,
        "r2": None,
        "trustworthiness": trust,
        "continuity": continuity,
        "knn": knn_accuracy(Z_train, split.y_train),
        "angle": None,
        "train_trustworthiness": trust,
        "train_continuity": continuity,
        "train_knn": knn_accuracy(Z_train, split.y_train),
        "_estimator": estimator,
        "_codes": Z_train,
    }
    if hasattr(estimator, "transform"):
        result |= _measure_new_rows(estimator, split, Z_train)
    return result


def _measure_new_rows(
    estimator: Any, split: Split, Z_train: np.ndarray
) -> dict[str, Any]:
    """Measure on test rows what a method that embeds them can show."""
    from sklearn_ae.metrics import pca_alignment, reconstruction_r2

    seconds, Z_test = timed(lambda: np.asarray(estimator.transform(split.X_test)))
    # A second is well measured once.
    if seconds < 0.5:
        seconds = median_seconds(lambda: estimator.transform(split.X_test), 5)
    trust, continuity = neighborhoods(split.X_test, Z_test)
    result = {
        "embed_ms": 1000 * seconds,
        "trustworthiness": trust,
        "continuity": continuity,
        "knn": knn_accuracy(Z_train, split.y_train, Z_test, split.y_test),
    }
    if hasattr(estimator, "inverse_transform"):
        result["r2"] = reconstruction_r2(estimator, split.X_test)
    if hasattr(estimator, "explained_variance_"):
        angles = pca_alignment(estimator, split.X_train)
        result["angle"] = float(np.degrees(angles[0]))
    return result


def neighborhoods(X: np.ndarray, Z: np.ndarray) -> tuple[float, float]:
    """Return trustworthiness and continuity, on a draw of the rows if many."""
    from sklearn_ae.metrics import continuity

    if len(X) > MAX_PAIRED_ROWS:
        rows = np.random.default_rng(0).choice(len(X), MAX_PAIRED_ROWS, replace=False)
        X, Z = X[rows], Z[rows]
    return (
        float(trustworthiness(X, Z, n_neighbors=N_NEIGHBORS)),
        float(continuity(X, Z, n_neighbors=N_NEIGHBORS)),
    )


def knn_accuracy(
    Z: np.ndarray,
    y: np.ndarray | None,
    Z_test: np.ndarray | None = None,
    y_test: np.ndarray | None = None,
) -> float | None:
    """Return the accuracy of nearest neighbours, leave-one-out without test rows."""
    if y is None or not holds_classes(y):
        return None
    classifier = KNeighborsClassifier(N_NEIGHBORS).fit(Z, y)
    # Where there are no rows, scikit-learn leaves each one out of its own neighbours.
    predicted = classifier.predict(Z_test)
    return float(accuracy_score(y if Z_test is None else y_test, predicted))


def training_codes(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Return the codes of the training rows, by whichever way the method has."""
    if hasattr(estimator, "transform"):
        return np.asarray(estimator.transform(X))
    return np.asarray(estimator.embedding_)
