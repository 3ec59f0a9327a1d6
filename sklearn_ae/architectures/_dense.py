"""Dense layers: h = s(W h' + b), mirrored in the decoder."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from sklearn_ae._functional import ACTIVATIONS, linear, weight_deviation
from sklearn_ae._torch import draw_into, make_generator
from sklearn_ae.architectures._base import Architecture

# Whatever torch's default is: the same seed draws the same weights.
FLOAT = torch.float32


class OutputLayer(nn.Module):
    """A layer whose answers are linear in some of its parameters, if it comes last."""

    activation: str
    # Of the weights, the axis that counts units.
    output_axis = 0

    def output_parameters(self) -> list[tuple[nn.Parameter, int]]:
        """List these parameters, each with the axis that counts units."""
        if self.activation != "identity":
            return []
        return [(self.weight, self.output_axis), (self.bias, 0)]


class Rearrangement(nn.Module):
    """A part of a net that answers the numbers that it gets, in another shape."""


class DenseLayer(OutputLayer):
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
        """What each input adds to the pre-activations, (..., n_inputs, n_outputs)."""
        return self.weight.mT

    def forward(self, h: Tensor) -> Tensor:
        """Apply the layer to rows of shape (n_rows, n_inputs)."""
        a = linear(h, self.weight, self.bias)
        return ACTIVATIONS[self.activation].function(a)


class TransposedLayer(OutputLayer):
    """A decoder layer that uses the weights of an encoder layer, h = s(W' h' + b)."""

    def __init__(self, mirrored: DenseLayer, activation: str) -> None:
        super().__init__()
        self.activation = activation
        n_outputs = mirrored.weight.shape[1]
        self.bias = nn.Parameter(torch.zeros(n_outputs, dtype=FLOAT))
        # Out of torch's registry: the weights are the encoder's and counted there.
        object.__setattr__(self, "mirrored", mirrored)

    def output_parameters(self) -> list[tuple[nn.Parameter, int]]:
        """List the encoder's weights, of which the second axis counts outputs."""
        if self.activation != "identity":
            return []
        return [(self.mirrored.weight, 1), (self.bias, 0)]

    @property
    def directions(self) -> Tensor:
        """What each input adds to the pre-activations, (..., n_inputs, n_outputs)."""
        return self.mirrored.weight

    def forward(self, h: Tensor) -> Tensor:
        """Apply the layer to rows of shape (n_rows, n_inputs)."""
        a = linear(h, self.mirrored.weight.t(), self.bias)
        return ACTIVATIONS[self.activation].function(a)


def output_parameters(part: nn.Module) -> list[tuple[nn.Parameter, int]]:
    """List what the outputs of a decoder are linear in, and the axis that counts units.

    It is empty where the last layer is none that is known to be linear.
    """
    if isinstance(part, nn.Linear):
        return [(p, 0) for p in (part.weight, part.bias) if p is not None]
    if isinstance(part, OutputLayer):
        return part.output_parameters()
    if isinstance(part, nn.Sequential):
        for layer in reversed(part):
            if not isinstance(layer, Rearrangement):
                return output_parameters(layer)
    return []


def initialize(
    layer: nn.Module, initialization: str | float, seed: int, part: str, index: int
) -> None:
    """Draw the weights of the layer `index` steps from the data, and of no other."""
    deviation = (
        weight_deviation(layer.activation, *layer.fans)
        if initialization == "auto"
        else float(initialization)
    )
    generator = make_generator(seed, f"initialization of the {part}", index)
    with torch.no_grad():
        draw = partial(nn.init.normal_, std=deviation)
        draw_into(layer.weight, draw, generator)


@dataclass(eq=False, repr=False)
class Dense(Architecture):
    """Dense layers in the encoder, their mirror image in the decoder.

    .. math:: h_l = s(W_l h_{l-1} + b_l)

    Its widths and activations are the estimator's `hidden_layer_sizes`, `activation`
    and `code_activation`.

    Examples
    --------
    >>> from sklearn_ae import Autoencoder
    >>> from sklearn_ae.architectures import Dense
    >>> Autoencoder(architecture=Dense())
    Autoencoder(architecture=Dense())
    """

    supports_sparse = True
    supports_tied_weights = True
    supports_pretraining = True
    stackable = True

    def build(
        self,
        n_features: int,
        n_components: int,
        *,
        hidden_layer_sizes: tuple[int, ...],
        activation: str,
        code_activation: str,
        tied_weights: bool,
        initialization: str | float,
        seed: int,
    ) -> tuple[nn.Sequential, nn.Sequential]:
        """Build an initialised encoder and decoder."""
        widths = [n_features, *hidden_layer_sizes, n_components]
        depth = len(widths) - 1
        sizes = list(itertools.pairwise(widths))
        names = [activation] * (depth - 1) + [code_activation]
        encoder = [
            DenseLayer(n_inputs, n_outputs, name)
            for (n_inputs, n_outputs), name in zip(sizes, names, strict=True)
        ]
        # From the data inwards, so that index i of both lists is the same distance.
        names = ["identity"] + [activation] * (depth - 1)
        if tied_weights:
            decoder = [
                TransposedLayer(layer, name)
                for layer, name in zip(encoder, names, strict=True)
            ]
        else:
            decoder = [
                DenseLayer(n_inputs, n_outputs, name)
                for (n_outputs, n_inputs), name in zip(sizes, names, strict=True)
            ]
        for part, layers in (("encoder", encoder), ("decoder", decoder)):
            for index, layer in enumerate(layers):
                if isinstance(layer, DenseLayer):
                    initialize(layer, initialization, seed, part, index)
        return nn.Sequential(*encoder), nn.Sequential(*reversed(decoder))
