"""The fast path: the gradient of a dense net written out, layer by layer.

For small nets most of a training step is bookkeeping. Here a step is a handful of calls
to torch without a tape, and the same code serves a group of models whose weights and
rows have a leading model axis. `supports` decides; autograd does everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sklearn_ae._compute.seeds import Random
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.dense import DenseLayer, SelectiveEncoder, TransposedLayer
from sklearn_ae._layers.functions import ACTIVATIONS, Activation
from sklearn_ae._objective.losses import ExplicitReconstruction
from sklearn_ae._objective.penalties import DenseStep, ExplicitPenalty


def supports(module: nn.Module) -> bool:
    """Whether the gradient of this module is written out below."""
    if not module.rebuilds_rows:
        return False
    encoder, _ = _split_off_selection(module.encoder)
    return all(
        isinstance(part, nn.Sequential)
        and all(isinstance(layer, (DenseLayer, TransposedLayer)) for layer in part)
        for part in (encoder, module.decoder)
    ) and (
        isinstance(module.reconstruction, ExplicitReconstruction)
        and not isinstance(module.posterior, Random)
        and all(isinstance(p, ExplicitPenalty) for p in module.penalties.values())
    )


def _split_off_selection(encoder: nn.Module) -> tuple[nn.Module, int | None]:
    """Answer the layers, and how many codes of a row are kept; None if all are."""
    if isinstance(encoder, SelectiveEncoder) and len(encoder) == 2:
        return encoder[0], encoder.k
    return encoder, None


class _Selection:
    """The largest codes of each row, as a `SelectiveEncoder` keeps them.

    Attributes
    ----------
    offered, codes : Tensor of shape (..., n_components, n_rows)
        Before and after.
    least : Tensor of shape (..., n_rows, 1)
        What is kept of each row at least.
    kept : Tensor of shape (..., n_components, n_rows)
        1 where a code is kept, else 0.
    """

    def __init__(self, offered: Tensor, k: int) -> None:
        self.offered = offered
        values, places = offered.mT.topk(k, dim=-1, sorted=False)
        self.least = values.amin(-1, keepdim=True)
        # By place: a code that is kept may be 0, or be as large as one that is not.
        self.kept = torch.zeros_like(offered)
        self.kept.mT.scatter_(-1, places, 1.0)
        self.codes = offered * self.kept

    def derivative(self, gradient: Tensor, step: DenseStep | None) -> Tensor:
        """Answer the gradient by the codes before, of that by the codes after."""
        gradient = gradient * self.kept
        return gradient if step is None else gradient + step.offered_gradient.mT


@dataclass
class _Layer:
    """What a layer needs in both directions.

    `weight` has the shape (..., out, in) and `bias` (..., out, 1); `weight_gradient`
    receives its gradient in the same shape. With `adds` it is added to what a penalty
    that reaches it, or another layer that shares the weight, has written before.
    """

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor
    activation: Activation
    is_reached: bool
    adds: bool


def _layer_of(
    layer: DenseLayer | TransposedLayer, shared: set[int], is_reached: bool
) -> _Layer:
    if isinstance(layer, TransposedLayer):
        owner = layer.mirrored
        weight, gradient = owner.weight.detach().mT, owner.weight.grad.mT
    else:
        owner = layer
        weight, gradient = owner.weight.detach(), owner.weight.grad
    return _Layer(
        weight,
        layer.bias.detach().unsqueeze(-1),
        gradient,
        layer.bias.grad,
        ACTIVATIONS[layer.activation],
        is_reached,
        adds=is_reached or (owner is layer and id(owner) in shared),
    )


class DenseGradient:
    """Writes the gradient of the objective into the parameters' `grad`.

    Parameters
    ----------
    module : nn.Module
        An `AutoencoderModule` that `supports` accepts, whose parameters have a `grad`
        to write into. With a leading model axis on every parameter it is a group.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        encoder, self.n_kept = _split_off_selection(module.encoder)
        layers = [*encoder, *module.decoder]
        shared = {id(x.mirrored) for x in layers if isinstance(x, TransposedLayer)}
        self.penalties = dict(module.penalties.items())
        self.n_encoding = len(encoder)
        self.layers = [
            _layer_of(layer, shared, self._is_reached(i))
            for i, layer in enumerate(layers)
        ]
        self.batched = self.layers[0].weight.ndim == 3
        self.rooms: dict[tuple[int, tuple[int, ...]], Tensor] = {}
        self.affine = torch.baddbmm if self.batched else torch.addmm
        self.product = torch.bmm if self.batched else torch.mm
        self.reconstruction = module.reconstruction
        owners = [layer for layer in layers if isinstance(layer, DenseLayer)]
        self.weights = [owner.weight.detach() for owner in owners]
        self.weight_gradients = [owner.weight.grad for owner in owners]

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Write the gradient for a batch; answer the objective's terms.

        Of a group, the batch has a leading axis of models, too.
        """
        x = batch.x
        share = x.new_tensor(1.0 / x.shape[-2])
        # Rows stand side by side: such products are the fastest for wide nets.
        inputs, arguments, selection = [], [], None
        h = self.module.corrupt(batch).mT
        *inner, last = self.layers
        for i, layer in enumerate(inner):
            inputs.append(h)
            room = self._room(i, layer.weight.shape[-2], h.shape[-1])
            a = self.affine(layer.bias, layer.weight, h, out=room)
            arguments.append(a)
            h = layer.activation.function(a)
            if self.n_kept is not None and len(arguments) == self.n_encoding:
                selection = _Selection(h, self.n_kept)
                h = selection.codes
        inputs.append(h)
        # But for the loss one below the other, as in x.
        room = self._room(len(inner), x.shape[-2], last.weight.shape[-2])
        a = self.affine(last.bias.mT, h.mT, last.weight.mT, out=room)
        cost, delta = self.reconstruction.with_derivative(a, x, share, batch.weights)
        terms = {"reconstruction": cost.mean(-1)}
        step = None
        if self.penalties:
            step = self._step(inputs[self.n_encoding].mT, selection)
            for name, penalty in self.penalties.items():
                terms[name] = penalty.add_derivative(step)
        self._backward(delta.mT, inputs, arguments, step, selection)
        return terms

    def _room(self, place: int, *sizes: int) -> Tensor | None:
        """Answer where a group writes a result in each step; a net has new memory.

        A group's results are larger than a core's cache: the same memory is there more
        often than new memory.
        """
        if not self.batched:
            return None
        if (place, sizes) not in self.rooms:
            n_models = len(self.layers[0].weight)
            room = self.layers[0].weight.new_empty(n_models, *sizes)
            self.rooms[place, sizes] = room
        return self.rooms[place, sizes]

    def _is_reached(self, i: int) -> bool:
        """Whether a penalty adds something to the gradient of a layer's weights."""
        reached = {penalty.reaches for penalty in self.penalties.values()}
        return "weights" in reached or (
            "directions" in reached and i == self.n_encoding
        )

    def _step(self, codes: Tensor, selection: _Selection | None) -> DenseStep:
        for layer in self.layers:
            if layer.is_reached:
                layer.weight_gradient.zero_()
        reader = self.layers[self.n_encoding]
        step = DenseStep(
            codes,
            torch.zeros_like(codes),
            self.weights,
            self.weight_gradients,
            reader.weight.mT,
            reader.weight_gradient.mT,
        )
        if selection is not None:
            step.offered, step.least = selection.offered.mT, selection.least
            step.offered_gradient = torch.zeros_like(step.offered)
        return step

    def _backward(
        self,
        delta: Tensor,
        inputs: list[Tensor],
        arguments: list[Tensor],
        step: DenseStep | None,
        selection: _Selection | None,
    ) -> None:
        for i in range(len(self.layers) - 1, -1, -1):
            layer, h = self.layers[i], inputs[i]
            if layer.adds:
                gradient = layer.weight_gradient
                self.affine(gradient, delta, h.mT, out=gradient)
            else:
                self.product(delta, h.mT, out=layer.weight_gradient)
            torch.sum(delta, -1, out=layer.bias_gradient)
            if i:
                room = self._room(-i, layer.weight.shape[-1], delta.shape[-1])
                delta = self.product(layer.weight.mT, delta, out=room)
                if i == self.n_encoding:
                    if step is not None:
                        delta = delta + step.code_gradient.mT
                    if selection is not None:
                        delta, h = selection.derivative(delta, step), selection.offered
                delta = self.layers[i - 1].activation.derivative(
                    delta, arguments[i - 1], h
                )
