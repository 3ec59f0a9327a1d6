"""The skorch net: whole batches from one tensor, one look at the loss per epoch."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from torch import Tensor, nn

from sklearn_ae._compute.threads import threads_for
from sklearn_ae._data.rows import Batch, RowSource, is_finite, slice_size
from sklearn_ae._layers.dense import output_factors
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._training import dense_gradient
from sklearn_ae._training.batches import Batches, Streams, TermSums
from sklearn_ae._training.callbacks import TrainingStop, listen_to_batches
from sklearn_ae._training.divergence import Suspects
from sklearn_ae._training.optimizers import (
    PLANNED_SCHEDULES,
    FlatParameters,
    make_optimizer,
    make_schedule,
    on_all_rows,
    scaled_update,
    step_schedule,
)
from sklearn_ae.exceptions import DivergenceError


class AutoencoderNet(NeuralNet):
    """Trains an `AutoencoderModule` on a `RowSource`.

    It departs from `skorch.NeuralNet` where that costs time or hides a failure: it
    slices batches instead of fetching rows, keeps sums of the terms on the device and
    reads them once an epoch, lets Ctrl-C through, and raises when training diverges.
    History, `notify` and the order of events are skorch's, so callbacks work.

    Parameters
    ----------
    module : AutoencoderModule
    validation : RowSource or None
        Held-out rows. With them training stops early and the best weights are kept.
    seed : int
        Where everything random comes from.
    shuffles : bool, default=True
        Whether the order of the rows is random.
    generator_states : dict of str to Tensor, default=None
        Where the generators of an earlier fit have stopped.
    epochs_before : int
        Epochs that this seed has served in earlier fits of the same model.
    spread : ndarray of shape (n_units,), default=None
        Deviations that units of the output layer stand for, in units of the scale; None
        where they are all 1.
    suspects : Suspects, default=None
        What may be at fault if training diverges.
    optimizer, lr, schedule, max_epochs, batch_size, tol, n_iter_no_change, callbacks
        The estimator's parameters.
    """

    def __init__(
        self,
        module: AutoencoderModule,
        *,
        validation: RowSource | None = None,
        seed: int = 0,
        shuffles: bool = True,
        generator_states: dict[str, Tensor] | None = None,
        epochs_before: int = 0,
        schedule: Any = None,
        tol: float = 0.0,
        n_iter_no_change: int = 10,
        spread: np.ndarray | None = None,
        suspects: Suspects | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            module, criterion=nn.Identity, train_split=None, verbose=0, **options
        )
        self.use_caching = False
        self.validation = validation
        self.seed = seed
        self.shuffles = shuffles
        self.generator_states = generator_states
        self.epochs_before = epochs_before
        self.schedule = schedule
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.spread = spread
        self.suspects = suspects

    # The loop.

    def partial_fit(
        self, X: RowSource, y: Any = None, classes: Any = None, **fit_params: Any
    ) -> AutoencoderNet:
        """Train on, and let an interrupt through, unlike skorch."""
        if not self.initialized_:
            self.initialize()
        with threads_for(self.work(X)):
            try:
                self.begin_training(X, y)
                self.fit_loop(X, y)
            finally:
                self.end_training(X, y)
        return self

    def fit_loop(
        self, X: RowSource, y: Any = None, epochs: int | None = None, **fit_params: Any
    ) -> AutoencoderNet:
        """Train for `max_epochs`, or until nothing improves any more."""
        goes_on = True
        while goes_on:
            self.begin_epoch()
            self._run_epoch()
            goes_on = self.end_epoch()
        return self

    def begin_epoch(self) -> None:
        """Begin the next epoch."""
        self.began_ = time.perf_counter()
        self.sums_ = TermSums()
        self.module_.begin_epoch(self.epochs_before + len(self.history))
        self.notify("on_epoch_begin", **self._datasets)
        if self.is_in_first_epoch:
            self.first_terms_ = self.sums_.firsts

    @property
    def is_in_first_epoch(self) -> bool:
        """Whether no epoch of this fit came before the one that runs."""
        return len(self.history) == self.n_loaded_ + 1

    def _run_epoch(self) -> None:
        batches = self.batches_
        try:
            if self.on_all_rows_:
                self.exhausted_ = self.on_all_rows_.epoch(self, batches, self.sums_)
                # Callbacks may look at the record of the last batch.
                self.history.new_batch()
                self.history.record_batch("train_batch_size", len(batches.source))
            else:
                self._take_steps(batches, self.sums_)
        finally:
            # Also when interrupted: the rows so far are what this epoch has seen.
            self._record_epoch()
        self.history.record("train_batch_count", len(batches))

    def _take_steps(self, batches: Batches, sums: TermSums) -> None:
        """Take a step on each batch; callbacks are called only if they listen."""
        factors = self.flat_.spread(self.output_factors())
        update = scaled_update(self.optimizer_, factors)
        gradient, complete = self.gradient_, self.streams_.batch
        has_missing = batches.source.has_missing
        watched = listen_to_batches(self.callbacks_)
        self.module_.train()
        for pair in batches:
            if watched:
                self.notify("on_batch_begin", batch=pair, training=True)
            batch = complete(*pair, has_missing)
            terms = gradient(batch)
            if watched:
                self._notify_gradient(pair)
            update()
            sums.add(terms, len(batch.x))
            if watched:
                self.history.record_batch("train_batch_size", len(batch.x))
                self.notify("on_batch_end", batch=pair, training=True, y_pred=None)

    def _autograd(self, batch: Batch) -> dict[str, Tensor]:
        self.flat_.zero_gradient()
        # Someone may have turned gradients off.
        with torch.enable_grad():
            terms = self._terms(batch)
            sum(terms.values()).backward()
        return {name: term.detach() for name, term in terms.items()}

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        """Answer the terms of the objective of a batch."""
        return self.module_.objective(batch)

    def end_epoch(self) -> bool:
        """Look at the epoch that has been recorded; answer whether there is another.

        Raises
        ------
        DivergenceError
            If the objective or the weights are not finite.
        """
        self._check_finite()
        self._validate()
        self.history.record("dur", time.perf_counter() - self.began_)
        try:
            self.notify("on_epoch_end", **self._datasets)
        except TrainingStop:
            return self._stop("callbacks")
        objective, least_gain = self._monitored(), self._least_gain()
        step_schedule(self.schedule_, objective, least_gain)
        if self._has_converged(objective, least_gain):
            return self._stop("optimizer" if self.exhausted_ else "n_iter_no_change")
        if len(self.history) - self.n_loaded_ < self.max_epochs:
            return True
        if self.validation is not None:
            warnings.warn(
                f"Early stopping did not stop within max_epochs={self.max_epochs}; "
                "the best weights so far are kept.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self._stop("max_epochs")

    def _stop(self, parameter: str) -> bool:
        """Write down which parameter has ended the training; answer that it ends."""
        # A single pass, that of `partial_fit`, is over when it is over.
        if self.shuffles:
            self.history.record("stopped_by", parameter)
        return False

    def _validate(self) -> None:
        if self.validation is None:
            return
        loss = self.objective_of(self.validation)
        if loss < self.least_.get("valid_loss", math.inf):
            weights = [vector.detach().clone() for vector in self._vectors()]
            # Until the loss is in the history, which an interrupt may prevent, those
            # before are the best.
            self.kept_ = [*self.kept_[-1:], (len(self.history), weights)]
        self._record_loss("valid_loss", loss)

    def _has_converged(self, objective: float, least_gain: float) -> bool:
        """Whether `n_iter_no_change` epochs brought less than what counts as a gain.

        A schedule that is planned over `max_epochs` is not cut short by the training
        objective: that it stands still at a high learning rate says nothing. Nor is an
        optimizer that tells by itself when nothing is left to gain.
        """
        if self.epochs_before + len(self.history) <= self.module_.n_warmup_epochs:
            # The objective is on its way up to what it is to be.
            return False
        if self.exhausted_:
            return True
        ends_itself = self.on_all_rows_ is not None and self.on_all_rows_.ends_itself
        is_planned = ends_itself or self.schedule in PLANNED_SCHEDULES
        if self.validation is None and is_planned:
            return False
        if objective < self.best_ - least_gain:
            self.best_, self.waited_ = objective, 0
        else:
            self.waited_ += 1
        return self.waited_ >= self.n_iter_no_change

    # The record of it.

    def record(self, averages: dict[str, float]) -> None:
        """Write the mean terms of the epoch's batches into the history."""
        terms = self._in_data_units(averages)
        self.history.record("terms", terms)
        self._record_loss("train_loss", sum(terms.values()))

    def _in_data_units(self, averages: dict[str, float]) -> dict[str, float]:
        terms = {name: mean * self.unit_ for name, mean in averages.items()}
        if "reconstruction" in terms:
            terms["reconstruction"] += self.floor_
        return terms

    def _record_loss(self, name: str, loss: float) -> None:
        is_best = loss < self.least_.get(name, math.inf)
        self.history.record(name, loss)
        self.history.record(f"{name}_best", is_best)
        if is_best:
            self.least_[name] = loss

    def _record_epoch(self) -> None:
        if any(self.sums_.n_rows) and "train_loss" not in self.history[-1]:
            self.record(*self.sums_.averages())

    def _check_finite(self) -> None:
        loss = self.history[-1]["train_loss"]
        if not (math.isfinite(loss) and is_finite(self.flat_.vector.detach())):
            raise DivergenceError(
                f"Training diverged in epoch {len(self.history)}: the objective is "
                f"{loss}. {self.suspects.fault_of(self)}"
            )

    def _monitored(self, epoch: int = -1) -> float:
        row = self.history[epoch]
        return row["train_loss" if self.validation is None else "valid_loss"]

    def _least_gain(self) -> float:
        """Answer what counts as a gain: `tol` of what there was to gain at first.

        Beside a kernel's density all of that may be next to nothing.
        """
        return self.tol * abs(self._monitored(0) - self.floor_)

    def objective_of(self, source: RowSource) -> float:
        """Answer the mean objective of rows, with noise that is always the same."""
        self.module_.eval()
        sums = TermSums()
        # The same noise each time: epochs are compared.
        streams = self._make_streams("validation")
        self.sum_terms(self.get_iterator(source), streams, sums)
        return sum(self._in_data_units(*sums.averages()).values())

    def sum_terms(self, batches: Batches, streams: Streams, sums: TermSums) -> None:
        """Add up the terms of the objective over batches, without gradients."""
        with torch.no_grad():
            for pair in batches:
                batch = streams.batch(*pair, batches.source.has_missing)
                sums.add(self._terms(batch), len(batch.x))

    # What comes before the first epoch, and after the last.

    def initialize_module(self) -> AutoencoderNet:
        """Take the module as it is, its parameters moved into one vector."""
        self.module_ = self.module
        self.flat_ = FlatParameters(self.module_)
        # Ctrl-C may come before the training has begun.
        self.sums_, self.kept_ = TermSums(), []
        # Asked for after each epoch, by each net of a group.
        self.unit_, self.floor_ = self.module_.unit, self.module_.floor
        return self

    def initialize_optimizer(self, triggered_directly: Any = None) -> AutoencoderNet:
        """Build the optimizer and the function that writes gradients."""
        self.optimizer_ = make_optimizer(
            self.optimizer, self.flat_, self.module_.parameters(), self.lr
        )
        self.on_all_rows_ = on_all_rows(self.optimizer_)
        self.gradient_ = (
            dense_gradient.DenseGradient(self.module_)
            if dense_gradient.supports(self.module_)
            else self._autograd
        )
        self.n_loaded_ = 0
        self._start_streams(0)
        return self

    def output_factors(self) -> list[tuple[nn.Parameter, Tensor]]:
        """List weights of the output layer, and what their steps are multiples of."""
        return output_factors(self.module_.decoder, self.spread)

    def work(self, X: RowSource) -> float:
        """Answer about how many multiplications a batch of rows takes."""
        n_rows = min(len(X), self.get_iterator(X, training=True).batch_size)
        return 3.0 * n_rows * self.module_.n_products

    def begin_training(self, X: RowSource, y: Any = None) -> None:
        """Get ready for the first epoch on the rows of a source.

        What a group of nets does for all of them, an epoch at a time, is what comes
        between `begin_epoch` and `end_epoch`: everything else is each net's own.
        """
        self.source_ = X
        self.streams_.restore(self.generator_states or {})
        self.best_, self.kept_, self.waited_ = math.inf, [], 0
        self.least_: dict[str, float] = {}
        self.exhausted_ = False
        self.history.clear()
        self.notify("on_train_begin", X=X, y=y)
        self._go_on_from_checkpoint()
        self.batches_ = self.get_iterator(X, training=True)
        self.schedule_ = make_schedule(
            self.schedule, self.optimizer_, self.max_epochs, self.n_iter_no_change
        )

    def _go_on_from_checkpoint(self) -> None:
        """Count the epochs of a history that a callback has loaded, if one has."""
        if self.epochs_before:
            # They are those of the earlier fit, which have been counted.
            self.history.clear()
        self.n_loaded_ = len(self.history)
        if self.n_loaded_:
            self._start_streams(self.n_loaded_)
        for name in ("train_loss", "valid_loss"):
            losses = [row[name] for row in self.history if name in row]
            if losses:
                self.least_[name] = min(losses)

    def _start_streams(self, epoch: int) -> None:
        """Let the streams of random numbers begin with an epoch of this fit."""
        self.streams_ = self._make_streams("training", self.epochs_before + epoch)

    def _make_streams(self, use: str, epoch: int = 0) -> Streams:
        parts = self.module_.random_parts()
        return Streams(parts, self.seed, use, epoch, self.flat_.vector.device)

    def end_training(self, X: RowSource, y: Any = None) -> None:
        """Keep the best weights, and nothing of the rows."""
        try:
            self.notify("on_train_end", X=X, y=y)
        finally:
            self.settle()
            self.source_ = self.validation = None
            self.batches_ = self.schedule_ = None

    def settle(self) -> None:
        """Finish the record of the last epoch, and go back to the best weights.

        An interrupt can come at any point of it, or of what it finishes: the next call
        does the rest.
        """
        self._record_epoch()
        n_validated = sum("valid_loss" in row for row in self.history)
        best = [weights for epoch, weights in self.kept_ if epoch <= n_validated]
        if best:
            for vector, weights in zip(self._vectors(), best[-1], strict=True):
                vector.data.copy_(weights)
        self.kept_ = []

    def _vectors(self) -> list[Tensor]:
        """List the vectors of all that is trained."""
        return [self.flat_.vector]

    def own_state(self) -> dict[str, Any]:
        """Answer what a later fit needs to go on, beside the optimizer's state."""
        return {}

    def restore_own_state(self, kept: dict[str, Any], is_same_kind: bool) -> None:
        """Go on from what `own_state` of an earlier fit has answered."""

    # What skorch and its callbacks ask.

    @property
    def _default_callbacks(self) -> list[Any]:
        return []

    def get_dataset(self, X: Any, y: Any = None) -> RowSource:
        """Answer the rows as a source; an array is standardised like training rows."""
        return X if isinstance(X, RowSource) else self.source_.like(X)

    def get_iterator(self, dataset: RowSource, training: bool = False) -> Batches:
        """Answer the batches of a source, in random order for training."""
        if not training or self.on_all_rows_:
            n_rows = slice_size(self.module_.objective_width)
            return Batches(dataset, n_rows, seed=None)
        seed = self.seed if self.shuffles else None
        epoch = self.epochs_before + self.n_loaded_
        return Batches(dataset, self.batch_size, seed, epoch)

    def infer(self, x: Tensor, **fit_params: Any) -> Tensor:
        """Reconstruct standardised rows, in data units."""
        return self.module_.reconstruct_standardized(x)

    def score(self, X: Any, y: Any = None) -> float:
        """Answer the negative objective, for `EpochScoring(None)`."""
        return -self.objective_of(self.get_dataset(X))

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks; skorch's early stopping asks by an interrupt."""
        getattr(self, method_name)(self, **cb_kwargs)
        stop = False
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except TrainingStop:
                stop = True
            except KeyboardInterrupt:
                if not isinstance(callback, EarlyStopping):
                    raise
                stop = True
        if stop:
            raise TrainingStop

    def _notify_gradient(self, batch: tuple[Tensor]) -> None:
        self.notify(
            "on_grad_computed",
            named_parameters=list(self.get_all_learnable_params()),
            batch=batch,
            training=True,
        )

    @property
    def _datasets(self) -> dict[str, RowSource | None]:
        return {"dataset_train": self.source_, "dataset_valid": self.validation}
