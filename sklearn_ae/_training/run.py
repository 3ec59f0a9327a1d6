"""One training run: from an estimator's parameters and rows to a trained model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch

from sklearn_ae._compute.devices import resolve_device
from sklearn_ae._compute.seeds import draw_seed, make_generator
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.moments import Moments, moments
from sklearn_ae._data.rows import Array, RowSource
from sklearn_ae._data.targets import TargetRows
from sklearn_ae._layers.dense import LayerWeights, write_layers
from sklearn_ae._nets.autoencoder import copy_module, set_precision
from sklearn_ae._nets.fitted import Model
from sklearn_ae._objective.specs import net_parameters
from sklearn_ae._training.batches import batch_size_for
from sklearn_ae._training.callbacks import ProgressBar, TaskCallbacks, copy_callbacks
from sklearn_ae._training.divergence import Suspects
from sklearn_ae._training.net import AutoencoderNet
from sklearn_ae._training.optimizers import uses_all_rows
from sklearn_ae._training.state import keep_state, load_weights, restore_state


@dataclass
class Outcome:
    """What a training run leaves behind.

    Attributes
    ----------
    model : Model
    history : list of dict
        A record per epoch.
    loss : float or None
        The objective of weights that no epoch has trained; None where none are worth
        keeping, as an interrupt came before the first step.
    """

    model: Model
    history: list[dict[str, Any]]
    loss: float | None

    @property
    def is_usable(self) -> bool:
        """Whether there are weights to keep."""
        return bool(self.history) or self.loss is not None


def fitted_attributes(outcome: Outcome, earlier: Any) -> dict[str, Any]:
    """Answer the public attributes that tell of the training.

    Parameters
    ----------
    outcome : Outcome
    earlier : estimator or None
        The estimator whose earlier epochs the run has continued.
    """
    rows = outcome.history
    history = [*(earlier.history_ if earlier is not None else []), *rows]
    validated = [row for row in history if "valid_loss" in row]
    kept = min(
        (row for row in rows if "valid_loss" in row),
        key=lambda row: row["valid_loss"],
        default=rows[-1] if rows else {"train_loss": outcome.loss},
    )
    return {
        "_model": outcome.model,
        "history_": history,
        "n_iter_": outcome.model.n_epochs,
        "loss_": kept["train_loss"],
        "loss_curve_": [row["train_loss"] for row in history],
        "loss_terms_": _by_name(history, "terms", 0.0),
        "validation_scores_": [-row["valid_loss"] for row in validated] or None,
        **{
            f"{name}_": curve
            for name, curve in _by_name(history, "figures", math.nan).items()
        },
    }


def _by_name(
    history: list[dict[str, Any]], key: str, absent: float
) -> dict[str, list[float]]:
    """Answer a curve for each name that an entry of the records has in any epoch."""
    parts = [row.get(key, {}) for row in history]
    names = {name: None for part in parts for name in part}
    return {name: [part.get(name, absent) for part in parts] for name in names}


@dataclass
class Start:
    """What pretraining leaves behind.

    Attributes
    ----------
    seed : int
        Where the fit's streams of random numbers start.
    trained : list of tuple of LayerWeights and list of float
        From the data inwards, each with its loss per epoch; an interrupt leaves those
        that have been trained by then.
    """

    seed: int
    trained: list[tuple[LayerWeights, list[float]]] = field(default_factory=list)

    @property
    def layers(self) -> list[LayerWeights]:
        """The layers alone."""
        return [layer for layer, _ in self.trained]

    @property
    def curves(self) -> list[list[float]]:
        """The losses alone."""
        return [curve for _, curve in self.trained]


@dataclass(eq=False)
class _Parts:
    """Rows to train on and, with early stopping, those held out."""

    kept: RowSource
    held_out: RowSource | None = None


@dataclass
class TrainingRows:
    """Checked rows, and what all fits to them that differ in weights only can share.

    Attributes
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
    seen : dict
        The attributes that a fitted estimator has besides its model.
    row_shape : tuple of int or None, default=None
        The shape of a row in X; None of a vector.
    targets : ndarray of shape (n_samples,) or TargetRows, default=None
        The numbers of the rows' classes, or what is to be answered for them, where
        training looks at them.
    """

    X: Array
    seen: dict[str, Any]
    row_shape: tuple[int, ...] | None = None
    targets: np.ndarray | TargetRows | None = None
    _moments: dict[Any, Moments] = field(default_factory=dict)
    _sources: dict[Any, RowSource] = field(default_factory=dict)
    # Those of a seed last as long as a run that has them: there may be many seeds.
    _parts: WeakValueDictionary[Any, _Parts] = field(
        default_factory=WeakValueDictionary
    )

    def moments(self, may_miss: bool, **options: bool) -> Moments:
        """Answer the moments of the rows and of their targets, see `moments`."""
        key = (may_miss, *sorted(options.items()))
        if key not in self._moments:
            found = moments(self.X, may_miss=may_miss, **options)
            if isinstance(self.targets, TargetRows):
                target = moments(self.targets.rows, **options)
                shape = self.targets.shape
                found = replace(found, target=target, target_shape=shape)
            self._moments[key] = found
        return self._moments[key]

    def moments_for(self, estimator: Any, continues: bool = False) -> Moments:
        """Answer the moments that an estimator's net begins with, or goes on from.

        Raises
        ------
        ValueError
            If its loss has no meaning for the rows.
        """
        loss = estimator._loss()
        found = self.moments(
            may_miss=estimator._accepted().missing,
            continues=continues,
            with_medians=loss.uses_medians,
        )
        answered = found.answered
        loss.check_range(float(answered.low.min()), float(answered.high.max()))
        if not continues:
            answered = loss.standardized(answered)
            is_row = found.target is None
            found = answered if is_row else replace(found, target=answered)
        return replace(found, class_count=self.seen.get("class_count_"))

    def parts(self, estimator: Any, model: Model) -> _Parts:
        """Answer the rows to train on and, with early stopping, those held out."""
        known, device = model.moments, model.device
        dtype = next(model.module.parameters()).dtype
        whole = (known.shift.tobytes(), known.scale, known.has_missing, dtype, device)
        if known.target is not None:
            whole += (known.target.shift.tobytes(), known.target.scale)
        if whole not in self._sources:
            source = rows_for(self.X, known, device, dtype)
            if isinstance(self.targets, TargetRows):
                rows = self.targets.rows
                source.targets = rows_for(rows, known.target, device, dtype)
            elif self.targets is not None:
                source.targets = torch.from_numpy(self.targets).to(device)
            self._sources[whole] = source
        if not estimator.early_stopping:
            return _Parts(self._sources[whole])
        key = (*whole, estimator.validation_fraction, model.seed)
        parts = self._parts.get(key)
        if parts is None:
            parts = self._parts[key] = _split(self._sources[whole], *key[-2:])
        return parts


class Run:
    """A training run: it is set up, the net trains, and something is left of it.

    Parameters
    ----------
    estimator : BaseAutoencoder
        With valid parameters.
    rows : TrainingRows
    previous : Model or None, default=None
        What training goes on from; it stays as it is.
    one_pass : bool, default=False
        Whether to go once through the rows, in their order (`partial_fit`).
    task : tuple, default=None
        The context of scikit-learn's callbacks, and the data that they are shown.
    start : Start, default=None
        What pretraining has left behind.
    known : Moments, default=None
        What shift and scale are taken from instead of the rows.
    title : str, default=None
        What the progress bar of a part of a fit is called.

    Attributes
    ----------
    derived : dict or None
        What the estimator has computed from the trained net, once it has begun to.
    """

    def __init__(
        self,
        estimator: Any,
        rows: TrainingRows,
        previous: Model | None = None,
        *,
        one_pass: bool = False,
        task: tuple[Any, dict[str, Any]] | None = None,
        start: Start | None = None,
        known: Moments | None = None,
        title: str | None = None,
    ) -> None:
        self.estimator, self.rows, self.start = estimator, rows, start
        self.keeps_state = one_pass or estimator.warm_start
        with one_thread():
            model = _start_model(estimator, rows, previous, start, known)
            # Kept: the rows know them only as long as someone has them.
            self.parts = rows.parts(estimator, model)
            self.source, validation = self.parts.kept, self.parts.held_out
            if previous is None:
                _start_prior(model, self.source)
            n_rows = len(self.source)
            net = _build_net(
                estimator, model, rows.seen, n_rows, validation, one_pass, title
            )
        if previous is not None:
            restore_state(net, previous.training_state)
        if task is not None:
            context, data = task
            snapshot = _snapshot(model, rows.seen)
            watcher = TaskCallbacks(context, estimator, data, snapshot)
            net.callbacks_.append(("task", watcher))
        self.model, self.net = model, net
        self.derived: dict[str, Any] | None = None
        self._n_epochs_before = model.n_epochs
        self._outcome: Outcome | None = None

    @property
    def is_due(self) -> bool:
        """Whether the net has epochs to train."""
        return bool(self.net.max_epochs)

    def train(self) -> Run:
        """Train the net."""
        if self.is_due:
            self.net.partial_fit(self.source)
        return self

    def outcome(self) -> Outcome:
        """Answer what is left of the run, also where an interrupt has ended it."""
        if self._outcome is None:
            with one_thread():
                self._outcome = self._look_back()
        return self._outcome

    def _look_back(self) -> Outcome:
        # An interrupt may end it, too: what it does can be done twice.
        net, model, start = self.net, self.model, self.start
        net.settle()
        history = _whole_epochs(net)
        loss = None
        if not torch.isfinite(net.flat_.vector).all():
            history = []
        elif start and start.layers and not history:
            loss = net.objective_of(self.source)
        model.n_epochs = self._n_epochs_before + len(history)
        if self.keeps_state:
            model.training_state = keep_state(net)
        net.flat_.release()
        set_precision(model.module, torch.float32).eval()
        return Outcome(model, history, loss)


def rows_for(
    X: Array,
    known: Moments,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> RowSource:
    """Answer a source of rows, standardised by what is known of them."""
    return RowSource(X, known.shift, known.scale, dtype, device, known.has_missing)


def _whole_epochs(net: AutoencoderNet) -> list[dict[str, Any]]:
    """List the records of the epochs, without those of their batches."""
    whole = [
        {name: value for name, value in row.items() if name != "batches"}
        for row in net.history
        # An interrupt may leave a last record without a loss.
        if "train_loss" in row
    ]
    # It may also come where training has just diverged.
    return whole if all(math.isfinite(row["train_loss"]) for row in whole) else []


def _start_model(
    estimator: Any,
    rows: TrainingRows,
    previous: Model | None,
    start: Start | None,
    known: Moments | None,
) -> Model:
    """Build the module that is to be trained, with the weights to start from."""
    device = resolve_device(estimator.device)
    found = known or rows.moments_for(estimator, continues=previous is not None)
    if previous is None:
        seed = start.seed if start else draw_seed(estimator.random_state)
        n_epochs, row_shape = 0, rows.row_shape
    else:
        found = previous.moments.continued(found)
        seed, n_epochs = previous.seed, previous.n_epochs
        # Vectors say nothing of a shape.
        row_shape = previous.row_shape or rows.row_shape
    module = estimator._build_module(row_shape, found, seed)
    module.rehearse(estimator.n_components)
    if previous is not None:
        trained = previous.module
        is_same = module.row_shape == trained.row_shape
        load_weights(module, dict(trained.named_parameters()), "net", is_same)
    elif start is not None:
        write_layers(module, start.layers)
    # The line search compares objectives that differ by less than float32 can show.
    dtype = torch.float64 if uses_all_rows(estimator.optimizer) else torch.float32
    set_precision(module, dtype).to(device)
    model = Model(module, device, found, estimator.n_components, seed, n_epochs)
    model.row_shape, model.parameters = row_shape, net_parameters(estimator)
    return model


def _start_prior(model: Model, source: RowSource) -> None:
    """Show the prior some rows to train on, if it starts from any."""
    prior = model.module.prior
    if prior is not None and prior.n_starting_rows:
        generator = make_generator(model.seed, "rows that the prior starts from")
        chosen = torch.randperm(len(source), generator=generator)
        chosen = chosen[: prior.n_starting_rows]
        rows = source.subset(chosen.sort().values.numpy())[:]
        prior.start_from(rows.cpu().nan_to_num(0.0), generator)


def _build_net(
    estimator: Any,
    model: Model,
    seen: dict[str, Any],
    n_rows: int,
    validation: RowSource | None,
    one_pass: bool,
    title: str | None,
) -> AutoencoderNet:
    callbacks = copy_callbacks(estimator.callbacks)
    max_epochs = 1 if one_pass else estimator.max_epochs
    if estimator.verbose:
        name = title or type(estimator).__name__
        callbacks.append(ProgressBar(max_epochs, name, stays=title is None))
    return estimator._build_net(
        model,
        seen,
        validation=validation,
        seed=model.seed,
        shuffles=not one_pass,
        epochs_before=model.n_epochs,
        optimizer=estimator.optimizer,
        lr=estimator.learning_rate,
        schedule=None if one_pass else estimator.learning_rate_schedule,
        max_epochs=max_epochs,
        batch_size=batch_size_for(estimator.batch_size, n_rows),
        tol=estimator.tol,
        n_iter_no_change=estimator.n_iter_no_change,
        spread=estimator._output_spread(model.row_shape, model.moments),
        suspects=Suspects(estimator.get_params(), model.moments),
        callbacks=callbacks,
        device=str(model.device),
    ).initialize()


def count_held_out(n_rows: int, fraction: float) -> int:
    """Answer how many rows early stopping holds out, if enough are left."""
    n_held_out = math.ceil(fraction * n_rows)
    if n_rows - n_held_out < 2:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} leaves "
            f"{n_rows - n_held_out} of {n_rows} rows to train on; it needs at least 2. "
            "Pass more rows, or set early_stopping=False."
        )
    return n_held_out


def _split(source: RowSource, fraction: float, seed: int) -> _Parts:
    n_rows = len(source)
    n_held_out = count_held_out(n_rows, fraction)
    generator = make_generator(seed, "validation split")
    order = torch.randperm(n_rows, generator=generator).numpy()
    held_out, kept = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
    return _Parts(source.subset(kept), source.subset(held_out))


def _snapshot(model: Model, attributes: dict[str, Any]):
    """Answer what makes a fitted estimator of the weights at the time of the call."""

    def answer() -> dict[str, Any]:
        module = set_precision(copy_module(model.module), torch.float32).eval()
        for parameter in module.parameters():
            parameter.grad = None
        return {
            **attributes,
            "_model": replace(model, module=module, _twins={}),
        }

    return answer
