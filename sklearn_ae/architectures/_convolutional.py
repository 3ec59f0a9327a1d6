"""Strided convolutions in the encoder, transposed ones in the decoder."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from numbers import Integral
from typing import Self

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
)
from torch import Tensor, nn

from sklearn_ae._layers.dense import (
    FLOAT,
    DenseLayer,
    Layer,
    Rearrangement,
    initialize,
)
from sklearn_ae._layers.folding import convolve_transposed
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae.architectures._base import Architecture

# The least square number of features that is taken for an image.
_SMALLEST_IMAGE = 16
# Images have seldom so few pixels along an axis, and seldom more channels; where an
# axis of a signal has so many entries, it is hardly the channels.
_MOST_CHANNELS, _SHORTEST_SIDE, _SHORTEST_SIGNAL = 4, 8, 16


@dataclass(frozen=True)
class Step:
    """The geometry between a map and the smaller one that a convolution makes of it.

    Attributes
    ----------
    sizes : tuple of int
        Of the larger map, an entry per axis.
    kernel_size : int
    stride : int
    """

    sizes: tuple[int, ...]
    kernel_size: int
    stride: int

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride of each axis: 1 where the stride would leave less than one."""
        return tuple(self.stride if n >= self.stride else 1 for n in self.sizes)

    @property
    def reduced(self) -> tuple[int, ...]:
        """Sizes of the smaller map."""
        return tuple(
            -(-n // stride) for n, stride in zip(self.sizes, self.strides, strict=True)
        )

    def inside(self) -> Step:
        """Answer a step that stays at the smaller map."""
        return Step(self.reduced, self.kernel_size, 1)


class Reshape(Rearrangement):
    """Gives the last axes of a tensor another shape."""

    def __init__(self, n_axes: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.n_axes, self.shape = n_axes, shape

    def forward(self, h: Tensor) -> Tensor:
        """Answer the same numbers, in the same order."""
        return h.reshape(*h.shape[: h.ndim - self.n_axes], *self.shape)


class Activate(Layer):
    """Applies an activation."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, a: Tensor) -> Tensor:
        """Answer s(a)."""
        return ACTIVATIONS[self.activation].function(a)


class _Kernels(Layer):
    """What a convolution and its transpose share: the kernels, and their geometry."""

    # Of the weights, the axis that counts units.
    output_axis = 0

    def __init__(
        self, n_inputs: int, n_outputs: int, step: Step, activation: str
    ) -> None:
        super().__init__()
        self.activation, self.strides = activation, step.strides
        self.sizes, self.kernel_size = step.sizes, step.kernel_size
        self.n_places = math.prod(step.reduced)
        kernel = (step.kernel_size,) * len(step.sizes)
        shape = (n_inputs, n_outputs) if self.output_axis else (n_outputs, n_inputs)
        self.weight = nn.Parameter(torch.empty(*shape, *kernel, dtype=FLOAT))
        self.bias = nn.Parameter(torch.zeros(n_outputs, dtype=FLOAT))

    def output_parameters(self) -> list[tuple[nn.Parameter, int]]:
        return [(self.weight, self.output_axis), (self.bias, 0)]


class ConvolutionalLayer(_Kernels):
    """A convolution and its activation; zeros surround the map.

    Its outputs are at every `stride`-th place of the map, from the first.
    """

    @property
    def fans(self) -> tuple[float, float]:
        """How many inputs an output has, and how many outputs an input on average."""
        n_outputs, n_inputs, *kernel = self.weight.shape
        n_taps = math.prod(kernel)
        return n_inputs * n_taps, n_outputs * n_taps / math.prod(self.strides)

    def forward(self, h: Tensor) -> Tensor:
        """Apply the layer to maps of shape (n_rows, n_inputs, *sizes)."""
        n_axes = len(self.sizes)
        before, after = (self.kernel_size - 1) // 2, self.kernel_size // 2
        if before != after:
            h, before = F.pad(h, (before, after) * n_axes), 0
        function = F.conv1d if n_axes == 1 else F.conv2d
        a = function(h, self.weight, self.bias, self.strides, before)
        return ACTIVATIONS[self.activation].function(a)


class TransposedConvolutionalLayer(_Kernels):
    """The transpose of a convolution, and an activation (Dumoulin and Visin 2016).

    With the same weights it is the adjoint of :class:`ConvolutionalLayer`: its outputs
    have exactly the sizes of that one's inputs.
    """

    output_axis = 1

    @property
    def fans(self) -> tuple[float, float]:
        """How many inputs an output has on average, and how many outputs an input."""
        n_inputs, n_outputs, *kernel = self.weight.shape
        n_taps = math.prod(kernel)
        return n_inputs * n_taps / math.prod(self.strides), n_outputs * n_taps

    def forward(self, h: Tensor) -> Tensor:
        """Apply the layer to maps of shape (n_rows, n_inputs, *reduced sizes)."""
        padding = (self.kernel_size - 1) // 2
        further = [
            size - ((n - 1) * stride + self.kernel_size - 2 * padding)
            for size, n, stride in zip(
                self.sizes, h.shape[-len(self.sizes) :], self.strides, strict=True
            )
        ]
        more = [max(0, n) for n in further]
        a = convolve_transposed(h, self.weight, self.bias, self.strides, padding, more)
        for axis, n in enumerate(further, start=-len(further)):
            # An even kernel reaches one further on one side.
            a = a if n >= 0 else a.narrow(axis, 0, self.sizes[axis])
        return ACTIVATIONS[self.activation].function(a)


@dataclass(eq=False, repr=False)
class Convolutional(Architecture):
    r"""Strided convolutions, a dense layer to the code, and the transposes of both.

    .. math:: h_l = s(W_l * h_{l-1} + b_l), \quad z = s_z(W h_L + b)

    The estimator's `hidden_layer_sizes` are the channels of the maps h_l, mirrored in
    the decoder. Each axis of a map is shorter than the one below by the stride (rounded
    up; an axis shorter than the stride stays as it is), and the decoder restores it
    exactly. Without hidden layers the net is a dense one. Rows may be flat, or have the
    shape that they are taken for: `fit`, `transform` and the other methods take X of
    shape (n_samples, n_features) and of shape (n_samples, *input_shape). Channels come
    first: `X.transpose(0, 3, 1, 2)` puts them there where they are the last axis.

    Parameters
    ----------
    input_shape : tuple of int, default=None
        What a row is, in C order: `(length,)` for a signal, `(height, width)` for an
        image, `(channels, height, width)`, or `(channels, length)` with
        `dimensions=1`. None takes it from X if that has three or four axes; of vectors
        it takes a square number of at least 16 features for an image, and any other
        for a signal.
    kernel_size : int, default=3
        Length of each axis of a kernel.
    stride : int, default=2
        Distance between the places of neighbouring outputs. Kernels shorter than that
        leave entries in between out.
    dimensions : {1, 2}, default=None
        Axes of a map; None is 1 where rows have one axis, and 2 otherwise.
    normalization : "layer" or None, default=None
        Whether each row's pre-activations of a hidden layer are standardised together,
        then scaled and shifted channel by channel (Ba et al. 2016). It needs no other
        rows, so a batch of one is no special case.

    References
    ----------
    J. Masci, U. Meier, D. Ciresan and J. Schmidhuber. Stacked convolutional
    auto-encoders for hierarchical feature extraction. ICANN (2011).

    V. Dumoulin and F. Visin. A guide to convolution arithmetic for deep learning.
    arXiv:1603.07285 (2016).

    J. L. Ba, J. R. Kiros and G. E. Hinton. Layer normalization. arXiv:1607.06450
    (2016).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import Autoencoder
    >>> from sklearn_ae.architectures import Convolutional
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = Autoencoder(
    ...     8,
    ...     architecture=Convolutional(kernel_size=5),
    ...     hidden_layer_sizes=(8, 16),
    ...     max_epochs=5,
    ... )
    >>> images = X.reshape(-1, 8, 8)
    >>> autoencoder.fit(images).reconstruct(images).shape
    (1797, 8, 8)
    """

    input_shape: tuple[int, ...] | None = None
    kernel_size: int = 3
    stride: int = 2
    dimensions: int | None = None
    normalization: str | None = None

    stackable = True
    _examples = {"input_shape": "(28, 28)", "kernel_size": "5, the side of a square"}
    _parameter_constraints = {
        "input_shape": ["array-like", None],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "dimensions": [Interval(Integral, 1, 2, closed="both"), None],
        "normalization": [StrOptions({"layer"}), None],
    }

    def row_shape(self, n_features: int) -> tuple[int, ...]:
        """Answer the shape of a row, as `input_shape` tells or as is guessed."""
        if self.input_shape is not None:
            shape = self._checked_input_shape()
            if math.prod(shape) != n_features:
                raise ValueError(
                    f"X has {n_features} features, but input_shape={shape} has "
                    f"{math.prod(shape)}. Set input_shape to that of a row."
                )
            return shape
        side = math.isqrt(n_features)
        is_square = side**2 == n_features
        if self.dimensions == 2 and not is_square:
            raise ValueError(
                f"dimensions=2 needs input_shape for X with {n_features} features, "
                "which is no square number, or X of shape (n_samples, height, width)."
            )
        may_be_image = self.dimensions != 1 and n_features >= _SMALLEST_IMAGE
        is_image = self.dimensions == 2 or (is_square and may_be_image)
        return (side, side) if is_image else (n_features,)

    def for_rows(self, shape: tuple[int, ...]) -> Self:
        """Answer a spec whose `input_shape` is that of the rows, if it was None."""
        if self.input_shape is not None:
            return self
        if len(shape) > (2 if self.dimensions == 1 else 3):
            kinds = (
                "with dimensions=1 signals are (channels, length)"
                if self.dimensions == 1
                else "images are (height, width) or (channels, height, width)"
            )
            raise ValueError(f"X has rows of shape {shape}, but {kinds}: reshape X.")
        settled = copy.copy(self)
        settled.input_shape = shape
        return settled

    def advice(
        self, found: tuple[int, ...] | None, expected: tuple[int, ...] | None
    ) -> str | None:
        """Say how to put channels first, or what sets the shape."""
        if found is None or expected is None or len(found) < 2:
            return super().advice(found, expected)
        has_channels = len(found) > (self.dimensions or 2)
        if has_channels and (found[-1], *found[:-1]) == expected:
            return f"put the channels first, {_channels_first(found)}"
        if self.input_shape is not None:
            return f"reshape X, or set architecture__input_shape={found}"
        return None

    def doubt(self, shape: tuple[int, ...]) -> str | None:
        """Say so where the last axis is likely to be the channels."""
        n_channels, sizes = self._split(shape)
        *sides, last = shape
        least = _SHORTEST_SIGNAL if len(sizes) == 1 else _SHORTEST_SIDE
        if len(sizes) == len(shape) or last > _MOST_CHANNELS or min(sides) < least:
            return None
        values = " by ".join(map(str, sizes))
        return (
            f"Rows of shape {shape} are taken for {n_channels} channels of {values} "
            f"values. If the last axis is that of the channels, put it first: "
            f"{_channels_first(shape)}, after X.reshape(-1, "
            f"{', '.join(map(str, shape))}) where rows are flat; the shape of a row is "
            f"then {(last, *sides)}."
        )

    def _checked_input_shape(self) -> tuple[int, ...]:
        shape = tuple(self.input_shape)
        limits = {None: (1, 3), 1: (1, 2), 2: (2, 3)}[self.dimensions]
        if not all(isinstance(n, Integral) and n >= 1 for n in shape) or not (
            limits[0] <= len(shape) <= limits[1]
        ):
            raise InvalidParameterError(
                f"The 'input_shape' parameter of {type(self).__name__} with "
                f"dimensions={self.dimensions} must be {limits[0]} to {limits[1]} "
                f"integers of at least 1. Got {self.input_shape!r} instead."
            )
        return tuple(int(n) for n in shape)

    def _map_shape(self, n_features: int) -> tuple[int, tuple[int, ...]]:
        """Answer the number of channels of a row, and the sizes of its map."""
        return self._split(self.row_shape(n_features))

    def _split(self, shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        n_axes = self.dimensions or min(len(shape), 2)
        return (shape[0], shape[1:]) if len(shape) > n_axes else (1, shape)

    def output_layout(self, n_features: int) -> tuple[int, int, int]:
        """Answer that the entries of a channel are made by the same weights."""
        n_channels, sizes = self._map_shape(n_features)
        return 1, n_channels, math.prod(sizes)

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
        n_channels, sizes = self._map_shape(n_features)
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for n_outputs in hidden_layer_sizes:
            step = Step(sizes, self.kernel_size, self.stride)
            down += self._block(n_channels, n_outputs, step, activation)
            block = self._block(
                n_outputs, n_channels, step, activation, not up, transposed=True
            )
            up = block + up
            n_channels, sizes = n_outputs, step.reduced
        if down:
            start, end = self._map_shape(n_features), (n_channels, *sizes)
            down = [Reshape(1, (start[0], *start[1])), *down]
            down.append(Reshape(len(end), (math.prod(end),)))
            up = [Reshape(1, end), *up, Reshape(len(end), (n_features,))]
        n_values = n_channels * math.prod(sizes)
        encoder = [*down, DenseLayer(n_values, n_components, code_activation)]
        first = activation if up else "identity"
        decoder = [DenseLayer(n_components, n_values, first), *up]
        for part, layers in (("encoder", encoder), ("decoder", decoder[::-1])):
            for index, layer in enumerate(_weighted(layers, part == "decoder")):
                initialize(layer, initialization, seed, part, index)
        return nn.Sequential(*encoder), nn.Sequential(*decoder)

    def _block(
        self,
        n_inputs: int,
        n_outputs: int,
        step: Step,
        activation: str,
        is_output: bool = False,
        *,
        transposed: bool = False,
    ) -> list[nn.Module]:
        """Answer what makes a smaller map of one or, transposed, the larger of that.

        It is a convolution and its activation, with a normalisation in between; the
        output has neither.
        """
        kind = TransposedConvolutionalLayer if transposed else ConvolutionalLayer
        activation = "identity" if is_output else activation
        sizes = step.sizes if transposed else step.reduced
        # Of a single number nothing would be left.
        is_single = n_outputs * math.prod(sizes) == 1
        if self.normalization is None or is_output or is_single:
            return [kind(n_inputs, n_outputs, step, activation)]
        return [
            kind(n_inputs, n_outputs, step, "identity"),
            nn.GroupNorm(1, n_outputs, dtype=FLOAT),
            Activate(activation),
        ]


def _channels_first(shape: tuple[int, ...]) -> str:
    """Answer what moves the last axis of X to where the channels are."""
    order = 0, len(shape), *range(1, len(shape))
    return f"X.transpose{order}"


def _weighted(layers: list[nn.Module], is_reversed: bool) -> list[nn.Module]:
    """List the layers that have weights, from the data inwards."""
    found, kinds = [], (DenseLayer, _Kernels)
    for layer in layers:
        own = [part for part in layer.modules() if isinstance(part, kinds)]
        found += own[::-1] if is_reversed else own
    return found
