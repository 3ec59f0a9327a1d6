"""Nets of one size: trained for as many epochs, then for as much time."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from benchmarks.common import (
    BenchmarkError,
    Column,
    Row,
    add_output,
    median_of,
    positive,
)

TOLERANCE = 0.05
COLUMNS = [
    Column("architecture", "architecture"),
    Column("hidden", "hidden\nlayers"),
    Column("n_parameters", "para\u00ad\nmeters", ",d"),
    Column("budget", "trained for"),
    Column("epochs", "epochs", ".0f"),
    Column("error", "test\nerror", ".4g"),
    Column("ratio", "to\ndense", ".3f"),
    Column("r2", "R2", ".3f"),
    Column("fit_seconds", "fit\n(s)", ".1f"),
]

Sizes = tuple[int, ...]
Counter = Callable[[Sizes], int]


def add_training_options(
    parser: argparse.ArgumentParser,
    rate: float,
    profiles: Mapping[str, tuple[int, int]],
) -> None:
    """Add the options of how nets are trained; a profile is (epochs, rows)."""
    add = parser.add_argument
    add(
        "--rate",
        type=float,
        default=rate,
        help="learning rate (default: %(default)s)",
    )
    add("--epochs", type=positive, help="in place of the profile's")
    add("--rows", type=positive, help="training rows, in place of the profile's")
    add("--seeds", type=positive, default=1, help="fits (default: %(default)s)")
    add("--device", default="cpu", help="default: %(default)s")
    shown = ", or ".join(f"{n} epochs of {rows:,}" for n, rows in profiles.values())
    add(
        "--profile",
        choices=profiles,
        default="fast",
        help=f"{shown} rows (default: %(default)s)",
    )
    add_output(parser)


def count_parameters(net: Any, n_features: int) -> int:
    """Return how many parameters a net has once fitted; its architecture is a spec."""
    parts = net.architecture.build(
        n_features,
        net.n_components,
        hidden_layer_sizes=net.hidden_layer_sizes,
        activation="relu",
        code_activation="identity",
        tied_weights=False,
        initialization=0.1,
        seed=0,
    )
    return sum(p.numel() for part in parts for p in part.parameters())


def one_layer(count: Counter, wanted: int) -> list[Sizes]:
    """Return the widths of one dense layer that come nearest to `wanted` parameters."""
    per_unit = count((2,)) - count((1,))
    around = wanted // per_unit
    return [(n,) for n in range(max(1, around - 2), around + 3)]


def of_size(
    name: str, sizes: Iterable[Sizes], count: Counter, wanted: int, options: str
) -> Sizes:
    """Return the hidden layers that have about `wanted` parameters.

    Raises
    ------
    BenchmarkError
        If none has; it names the `options` that might help.
    """
    counts = {s: count(s) for s in sizes}
    # Of those that are near enough, the one with most units to begin with.
    near = [s for s in counts if abs(counts[s] / wanted - 1) <= TOLERANCE]
    if not near:
        raise BenchmarkError(
            f"no {name} net has {wanted:,} parameters within {TOLERANCE:.0%}; try "
            f"other {options}"
        )
    return max(near, key=lambda s: (s[0], -abs(counts[s] / wanted - 1)))


def in_epochs_then_time(
    names: Sequence[str],
    measure: Callable[[str, int], dict[str, Any]],
    epochs: int,
) -> Iterator[dict[str, Any]]:
    """Yield what each net does in as many epochs, then in the time of the slowest.

    `measure` fits a net for some epochs; its rows have ``fit_seconds``.
    """
    first = {}
    for name in names:
        first[name] = {**measure(name, epochs), "budget": f"{epochs} epochs"}
        yield first[name]
    longest = max(row["fit_seconds"] for row in first.values())
    for name, row in first.items():
        n_epochs = round(epochs * longest / row["fit_seconds"])
        # The slowest would only do the same again.
        again = row if n_epochs == epochs else measure(name, n_epochs)
        yield {**again, "budget": "equal time"}


def medians(
    runs: Sequence[Row], measured: Sequence[str], relative: str
) -> list[dict[str, Any]]:
    """Return a row per net and budget, its medians, and its ratio to the dense net.

    `relative` names the column that the ratio is of; what has no budget has no ratio.
    """

    def group(run: Row) -> tuple[str, str | None]:
        return run["architecture"], run.get("budget")

    rows = []
    for key in dict.fromkeys(map(group, runs)):
        same = [run for run in runs if group(run) == key]
        rows.append({**same[0], **{name: median_of(same, name) for name in measured}})
    dense = {r["budget"]: r[relative] for r in rows if r["architecture"] == "dense"}
    for row in rows:
        if row.get("budget") in dense:
            row["ratio"] = row[relative] / dense[row["budget"]]
    return rows


def losses_over_time(
    runs: Sequence[Row],
) -> dict[str, tuple[np.ndarray, Sequence[float]]]:
    """Return the loss curve of each run over seconds, by what was trained how long."""
    curves = {}
    for run in runs:
        n_epochs = len(run["_curve"])
        times = np.linspace(0, run["fit_seconds"], n_epochs + 1)[1:]
        curves[f"{run['architecture']}, {n_epochs} epochs"] = times, run["_curve"]
    return curves


def squared_error(X: np.ndarray, rebuilt: np.ndarray) -> float:
    """Return the squared error, summed over features, of the average row."""
    return float(np.square(X - rebuilt).sum(axis=1).mean())


def rebuilt_by_pca(pca: PCA, X: np.ndarray) -> np.ndarray:
    """Return what a fitted PCA makes of rows."""
    return pca.inverse_transform(pca.transform(X))
