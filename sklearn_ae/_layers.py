"""A dense net as a list of layers, each with the way up and the way back down."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sklearn_ae._moments import Moments
from sklearn_ae._units import Units
from sklearn_ae.architectures._dense import DenseLayer, TransposedLayer


@dataclass(frozen=True)
class Stage:
    """A layer that is to be trained, and where it stands.

    Attributes
    ----------
    index : int
        How many layers are below.
    n_components : int
    activation : str
    below : str or None
        Activation of the layer below; None where there are only the rows.
    is_code : bool
        Whether there is no layer above.
    known : Moments
        Of the rows of the net, whose units lengths are given in.
    units : Units
        What weights are given in, where the rows of the layer have none.
    """

    index: int
    n_components: int
    activation: str
    below: str | None
    is_code: bool
    known: Moments
    units: Units


@dataclass
class Layer:
    """The weights of an encoder layer and of the decoder layer that mirrors it.

    Attributes
    ----------
    weight : Tensor of shape (n_outputs, n_inputs)
    bias : Tensor of shape (n_outputs,)
    back_weight : Tensor of shape (n_inputs, n_outputs)
    back_bias : Tensor of shape (n_inputs,)
    """

    weight: Tensor
    bias: Tensor
    back_weight: Tensor
    back_bias: Tensor


def dense_layers(part: nn.Module) -> list[DenseLayer | TransposedLayer]:
    """List the layers of a dense encoder or decoder."""
    kinds = (DenseLayer, TransposedLayer)
    return [layer for layer in part.modules() if isinstance(layer, kinds)]


def read_layer(module: nn.Module) -> Layer:
    """Read the only layer of a shallow net with tied weights."""
    (layer,), (back,) = dense_layers(module.encoder), dense_layers(module.decoder)
    weight = layer.weight.detach()
    return Layer(weight, layer.bias.detach(), weight.mT, back.bias.detach())


@torch.no_grad()
def write_layers(module: nn.Module, layers: list[Layer]) -> None:
    """Write layers into a net, from the data inwards; with fewer, the first ones."""
    encoder = dense_layers(module.encoder)
    decoder = dense_layers(module.decoder)[::-1]
    # Not strict: an interrupted pretraining has not come to the last ones.
    for layer, up, down in zip(layers, encoder, decoder, strict=False):
        up.weight.copy_(layer.weight)
        up.bias.copy_(layer.bias)
        down.bias.copy_(layer.back_bias)
        if isinstance(down, DenseLayer):
            down.weight.copy_(layer.back_weight)
