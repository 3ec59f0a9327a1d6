"""Residual blocks that make maps smaller in the encoder, and larger in the decoder."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from sklearn_ae._layers.dense import Layer, Rearrangement, output_parameters
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae.architectures._convolutional import (
    Convolutional,
    ConvolutionalLayer,
    Step,
)


class Enlarge(Rearrangement):
    """Repeats the entries of a map until it has the given sizes."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, h: Tensor) -> Tensor:
        """Answer maps of shape (n_rows, n_channels, *sizes)."""
        return F.interpolate(h, size=self.sizes, mode="nearest")


class ResidualBlock(Layer):
    """Layers that add to their input: h' = s(h + f(h)).

    Parameters
    ----------
    layers : list of nn.Module
        What f is made of.
    shortcut : list of nn.Module
        What brings h to the shape of f(h); empty where it has that shape.
    activation : str
    """

    def __init__(
        self, layers: list[nn.Module], shortcut: list[nn.Module], activation: str
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shortcut = nn.Sequential(*shortcut) if shortcut else None
        self.activation = activation

    def output_parameters(self) -> list[tuple[nn.Parameter, int]]:
        """List those of both ways, whose answers are added."""
        if self.shortcut is None:
            return []
        return output_parameters(self.layers) + output_parameters(self.shortcut)

    def forward(self, h: Tensor) -> Tensor:
        """Apply the block to maps of shape (n_rows, n_inputs, *sizes)."""
        kept = h if self.shortcut is None else self.shortcut(h)
        return ACTIVATIONS[self.activation].function(kept + self.layers(h))


@dataclass(eq=False, repr=False)
class Residual(Convolutional):
    r"""Residual blocks of convolutions, a dense layer to the code, and the way back.

    .. math:: h_l = s\bigl(R_l h_{l-1} + V_l * s(W_l * h_{l-1})\bigr)

    where R_l is a convolution of single entries at the stride of W_l; in the decoder,
    one of repeated entries. The estimator's `hidden_layer_sizes` are the channels of
    the maps h_l.

    Parameters
    ----------
    input_shape : tuple of int, default=None
        As for :class:`Convolutional`.
    kernel_size : int, default=3
        As for :class:`Convolutional`.
    stride : int, default=2
        As for :class:`Convolutional`.
    dimensions : {1, 2}, default=None
        As for :class:`Convolutional`.
    normalization : "layer" or None, default=None
        As for :class:`Convolutional`.
    n_blocks : int, default=1
        Blocks for each map: one that makes it, and further ones that keep its shape.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun. Deep residual learning for image recognition.
    CVPR (2016).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import Autoencoder
    >>> from sklearn_ae.architectures import Residual
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = Autoencoder(
    ...     8, architecture="residual", hidden_layer_sizes=(8, 16), max_epochs=5
    ... )
    >>> autoencoder.fit(X).transform(X).shape
    (1797, 8)
    """

    n_blocks: int = 1

    _parameter_constraints = Convolutional._parameter_constraints | {
        "n_blocks": [Interval(Integral, 1, None, closed="left")],
    }

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
        inside = step.inside()
        if not transposed:
            layers = [
                *super()._block(n_inputs, n_outputs, step, activation),
                *super()._block(n_outputs, n_outputs, inside, "identity"),
            ]
            narrow = Step(step.sizes, 1, step.stride)
            shortcut = ConvolutionalLayer(n_inputs, n_outputs, narrow, "identity")
            first = ResidualBlock(layers, [shortcut], activation)
            return [first, *self._keep(n_outputs, inside, activation)]
        layers = [
            *super()._block(n_inputs, n_inputs, inside, activation),
            *super()._block(
                n_inputs, n_outputs, step, "identity", is_output, transposed=True
            ),
        ]
        outside = Step(step.sizes, 1, 1)
        shortcut = [
            ConvolutionalLayer(n_inputs, n_outputs, outside, "identity"),
            Enlarge(step.sizes),
        ]
        last = ResidualBlock(layers, shortcut, "identity" if is_output else activation)
        return [*self._keep(n_inputs, inside, activation), last]

    def _keep(self, n_channels: int, step: Step, activation: str) -> list[nn.Module]:
        """Answer the further blocks of a map."""
        convolve = super()._block
        return [
            ResidualBlock(
                convolve(n_channels, n_channels, step, activation)
                + convolve(n_channels, n_channels, step, "identity"),
                [],
                activation,
            )
            for _ in range(self.n_blocks - 1)
        ]
