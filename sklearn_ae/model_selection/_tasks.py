"""Candidates on folds: those that differ in numbers only are trained in a stack."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split

from sklearn_ae._compute.warnings import said_so_far
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._training.batched.runs import (
    MOST_IN_STACK,
    Attempt,
    begin_run,
    may_stack,
    stack_size,
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
    progress : dict
        What scikit-learn prints of how far the search is.
    estimator : estimator or None
        A clone with the candidate's parameters, until it is scored.
    context : sklearn.callback.CallbackContext or None
        Of the evaluation, where scikit-learn has callbacks.
    shown : dict
        The X and y of its autoencoder, for scikit-learn's callbacks.
    step : int or None
        Which step of a pipeline can train in a stack; None where it is no pipeline.
    error : Exception or None
        What setting it up, or training, has raised.
    seconds : float
        What that took.
    """

    place: int
    parameters: dict[str, Any]
    fold: int
    train: np.ndarray
    test: np.ndarray
    progress: dict[str, Any]
    estimator: BaseEstimator
    context: Any = None
    shown: dict[str, Any] = field(default_factory=dict)
    step: int | None = field(init=False)
    error: Exception | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.step = None
        # What derives from it may do other things with its steps.
        if type(self.estimator) is Pipeline:
            kinds = [isinstance(step, BaseAutoencoder) for _, step in self._steps]
            self.step = kinds.index(True) if any(kinds) else None

    @property
    def _steps(self) -> list[tuple[str, Any]]:
        return self.estimator.steps

    @property
    def autoencoder(self) -> BaseEstimator:
        """What can train in a stack, if anything can."""
        return self.estimator if self.step is None else self._steps[self.step][1]

    @property
    def may_stack(self) -> bool:
        """Whether something of it can train in a stack."""
        part = self.autoencoder
        return isinstance(part, BaseAutoencoder) and part._may_stack()

    @property
    def before(self) -> list[tuple[int, str, Any]]:
        """The steps before that do something, with their places in the pipeline."""
        steps = [] if self.step is None else self._steps[: self.step]
        return [(i, *pair) for i, pair in enumerate(steps) if pair[1] not in _IDLE]

    def structure(self) -> Hashable:
        """Answer what of the parameters tasks of one stack have in common.

        A guess, by which tasks are put in order: what can be a stack is seen when the
        nets are there. Steps behind do not matter, and steps before have to be equal.
        """
        behind = set()
        prefix = ""
        if self.step is not None:
            behind = {name for name, _ in self._steps[self.step + 1 :]}
            prefix = f"{self._steps[self.step][0]}__"
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


def groups_of(tasks: Iterable[Task]) -> list[list[Task]]:
    """Put tasks together that are alike, and may be a stack: fold after fold."""
    alike: dict[Hashable, list[Task]] = {}
    for task in tasks:
        alike.setdefault(task.structure(), []).append(task)
    return [sorted(group, key=lambda task: task.fold) for group in alike.values()]


def jobs_of(group: list[Task], X: Any, y: Any, memory: float | None) -> list[StackJob]:
    """Cut a group into jobs that are not too large; none where stacks gain nothing.

    It does not depend on the number of workers, and so does no result.
    """
    n_jobs = -(-len(group) // MOST_IN_STACK)
    ends = [len(group) * i // n_jobs for i in range(n_jobs + 1)]
    parts = [group[ends[i] : ends[i + 1]] for i in range(n_jobs)]
    jobs = [StackJob(part, X, y, memory) for part in parts]
    return jobs if jobs[0].gains() else []


class StackJob:
    """Sets tasks up, trains as many at once as memory allows, and scores them.

    Parameters
    ----------
    tasks : list of Task
        Fold after fold, their steps before the autoencoder alike.
    X, y
        All rows and targets.
    memory : float or None
        See `train_runs`.
    """

    def __init__(self, tasks: list[Task], X: Any, y: Any, memory: float | None) -> None:
        self.tasks, self.X, self.y, self.memory = tasks, X, y, memory
        self.fold: _Fold | None = None
        # It may be another thread that trains them.
        self.said = said_so_far()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the fold behind, which another process can make of the rows."""
        return {**vars(self), "fold": None}

    def gains(self) -> bool:
        """Whether a stack could have two nets like those of the first task."""
        first = self.tasks[0]
        if first.autoencoder.pretraining is not None:
            # Not twice: a net is there when its layers are trained.
            return True
        trial = copy.copy(first)
        trial.estimator = clone(first.estimator)
        run = self._begin(trial)
        # What is wrong with it is to be told by each task itself.
        if run is None:
            return True
        return may_stack(run.net) and stack_size(run, self.memory) > 1

    def results(
        self, score: Callable[[Task], Any], check: Callable[[], None]
    ) -> Iterator[tuple[int, Any]]:
        """Yield each task's place and what `score` answers for it.

        What `check` raises, which is called before each batch, ends the job.
        """
        self.check = check
        waiting: list[tuple[Task, Any]] = []
        n_most = 1
        for task in self.tasks:
            check()
            waiting.append((task, self._begin(task)))
            if waiting[-1][1] is not None:
                n_most = stack_size(waiting[-1][1], self.memory)
            if len(waiting) >= n_most:
                yield from self._finish(waiting, score)
                waiting = []
        self.fold = None
        yield from self._finish(waiting, score)

    def _begin(self, task: Task) -> Any:
        """Set up a task's training run; None if that fails."""
        began = time.perf_counter()
        try:
            if self.fold is None or self.fold.number != task.fold:
                self.fold = _Fold(task, self.X, self.y)
            return self.fold.begin(task)
        except Exception as error:
            self.fold = None
            task.error = error
            return None
        finally:
            task.seconds += time.perf_counter() - began

    def _finish(
        self, waiting: list[tuple[Task, Any]], score: Callable[[Task], Any]
    ) -> Iterator[tuple[int, Any]]:
        due = [(task, run) for task, run in waiting if run is not None]
        attempts = train_runs([run for _, run in due], self.memory, self.check)
        for (task, _), attempt in zip(due, attempts, strict=True):
            task.error, task.seconds = attempt.error, task.seconds + attempt.seconds
            _answer_fits(task, attempt)
        for task, run in waiting:
            self.check()
            if run is None:
                _answer_fits(task, None)
            yield task.place, score(task)


class _Fold:
    """Training rows, as they come to the autoencoder.

    Parameters
    ----------
    task : Task
        On this fold; its steps before the autoencoder are fitted, for all.
    X, y
        All rows and targets.
    """

    def __init__(self, task: Task, X: Any, y: Any) -> None:
        self.number = task.fold
        X, self.y = _safe_split(task.estimator, X, y, task.train)
        self.before = task.before
        if self.before:
            steps = Pipeline([(name, step) for _, name, step in self.before])
            X = steps.fit_transform(X, self.y)
        self.X = X
        self.rows: Any = None

    def begin(self, task: Task) -> Any:
        """Set up a task's training run."""
        estimator = task.autoencoder
        # One bar for each of them would be too many.
        estimator.verbose = 0
        if self.rows is None:
            self.rows = estimator._check_training_rows(self.X, self.y)
        run = begin_run(estimator, self.rows)
        task.shown = {"X": self.X, "y": self.y}
        if task.step is not None:
            # A step that comes out of a cache would be a copy.
            task.estimator.memory = None
            task.estimator.steps = list(task.estimator.steps)
        for i, name, step in self.before:
            fitted = copy.copy(step)
            # Of what the last one answers, nothing depends on those before it.
            _answer(fitted, "fit_transform", lambda: self.X)
            task.estimator.steps[i] = (name, fitted)
        return run


def _answer(estimator: BaseEstimator, name: str, function: Callable[[], Any]) -> None:
    """Let a method of this very object, the next time it is called, be a function."""

    def call(*args: Any, **kwargs: Any) -> Any:
        del vars(estimator)[name]
        return function()

    vars(estimator)[name] = call


def _answer_fits(task: Task, attempt: Attempt | None) -> None:
    """Let `fit` of a task's autoencoder answer what the training has come to.

    scikit-learn's own code can then fit and score the task, steps behind included.
    """
    estimator = task.estimator
    # The parameters are set, and of steps that are fitted by now they stay so.
    _answer(estimator, "set_params", lambda: estimator)
    if task.error is not None:
        _answer(estimator, "fit", lambda: _raise(task.error))
    else:
        part, shown = task.autoencoder, task.shown
        # Epochs are no tasks of their own: they are over.
        _answer(
            part,
            "fit",
            lambda: part._report(lambda _: part._complete_run(attempt.run), shown, 0),
        )


def _raise(error: Exception) -> None:
    raise error
