"""Dense layers, h = s(W h' + b), and a dense net as a list of them."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import InvalidParameterError
from torch import Tensor, nn

from sklearn_ae._compute.seeds import make_generator
from sklearn_ae._data.moments import Moments, Units
from sklearn_ae._layers.functions import ACTIVATIONS, weight_deviation

# Whatever torch's default is: the same seed draws the same weights.
FLOAT = torch.float32


def checked_widths(widths: Any, name: str, owner: str) -> tuple[int, ...]:
    """Answer the widths of layers; an integer is that of a single one.

    Parameters
    ----------
    widths : int or sequence of int
    name, owner : str
        The parameter, and the class that has it.

    Raises
    ------
    InvalidParameterError
    """
    # Of objects: numpy would make integers of numbers that are none.
    found = np.atleast_1d(np.asarray(widths, dtype=object)).tolist()
    are_integers = all(
        isinstance(n, Integral) and not isinstance(n, bool) and n >= 1 for n in found
    )
    if not are_integers:
        raise InvalidParameterError(
            f"The {name!r} parameter of {owner} must be an integer of at least 1, or a "
            f"sequence of integers of at least 1, one for each layer. Got {widths!r} "
            "instead."
        )
    return tuple(int(n) for n in found)


class Layer(nn.Module):
    """A part of a net of which more is known than of any module.

    Attributes
    ----------
    activation : str
        What comes last: "identity" where answers are linear in the last weights, and
        "" where nothing is known.
    n_places : int
        How often a row uses each weight.
    n_inner : int
        Values that are there at once for each that is answered.
    directions : Tensor of shape (..., n_inputs, n_outputs) or None
        What each input adds to the pre-activations, where that is known.
    """

    activation = ""
    n_places = 1
    n_inner = 1
    directions: Tensor | None = None

    def output_parameters(self) -> list[tuple[nn.Parameter, int]]:
        """List what answers without an activation are linear in.

        Each parameter has the number of the axis that counts units.
        """
        return []


class Rearrangement(Layer):
    """A layer that answers the numbers that it gets, in another shape."""

    activation = "identity"


class DenseLayer(Layer):
    """An affine map and its activation, h = s(W h' + b), with W of shape (out, in)."""

    def __init__(self, n_inputs: int, n_outputs: int, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.empty(n_outputs, n_inputs, dtype=FLOAT))
        self.bias = nn.Parameter(torch.zeros(n_outputs, dtype=FLOAT))

    @property
    def fans(self) -> tuple[float, float]:
        """How many inputs an output has, and how many outputs an input."""
        n_outputs, n_inputs = self.weight.shape
        return n_inputs, n_outputs

    @property
    def directions(self) -> Tensor:
        return self.weight.mT

    def output_parameters(self) -> list[tuple[nn.Parameter, int]]:
        return [(self.weight, 0), (self.bias, 0)]

    def forward(self, h: Tensor) -> Tensor:
        """Apply the layer to rows of shape (n_rows, n_inputs)."""
        a = F.linear(h, self.weight, self.bias)
        return ACTIVATIONS[self.activation].function(a)


class TransposedLayer(Layer):
    """A decoder layer that uses the weights of an encoder layer, h = s(W' h' + b)."""

    def __init__(self, mirrored: DenseLayer, activation: str) -> None:
        super().__init__()
        self.activation = activation
        n_outputs = mirrored.weight.shape[1]
        self.bias = nn.Parameter(torch.zeros(n_outputs, dtype=FLOAT))
        # Out of torch's registry: the weights are the encoder's and counted there.
        object.__setattr__(self, "mirrored", mirrored)

    @property
    def directions(self) -> Tensor:
        return self.mirrored.weight

    def output_parameters(self) -> list[tuple[nn.Parameter, int]]:
        return [(self.mirrored.weight, 1), (self.bias, 0)]

    def forward(self, h: Tensor) -> Tensor:
        """Apply the layer to rows of shape (n_rows, n_inputs)."""
        a = F.linear(h, self.mirrored.weight.t(), self.bias)
        return ACTIVATIONS[self.activation].function(a)


def output_parameters(part: nn.Module) -> list[tuple[nn.Parameter, int]]:
    """List what the outputs of a decoder are linear in, and the axis that counts units.

    It is empty where the last layer is none that is known to be linear.
    """
    if isinstance(part, nn.Linear):
        return [(p, 0) for p in (part.weight, part.bias) if p is not None]
    if isinstance(part, Layer):
        return part.output_parameters() if part.activation == "identity" else []
    if isinstance(part, nn.Sequential):
        for layer in reversed(part):
            if not isinstance(layer, Rearrangement):
                return output_parameters(layer)
    return []


def initialize(
    layer: Layer, initialization: str | float, seed: int, part: str, index: int
) -> None:
    """Draw the weights of the layer `index` steps from the data, and of no other."""
    deviation = (
        weight_deviation(layer.activation, *layer.fans)
        if initialization == "auto"
        else float(initialization)
    )
    generator = make_generator(seed, f"initialization of the {part}", index)
    nn.init.normal_(layer.weight, std=deviation, generator=generator)


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
class LayerWeights:
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


class TopK(nn.Module):
    """Keeps the k largest codes of each row, and sets the others to 0."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, h: Tensor) -> Tensor:
        """Answer the codes of shape (n_rows, n_components)."""
        values, places = h.topk(self.k, dim=-1, sorted=False)
        return torch.zeros_like(h).scatter(-1, places, values)


class SelectiveEncoder(nn.Sequential):
    """An encoder of which each row keeps the k largest codes."""

    def __init__(self, encoder: nn.Module, k: int) -> None:
        super().__init__(encoder, TopK(k))
        self.k = k

    def unselected(self, x: Tensor) -> Tensor:
        """Answer all codes of standardised rows."""
        return self[0](x)


def dense_layers(part: nn.Module) -> list[DenseLayer | TransposedLayer]:
    """List the layers of a dense encoder or decoder."""
    kinds = (DenseLayer, TransposedLayer)
    return [layer for layer in part.modules() if isinstance(layer, kinds)]


def first_directions(decoder: nn.Module) -> Tensor:
    """Answer the directions of the layer that reads the code, one per component.

    Raises
    ------
    ValueError
        If it is no linear layer.
    """
    for part in decoder.modules():
        if isinstance(part, Layer) and part.directions is not None:
            return part.directions
        if isinstance(part, nn.Linear):
            return part.weight.mT
        if next(part.parameters(recurse=False), None) is not None:
            break
    raise ValueError(
        "The layer that reads the code has no directions, whose norms penalty='l1' "
        "needs: it is none of nn.Linear or of a dense layer."
    )


@torch.no_grad()
def start_outputs(
    decoder: nn.Module, spread: np.ndarray | None, start: np.ndarray | None
) -> None:
    """Let the outputs of each unit begin at a place, and as far from it as they lie.

    A column of small numbers beside one of large numbers then begins near its mean, of
    which it would otherwise learn nothing before its weights are as small.

    Parameters
    ----------
    decoder : nn.Module
    spread, start : ndarray of shape (n_units,) or None
        None stands for scales of 1, and for places that are 0.
    """
    for parameter, factor in output_factors(decoder, spread):
        parameter.mul_(factor)
    for bias, place in output_factors(decoder, start):
        if bias.ndim == 1:
            bias.add_(place)


def output_factors(
    decoder: nn.Module, spread: np.ndarray | None
) -> list[tuple[nn.Parameter, Tensor]]:
    """List the weights and biases of outputs, each with its units' scales.

    Parameters
    ----------
    decoder : nn.Module
    spread : ndarray of shape (n_units,) or None
        None stands for scales of 1, and an empty list.
    """
    found = []
    for parameter, axis in [] if spread is None else output_parameters(decoder):
        if parameter.shape[axis] != len(spread):
            return []
        shape = [1] * parameter.ndim
        shape[axis] = -1
        factor = torch.from_numpy(spread).to(parameter.device, parameter.dtype)
        found.append((parameter, factor.reshape(shape)))
    return found


def count_products(part: nn.Module, n_places: int = 1) -> int:
    """Answer how many multiplications with weights a row takes in a part of a net."""
    if isinstance(part, Layer):
        n_places = part.n_places
    own = n_places * sum(p.numel() for p in part.parameters(recurse=False))
    return own + sum(count_products(each, n_places) for each in part.children())


def is_linear(encoder: nn.Module) -> bool:
    """Whether all parts are known to be linear, selections among linear codes aside."""
    return all(
        isinstance(part, Layer) and part.activation == "identity"
        for part in _maps(encoder)
    )


def only_layer(encoder: nn.Module) -> DenseLayer | None:
    """Answer the layer of an encoder that is one dense layer; else None.

    A selection may follow, whose codes are those of the layer or 0.
    """
    layers = _maps(encoder)
    return layers[0] if [type(layer) for layer in layers] == [DenseLayer] else None


def _maps(part: nn.Module) -> list[nn.Module]:
    """List what the rows pass through, but for selections."""
    leaves = (leaf for leaf in part.modules() if next(leaf.children(), None) is None)
    return [leaf for leaf in leaves if not isinstance(leaf, TopK)]


def read_layer(module: nn.Module) -> LayerWeights:
    """Read the only layer of a shallow net with tied weights."""
    (layer,), (back,) = dense_layers(module.encoder), dense_layers(module.decoder)
    weight = layer.weight.detach()
    return LayerWeights(weight, layer.bias.detach(), weight.mT, back.bias.detach())


@torch.no_grad()
def write_layers(module: nn.Module, layers: list[LayerWeights]) -> None:
    """Write layers into a net, from the data inwards; with fewer, the first ones."""
    encoder = dense_layers(module.encoder)
    decoder = dense_layers(module.decoder)[::-1]
    # Not strict: an interrupted pretraining has not come to the last ones.
    for layer, up, down in zip(layers, encoder, decoder, strict=False):
        # Of a code's distribution the first rows are the means.
        up.weight[: len(layer.weight)].copy_(layer.weight)
        up.bias[: len(layer.bias)].copy_(layer.bias)
        down.bias.copy_(layer.back_bias)
        if isinstance(down, DenseLayer):
            # Of what a decoder gets the first columns are the code.
            n_inputs = layer.back_weight.shape[1]
            down.weight[:, :n_inputs].copy_(layer.back_weight)
