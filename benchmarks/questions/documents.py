"""Codes of documents beside latent semantic analysis: who finds the same topic.

A net for counts of words (Hinton and Salakhutdinov 2006) is fitted to the training
documents; each test document then looks for its nearest among the other test documents.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from matplotlib.figure import Figure
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

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
from benchmarks.data.corpora import CORPORA, Corpus
from benchmarks.data.datasets import add_data_home
from benchmarks.methods.embeddings import check_device
from benchmarks.questions.defaults import widths

HELP = "retrieval of documents by topic, beside latent semantic analysis"
N_NEIGHBORS = 10
MAX_COLORED = 9
EPOCHS_OF_PROFILE = {"fast": 6, "full": 30}
DISTANCES = ("cosine", "euclidean")
COLUMNS = [
    Column("label", "method"),
    Column("rows", "rows as"),
    Column("n_components", "k", "d"),
    Column("precision_cosine", "precision\nof 10,\ncosine", ".3f"),
    Column("precision_euclidean", "precision\nof 10,\nEuclidean", ".3f"),
    Column("nearest_cosine", "1-NN,\ncosine", ".3f"),
    Column("nearest_euclidean", "1-NN,\nEuclidean", ".3f"),
    Column("fit_seconds", "fit\n(s)", ".1f"),
]
BEST = [
    Column("n_components", "k", "d"),
    Column("measure", "measure"),
    Column("net", "autoencoder", ".3f"),
    Column("net_how", "with"),
    Column("svd", "TruncatedSVD", ".3f"),
    Column("svd_how", "with"),
    Column("gain", "gain", ".3f"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add(
        "--dataset",
        choices=CORPORA,
        default="synthetic",
        help="reuters needs --data-home, 20newsgroups a download "
        "(default: %(default)s)",
    )
    add("--words", type=positive, default=2000, help="default: %(default)s")
    add(
        "--components",
        type=positive,
        nargs="+",
        default=[2, 10],
        metavar="K",
        help="sizes of the code (default: 2 10)",
    )
    add("--hidden", type=widths, default=(500, 250, 125), help="default: 500-250-125")
    add(
        "--activation",
        choices=["tanh", "relu", "logistic"],
        default="tanh",
        help="of the hidden layers (default: %(default)s)",
    )
    add("--pretraining", choices=["none", "greedy"], default="none")
    add(
        "--noise-level",
        type=float,
        default=0.75,
        help="share of the words that are masked in training (default: %(default)s)",
    )
    add("--epochs", type=positive, help="in place of the profile's")
    add("--batch", type=positive, default=64, help="default: %(default)s")
    add("--rate", type=float, default=1e-3, help="default: %(default)s")
    add("--seeds", type=positive, default=1, help="fits (default: %(default)s)")
    add("--device", default="cpu", help="default: %(default)s")
    add(
        "--profile",
        choices=EPOCHS_OF_PROFILE,
        default="fast",
        help="6 or 30 epochs (default: %(default)s)",
    )
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit, measure, print the tables, write them and the map."""
    check_device(arguments.device)
    corpus = CORPORA[arguments.dataset](arguments.data_home, 0, arguments.words)
    epochs = arguments.epochs or EPOCHS_OF_PROFILE[arguments.profile]
    limit = min(corpus.X_train.shape)
    if max(arguments.components) >= limit:
        raise BenchmarkError(f"these documents have room for {limit - 1} components")
    runs: list[dict[str, Any]] = []
    with progress_bar() as progress:
        steps = len(arguments.components) * (len(WEIGHTINGS) + arguments.seeds)
        bar = progress.add_task(corpus.name, total=steps)
        for k in arguments.components:
            for weighting in WEIGHTINGS:
                progress.update(bar, description=f"SVD of {weighting}, {k}")
                runs.append(measure(make_svd(weighting, k), corpus))
                progress.advance(bar)
            for seed in range(arguments.seeds):
                progress.update(bar, description=f"autoencoder, {k}, seed {seed}")
                net = make_net(k, seed, epochs, arguments)
                runs.append(measure(net, corpus) | {"seed": seed})
                progress.advance(bar)
    folder = arguments.output / "documents" / corpus.name
    rows = medians(runs)
    notes = _notes(corpus, epochs, arguments)
    for stem, table in {
        "table": Table(f"{corpus.name}: test documents", COLUMNS, rows, notes),
        "best": make_best(rows),
    }.items():
        table.show()
        table.write(folder, stem)
    keys = [key for key in runs[-1] if not key.startswith("_")]
    write_rows(folder / "runs.csv", keys, runs)
    if 2 in arguments.components:
        draw_maps(runs, corpus).savefig(folder / "map.png", dpi=150)
    print(f"\nwritten to {folder}")


def _log(X: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    return X.log1p()


# How the words of a row are weighted for the rival: the best of them is compared.
WEIGHTINGS: dict[str, Callable[[], list[Any]]] = {
    "counts": list,
    "proportions": lambda: [Normalizer("l1")],
    "log(1 + counts)": lambda: [FunctionTransformer(_log, accept_sparse=True)],
    "tf-idf": lambda: [TfidfTransformer()],
    "tf-idf of logarithms": lambda: [TfidfTransformer(sublinear_tf=True)],
}


def make_svd(weighting: str, k: int) -> dict[str, Any]:
    """Return the rival with one weighting."""
    svd = TruncatedSVD(k, random_state=0)
    return {
        "label": "TruncatedSVD",
        "rows": weighting,
        "n_components": k,
        "_pipeline": make_pipeline(*WEIGHTINGS[weighting](), svd),
    }


def make_net(
    k: int, seed: int, epochs: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return the net, whose rows are proportions so that long documents weigh alike."""
    from sklearn_ae import DenoisingAutoencoder

    # Without noise it is an Autoencoder. With it, 6,500 documents train longer before
    # the net knows them by heart.
    net = DenoisingAutoencoder(
        k,
        noise_level=arguments.noise_level,
        hidden_layer_sizes=arguments.hidden,
        activation=arguments.activation,
        loss="multinomial",
        pretraining=None if arguments.pretraining == "none" else arguments.pretraining,
        pretraining_epochs=max(1, epochs // 3),
        learning_rate=arguments.rate,
        learning_rate_schedule="cosine",
        batch_size=arguments.batch,
        max_epochs=epochs,
        tol=0.0,
        device=arguments.device,
        random_state=seed,
    )
    return {
        "label": "autoencoder",
        "rows": "proportions",
        "n_components": k,
        "_pipeline": make_pipeline(Normalizer("l1"), net),
    }


def measure(method: Mapping[str, Any], corpus: Corpus) -> dict[str, Any]:
    """Fit to training documents; measure neighbourhoods among the test documents."""
    pipeline: Pipeline = method["_pipeline"]
    seconds, _ = timed(lambda: pipeline.fit(corpus.X_train))
    codes = np.asarray(pipeline.transform(corpus.X_test), dtype=np.float64)
    result = {key: value for key, value in method.items() if key != "_pipeline"}
    result |= {"fit_seconds": seconds, "_codes": codes}
    for distance in DISTANCES:
        found = same_topic(codes, corpus.y_test, distance)
        result[f"precision_{distance}"] = float(found.mean())
        result[f"nearest_{distance}"] = float(found[:, 0].mean())
    return result


def same_topic(codes: np.ndarray, y: np.ndarray, distance: str) -> np.ndarray:
    """Return whether each row's nearest other rows have its topic, nearest first."""
    index = NearestNeighbors(
        n_neighbors=N_NEIGHBORS, metric=distance, algorithm="brute"
    )
    # Without an argument a row is not among its own neighbours.
    neighbors = index.fit(codes).kneighbors(return_distance=False)
    return y[neighbors] == y[:, None]


def medians(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each method, its rows and size: medians over the seeds."""
    names = ("label", "rows", "n_components")
    rows = []
    for key in dict.fromkeys(tuple(run[name] for name in names) for run in runs):
        same = [run for run in runs if tuple(run[name] for name in names) == key]
        measured = [c.key for c in COLUMNS if c.key not in names]
        row = dict(zip(names, key, strict=True))
        rows.append(row | {name: median_of(same, name) for name in measured})
    return rows


def make_best(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Compare the net with the best that the rival has, whatever its rows."""
    best = []
    for k in dict.fromkeys(row["n_components"] for row in rows):
        for measure_name, title in [
            ("precision", f"precision of {N_NEIGHBORS}"),
            ("nearest", "1-NN accuracy"),
        ]:
            found = {}
            for label in ("autoencoder", "TruncatedSVD"):
                own = [r for r in rows if (r["label"], r["n_components"]) == (label, k)]
                found[label] = max(
                    (row[f"{measure_name}_{distance}"], f"{row['rows']}, {distance}")
                    for row in own
                    for distance in DISTANCES
                )
            (net, net_how), (svd, svd_how) = found.values()
            best.append(
                {
                    "n_components": k,
                    "measure": title,
                    "net": net,
                    "net_how": net_how,
                    "svd": svd,
                    "svd_how": svd_how,
                    "gain": net - svd,
                }
            )
    notes = [
        "The best distance for each; of the rival the best weighting, too. Both are "
        "chosen on the rows they are measured on, the rival among ten, the net of two."
    ]
    return Table("The best of each", BEST, best, notes)


def draw_maps(runs: Sequence[Mapping[str, Any]], corpus: Corpus) -> Figure:
    """Draw the test documents by two codes, the most frequent topics in colour."""
    flat = [run for run in runs if run["n_components"] == 2]
    rivals = [run for run in flat if run["label"] == "TruncatedSVD"]
    rival = max(rivals, key=lambda run: max(run[f"nearest_{d}"] for d in DISTANCES))
    net = next(run for run in flat if run["label"] == "autoencoder")
    frequent = np.argsort(-np.bincount(corpus.y_test))[:MAX_COLORED]
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    for run, ax in zip((rival, net), figure.subplots(1, 2), strict=True):
        codes, y = run["_codes"], corpus.y_test
        others = ~np.isin(y, frequent)
        ax.scatter(*codes[others].T, s=4, color="0.8", label="other topics")
        for number, topic in enumerate(frequent):
            ax.scatter(
                *codes[y == topic].T,
                s=6,
                color=f"C{number}" if number < 7 else f"C{number + 1}",
                label=corpus.topics[topic],
            )
        title = f"{run['label']} of {run['rows']}"
        ax.set(title=title, xticks=[], yticks=[])
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside right center", frameon=False, markerscale=2.5
    )
    return figure


def _notes(corpus: Corpus, epochs: int, arguments: argparse.Namespace) -> list[str]:
    """Say what the figures are."""
    n_words = corpus.X_train.shape[1]
    net = "-".join(map(str, (n_words, *arguments.hidden)))
    return [
        f"{corpus.X_train.shape[0]:,} training and {corpus.X_test.shape[0]:,} test "
        f"documents, counts of {n_words:,} words, {len(corpus.topics)} topics. The "
        "neighbours of a test document are sought among the other test documents.",
        f"Autoencoder: {net}-k, {arguments.activation}, linear code, multinomial loss, "
        f"{arguments.noise_level:g} of the words masked in training, "
        f"{epochs} epochs in batches of {arguments.batch}, Adam, learning rate "
        f"{arguments.rate:g} falling by a cosine, pretraining: "
        f"{arguments.pretraining}; median of {arguments.seeds} fit(s).",
        f"{environment()}.",
    ]
