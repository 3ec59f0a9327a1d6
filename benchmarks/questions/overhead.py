"""Time what the library costs beyond the arithmetic, in training and in use."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import (
    Column,
    Table,
    add_output,
    environment,
    interleaved,
    limited_threads,
    positive,
    progress_bar,
)
from benchmarks.data.datasets import add_data_home, load
from benchmarks.measures.inference import inference_table
from benchmarks.methods.competitors import competitors, seconds_per_epoch
from benchmarks.methods.torch_nets import ConvolutionalNet, Net, RecurrentNet

HELP = "time per epoch against torch, skorch and MLPRegressor; transform; import"

COLUMNS = [
    Column("net", "net"),
    Column("batch_size", "batch", "d"),
    Column("threads", "threads", "d"),
    Column("competitor", "trained by"),
    Column("median_ms", "ms per epoch\nmedian", ".2f"),
    Column("least_ms", "least", ".2f"),
    Column("most_ms", "most", ".2f"),
    Column("ratio", "to the better\ntorch loop", ".2f"),
]


@dataclass(frozen=True)
class Case:
    """A net, the data it is trained on, and the lengths of a short and a long fit."""

    net: Net
    data: str
    epochs: tuple[int, int]
    small: bool


CASES = {
    "small": Case(Net((64, 32, 2), 32), "digits", (5, 45), small=True),
    "medium": Case(Net((64, 128, 16), 128), "digits", (5, 45), small=True),
    "large": Case(Net((784, 128, 32), 256), "mnist", (1, 11), small=False),
    "convolutional": Case(
        ConvolutionalNet((784, 16, 32, 32), 128), "mnist", (1, 4), small=False
    ),
    "lstm": Case(RecurrentNet((60, 64, 8), 64), "waves", (1, 6), small=False),
    "deep": Case(Net((784, 1000, 500, 250, 30), 256), "mnist", (1, 5), small=False),
}
MNIST_ROWS = 10_000
WAVE_ROWS = 4000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add(
        "--cases",
        nargs="+",
        choices=CASES,
        default=list(CASES),
        help="nets to train (default: all)",
    )
    add(
        "--threads",
        type=positive,
        help="threads of every competitor (default: 1 to train the two small nets, "
        "all cores otherwise)",
    )
    add("--repeats", type=positive, default=7, help="default: %(default)s")
    add("--skip-inference", action="store_true", help="measure nothing but training")
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print and write the tables."""
    folder = arguments.output / "overhead"
    rows: list[dict[str, Any]] = []
    for key in arguments.cases:
        case = CASES[key]
        threads = arguments.threads or (1 if case.small else os.cpu_count() or 1)
        X = rows_of(case, arguments.data_home)
        rows += measure_case(case, X, threads, arguments.repeats)
    table = training_table(rows, arguments)
    table.show()
    table.write(folder, "training")
    if not arguments.skip_inference:
        with limited_threads(arguments.threads):
            table = inference_table(arguments.repeats)
        table.show()
        table.write(folder, "inference")
    print(f"\nwritten to {folder}")


def rows_of(case: Case, data_home: Path | None) -> np.ndarray:
    """Return the rows to train on; random ones take as long as images do."""
    if case.data == "digits":
        return load("digits").X / 16
    if case.data == "waves":
        shape = (WAVE_ROWS, case.net.widths[0])
        return np.random.default_rng(0).random(shape, dtype=np.float32)
    if data_home is not None:
        return load("mnist", data_home=data_home).X[:MNIST_ROWS] / 255
    return np.random.default_rng(0).random((MNIST_ROWS, 784), dtype=np.float32)


def measure_case(
    case: Case, X: np.ndarray, threads: int, repeats: int
) -> list[dict[str, Any]]:
    """Time every competitor on one net, in turns, on equally many threads."""
    fits = competitors(case.net)
    with limited_threads(threads), progress_bar() as progress:
        task = progress.add_task(case.net.label, total=len(fits) * (repeats + 1))
        for fit in fits.values():
            fit(X, 1)
            progress.advance(task)
        slopes = interleaved(
            {
                name: partial(seconds_per_epoch, fit, X, case.epochs, time.perf_counter)
                for name, fit in fits.items()
            },
            repeats,
            on_step=partial(progress.advance, task),
        )
    return rows_of_slopes(case.net, threads, slopes)


def rows_of_slopes(
    net: Net, threads: int, slopes: dict[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """Turn measured seconds per epoch into rows with ratios to the torch loop.

    A ratio is the median of those within each repeat, so that a machine that is slow
    for a while changes nothing.
    """
    medians = {name: float(np.median(values)) for name, values in slopes.items()}
    loops = [name for name in slopes if name.startswith("torch loop")]
    base = np.asarray(slopes[min(loops, key=medians.get)])
    return [
        {
            "net": net.label,
            "batch_size": net.batch_size,
            "threads": threads,
            "competitor": name,
            "median_ms": 1000 * medians[name],
            "least_ms": 1000 * min(values),
            "most_ms": 1000 * max(values),
            "ratio": float(np.median(np.asarray(values) / base)),
        }
        for name, values in slopes.items()
    ]


def training_table(
    rows: Sequence[dict[str, Any]], arguments: argparse.Namespace
) -> Table:
    """Return the table of training times."""
    source = "random numbers" if arguments.data_home is None else "MNIST"
    notes = [
        "Encoder widths; the decoder mirrors them. The same net, batches, Adam, rows "
        "(float32) and threads for all; each epoch visits every row, shuffled.",
        f"Medians of {arguments.repeats} interleaved repeats of the slope between a "
        "short and a long fit, so set-up counts for none; ratios are medians of the "
        "ratios within each repeat.",
        f"64-...: 1,797 digits; 784-...: {MNIST_ROWS:,} rows ({source}); 60-...: "
        f"{WAVE_ROWS:,} rows of 30 steps (random numbers).",
        "The torch loops gather the shuffled rows once an epoch, or batch by batch.",
        "MLPRegressor computes one thing more, a ReLU of the code.",
        f"{environment()}.",
    ]
    return Table("Training time", COLUMNS, rows, notes)
