"""Which value of a grid each scorer of `sklearn_ae.metrics` picks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from benchmarks.common import Row, median_of
from benchmarks.methods.penalties import Family

# The scorers by their column, and how the table names them.
SCORERS = {
    "reconstruction_r2": "reconstruction_r2",
    "denoising": 'make_denoising_scorer("gaussian", 1.0)',
    "probe": "make_probe_scorer(LogisticRegression)",
    "sparsity": "sparsity_score",
}
RULES = {"probe": "one_standard_error of the probe"}


def make_scorers(n_labels: int) -> dict[str, Callable[..., float]]:
    """Return the scorers, each called with an encoder, rows and labels."""
    from sklearn_ae.metrics import (
        make_denoising_scorer,
        make_probe_scorer,
        reconstruction_r2,
        sparsity_score,
    )

    # The classifier of the pipeline; the scorer's own would rescale the codes first.
    classifier = LogisticRegression(max_iter=1000)
    return {
        "reconstruction_r2": reconstruction_r2,
        "denoising": make_denoising_scorer("gaussian", noise_level=1.0),
        "probe": make_probe_scorer(classifier, n_labels),
        "sparsity": sparsity_score,
    }


def score_all(
    encoder: BaseEstimator, X: np.ndarray, y: np.ndarray, n_labels: int
) -> dict[str, float]:
    """Return the score of a fitted encoder by each scorer."""
    # The probe needs rows to be scored on beside those that it learns from.
    n_labels = min(n_labels, len(y) // 2)
    scorers = make_scorers(n_labels).items()
    return {f"score_{name}": scorer(encoder, X, y) for name, scorer in scorers}


def cv_results(
    runs: Sequence[Row], values: Sequence[float], name: str, grows: bool
) -> dict[str, Any]:
    """Return one scorer's values as `GridSearchCV.cv_results_` would hold them."""
    table = np.array(
        [[r[f"score_{name}"] for r in runs if r["value"] == value] for value in values]
    )
    results = {
        "mean_test_score": table.mean(axis=1),
        "std_test_score": table.std(axis=1),
        # A rule for the largest penalty: of fewer codes the smallest number is that.
        "param_value": [float(v if grows else -v) for v in values],
    }
    return results | {f"split{i}_test_score": s for i, s in enumerate(table.T)}


def picks(family: Family, runs: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what each scorer picks for one model, and the accuracy it gets there."""
    from sklearn_ae.metrics import one_standard_error

    values = list(dict.fromkeys(run["value"] for run in runs))
    rows = []
    for name, label in SCORERS.items():
        results = cv_results(runs, values, name, family.grows)
        best = int(np.argmax(results["mean_test_score"]))
        rows.append(_pick(family, runs, values, best, label))
        if name in RULES:
            best = one_standard_error("score", "value")(results)
            rows.append(_pick(family, runs, values, best, RULES[name]))
    for key, label in [
        ("accuracy_all", "the pipeline, fitted on all training rows"),
        ("accuracy_labelled", "the pipeline, fitted on the labelled rows"),
    ]:
        best = int(np.argmax([_median(runs, value, key) for value in values]))
        rows.append(_pick(family, runs, values, best, label))
    return rows


def _pick(
    family: Family,
    runs: Sequence[Row],
    values: Sequence[float],
    index: int,
    scorer: str,
) -> Mapping[str, Any]:
    """Return the row of one pick."""
    return {
        "family": family.label,
        "parameter": family.parameter,
        "scorer": scorer,
        "picked": values[index],
        "accuracy_all": _median(runs, values[index], "accuracy_all"),
        "inside": "yes" if 0 < index < len(values) - 1 else "no",
    }


def _median(runs: Sequence[Row], value: float, key: str) -> float:
    return median_of([run for run in runs if run["value"] == value], key)
