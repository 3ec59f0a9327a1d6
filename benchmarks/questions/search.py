"""What a search over a penalty weight takes when candidates train together."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

from benchmarks.common import (
    Column,
    Table,
    add_output,
    environment,
    interleaved,
    positive,
    progress_bar,
    timed,
)
from benchmarks.data.datasets import add_data_home, load

HELP = "a batched grid search against GridSearchCV, with one process and two"
COLUMNS = [
    Column("search", "search"),
    Column("median_s", "seconds\nmedian", ".2f"),
    Column("least_s", "least", ".2f"),
    Column("most_s", "most", ".2f"),
    Column("speed_up", "times faster:\nbatched", ".1f"),
    Column("best", "best\nweight", ".3g"),
    Column("difference", "largest difference\nof a score", ".1e"),
]
SPEED_COLUMNS = [
    Column("n_candidates", "candidates", "d"),
    Column("batched_s", "batched, s", ".2f"),
    Column("apart_s", "GridSearchCV\n(n_jobs=1), s", ".2f"),
    Column("speed_up", "times\nfaster", ".1f"),
]


@dataclass(frozen=True)
class Case:
    """A net, its rows, and weights around the best of them."""

    dataset: str
    scale: float
    n_rows: int
    params: dict[str, Any]
    parameter: str
    least: float
    most: float
    noise_level: float


CASES = {
    "digits": Case(
        "digits",
        16.0,
        1797,
        {
            "n_components": 16,
            "hidden_layer_sizes": (32,),
            "batch_size": 32,
            "max_epochs": 60,
        },
        "alpha",
        1e-3,
        3.0,
        noise_level=1.0,
    ),
    "mnist": Case(
        "mnist",
        255.0,
        10_000,
        {
            "n_components": 32,
            "hidden_layer_sizes": (128,),
            "batch_size": 256,
            "max_epochs": 5,
            "alpha": 1e-3,
        },
        # Of alpha alone the smallest is the best here, at any level of noise.
        "weight_decay",
        1e-4,
        1.0,
        noise_level=1.0,
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add("--case", choices=CASES, default="digits", help="default: %(default)s")
    add("--candidates", type=positive, default=20, help="default: %(default)s")
    add("--folds", type=positive, default=3, help="default: %(default)s")
    add("--epochs", type=positive, help="default: 60 for digits, 5 for MNIST")
    add("--repeats", type=positive, default=3, help="default: %(default)s")
    add("--device", default="cpu", help="default: %(default)s")
    add("--skip-slow", action="store_true", help="without two processes and autograd")
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Search in every way, print the tables and write them."""
    case = CASES[arguments.case]
    X = load(case.dataset, data_home=arguments.data_home).X[: case.n_rows]
    X = (X / case.scale).astype(np.float32)
    estimator = estimator_of(case, arguments)
    searches = searches_of(case, estimator, arguments)
    rows = compare(searches, X, arguments.repeats)
    notes = notes_of(case, X, estimator, arguments)
    folder = arguments.output / "search" / arguments.case
    title = f"{arguments.case}: a search over {case.parameter}"
    table = Table(title, COLUMNS, rows, notes)
    table.show()
    table.write(folder, "table")
    if not arguments.skip_slow:
        rows = speed_ups(case, estimator, X, arguments)
        table = Table(f"{arguments.case}: candidates", SPEED_COLUMNS, rows, notes)
        table.show()
        table.write(folder, "candidates")
    print(f"\nwritten to {folder}")


def estimator_of(case: Case, arguments: argparse.Namespace) -> BaseEstimator:
    """Return the estimator that is searched."""
    from sklearn_ae import SparseAutoencoder

    params = {**case.params, "device": arguments.device}
    if arguments.epochs:
        params["max_epochs"] = arguments.epochs
    return SparseAutoencoder(penalty="l1", tol=0.0, random_state=0, **params)


def weights_of(case: Case, n_candidates: int) -> np.ndarray:
    """Return the weights to try."""
    return np.geomspace(case.least, case.most, n_candidates)


def searches_of(
    case: Case, estimator: BaseEstimator, arguments: argparse.Namespace
) -> dict[str, Callable[[np.ndarray], Any]]:
    """Return the ways to search, by name; the batched one first."""
    from sklearn_ae.metrics import make_denoising_scorer
    from sklearn_ae.model_selection import BatchedGridSearchCV

    weights = weights_of(case, arguments.candidates)

    def search(kind: type[GridSearchCV], n_jobs: int = 1) -> Any:
        return kind(
            estimator,
            {case.parameter: weights},
            scoring=make_denoising_scorer("gaussian", case.noise_level),
            cv=arguments.folds,
            n_jobs=n_jobs,
            refit=False,
        )

    def by_autograd(X: np.ndarray) -> Any:
        with without_fast_path():
            return search(GridSearchCV).fit(X)

    ways = {
        # On as many cores as the others may take.
        "batched": lambda X: search(BatchedGridSearchCV, 2).fit(X),
        "GridSearchCV(n_jobs=1)": lambda X: search(GridSearchCV).fit(X),
    }
    if not arguments.skip_slow:
        ways["GridSearchCV(n_jobs=2)"] = lambda X: search(GridSearchCV, 2).fit(X)
        ways["GridSearchCV(n_jobs=1), fast path off"] = by_autograd
    return ways


@contextmanager
def without_fast_path():
    """Let autograd compute every gradient."""
    from sklearn_ae._training import dense_gradient

    with patch.object(dense_gradient, "supports", lambda module: False):
        yield


def compare(
    searches: dict[str, Callable[[np.ndarray], Any]], X: np.ndarray, repeats: int
) -> list[dict[str, Any]]:
    """Time the searches in turns, and compare their scores with the batched one's."""
    found: dict[str, Any] = {}

    def measured(name: str) -> Callable[[], float]:
        def once() -> float:
            seconds, found[name] = timed(lambda: searches[name](X))
            return seconds

        return once

    with progress_bar() as progress:
        task = progress.add_task("searches", total=len(searches) * repeats)
        # Imports, and threads that are begun, are nobody's time.
        for search in list(searches.values())[:2]:
            search(X[:99])
        seconds = interleaved(
            {name: measured(name) for name in searches},
            repeats,
            on_step=lambda: progress.advance(task),
        )
    batched = seconds["batched"]
    scores = found["batched"].cv_results_["mean_test_score"]
    return [
        {
            "search": name,
            "median_s": float(np.median(values)),
            "least_s": min(values),
            "most_s": max(values),
            # Within each repeat: a machine that is slow for a while changes nothing.
            "speed_up": float(np.median(np.divide(values, batched))),
            "best": best_weight(found[name]),
            "difference": largest_difference(found[name], found["batched"]),
        }
        for name, values in seconds.items()
        if len(scores)
    ]


def best_weight(search: Any) -> float:
    """Return the weight that scores best."""
    results = search.cv_results_
    (weight,) = results["params"][int(results["mean_test_score"].argmax())].values()
    return float(weight)


def largest_difference(search: Any, other: Any) -> float:
    """Return the largest difference of a score, of any candidate on any fold."""
    names = [n for n in search.cv_results_ if n.startswith("split")]
    pairs = ((search.cv_results_[n], other.cv_results_[n]) for n in names)
    return float(max(np.abs(one - two).max() for one, two in pairs))


def speed_ups(
    case: Case, estimator: BaseEstimator, X: np.ndarray, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Time both searches with fewer candidates."""
    counts = [n for n in (1, 2, 5, 10) if n < arguments.candidates]
    rows = []
    for n_candidates in counts:
        options = argparse.Namespace(**vars(arguments))
        options.candidates, options.skip_slow = n_candidates, True
        ways = searches_of(case, estimator, options)
        batched, apart = compare(ways, X, arguments.repeats)
        rows.append(
            {
                "n_candidates": n_candidates,
                "batched_s": batched["median_s"],
                "apart_s": apart["median_s"],
                "speed_up": apart["speed_up"],
            }
        )
    return rows


def notes_of(
    case: Case, X: np.ndarray, estimator: BaseEstimator, arguments: argparse.Namespace
) -> list[str]:
    """Return what the tables are of."""
    params = estimator.get_params()
    fixed = "" if case.parameter == "alpha" else f", alpha={params['alpha']:g}"
    widths = (X.shape[1], *params["hidden_layer_sizes"], params["n_components"])
    return [
        f"{arguments.candidates} values of {case.parameter} from {case.least:g} to "
        f"{case.most:g} on {arguments.folds} folds of {len(X):,} rows: "
        f"SparseAutoencoder(penalty='l1'{fixed}), {'-'.join(map(str, widths))}, "
        f"batches of {params['batch_size']}, "
        f"{params['max_epochs']} epochs, on {params['device']}.",
        "Scored by make_denoising_scorer('gaussian', "
        f"{case.noise_level:g}); scoring is part of the time, a refit is not.",
        f"Medians of {arguments.repeats} interleaved repeats; ratios are medians of "
        "those within each repeat.",
        f"{environment()}.",
    ]
