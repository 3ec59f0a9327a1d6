"""Rows drawn by autoencoders and by densities of rows: how like held-out ones.

Grey levels are made continuous (a uniform number is added to each), so that densities
of rows have log-likelihoods that are bounded. Every autoencoder has the same net, rows
and epochs; as many rows are drawn as are held out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.common import (
    BenchmarkError,
    Column,
    Table,
    add_output,
    environment,
    median_of,
    positive,
    progress_bar,
    timed,
    write_rows,
)
from benchmarks.curves import draw_image_rows
from benchmarks.data.datasets import Split, add_data_home, load
from benchmarks.measures.sample_quality import Judge
from benchmarks.methods.embeddings import METHODS, check_device, warm_up
from benchmarks.methods.generators import GENERATORS, Net, decodes, draw, log_likelihood

HELP = "rows drawn by autoencoders and by densities: likeness, variety, likelihood"
# Grey levels of a pixel.
LEVELS = {"digits": 17, "mnist": 256, "fashion_mnist": 256}
NETS = {
    "digits": Net(16, (128,), epochs=100, batch_size=32, learning_rate=1e-3),
    "mnist": Net(32, (512,), epochs=30, batch_size=128, learning_rate=1e-3),
}
MAX_TRAIN, MAX_TEST = 10_000, 2000
N_SHOWN = 16
BASELINE = "diagonal"
REAL = "training rows again"
MEASURED = ("mmd", "ratio", "fidelity", "coverage", "copies", "mean_fidelity")
MEASURED += ("mean_coverage", "log_likelihood", "fit_seconds", "draw_ms")
COLUMNS = [
    Column("label", "drawn by"),
    Column("mmd", "MMD^2", ".4f"),
    Column("ratio", "to\ndiagonal", ".2f"),
    Column("fidelity", "fidelity", ".2f"),
    Column("coverage", "coverage", ".2f"),
    Column("mean_fidelity", "fidelity,\ndecoded", ".2f"),
    Column("mean_coverage", "coverage,\ndecoded", ".2f"),
    Column("copies", "copies", ".3f"),
    Column("log_likelihood", "log-like\u00ad\nlihood", ".1f"),
    Column("fit_seconds", "fit\n(s)", ".1f"),
    Column("draw_ms", "draw\n(ms)", ".0f"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add("--dataset", choices=LEVELS, default="digits", help="default: %(default)s")
    add(
        "--generators",
        nargs="+",
        choices=GENERATORS,
        metavar="NAME",
        help=f"some of {', '.join(GENERATORS)} (default: all that are installed)",
    )
    add("--epochs", type=positive, help="in place of the data set's")
    add("--rows", type=positive, default=MAX_TRAIN, help="for training, at most")
    add("--seeds", type=positive, default=1, help="splits (default: %(default)s)")
    add("--device", default="cpu", help="default: %(default)s")
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit, draw, measure, print the table, write it and the pictures."""
    check_device(arguments.device)
    names = choose(arguments.generators)
    net = NETS.get(arguments.dataset, NETS["mnist"])
    net = replace(net, epochs=arguments.epochs or net.epochs, device=arguments.device)
    dataset = load(arguments.dataset, data_home=arguments.data_home)
    runs: list[dict[str, Any]] = []
    with progress_bar() as progress:
        bar = progress.add_task("", total=arguments.seeds * len(names))
        for seed in range(arguments.seeds):
            split = dataset.split(seed, max_train=arguments.rows, max_test=MAX_TEST)
            split = continuous(split, LEVELS[arguments.dataset], seed)
            judge = Judge.of(split.X_train, split.X_test)
            # So that no clock sees imports.
            warm_up(METHODS["deep"], split.X_train, arguments.device)
            seed_runs = [again(judge, split.X_train, seed)]
            for name in names:
                progress.update(bar, description=GENERATORS[name].label)
                seed_runs.append(measure(name, net, split, judge, seed))
                progress.advance(bar)
            runs += compare_with_baseline(seed_runs)
    folder = arguments.output / "generative" / dataset.name
    table = make_table(runs, split, net, arguments)
    table.show()
    table.write(folder, "table")
    write_rows(folder / "runs.csv", ["generator", "seed", *MEASURED], runs)
    if dataset.image_shape is not None:
        draw_sheets(runs, split, dataset.image_shape, folder)
    print(f"\nwritten to {folder}")


def choose(names: list[str] | None) -> list[str]:
    """Return the generators asked for; without names, all that are installed."""
    if names is None:
        return [name for name, generator in GENERATORS.items() if generator.installed]
    for name in names:
        if not GENERATORS[name].installed:
            raise BenchmarkError(
                f"{name} needs a package: pip install {GENERATORS[name].package}"
            )
    return names


def continuous(split: Split, n_levels: int, seed: int) -> Split:
    """Return rows of [0, 1): grey levels, each spread over its share of the range."""
    rng = np.random.default_rng(seed)

    def spread(X: np.ndarray) -> np.ndarray:
        return ((X + rng.random(X.shape)) / n_levels).astype(np.float32)

    return replace(split, X_train=spread(split.X_train), X_test=spread(split.X_test))


def measure(
    name: str, net: Net, split: Split, judge: Judge, seed: int
) -> dict[str, Any]:
    """Fit a generator, draw as many rows as are held out, and judge them."""
    generator = GENERATORS[name].make(net, seed)
    # Nets compute in single precision, covariances need double.
    rows = split.X_train.astype(np.float32 if decodes(generator) else np.float64)
    fit_seconds, _ = timed(lambda: generator.fit(rows))
    n_rows = len(split.X_test)
    draw_seconds, drawn = timed(lambda: draw(generator, n_rows, seed))
    row = {
        "generator": name,
        "label": GENERATORS[name].label,
        "seed": seed,
        **judged(judge, drawn),
        "log_likelihood": log_likelihood(generator, split.X_test),
        "fit_seconds": fit_seconds,
        "draw_ms": 1000 * draw_seconds,
        "_drawn": drawn[:N_SHOWN],
    }
    if decodes(generator):
        decoded = draw(generator, n_rows, seed, noise=False)
        row["mean_fidelity"] = judge.fidelity(decoded)
        row["mean_coverage"] = judge.coverage(decoded)
        row["copies"] = max(row["copies"], judge.copies(decoded))
        row["_decoded"] = decoded[:N_SHOWN]
    return row


def again(judge: Judge, X_train: np.ndarray, seed: int) -> dict[str, Any]:
    """Return what training rows would have, drawn again: what copying brings."""
    rows = np.random.default_rng(seed).permutation(X_train)[: len(judge.X_test)]
    return {
        "generator": "real",
        "label": REAL,
        "seed": seed,
        **judged(judge, rows),
        "_drawn": rows[:N_SHOWN],
    }


def judged(judge: Judge, drawn: np.ndarray) -> dict[str, float]:
    """Return how like held-out rows the drawn ones are."""
    return {
        "mmd": judge.mmd(drawn),
        "fidelity": judge.fidelity(drawn),
        "coverage": judge.coverage(drawn),
        "copies": judge.copies(drawn),
    }


def compare_with_baseline(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the ratio of each MMD to that of the diagonal Gaussian, if it is there."""
    known = [run["mmd"] for run in runs if run["generator"] == BASELINE]
    return [{**run, "ratio": run["mmd"] / known[0]} if known else run for run in runs]


def make_table(
    runs: list[dict[str, Any]], split: Split, net: Net, arguments: argparse.Namespace
) -> Table:
    """Return the table: medians over the splits."""
    rows = []
    for name in dict.fromkeys(run["generator"] for run in runs):
        same = [run for run in runs if run["generator"] == name]
        rows.append({**same[0], **{key: median_of(same, key) for key in MEASURED}})
    widths = (split.X_train.shape[1], *net.hidden, net.n_components)
    notes = [
        f"{arguments.dataset}, grey levels made continuous and scaled to [0, 1): "
        f"{len(split.X_train):,} training and {len(split.X_test):,} held-out rows, as "
        f"many drawn; autoencoders {'-'.join(map(str, widths))}, {net.epochs} epochs, "
        f"batches of {net.batch_size}, learning rate {net.learning_rate:g} falling by "
        f"a cosine; medians over {arguments.seeds} split(s).",
        "MMD^2: unbiased, three Gaussian kernels around the median distance; 0 is "
        "best. Fidelity: drawn rows as near to training rows as 95 % of held-out rows "
        "are. Coverage: held-out rows with a drawn row among their five neighbours. "
        "Copies: drawn rows that are training rows.",
        "Decoded: the same for codes drawn and decoded, without observation noise.",
        "Log-likelihood: nats per held-out row; of VAEs a bound by 500 importance "
        "samples. GaussianMixture (components, covariance) and KernelDensity "
        "(bandwidth) are chosen by their log-likelihood in cross-validation.",
        f"{environment()}.",
    ]
    return Table(f"{arguments.dataset}: drawn rows", COLUMNS, rows, notes)


def draw_sheets(
    runs: list[dict[str, Any]], split: Split, shape: tuple[int, ...], folder: Any
) -> None:
    """Draw what each has drawn, and what it has decoded, beside held-out rows."""
    last = [run for run in runs if run["seed"] == runs[-1]["seed"]]
    for key, stem in (("_drawn", "drawn"), ("_decoded", "decoded")):
        images = {"held-out rows": split.X_test[:N_SHOWN]}
        images |= {run["label"]: run[key] for run in last if key in run}
        figure = draw_image_rows(images, shape, 1.0)
        figure.savefig(folder / f"{stem}.png", dpi=150)
