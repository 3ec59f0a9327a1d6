"""Measure how the time to fit grows with the number of rows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.common import (
    Column,
    Table,
    add_output,
    environment,
    median_seconds,
    positive,
    progress_bar,
)
from benchmarks.data.datasets import add_data_home, load
from benchmarks.methods.embeddings import METHODS, Method, check_device, choose, warm_up

HELP = "fit time against the number of rows"
SIZES = [1000, 2000, 5000, 10_000, 20_000, 60_000]
COLUMNS = [
    Column("label", "method"),
    Column("n_rows", "rows", ",d"),
    Column("seconds", "fit (s)", ".3f"),
    Column("slope", "slope\nall sizes", ".2f"),
    Column("last_slope", "slope\nlast step", ".2f"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add(
        "--dataset",
        choices=["digits", "mnist", "fashion_mnist"],
        default="digits",
        help="digits are drawn again and again, with noise (default: %(default)s)",
    )
    add(
        "--sizes",
        type=positive,
        nargs="+",
        default=SIZES,
        metavar="N",
        help=f"numbers of rows (default: {' '.join(map(str, SIZES))})",
    )
    add(
        "--methods",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
        help=f"some of {', '.join(METHODS)} (default: all that are installed)",
    )
    add("--components", type=positive, default=2, metavar="K", help="size of the code")
    add("--repeats", type=positive, default=1, help="default: %(default)s")
    add(
        "--budget",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="leave out a fit that would take longer, judged by the last smaller one "
        "(default: %(default)s)",
    )
    add("--device", default="cpu", help="of the autoencoders (default: %(default)s)")
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Time the fits, print the table, write it and the picture."""
    check_device(arguments.device)
    sizes = sorted(arguments.sizes)
    X = many_rows(arguments.dataset, sizes[-1], arguments.data_home)
    methods, _ = choose(arguments.methods)
    rows: list[dict[str, Any]] = []
    with progress_bar() as progress:
        task = progress.add_task("fits", total=len(methods) * len(sizes))
        for key, method in methods.items():
            progress.update(task, description=method.label)
            rows += time_method(key, method, X, sizes, arguments)
            progress.advance(task, len(sizes))
    folder = arguments.output / "scaling"
    table = make_table(rows, X, arguments)
    table.show()
    table.write(folder, arguments.dataset)
    path = folder / f"{arguments.dataset}.png"
    draw(rows).savefig(path, dpi=150)
    print(f"\nwritten to {folder}")


def many_rows(name: str, n_rows: int, data_home: Path | None) -> np.ndarray:
    """Return rows in random order; few bundled ones are drawn again, with noise.

    The noise keeps neighbours apart: exact copies would make t-SNE's task another.
    """
    X = load(name, data_home=data_home).X
    generator = np.random.default_rng(0)
    if len(X) >= n_rows:
        return X[generator.permutation(len(X))[:n_rows]]
    drawn = X[generator.integers(len(X), size=n_rows)]
    noise = generator.standard_normal(drawn.shape, dtype=np.float32)
    return drawn + 0.1 * X.std() * noise


def time_method(
    key: str,
    method: Method,
    X: np.ndarray,
    sizes: Sequence[int],
    arguments: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Time one method on growing numbers of rows, within the budget."""
    warm_up(method, X, arguments.device)
    rows: list[dict[str, Any]] = []
    for n_rows in sizes:
        if rows:
            growth = n_rows / rows[-1]["n_rows"]
            if rows[-1]["seconds"] * growth > arguments.budget:
                break

        def fit(n_rows: int = n_rows) -> None:
            method.make(arguments.components, 0, arguments.device).fit(X[:n_rows])

        seconds = median_seconds(fit, arguments.repeats)
        rows.append(
            {
                "method": key,
                "label": method.label,
                "n_rows": n_rows,
                "seconds": seconds,
            }
        )
    if len(rows) > 1:
        rows[-1]["slope"] = slope(rows)
        rows[-1]["last_slope"] = slope(rows[-2:])
    return rows


def slope(rows: Sequence[dict[str, Any]]) -> float:
    """Return the exponent p of time = c n^p, by least squares of the logarithms."""
    log_rows = np.log([row["n_rows"] for row in rows])
    log_seconds = np.log([row["seconds"] for row in rows])
    return float(np.polyfit(log_rows, log_seconds, 1)[0])


def make_table(
    rows: Sequence[dict[str, Any]], X: np.ndarray, arguments: argparse.Namespace
) -> Table:
    """Return the table of fit times and slopes."""
    what = (
        f"{arguments.dataset}, {X.shape[1]} features, {arguments.components} components"
    )
    notes = [
        f"{what}; medians of {arguments.repeats} fit(s) with the default parameters, "
        "so training may stop early.",
        "slope: p in time = c n^p; 1 is linear.",
        f"Sizes that would take more than {arguments.budget:g} s are left out.",
        f"{environment()}.",
    ]
    return Table("Fit time against rows", COLUMNS, rows, notes)


def draw(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw the times, both axes logarithmic."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    ax = figure.subplots()
    for label in dict.fromkeys(row["label"] for row in rows):
        line = [row for row in rows if row["label"] == label]
        exponent = line[-1].get("slope")
        text = label if exponent is None else f"{label} (slope {exponent:.2f})"
        n_rows = [row["n_rows"] for row in line]
        ax.loglog(n_rows, [row["seconds"] for row in line], "o-", label=text)
    sizes = sorted({row["n_rows"] for row in rows})
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="training rows", ylabel="fit time (s)")
    ax.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure
