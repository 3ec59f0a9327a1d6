"""Weights to start from: the layers of a deep net, trained one by one.

Each layer is trained on the codes of the layer below. The encoder gets its weights, and
the decoder their transposes (Hinton and Salakhutdinov 2006, Bengio et al. 2007).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._compute.devices import resolve_device
from sklearn_ae._compute.seeds import derive_seed, make_generator
from sklearn_ae._compute.threads import threads_for
from sklearn_ae._data.moments import Moments, Units, moments
from sklearn_ae._data.rows import Array, row_slices
from sklearn_ae._layers.dense import LayerWeights, Stage, read_layer
from sklearn_ae._training.batches import Batches, batch_size_for
from sklearn_ae._training.boltzmann import UNITS, BoltzmannMachine
from sklearn_ae._training.callbacks import copy_callbacks, show_epochs
from sklearn_ae._training.optimizers import (
    FlatParameters,
    make_optimizer,
    make_schedule,
)
from sklearn_ae._training.run import Run, Start, TrainingRows, count_held_out, rows_for


def _stages(estimator: Any, known: Moments) -> Iterator[Stage]:
    inner = estimator._checked_hidden_layer_sizes()
    widths = [*inner, estimator.n_components]
    names = [estimator.activation] * len(inner)
    names.append(estimator._resolved_code_activation())
    loss = estimator._loss()
    output = 1.0 if loss.bounded else known.scale
    # The rows of the first layer are those of the net, in units of their own.
    outer = Units(loss.unit(known), known.scale, output)
    for index, (width, name) in enumerate(zip(widths, names, strict=True)):
        below, units = (names[index - 1], outer) if index else (None, Units())
        yield Stage(index, width, name, below, index == len(inner), known, units)


def pretrain(
    estimator: Any, rows: TrainingRows, start: Start, one_pass: bool = False
) -> None:
    """Train the layers of an estimator's net.

    Parameters
    ----------
    estimator : BaseAutoencoder
        With valid parameters.
    rows : TrainingRows
    start : Start
        Gets each layer when it is trained.
    one_pass : bool, default=False
        Whether the net is then to go once through the rows (`partial_fit`).

    Raises
    ------
    ValueError
        If the parameters do not allow it, or would not allow what comes after it.
    """
    estimator._check_pretraining()
    with threads_for(math.inf):
        known = rows.moments_for(estimator)
        _rehearse(estimator, rows.X.shape[0], known, start.seed, one_pass)
        _train_layers(estimator, rows.X, known, start)


def _rehearse(
    estimator: Any, n_rows: int, known: Moments, seed: int, one_pass: bool
) -> None:
    """Build what the whole net is going to be trained with, and drop it.

    Mistakes in parameters come to light before hours of pretraining, not after. It
    draws from no stream that goes on, and callbacks are copied, not initialised.
    """
    copy_callbacks(estimator.callbacks)
    if estimator.early_stopping:
        count_held_out(n_rows, estimator.validation_fraction)
    module = estimator._build_module(None, known, seed)
    flat, rate = FlatParameters(module), estimator.learning_rate
    optimizer = make_optimizer(estimator.optimizer, flat, module.parameters(), rate)
    if estimator.max_epochs and not one_pass:
        make_schedule(
            estimator.learning_rate_schedule,
            optimizer,
            estimator.max_epochs,
            estimator.n_iter_no_change,
        )


def _train_layers(estimator: Any, X: Array, known: Moments, start: Start) -> None:
    train_layer = {"greedy": _autoencoder_layer, "rbm": _machine_layer}
    for stage in _stages(estimator, known):
        if stage.index:
            # As they are: between layers of a net nothing is shifted or scaled.
            known = moments(X, with_medians=estimator._loss().uses_medians)
            none = np.zeros(X.shape[1])
            known = replace(known, shift=none, scale=1.0, deviation=None)
        method = train_layer[estimator.pretraining]
        layer, curve, X = method(estimator, stage, X, known, start.seed)
        start.trained.append((layer, curve))


def _autoencoder_layer(
    estimator: Any, stage: Stage, X: Array, known: Moments, seed: int
) -> tuple[LayerWeights, list[float], np.ndarray]:
    """Train a shallow autoencoder of the same kind, with tied weights."""
    shallow = estimator._shallow_copy(stage)
    shallow.random_state = derive_seed(seed, "pretraining", stage.index) % 2**31
    title = _title(estimator, stage)
    known = replace(known, class_count=None)
    run = Run(shallow, TrainingRows(X, {}), known=known, title=title).train()
    outcome = run.outcome()
    curve = [row["train_loss"] for row in outcome.history]
    return read_layer(outcome.model.module), curve, outcome.model.encode(X)


def _title(estimator: Any, stage: Stage) -> str:
    return f"{type(estimator).__name__}, layer {stage.index + 1}"


def _spread(estimator: Any, stage: Stage, known: Moments) -> np.ndarray | None:
    """Answer what weights of the layer's visible units are multiples of."""
    if stage.index:
        return None
    return estimator._shallow_copy(stage)._output_spread(None, known)


def _watched(errors: Iterator[float], estimator: Any, stage: Stage) -> list[float]:
    """List the errors of the epochs as they come, under a bar if there is to be one."""
    if not estimator.verbose:
        return list(errors)
    seen = []
    title = _title(estimator, stage)
    with show_epochs(estimator.pretraining_epochs, title, stays=False) as bar:
        for error in errors:
            seen.append(error)
            bar.set_postfix(loss=f"{error:.4g}")
            bar.update()
    return seen


def _machine_layer(
    estimator: Any, stage: Stage, X: Array, known: Moments, seed: int
) -> tuple[LayerWeights, list[float], np.ndarray]:
    """Train a Boltzmann machine, and write it as a layer of standardised rows."""
    device = resolve_device(estimator.device)
    source = rows_for(X, known, device)
    size = batch_size_for(estimator.batch_size, len(source))
    # Rows that the loss takes for probabilities are those of binary units, as they are.
    is_probability = stage.below is None and estimator._loss().bounded
    shift, scale = torch.from_numpy(known.shift).float().to(device), known.scale

    def visible(u: Tensor) -> Tensor:
        u = u.nan_to_num(0.0) if known.has_missing else u
        return u * scale + shift if is_probability else u

    machine = BoltzmannMachine(
        X.shape[1],
        stage.n_components,
        "binary" if is_probability else UNITS[stage.below or "identity"],
        UNITS[stage.activation],
        make_generator(seed, "pretraining", stage.index, device),
        _spread(estimator, stage, known),
    )
    batches = Batches(source, size, derive_seed(seed, "pretraining", stage.index))
    weight, bias = machine.weight, machine.hidden_bias
    codes = np.empty((len(source), stage.n_components), np.float32)
    with threads_for(3.0 * min(size, len(source)) * weight.numel()):
        curve = _watched(
            machine.train(batches, visible, estimator.pretraining_epochs),
            estimator,
            stage,
        )
        for rows in row_slices(*X.shape):
            codes[rows] = machine.hidden_mean(visible(source[rows])).cpu().numpy()
        if is_probability:
            weight, bias = weight * scale, bias + weight @ shift
    layer = LayerWeights(weight, bias, machine.weight.mT, machine.visible_bias)
    return layer, curve, codes
