"""Evaluates candidates: stacks in threads, what cannot be stacked in processes."""

from __future__ import annotations

import inspect
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils.parallel import Parallel, delayed

from sklearn_ae._compute.threads import shared_among
from sklearn_ae._compute.warnings import saying_once
from sklearn_ae.model_selection._tasks import (
    StackJob,
    Task,
    groups_of,
    jobs_of,
)

# Before scikit-learn 1.9 nobody is told of single evaluations.
_TELLS = "callback_ctx" in inspect.signature(_fit_and_score).parameters


class _Stop:
    """A flag that workers look at: a search that is interrupted ends at once."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def check(self) -> None:
        """End the work, if nobody waits for it any more."""
        if self.event.is_set():
            raise KeyboardInterrupt

    def __reduce__(self) -> tuple[type[_Stop], tuple[()]]:
        # In another process nothing tells; it is ended from outside.
        return _Stop, ()


class Evaluation:
    """Evaluates candidates, in stacks where that is possible.

    Attributes
    ----------
    results : dict
        What `cv_results_` is going to be.
    first_scores : float or dict
        Of the first candidate on the first fold.
    """

    def __init__(
        self, search: BaseSearchCV, scorers: Any, routed: Any, data: dict[str, Any]
    ) -> None:
        self.search, self.data = search, data
        self.candidates: list[dict[str, Any]] = []
        self.out: list[dict[str, Any]] = []
        self.more_results: dict[str, list[Any]] = defaultdict(list)
        self.fit_params = routed.estimator.fit
        self.split_params = routed.splitter.split
        self.options = {
            "scorer": scorers,
            "fit_params": self.fit_params,
            "score_params": routed.scorer.score,
            "return_train_score": search.return_train_score,
            "return_n_test_samples": True,
            "return_times": True,
            "error_score": search.error_score,
            "verbose": search.verbose,
        }

    def __call__(
        self,
        candidate_params: Iterable[dict[str, Any]],
        cv: Any = None,
        more_results: dict[str, Any] | None = None,
        callback_ctx: Any = None,
    ) -> dict[str, Any]:
        search, candidates = self.search, list(candidate_params)
        cv = cv or search._checked_cv_orig
        tasks = list(self._tasks(candidates, cv, callback_ctx))
        if not tasks:
            raise ValueError("There are no candidates, or no splits to fit them to.")
        if search.verbose > 0:
            print(
                f"Fitting {search.n_splits_} folds for each of {len(candidates)} "
                f"candidates, totalling {len(tasks)} fits"
            )
        out = self._evaluate(tasks)
        _warn_or_raise_about_fit_failures(out, search.error_score)
        if callable(search.scoring):
            _insert_error_scores(out, search.error_score)
        # A search may ask more than once.
        self.candidates += candidates
        self.out += out
        for name, values in (more_results or {}).items():
            self.more_results[name].extend(values)
        self.first_scores = self.out[0]["test_scores"]
        self.results = search._format_results(
            self.candidates, search.n_splits_, self.out, self.more_results
        )
        return self.results

    def _tasks(
        self, candidates: list[dict[str, Any]], cv: Any, context: Any
    ) -> Iterator[Task]:
        search, X, y = self.search, self.data["X"], self.data["y"]
        base, n_splits = clone(search.estimator), search.n_splits_
        splits = list(cv.split(X, y, **self.split_params))
        if len(splits) != n_splits:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{n_splits} splits, got {len(splits)}"
            )
        pairs = product(enumerate(candidates), enumerate(splits))
        for place, ((candidate, given), (fold, (train, test))) in enumerate(pairs):
            yield Task(
                place,
                given,
                fold,
                np.asarray(train),
                np.asarray(test),
                {
                    "split_progress": (fold, n_splits),
                    "candidate_progress": (candidate, len(candidates)),
                },
                clone(base).set_params(**clone(given, safe=False)),
                context and context.subcontext("candidate-split-evaluation", place),
            )

    def _evaluate(self, tasks: list[Task]) -> list[dict[str, Any]]:
        search, stop = self.search, _Stop()
        score = partial(
            _score_task,
            data=self.data,
            options=self.options,
            caller=search if _TELLS else None,
        )
        # What else `fit` is given would have to be given to a stack.
        in_stacks = [t for t in tasks if t.may_stack] if not self.fit_params else []
        work = [
            job
            for group in groups_of(in_stacks)
            for job in jobs_of(group, **self.data, memory=search.working_memory)
        ]
        for job in work[1:]:
            # Rows that steps have made, for each of them, may be too many.
            job.fold = None
        places = {task.place for job in work for task in job.tasks}
        alone = [task for task in tasks if task.place not in places]
        n_workers = min(_n_workers(search.n_jobs), len(work)) if work else 1
        try:
            # One worker is this thread, unless the backend's are on other machines: in
            # another thread OpenMP would begin further threads, and more of them than
            # there are cores let each other wait.
            jobs = _in_parallel(
                [delayed(_run_job)(job, score, stop, n_workers) for job in work],
                n_jobs=n_workers,
                prefer="threads",
            )
            out = _in_parallel(
                [delayed(score)(task) for task in alone],
                n_jobs=search.n_jobs,
                pre_dispatch=search.pre_dispatch,
            )
        finally:
            stop.event.set()
        results = dict(pair for job in jobs for pair in job)
        results |= {t.place: result for t, result in zip(alone, out, strict=True)}
        return [results[place] for place in range(len(tasks))]


def _n_workers(n_jobs: int | None) -> int:
    """Answer how many stacks joblib's backend can compute at the same time."""
    backend, _ = get_active_backend(prefer="threads")
    if n_jobs is None:
        # Who prefers threads is not told what `parallel_config` says of `n_jobs`.
        _, n_jobs = get_active_backend()
    if n_jobs is None:
        n_jobs = getattr(backend, "default_n_jobs", 1)
    return max(1, backend.effective_n_jobs(int(n_jobs)))


def _in_parallel(calls: list[Any], **options: Any) -> list[Any]:
    """Answer what calls do, by joblib's backend; for none no worker is begun."""
    return Parallel(**options)(calls) if calls else []


def _run_job(
    job: StackJob, score: Callable[[Task], Any], stop: _Stop, n_workers: int
) -> list[tuple[int, Any]]:
    with shared_among(n_workers), saying_once(job.said):
        return list(job.results(score, stop.check))


def _score_task(
    task: Task,
    data: dict[str, Any],
    options: dict[str, Any],
    caller: BaseSearchCV | None,
) -> dict[str, Any]:
    """Fit and score a task, by scikit-learn's own code."""
    told = {"caller": caller, "callback_ctx": task.context} if _TELLS else {}
    # Nobody asks for it again, and there may be hundreds.
    estimator, task.estimator, task.shown = task.estimator, None, {}
    result = _fit_and_score(
        estimator,
        data["X"],
        data["y"],
        train=task.train,
        test=task.test,
        parameters=task.parameters,
        **task.progress,
        **options,
        **told,
    )
    # Its traceback has the whole stack.
    task.error = None
    # What was trained before took its time.
    result["fit_time"] += task.seconds
    return result
