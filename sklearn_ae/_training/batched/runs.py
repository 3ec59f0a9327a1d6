"""Training runs of several estimators at once: which of them can form a group."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from sklearn import get_config

from sklearn_ae._compute.ambient import undisturbed
from sklearn_ae._nets.autoencoder import describe
from sklearn_ae._training.batched.nets import may_be_batched, train_together
from sklearn_ae._training.run import Run, TrainingRows

# Beyond so many multiplications in a step, calls cost next to nothing beside them.
_WORK_ALONE = 3e7

# More nets in a group gain nothing, and threads can share out several groups.
MOST_BATCHED = 64

_MEBIBYTE = 2**20


def begin_run(estimator: Any, rows: TrainingRows) -> Run:
    """Set up the run of an unfitted estimator, which may then train in a group.

    An interrupt leaves no model: what a group has trained so far belongs to no fit.
    """
    estimator._validate_params()
    return estimator._begin_run(rows)


class Attempt:
    """A run, what it has raised, and how long it took.

    Attributes
    ----------
    run : Run
    error : Exception or None
    seconds : float
        Of a run in a group, that of the group over the number of its runs.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.error: Exception | None = None
        self.seconds = 0.0


@undisturbed
def train_runs(
    runs: Sequence[Run],
    working_memory: float | None = None,
    check: Callable[[], None] | None = None,
) -> list[Attempt]:
    """Train runs, those of one shape together.

    Parameters
    ----------
    runs : sequence of Run
        Set up.
    working_memory : float, default=None
        Most memory, in MiB, that the weights and batches of a group may take; None is
        scikit-learn's setting.
    check : callable, default=None
        Called before each batch of a group and before a run that trains alone; what it
        raises ends the training.
    """
    attempts = [Attempt(run) for run in runs]
    groups: dict[Hashable, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(_shape(attempt.run), []).append(attempt)
    for members in groups.values():
        n_most = group_size(members[0].run, working_memory)
        for part in _parts(members, n_most):
            began = time.perf_counter()
            if len(part) > 1:
                _train_batched(part, check)
            else:
                _train_alone(part[0], check)
            seconds = time.perf_counter() - began
            for attempt in part:
                attempt.seconds = seconds / len(part)
    return attempts


def group_size(run: Run, working_memory: float | None = None) -> int:
    """Answer how many runs like this one a group may have."""
    net = run.net
    if run.model.device.type == "cpu" and net.work(run.source) > _WORK_ALONE:
        return 1
    if working_memory is None:
        working_memory = get_config()["working_memory"]
    size = int(working_memory * _MEBIBYTE // _n_bytes(run))
    return max(1, size if run.model.device.type != "cpu" else min(size, MOST_BATCHED))


def _n_bytes(run: Run) -> float:
    """Answer what a net in a group takes: weights with what goes along, and a batch."""
    net, vector = run.net, run.net.flat_.vector
    n_rows = min(net.batch_size, len(run.source))
    n_layers = sum(p.ndim > 1 for p in net.module_.parameters())
    # Weights, gradients, two moments, the best so far, a net's own copies before, while
    # and after it is in the group; of each layer's values as many derivatives and what
    # lies between.
    n_values = 8 * vector.numel() + 4 * n_rows * n_layers * net.module_.objective_width
    if net.validation is not None:
        # Rows of its own, unless another net has the same seed.
        n_values += (len(run.source) + len(net.validation)) * run.source.n_features
    return float(n_values * vector.itemsize)


def _parts(members: list[Attempt], n_most: int) -> Iterator[list[Attempt]]:
    """Yield parts of nearly equal size."""
    n_parts = -(-len(members) // n_most)
    for i in range(n_parts):
        start, stop = (len(members) * k // n_parts for k in (i, i + 1))
        yield members[start:stop]


def _train_batched(part: list[Attempt], check: Callable[[], None] | None) -> None:
    due = [attempt for attempt in part if attempt.run.is_due]
    nets = [attempt.run.net for attempt in due]
    sources = [attempt.run.source for attempt in due]
    try:
        errors = train_together(nets, sources, check)
    except Exception:
        # What all of them compute at once has failed, maybe because of one: noise that
        # only its function can draw, a prior that cannot be batched, too little memory.
        for attempt in due:
            _begin_again(attempt)
            if attempt.error is None:
                _train_alone(attempt, check)
        return
    for attempt, error in zip(due, errors, strict=True):
        attempt.error = error


def _begin_again(attempt: Attempt) -> None:
    run = attempt.run
    try:
        attempt.run = begin_run(run.estimator, run.rows)
    except Exception as error:
        attempt.error = error


def _train_alone(attempt: Attempt, check: Callable[[], None] | None) -> None:
    if check is not None:
        check()
    try:
        attempt.run.train()
    except Exception as error:
        attempt.error = error


def _shape(run: Run) -> Hashable:
    """Answer what is equal for runs whose nets differ in numbers only."""
    net = run.net
    if not (run.estimator._may_be_batched() and may_be_batched(net)):
        return id(run)
    settings = net.optimizer, net.batch_size, net.shuffles, net.epochs_before
    return type(net), settings, str(run.model.device), describe(net.module_)
