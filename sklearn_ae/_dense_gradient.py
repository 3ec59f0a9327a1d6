"""The fast path: the gradient of a dense net written out, layer by layer.

For small nets most of a training step is bookkeeping. Here a step is a handful of calls
to torch without a tape, and the same code serves a stack of models whose weights and
rows have a leading model axis. `supports` decides; autograd does everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sklearn_ae._functional import ACTIVATIONS, Activation, affine, product
from sklearn_ae.architectures._dense import DenseLayer, TransposedLayer


def supports(module: nn.Module) -> bool:
    """Whether the gradient of this module is written out below."""
    return all(
        isinstance(part, nn.Sequential)
        and all(isinstance(layer, (DenseLayer, TransposedLayer)) for layer in part)
        for part in (module.encoder, module.decoder)
    ) and all(hasattr(p, "add_derivative") for p in module.penalties.values())


@dataclass
class _Layer:
    """What a layer needs in both directions.

    `weight` has the shape (..., out, in) and `bias` (..., out, 1); `weight_gradient`
    receives its gradient in the same shape, and adds to it if another layer that shares
    the weight has written before.
    """

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor
    activation: Activation
    adds: bool


def _layer_of(layer: DenseLayer | TransposedLayer, shared: set[int]) -> _Layer:
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
        adds=owner is layer and id(owner) in shared,
    )


class DenseGradient:
    """Writes the gradient of the objective into the parameters' `grad`.

    Parameters
    ----------
    module : nn.Module
        An `AutoencoderModule` that `supports` accepts, whose parameters have a `grad`
        to write into. With a leading model axis on every parameter it is a stack.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        layers = [*module.encoder, *module.decoder]
        shared = {id(x.mirrored) for x in layers if isinstance(x, TransposedLayer)}
        self.layers = [_layer_of(layer, shared) for layer in layers]
        self.stacked = self.layers[0].weight.ndim == 3
        self.affine = torch.baddbmm if self.stacked else affine
        self.product = torch.bmm if self.stacked else product
        self.reconstruction = module.reconstruction
        self.unit = module.unit
        owners = [layer for layer in layers if isinstance(layer, DenseLayer)]
        self.weights = [owner.weight.detach() for owner in owners]
        self.weight_gradients = [owner.weight.grad for owner in owners]
        self.penalties = dict(module.penalties.items())

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Write the gradient for standardised rows; answer the objective's terms.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_models, n_rows, n_features)
        """
        share = x.new_tensor(1.0 / x.shape[-2])
        # Rows stand side by side: such products are the fastest for wide nets.
        inputs, arguments, h = [], [], x.mT
        *inner, last = self.layers
        for layer in inner:
            inputs.append(h)
            a = self.affine(layer.bias, layer.weight, h)
            arguments.append(a)
            h = layer.activation.function(a)
        inputs.append(h)
        # But for the loss one below the other, as in x.
        a = self.affine(last.bias.mT, h.mT, last.weight.mT)
        cost, delta = self.reconstruction.with_derivative(a, x, share)
        self._backward(delta.mT, inputs, arguments)
        terms = {"reconstruction": cost.mean(-1)}
        for name, penalty in self.penalties.items():
            terms[name] = penalty.add_derivative(
                self.weights, self.weight_gradients, 1.0 / self.unit
            )
        return terms

    def _backward(
        self, delta: Tensor, inputs: list[Tensor], arguments: list[Tensor]
    ) -> None:
        for i in range(len(self.layers) - 1, -1, -1):
            layer, h = self.layers[i], inputs[i]
            if layer.adds:
                layer.weight_gradient += self.product(delta, h.mT)
            else:
                self.product(delta, h.mT, out=layer.weight_gradient)
            torch.sum(delta, -1, out=layer.bias_gradient)
            if i:
                delta = self.product(layer.weight.mT, delta)
                delta = self.layers[i - 1].activation.derivative(
                    delta, arguments[i - 1], h
                )
