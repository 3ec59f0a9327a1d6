"""Evaluates tasks: groups in threads, what cannot be batched in processes."""

from __future__ import annotations

import threading
from typing import Any

from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

from sklearn_ae._compute.threads import shared_among
from sklearn_ae._compute.warnings import saying_once
from sklearn_ae.model_selection._tasks import BatchedJob, Task, jobs_of


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


def results_of(tasks: list[Task], scoring: Any, search: Any) -> list[dict[str, Any]]:
    """Answer what scoring answers for each task; in groups, where possible.

    Parameters
    ----------
    tasks : list of Task
    scoring : Scoring
    search : BaseSearchCV
        Of which `n_jobs`, `pre_dispatch` and `working_memory` count.
    """
    stop, work = _Stop(), []
    # What else `fit` is given would have to be given to a group.
    if not scoring.fit_params:
        work = jobs_of(tasks, scoring, search.working_memory)
    places = {task.place for job in work for task in job.tasks}
    alone = [task for task in tasks if task.place not in places]
    n_workers = min(_n_workers(search.n_jobs), len(work)) if work else 1
    try:
        # One worker is this thread, unless the backend's are on other machines: in
        # another thread OpenMP would begin further threads, and more of them than
        # there are cores let each other wait.
        jobs = _in_parallel(
            [delayed(_run_job)(job, stop, n_workers) for job in work],
            n_jobs=n_workers,
            prefer="threads",
        )
        out = _in_parallel(
            [delayed(scoring)(task) for task in alone],
            n_jobs=search.n_jobs,
            pre_dispatch=search.pre_dispatch,
        )
    finally:
        stop.event.set()
    results = dict(pair for job in jobs for pair in job)
    results |= {t.place: result for t, result in zip(alone, out, strict=True)}
    return [results[place] for place in range(len(tasks))]


def _n_workers(n_jobs: int | None) -> int:
    """Answer how many groups joblib's backend can compute at the same time."""
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


def _run_job(job: BatchedJob, stop: _Stop, n_workers: int) -> list[tuple[int, Any]]:
    with shared_among(n_workers), saying_once(job.said):
        return list(job.results(stop.check))
