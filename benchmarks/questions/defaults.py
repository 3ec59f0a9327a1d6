"""Choose the defaults of an estimator by measurement on real data sets.

Every candidate is fitted to every task, a data set with a size of the code. The table
ranks candidates by what the estimator promises of held-out rows, and says what each
costs: `Autoencoder` reconstructs them, to `VariationalAutoencoder` they are likely, and
what `AdversarialAutoencoder` decodes of its prior is like them.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.progress import Progress
from scipy.stats import rankdata
from sklearn.decomposition import PCA

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
from benchmarks.data.datasets import LOADERS, Dataset, Split, add_data_home, load
from benchmarks.measures.quality import knn_accuracy
from benchmarks.measures.sample_quality import Judge

HELP = "rank candidates for the defaults of a plain, variational or adversarial one"
BUNDLED = ["digits", "breast_cancer", "wine"]
# What is varied unless asked otherwise, by the flag of the command line.
CHOICES = {
    "autoencoder": {
        "hidden": ["none", "128", "256-64", "256-128", "256-128-128"],
        "epochs": ["30", "60", "120"],
    },
    "variational": {
        "hidden": ["128-64", "256-128"],
        "rates": ["0.002", "0.0025", "0.003"],
        "activations": ["relu", "silu"],
        "noise_variances": ["learned", "learned_per_feature"],
    },
    "adversarial": {
        "activations": ["relu", "silu"],
        "alphas": ["0.3", "1"],
        "gradient_penalties": ["0.03", "0.3", "auto"],
    },
}
SETTINGS = {
    "hidden": "hidden",
    "batch_size": "batch",
    "max_epochs": "epochs",
    "learning_rate": "rate",
    "schedule": "schedule",
    "activation": "activation",
    "noise_variance": "noise\nvariance",
    "alpha": "alpha",
    "gradient_penalty": "gradient\npenalty",
}
# What a candidate costs, by the mean over the tasks.
MEASURES = {
    "r2": "R2\nmean",
    "knn": "k-NN\naccuracy",
    "fidelity": "fidelity,\ndecoded",
    "coverage": "coverage,\ndecoded",
}
LIKENESS = (
    "Fidelity: decoded draws, as many as test rows, that are as near to training rows "
    "as 95 % of test rows. Coverage: test rows with one of them among their five "
    "neighbours. PCA's are of normal codes with its variances."
)
MAX_TRAIN, MAX_TEST = 2000, 1000


@dataclass(frozen=True)
class Question:
    """An estimator whose defaults are in question, and what ranks them.

    Attributes
    ----------
    measure, meaning : str
        What `score` answers of held-out rows, of PCA as well: a word, and in full.
    draws : bool
        Whether the estimator draws rows by itself.
    """

    estimator: type
    measure: str
    meaning: str
    score: Callable[[Any, Split, int], float]
    draws: bool = True


def question(name: str) -> Question:
    """Return what is asked of the estimator of that name."""
    from sklearn_ae import AdversarialAutoencoder, Autoencoder, VariationalAutoencoder
    from sklearn_ae.metrics import reconstruction_r2

    if name == "autoencoder":
        return Question(
            Autoencoder,
            "R2",
            "R2",
            lambda model, split, seed: reconstruction_r2(model, split.X_test),
            draws=False,
        )
    if name == "variational":
        return Question(
            VariationalAutoencoder,
            "nats",
            "the bound of the log-likelihood, in nats,",
            lambda model, split, seed: model.score(split.X_test),
        )
    return Question(
        AdversarialAutoencoder,
        "likeness",
        "the mean of fidelity and coverage (likeness)",
        lambda model, split, seed: np.mean(list(likeness(model, split, seed).values())),
    )


def likeness(model: Any, split: Split, seed: int) -> dict[str, float]:
    """Say how like real rows decoded draws of the prior are.

    Those of PCA are of normal codes with its variances.
    """
    n_rows = len(split.X_test)
    if isinstance(model, PCA):
        deviations = np.sqrt(model.explained_variance_)
        normal = np.random.RandomState(seed).normal(size=(n_rows, len(deviations)))
        drawn = model.inverse_transform(normal * deviations)
    else:
        drawn = model.sample(n_rows, seed, observation_noise=False)
    judge = Judge.of(split.X_train, split.X_test)
    return {"fidelity": judge.fidelity(drawn), "coverage": judge.coverage(drawn)}


@dataclass(frozen=True)
class Candidate:
    """One choice of the parameters whose defaults are in question."""

    hidden_layer_sizes: tuple[int, ...]
    batch_size: int | str
    max_epochs: int
    learning_rate: float
    learning_rate_schedule: str | None
    activation: str
    noise_variance: str | None = None
    alpha: float | None = None
    gradient_penalty: str | float | None = None

    @classmethod
    def default_of(cls, estimator: type) -> Candidate:
        """Return the defaults as an estimator has them now."""
        params = estimator().get_params(deep=False)
        return cls(**{name: params.get(name) for name in cls.__annotations__})

    def params_of(self, estimator: type) -> dict[str, Any]:
        """Return the parameters that the estimator has."""
        names = estimator().get_params(deep=False)
        return {name: value for name, value in vars(self).items() if name in names}

    def shown(self) -> dict[str, str | None]:
        """Return the parameters as text for a table."""
        hidden = "-".join(map(str, self.hidden_layer_sizes)) or "none"
        return {
            "hidden": hidden,
            "batch_size": str(self.batch_size),
            "max_epochs": str(self.max_epochs),
            "learning_rate": f"{self.learning_rate:g}",
            "schedule": self.learning_rate_schedule or "none",
            "activation": self.activation,
            "noise_variance": self.noise_variance,
            "alpha": _number(self.alpha),
            "gradient_penalty": _number(self.gradient_penalty),
        }


def _number(value: str | float | None) -> str | None:
    return f"{value:g}" if isinstance(value, float) else value


def widths(text: str) -> tuple[int, ...]:
    """Parse hidden widths such as ``256-128``; ``none`` is no hidden layer."""
    return () if text == "none" else tuple(positive(part) for part in text.split("-"))


def batch(text: str) -> int | str:
    """Parse a batch size or ``auto``."""
    return text if text == "auto" else positive(text)


def penalty(text: str) -> float | str:
    """Parse a weight or ``auto``."""
    return text if text == "auto" else float(text)


def schedule(text: str) -> str | None:
    """Parse the name of a schedule or ``none``."""
    return None if text == "none" else text


# Of each flag: the parameter, its kind, and what its values are.
FLAGS = {
    "hidden": ("hidden_layer_sizes", widths, "hidden widths"),
    "batches": ("batch_size", batch, "batch sizes, or auto"),
    "epochs": ("max_epochs", positive, "numbers of epochs"),
    "rates": ("learning_rate", float, "learning rates"),
    "schedules": ("learning_rate_schedule", schedule, "learning-rate schedules"),
    "activations": ("activation", str, "activations of hidden layers"),
    "noise_variances": ("noise_variance", str, "variances of VariationalAutoencoder"),
    "alphas": ("alpha", float, "weights of the game of AdversarialAutoencoder"),
    "gradient_penalties": ("gradient_penalty", penalty, "and of its gradient penalty"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument(
        "--estimator",
        choices=list(CHOICES),
        default="autoencoder",
        help="default: autoencoder",
    )
    for flag, kind, default, what in [
        ("datasets", str, BUNDLED, f"some of {', '.join(LOADERS)}"),
        ("components", positive, [2, 16], "sizes of the code"),
    ]:
        text = f"{what} (default: {' '.join(map(str, default))})"
        parser.add_argument(
            f"--{flag}", type=kind, nargs="+", default=default, help=text
        )
    for flag, (_, kind, what) in FLAGS.items():
        option = "--" + flag.replace("_", "-")
        text = f"{what} (default: {_shown_choices(flag)})"
        parser.add_argument(option, type=kind, nargs="+", help=text)
    # With one seed the ranks are mostly chance.
    parser.add_argument("--seeds", type=positive, default=5, help="default: 5")
    add_data_home(parser)
    add_output(parser)


def _shown_choices(flag: str) -> str:
    """Say what a flag is where it is not given."""
    return (
        "; ".join(
            f"{name}: {' '.join(choices[flag])}"
            for name, choices in CHOICES.items()
            if flag in choices
        )
        or "the estimator's own"
    )


def candidates_of(arguments: argparse.Namespace) -> list[Candidate]:
    """Return every combination that is asked for, and the defaults as they are."""
    estimator = question(arguments.estimator).estimator
    default, known = Candidate.default_of(estimator), estimator().get_params(deep=False)
    varied = {}
    for flag, (name, kind, _) in FLAGS.items():
        if getattr(arguments, flag) and name not in known:
            what = name.replace("_", " ")
            raise BenchmarkError(f"{arguments.estimator} has no {what}")
        usual = map(kind, CHOICES[arguments.estimator].get(flag, ()))
        if values := getattr(arguments, flag) or list(usual):
            varied[name] = values
    candidates = [
        replace(default, **dict(zip(varied, values, strict=True)))
        for values in itertools.product(*varied.values())
    ]
    return candidates if default in candidates else [*candidates, default]


def run(arguments: argparse.Namespace) -> None:
    """Fit every candidate to every task, print the ranking and write it."""
    for name in arguments.datasets:
        if name not in LOADERS:
            raise BenchmarkError(f"unknown data set {name!r}")
    datasets = [
        load(name, data_home=arguments.data_home) for name in arguments.datasets
    ]
    asked = question(arguments.estimator)
    candidates = candidates_of(arguments)
    folder = arguments.output / "defaults" / arguments.estimator
    runs: list[dict[str, Any]] = []
    with progress_bar() as progress:
        for part in _run_tasks(asked, datasets, candidates, arguments, progress):
            runs += part
            # After each task, so that a run cut short has not been for nothing.
            keys = [key for key in runs[0] if key != "candidate"]
            write_rows(folder / "runs.csv", keys, runs)
    if not runs:
        raise BenchmarkError("no data set has as many features as components")
    default = Candidate.default_of(asked.estimator)
    table = ranking(runs, candidates, default, asked.measure)
    table.notes = [*_notes(runs, arguments, asked), f"{environment()}."]
    table.show()
    table.write(folder, "ranking")
    print(f"\nwritten to {folder}")


def _run_tasks(
    asked: Question,
    datasets: Sequence[Dataset],
    candidates: Sequence[Candidate],
    arguments: argparse.Namespace,
    progress: Progress,
) -> Iterator[list[dict[str, Any]]]:
    """Fit PCA and every candidate to one task after the other."""
    tasks = list(
        itertools.product(range(arguments.seeds), datasets, arguments.components)
    )
    bar = progress.add_task("fits", total=len(tasks) * (len(candidates) + 1))
    for seed, dataset, k in tasks:
        if k > dataset.X.shape[1]:
            progress.advance(bar, len(candidates) + 1)
            continue
        progress.update(bar, description=f"{dataset.name}, {k}, seed {seed}")
        split = dataset.split(seed, max_train=MAX_TRAIN, max_test=MAX_TEST)
        task = {"dataset": dataset.name, "n_components": k, "seed": seed}
        runs = []
        for candidate in [None, *candidates]:
            runs.append(
                task | {"candidate": candidate} | _fit(asked, candidate, k, split, seed)
            )
            progress.advance(bar)
        yield runs


def _fit(
    asked: Question, candidate: Candidate | None, k: int, split: Split, seed: int
) -> dict[str, Any]:
    """Fit a candidate, or PCA where there is none, and measure it on test rows."""
    from sklearn_ae.metrics import reconstruction_r2

    if candidate is None:
        estimator = PCA(k, random_state=seed)
        shown = dict.fromkeys(SETTINGS) | {"hidden": "PCA"}
    else:
        params = candidate.params_of(asked.estimator)
        estimator = asked.estimator(k, random_state=seed, **params)
        shown = candidate.shown()
    seconds, _ = timed(lambda: estimator.fit(split.X_train))
    Z_train, Z_test = (estimator.transform(X) for X in (split.X_train, split.X_test))
    drawn = likeness(estimator, split, seed) if asked.draws else {}
    return shown | {
        "score": asked.score(estimator, split, seed),
        "r2": reconstruction_r2(estimator, split.X_test),
        "knn": knn_accuracy(Z_train, split.y_train, Z_test, split.y_test),
        "fidelity": drawn.get("fidelity"),
        "coverage": drawn.get("coverage"),
        "fit_seconds": seconds,
        "n_iter": getattr(estimator, "n_iter_", None),
    }


def ranking(
    runs: Sequence[Mapping[str, Any]],
    candidates: Sequence[Candidate],
    default: Candidate,
    measure: str,
) -> Table:
    """Return the candidates by their mean rank over the tasks, PCA below them."""
    tasks = list(dict.fromkeys((run["dataset"], run["n_components"]) for run in runs))
    medians = {
        key: np.array(
            [
                [_median(runs, candidate, task, key) for task in tasks]
                for candidate in [*candidates, None]
            ],
            dtype=float,
        )
        for key in ("score", *MEASURES, "fit_seconds")
    }
    ranks = rankdata(-medians["score"][:-1], axis=0).mean(axis=1)
    shortfalls = medians["score"][:-1].max(axis=0) - medians["score"]
    rows = [
        {
            "mark": "default" if candidate == default else "",
            "rank": None if candidate is None else float(ranks[i]),
            "shortfall": float(shortfalls[i].mean()),
            "worst_shortfall": float(shortfalls[i].max()),
            **{key: float(medians[key][i].mean()) for key in MEASURES},
            "fit_seconds": float(medians["fit_seconds"][i].sum()),
        }
        | ({"hidden": "PCA"} if candidate is None else candidate.shown())
        for i, candidate in enumerate([*candidates, None])
    ]
    rows[:-1] = sorted(rows[:-1], key=lambda row: row["rank"])
    return Table(
        f"Candidates for the defaults, by {measure}", _columns(rows, measure), rows
    )


def _columns(rows: Sequence[Mapping[str, Any]], measure: str) -> list[Column]:
    """Return the columns of the ranking, of settings those that differ."""
    return [
        Column("mark", ""),
        *(
            Column(key, header)
            for key, header in SETTINGS.items()
            if len({row[key] for row in rows if row.get(key)}) > 1
        ),
        Column("rank", "mean\nrank", ".1f"),
        Column("shortfall", f"shortfall\nmean, {measure}", ".3f"),
        Column("worst_shortfall", "worst", ".3f"),
        *(
            Column(key, header, ".3f")
            for key, header in MEASURES.items()
            if np.isfinite([row[key] for row in rows]).any()
        ),
        Column("fit_seconds", "fit (s)\nall tasks", ".1f"),
    ]


def _median(
    runs: Sequence[Mapping[str, Any]],
    candidate: Candidate | None,
    task: tuple[str, int],
    key: str,
) -> float:
    """Return the median over the seeds of one candidate on one task."""
    own = [
        run
        for run in runs
        if run["candidate"] == candidate
        and (run["dataset"], run["n_components"]) == task
    ]
    return median_of(own, key)


def _notes(
    runs: Sequence[Mapping[str, Any]], arguments: argparse.Namespace, asked: Question
) -> list[str]:
    """Say what the figures are."""
    names = ", ".join(dict.fromkeys(run["dataset"] for run in runs))
    sizes = ", ".join(map(str, arguments.components))
    drawn = [LIKENESS] if asked.draws else []
    return [
        f"Tasks: {names}, each with {sizes} components; medians over "
        f"{arguments.seeds} seed(s); at most {MAX_TRAIN:,} training rows.",
        f"rank: among the candidates, by {asked.meaning} of the test rows; "
        f"shortfall: the best {asked.measure} of the task minus the candidate's own.",
        "k-NN accuracy: test codes by training codes, mean over the tasks.",
        *drawn,
        f"All else as {asked.estimator.__name__} has it.",
    ]
