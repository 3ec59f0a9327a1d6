"""The module of an estimator: built from parameters by hooks, and shown."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from sklearn_ae._compute.ambient import Undisturbed
from sklearn_ae._data.checks import Accepted
from sklearn_ae._data.moments import Moments, Units, objective_weight
from sklearn_ae._data.rows import Array, value_range
from sklearn_ae._estimators.parameters import Parameters
from sklearn_ae._layers.codes import Certain, Posterior
from sklearn_ae._layers.dense import Stage, start_outputs
from sklearn_ae._nets.autoencoder import AutoencoderModule, copy_module, set_precision
from sklearn_ae._nets.base import BaseModule
from sklearn_ae._objective.losses import Loss, Reconstruction
from sklearn_ae._objective.noise import Corruption
from sklearn_ae._objective.penalties import Penalty, WeightDecay
from sklearn_ae._objective.specs import SPECS, resolve_spec
from sklearn_ae.architectures import Architecture
from sklearn_ae.architectures._own import build_parts

if TYPE_CHECKING:
    import pandas as pd

# Where one column is most of the variance, its outputs would move by several learning
# rates a step; those of digits and clothes stay below.
_LARGEST_SPREAD = 2.0


class BaseBuilder(Parameters):
    """Builds the net; a variant adds to what `super()` returns what is its own."""

    # Whether NaN stands for a missing entry.
    _may_miss = False
    _module_type = AutoencoderModule
    # The layer of another net that this one trains, if it does.
    _stage = None

    def _build_module(
        self, row_shape: tuple[int, ...] | None, moments: Moments, seed: int
    ) -> AutoencoderModule:
        """Build the initialised net, for rows that X has in a shape if in any."""
        architecture = self._checked_architecture().settled(row_shape)
        posterior = self._build_posterior()
        encoder, decoder = self._build_parts(row_shape, moments, posterior, seed)
        reconstruction = self._loss().build(self.output_activation, moments.answered)
        return self._module_type(
            encoder,
            decoder,
            reconstruction,
            self._build_penalties(self._units(reconstruction)),
            self._build_corruption(moments),
            may_miss=self._may_miss or architecture.reads_missing,
            row_shape=architecture.checked_row_shape(len(moments.mean)),
            reads_missing=architecture.reads_missing,
            posterior=posterior,
        )

    def _build_parts(
        self,
        row_shape: tuple[int, ...] | None,
        moments: Moments,
        posterior: Posterior,
        seed: int,
    ) -> tuple[nn.Module, nn.Module]:
        """Build an encoder of rows, and a decoder to what is to be answered."""
        build = partial(
            build_parts,
            hidden_layer_sizes=self._checked_hidden_layer_sizes(),
            activation=self.activation,
            code_activation=posterior.encoder_activation,
            tied_weights=self.tied_weights,
            initialization=self.initialization,
            seed=seed,
        )
        architecture = self._checked_architecture().settled(row_shape)
        outward = self._outward(row_shape, moments)
        n_features, n_outputs = len(moments.mean), len(moments.answered.mean)
        # What the encoder answers and the decoder gets may be more than the code.
        n_answers = posterior.n_answers(self.n_components)
        n_given = self.n_components + self._n_labels(moments)
        encoder, decoder = build(architecture, n_features, n_given)
        if n_answers != n_given:
            encoder, _ = build(architecture, n_features, n_answers)
        if moments.target is not None:
            _, decoder = build(outward, n_outputs, n_given)
        start = self._loss().start(moments.answered)
        if start is not None:
            start = start.reshape(outward.output_layout(n_outputs)).mean(axis=(0, 2))
        start_outputs(decoder, self._output_spread(row_shape, moments), start)
        return encoder, decoder

    def _outward(
        self, row_shape: tuple[int, ...] | None, moments: Moments
    ) -> Architecture:
        """Answer what the decoder is made of: targets may have a shape of their own."""
        if moments.target is not None:
            shape = moments.target_shape
            row_shape = shape if len(shape) > 1 else None
        return self._checked_architecture().settled(row_shape)

    def _output_spread(
        self, row_shape: tuple[int, ...] | None, moments: Moments
    ) -> np.ndarray | None:
        """Answer the deviation that each unit of the output layer stands for.

        It is in units of the scale. Where the weights read rows as well, codes begin as
        large as with equal deviations, whatever the scale is; never are they so large
        that steps spoil what is learned. None is for a single unit, for outputs that
        have no units, and where nothing is known.
        """
        outward, moments = self._outward(row_shape, moments), moments.answered
        layout = outward.output_layout(len(moments.mean))
        if moments.deviation is None or layout[1] == 1 or not self._loss().has_units:
            return None
        squares = np.square(moments.deviation / moments.scale).reshape(layout)
        squares = squares.mean(axis=(0, 2))
        if self.tied_weights and squares.any():
            squares *= squares.mean() / np.square(squares).mean()
        return np.minimum(np.sqrt(squares), _LARGEST_SPREAD)

    def _checked_architecture(self) -> Architecture:
        architecture = resolve_spec("architecture", self.architecture)
        if self.tied_weights and not architecture.supports_tied_weights:
            raise ValueError(
                "tied_weights=True does not work with "
                f"architecture={self.architecture!r}: "
                "it has no layers whose transpose is a decoder. Set "
                "tied_weights=False, or architecture='dense'."
            )
        return architecture

    def _n_labels(self, moments: Moments) -> int:
        """Answer how many numbers the decoder gets beside the code."""
        return 0

    def _build_posterior(self) -> Posterior:
        """Build what the encoder's answer says of the code."""
        return Certain(self._resolved_code_activation())

    def _resolved_code_activation(self) -> str:
        """Answer the name of the code's activation."""
        return self.code_activation

    def _loss(self) -> Loss:
        """Answer the spec of what a reconstruction costs."""
        return resolve_spec("loss", self.loss)

    def _units(self, reconstruction: Reconstruction) -> Units:
        """Answer what weights of penalties are given in."""
        scale, output = float(reconstruction.scale), reconstruction.output_scale
        own = Units(float(reconstruction.unit), scale, output)
        return own if self._stage is None else own.within(self._stage.units)

    def _build_penalties(self, units: Units) -> dict[str, Penalty]:
        """Build the further terms of the objective, by name.

        Each converts its own weight: one parameter may be the weight of several terms.
        """
        if not self.weight_decay:
            return {}
        weight = objective_weight(self.weight_decay, units.cost)
        return {"weight_decay": WeightDecay(weight=weight)}

    def _build_corruption(self, moments: Moments) -> Corruption | None:
        """Build what happens to rows before the encoder gets them in training."""
        return None

    def _shallow_copy(self, stage: Stage) -> Self:
        """Answer an autoencoder of the same kind that trains one layer of the net.

        Lengths in units of X become what they are between layers, where rows are in
        units of their scale. Weights stay: the penalties know the units of the stage.
        """
        # Without what the layer has no use for, and what may not be cloned at all.
        bare = copy.copy(self)
        bare.callbacks = bare.latent_density = None
        shallow = clone(bare)
        shallow._stage = stage
        shallow.n_components = stage.n_components
        shallow.code_activation = stage.activation
        shallow.hidden_layer_sizes, shallow.tied_weights = (), True
        shallow.pretraining, shallow.max_epochs = None, self.pretraining_epochs
        shallow.early_stopping = shallow.warm_start = False
        if stage.below is not None:
            shallow.output_activation = stage.below
            shallow.loss = self._loss().of_codes(stage.known)
        return shallow

    def _may_be_batched(self) -> bool:
        """Whether its net can train in a group with others of its shape."""
        spec = self._known_architecture()
        can_be_batched = spec is not None and spec.stackable
        return can_be_batched and not self.warm_start and not self._is_watched

    @property
    def _is_watched(self) -> bool:
        """Whether scikit-learn's callbacks are told of epochs, and may ask to stop."""
        return bool(vars(self).get("_skl_callbacks"))

    def _known_architecture(self) -> Architecture | None:
        """Answer the architecture; None while parameters are not checked, and wrong."""
        spec = self.architecture
        if isinstance(spec, str) and spec in SPECS["architecture"]:
            spec = SPECS["architecture"][spec]()
        return spec if isinstance(spec, Architecture) else None

    def _check_pretraining(self) -> None:
        """Refuse what cannot be trained layer by layer."""
        architecture = resolve_spec("architecture", self.architecture)
        if not architecture.supports_pretraining:
            raise ValueError(
                f"pretraining={self.pretraining!r} does not work with "
                f"architecture={self.architecture!r}: its layers are not dense."
            )
        if self.pretraining != "rbm":
            return
        if self._checked_hidden_layer_sizes() and self.activation != "logistic":
            raise ValueError(
                "pretraining='rbm' needs activation='logistic', the mean of binary "
                f"units, got activation={self.activation!r}."
            )
        code_activation = self._resolved_code_activation()
        if code_activation not in ("identity", "logistic"):
            raise ValueError(
                "pretraining='rbm' needs code_activation='identity' or 'logistic', got "
                f"code_activation={code_activation!r}."
            )
        loss = self._loss().name
        if loss == "multinomial" or self.output_activation not in (
            "auto",
            "logistic" if loss == "binary_cross_entropy" else "identity",
        ):
            raise ValueError(
                "pretraining='rbm' has binary units with loss='binary_cross_entropy' "
                "and Gaussian ones otherwise; it does not work with "
                f"loss={loss!r} and output_activation={self.output_activation!r}."
            )
        if self.tied_weights and loss == "binary_cross_entropy":
            # The encoder divides rows by their scale, and logits have none.
            raise ValueError(
                "pretraining='rbm' with loss='binary_cross_entropy' does not work with "
                "tied_weights=True: the decoder's weights are the machine's, and the "
                "encoder's are for standardised rows."
            )

    def _accepted(self) -> Accepted:
        spec = self._known_architecture()
        if spec is None:
            return Accepted(missing=self._may_miss)

        def row_shape(
            n_features: int, found: tuple[int, ...] | None
        ) -> tuple[int, ...] | None:
            return spec.settled(found).checked_row_shape(n_features)

        # Where NaN is a missing entry, it may be anywhere.
        is_checked = spec.reads_missing and not self._may_miss
        return Accepted(
            sparse=spec.supports_sparse,
            missing=self._may_miss or spec.reads_missing,
            row_shape=row_shape,
            check_missing=spec.check_missing if is_checked else None,
            ended=spec.ended if spec.reads_missing else None,
            advice=spec.advice,
            doubt=spec.doubt,
        )

    def _accepted_by(self, module: AutoencoderModule) -> Accepted:
        """Say what rows a trained net accepts, whose parameters may have changed."""
        shape = module.row_shape
        return replace(self._accepted(), row_shape=lambda n_features, found: shape)

    def _check_range(self, X: Array) -> None:
        """Refuse rows for which the loss has no meaning."""
        loss = self._loss()
        if loss.bounded:
            loss.check_range(*value_range(X))


class InspectionMixin(Undisturbed):
    """Gives an estimator `summary` and `to_module`."""

    def summary(self) -> pd.DataFrame:
        """List the layers of the trained net.

        Returns
        -------
        DataFrame
            A row for each layer, in the order in which rows pass through them: `layer`
            (its name in `to_module()`), `kind`, `output_shape` (of one row; None
            where another layer computes with its weights) and `n_parameters`.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_ae import Autoencoder
        >>> X, _ = load_digits(return_X_y=True)
        >>> autoencoder = Autoencoder(hidden_layer_sizes=(16,), max_epochs=1)
        >>> print(autoencoder.fit(X).summary().to_string(index=False))
            layer       kind output_shape  n_parameters
        encoder.0 DenseLayer        (16,)          1040
        encoder.1 DenseLayer         (2,)            34
        decoder.0 DenseLayer        (16,)            48
        decoder.1 DenseLayer        (64,)          1088
        """
        # Here, since it takes longer to import than the package.
        import pandas as pd

        return pd.DataFrame(_layers(self.to_module()))

    def to_module(self) -> nn.Module:
        """Answer the net as a torch module of its own, on the CPU.

        Returns
        -------
        nn.Module
            With `encode`, `decode` and `forward`, in the units of the training rows;
            it shares nothing with the estimator. Weights are float32, and so are its
            answers for float32 rows. Shift and scale are float64, which rows far from
            zero need; `module.float()` rounds them.
        """
        module = copy_module(self._fitted_model().module).cpu()
        return set_precision(module, torch.float32).requires_grad_(True)


def _layers(module: BaseModule) -> list[dict[str, Any]]:
    """Describe what has no parts, or parameters of its own, as a row passes it."""
    found: dict[str, dict[str, Any]] = {}

    counted: set[nn.Parameter] = set()
    counts: dict[str, int] = {}

    def watch(name: str, layer: nn.Module) -> Any:
        own = set(layer.parameters(recurse=False)) - counted
        counted.update(own)
        counts[name] = sum(p.numel() for p in own)

        def note(layer: nn.Module, inputs: Any, output: Any) -> None:
            output = output[0] if isinstance(output, tuple) else output
            shape = tuple(output.shape[1:])
            found[name] = _row(name, type(layer).__name__, shape, counts[name])

        return layer.register_forward_hook(note)

    hooks = [
        watch(f"{part}.{name}".rstrip("."), layer)
        for part, layers in module.named_children()
        if part in ("encoder", "decoder")
        for name, layer in layers.named_modules()
        if next(layer.children(), None) is None
        or next(layer.parameters(recurse=False), None) is not None
    ]
    try:
        with torch.no_grad():
            module.eval()(module.example(1))
    finally:
        for hook in hooks:
            hook.remove()
    # What another layer computes with, and does not call.
    for name, n_parameters in counts.items():
        if n_parameters and name not in found:
            kind = type(module.get_submodule(name)).__name__
            found[name] = _row(name, kind, None, n_parameters)
    return list(found.values())


def _row(
    name: str, kind: str, shape: tuple[int, ...] | None, n_parameters: int
) -> dict[str, Any]:
    return {
        "layer": name,
        "kind": kind,
        "output_shape": shape,
        "n_parameters": n_parameters,
    }
