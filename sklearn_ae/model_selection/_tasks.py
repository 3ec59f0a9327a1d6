"""Candidates on folds: those that differ in numbers only are trained in a group."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearn_ae._compute.warnings import said_so_far
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._training.batched.runs import (
    MOST_BATCHED,
    Attempt,
    begin_run,
    group_size,
    may_be_batched,
    train_runs,
)

_IDLE = (None, "passthrough")


@dataclass(eq=False)
class Task:
    """A candidate on a fold.

    Attributes
    ----------
    place : int
        Where it is among all tasks.
    parameters : dict
        Of the candidate.
    fold : int
    train, test : ndarray of int
        Indices of rows.
    progress : tuple of str
        How far the search is, in folds and in candidates.
    estimator : estimator or None
        A clone with the candidate's parameters, until it is scored.
    context : sklearn.callback.CallbackContext or None
        Of the evaluation, where scikit-learn has callbacks.
    attempt : Attempt or None
        What its training in a group has come to.
    rows : dict
        The X and y of its autoencoder, where that was trained in a group.
    seconds : float
        What setting it up and training it took there.
    """

    place: int
    parameters: dict[str, Any]
    fold: int
    train: np.ndarray
    test: np.ndarray
    progress: tuple[str, str]
    estimator: Any
    context: Any = None
    attempt: Attempt | None = None
    rows: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def steps(self) -> list[tuple[str, Any]]:
        """The steps of a pipeline; none of what derives from one."""
        return self.estimator.steps if type(self.estimator) is Pipeline else []

    @property
    def step(self) -> int | None:
        """Which step can train in a group; None where it is no pipeline's."""
        kinds = [isinstance(step, BaseAutoencoder) for _, step in self.steps]
        return kinds.index(True) if any(kinds) else None

    @property
    def autoencoder(self) -> Any:
        """What can train in a group, if anything can."""
        return self.estimator if self.step is None else self.steps[self.step][1]

    @property
    def may_be_batched(self) -> bool:
        """Whether something of it can train in a group."""
        part = self.autoencoder
        return isinstance(part, BaseAutoencoder) and part._may_be_batched()

    @property
    def before(self) -> list[tuple[str, Any]]:
        """The steps before that do something."""
        return [pair for pair in self.steps[: self.step or 0] if pair[1] not in _IDLE]

    def fit(self, X: Any, y: Any = None, **params: Any) -> None:
        """Fit the estimator, or go on from where its training in a group has ended."""
        attempt, part = self.attempt, self.autoencoder
        if attempt is None:
            self.estimator.fit(*((X,) if y is None else (X, y)), **params)
            return
        if attempt.error is not None:
            raise attempt.error
        # Epochs are no tasks of their own: they are over.
        part._report(lambda _: part._complete_run(attempt.run), self.rows, 0)
        behind = [] if self.step is None else self.steps[self.step + 1 :]
        if behind:
            Pipeline(behind, verbose=self.estimator.verbose).fit(
                part.transform(self.rows["X"]), self.rows["y"]
            )

    def release(self) -> None:
        """Forget what nobody asks for again: there may be hundreds of tasks."""
        # The traceback of an error holds all that was there when it was raised.
        self.estimator = self.attempt = None
        self.rows = {}

    @property
    def description(self) -> str:
        """The candidate's parameters, in one line."""
        return ", ".join(f"{k}={v}" for k, v in sorted(self.parameters.items()))

    def structure(self) -> Hashable:
        """Answer what of the parameters tasks of one group have in common.

        A guess, by which tasks are put in order: what can be a group is seen when the
        nets are there. Steps behind do not matter, and steps before have to be equal.
        """
        behind = set()
        prefix = ""
        if self.step is not None:
            behind = {name for name, _ in self.steps[self.step + 1 :]}
            prefix = f"{self.steps[self.step][0]}__"
        return tuple(
            (name, _identity(value))
            for name, value in sorted(self.parameters.items())
            if name.partition("__")[0] not in behind
            and not (name.startswith(prefix) and self._is_number(name, prefix, value))
        )

    def _is_number(self, name: str, prefix: str, value: Any) -> bool:
        """Whether a value is one that leaves the net's shape as it is."""
        own = name.removeprefix(prefix)
        if own == "random_state":
            return True
        default = getattr(type(self.autoencoder)(), own, None)
        is_real = isinstance(value, Real) and not isinstance(value, bool)
        return is_real and (isinstance(value, float) or isinstance(default, float))


def _identity(value: Any) -> Hashable:
    """Answer what values have in common that are the same."""
    if isinstance(value, tuple):
        return tuple(map(_identity, value))
    is_plain = value is None or isinstance(value, (str, bytes, Real))
    return (type(value), value if is_plain else id(value))


def jobs_of(
    tasks: Iterable[Task], scoring: Any, memory: float | None
) -> list[BatchedJob]:
    """Put tasks together that are alike and may be groups, fold after fold.

    Tasks of which groups gain nothing are in no job. It does not depend on the number
    of workers, and so does no result.
    """
    alike: dict[Hashable, list[Task]] = {}
    for task in tasks:
        if task.may_be_batched:
            alike.setdefault(task.structure(), []).append(task)
    work: list[BatchedJob] = []
    for group in alike.values():
        group.sort(key=lambda task: task.fold)
        n_jobs = -(-len(group) // MOST_BATCHED)
        ends = [len(group) * i // n_jobs for i in range(n_jobs + 1)]
        parts = [group[start:end] for start, end in pairwise(ends)]
        jobs = [BatchedJob(part, scoring, memory) for part in parts]
        work += jobs if jobs[0].gains() else []
    for job in work[1:]:
        # Rows that steps have made, for each of them, may be too many.
        job.fold = None
    return work


class BatchedJob:
    """Sets tasks up, trains as many at once as memory allows, and scores them.

    Parameters
    ----------
    tasks : list of Task
        Fold after fold, their steps before the autoencoder alike.
    scoring : Scoring
        Has the rows, and scores tasks.
    memory : float or None
        See `train_runs`.
    """

    def __init__(self, tasks: list[Task], scoring: Any, memory: float | None) -> None:
        self.tasks, self.scoring, self.memory = tasks, scoring, memory
        self.fold: _Fold | None = None
        # It may be another thread that trains them.
        self.said = said_so_far()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the fold behind, which another process can make of the rows."""
        return {**vars(self), "fold": None}

    def gains(self) -> bool:
        """Whether a group could have two nets like those of the first task."""
        first = self.tasks[0]
        if first.autoencoder.pretraining is not None:
            # Not twice: a net is there when its layers are trained.
            return True
        trial = replace(first, estimator=clone(first.estimator))
        run = self._begin(trial).run
        if self.fold is not None:
            self.fold.seconds = trial.seconds
        # What is wrong with it is to be told by each task itself.
        if run is None:
            return True
        return may_be_batched(run.net) and group_size(run, self.memory) > 1

    def results(self, check: Callable[[], None]) -> Iterator[tuple[int, Any]]:
        """Yield each task's place, and what it scores.

        What `check` raises, which is called before each batch, ends the job.
        """
        waiting: list[Task] = []
        n_most = 1
        if self.fold is not None:
            self.tasks[0].seconds += self.fold.seconds
        for task in self.tasks:
            check()
            task.attempt = self._begin(task)
            waiting.append(task)
            if task.attempt.run is not None:
                n_most = group_size(task.attempt.run, self.memory)
            if len(waiting) >= n_most:
                yield from self._finish(waiting, check)
                waiting = []
        self.fold = None
        yield from self._finish(waiting, check)

    def _begin(self, task: Task) -> Attempt:
        """Set up a task's training run."""
        began = time.perf_counter()
        attempt = Attempt(None)
        try:
            if self.fold is None or self.fold.number != task.fold:
                self.fold = _Fold(task, *self.scoring.training_rows(task))
            attempt.run = self.fold.begin(task)
        except Exception as error:
            self.fold = None
            attempt.error = error
        task.seconds += time.perf_counter() - began
        return attempt

    def _finish(
        self, waiting: list[Task], check: Callable[[], None]
    ) -> Iterator[tuple[int, Any]]:
        due = [task for task in waiting if task.attempt.run is not None]
        attempts = train_runs([t.attempt.run for t in due], self.memory, check)
        for task, attempt in zip(due, attempts, strict=True):
            task.attempt = attempt
            task.seconds += attempt.seconds
        for task in waiting:
            check()
            yield task.place, self.scoring(task)


class _Fold:
    """Training rows, as they come to the autoencoder.

    Parameters
    ----------
    task : Task
        On this fold; its steps before the autoencoder are fitted, for all.
    X, y
        Its rows and targets.
    """

    def __init__(self, task: Task, X: Any, y: Any) -> None:
        self.number = task.fold
        self.before = Pipeline(task.before) if task.before else None
        if self.before is not None:
            X = self.before.fit_transform(X, y)
        self.given = {"X": X, "y": y}
        self.rows: Any = None
        # Of what was done for it before its first task.
        self.seconds = 0.0

    def begin(self, task: Task) -> Any:
        """Set up a task's training run."""
        estimator = task.autoencoder
        # One bar for each of them would be too many.
        estimator.verbose = 0
        if self.rows is None:
            self.rows = estimator._check_training_rows(**self.given)
        run = begin_run(estimator, self.rows)
        task.rows = self.given
        if self.before is not None:
            fitted = dict(self.before.steps)
            steps = [(name, fitted.get(name, step)) for name, step in task.steps]
            task.estimator.steps = steps
        return run
