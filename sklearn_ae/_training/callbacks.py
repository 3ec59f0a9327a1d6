"""Callbacks of skorch that watch a fit: the progress bar, and scikit-learn's own."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.utils._param_validation import InvalidParameterError
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EpochScoring,
    LoadInitState,
    LRScheduler,
    TrainEndCheckpoint,
)
from tqdm import std

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class TrainingStop(Exception):
    """Raised by a callback to end training after this epoch; nothing has failed."""


def copy_callbacks(callbacks: Sequence[Any] | None) -> list[Any]:
    """Copy callbacks, or pairs of a name and one: what they set stays in the fit.

    Raises
    ------
    InvalidParameterError
        If one of them is no instance of skorch's `Callback`.
    """
    copies, copy_of = [], {}
    for item in callbacks or []:
        *name, callback = item if isinstance(item, tuple) else (item,)
        if not isinstance(callback, Callback):
            raise InvalidParameterError(
                "The 'callbacks' parameter must be a list of instances of "
                f"skorch.callbacks.Callback. Got {item!r} among them."
            )
        copied = copy_of[id(callback)] = copy.copy(callback)
        copies.append((*name, copied) if name else copied)
    for copied in copy_of.values():
        # One that refers to another, as `LoadInitState` does, means the one in the fit.
        for name, value in vars(copied).items():
            if id(value) in copy_of:
                setattr(copied, name, copy_of[id(value)])
    return copies


def listen_to_batches(callbacks: Iterable[tuple[str, Callback]]) -> bool:
    """Whether one of a net's callbacks is to be called for each batch."""
    return any(_listens_to_batches(callback) for _, callback in callbacks)


def _listens_to_batches(callback: Callback) -> bool:
    if isinstance(callback, LRScheduler) and callback.step_every == "epoch":
        return False
    if isinstance(callback, (Checkpoint, TrainEndCheckpoint)):
        # They look at the record of the last batch, for names of files.
        return True
    # `EpochScoring` keeps predictions there, unless the net says that there are none.
    idle = (Callback, EpochScoring)
    return any(
        getattr(type(callback), event) not in [getattr(kind, event) for kind in idle]
        for event in _BATCH_EVENTS
    )


def keep_copies(callbacks: Iterable[tuple[str, Callback]]) -> bool:
    """Whether one of a net's callbacks keeps a copy of the weights, or has read one."""
    # Only some of skorch's have `load_best`, and so may anybody's.
    return any(
        getattr(callback, "load_best", False) or isinstance(callback, LoadInitState)
        for _, callback in callbacks
    )


# Seconds between two states of a bar, on a screen and in a file, which keeps them all.
_INTERVAL, _INTERVAL_OF_LOGS = 0.1, 10.0


def show_epochs(total: int, title: str, stays: bool = True) -> std.tqdm:
    """Open a bar over epochs, with the time left; one that does not stay is wiped."""
    # It warns of notebooks without widgets, which is for those who asked for a bar.
    from tqdm import auto

    is_text = auto.notebook_tqdm is std.tqdm
    is_log = is_text and not getattr(sys.stderr, "isatty", bool)()
    return auto.tqdm(
        total=total,
        desc=title,
        unit="epoch",
        leave=stays,
        mininterval=_INTERVAL_OF_LOGS if is_log else _INTERVAL,
    )


@dataclass(eq=False, repr=False)
class ProgressBar(Callback):
    """One bar over the epochs, with the objective and the time left."""

    total: int
    title: str
    stays: bool = True

    bar_ = None

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Open the bar."""
        self.bar_ = show_epochs(self.total, self.title, self.stays)

    def on_epoch_end(self, net, **kwargs):
        """Show the objective of the epoch that has ended."""
        loss = f"{net.history[-1]['train_loss']:.4g}"
        # Shown as often as the bar is, not once an epoch.
        self.bar_.set_postfix(loss=loss, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Close the bar, also when training fails."""
        if self.bar_ is not None:
            self.bar_.close()


@dataclass(eq=False, repr=False)
class TaskCallbacks(Callback):
    """Tell the callbacks that scikit-learn's `set_callbacks` sets of every epoch.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        That of the whole fit.
    estimator : estimator
    data : dict
        The X and y that the estimator's `fit` was given.
    attributes : callable
        Answers the fitted attributes that the estimator would have now.
    """

    context: Any
    estimator: Any
    data: dict[str, Any]
    attributes: Callable[[], dict[str, Any]]

    def on_epoch_begin(self, net, **kwargs):
        """Open the epoch's task."""
        self.task_ = self.context.subcontext(task_name="epoch")
        self.task_.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, net, **kwargs):
        """Close the epoch's task; a callback may ask to stop."""
        if self.task_.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=self.attributes,
        ):
            raise TrainingStop
