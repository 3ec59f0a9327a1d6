"""The module of a game's second player: what tells real examples from made ones."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from sklearn_ae._compute.seeds import derive_seed, make_generator
from sklearn_ae._layers.dense import FLOAT, DenseLayer, initialize
from sklearn_ae.architectures import Architecture
from sklearn_ae.architectures._own import build_parts

_N_WAVES, _FREQUENCY = 32, 2.0


class Discriminator(nn.Module):
    r"""Tells real examples (positive answers) from made ones (negative ones).

    .. math:: D(x) = d(x, \sin B x, \cos B x, c)

    with layers d, fixed random frequencies B, if any, and the class c of the example,
    one number per class, where classes have places of their own.

    Parameters
    ----------
    layers : nn.Module
        From rows of these numbers to one number.
    n_classes : int, default=0
    frequencies : Tensor of shape (n_features, n_waves), default=None
    """

    def __init__(
        self, layers: nn.Module, n_classes: int = 0, frequencies: Tensor | None = None
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.register_buffer("frequencies", frequencies)
        self.layers = layers

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Answer log odds, of shape (n_rows,), that examples are real."""
        parts = [x]
        if self.frequencies is not None:
            phases = x @ self.frequencies
            parts += [phases.sin(), phases.cos()]
        if self.n_classes:
            parts.append(one_hot(classes, self.n_classes).to(x.dtype))
        return self.layers(torch.cat(parts, dim=-1)).squeeze(-1)


def discriminator_of_codes(
    n_components: int, n_classes: int, hidden_layer_sizes: tuple[int, ...], seed: int
) -> Discriminator:
    """Build one with dense layers and waves.

    Without waves a net takes very long to see shapes that are thin beside the whole
    (Tancik et al. 2020).
    """
    generator = make_generator(seed, "frequencies of the discriminator")
    shape, device = (n_components, _N_WAVES), generator.device
    waves = torch.empty(shape, dtype=FLOAT, device=device)
    waves.normal_(generator=generator)
    # Points of more components are farther apart.
    waves *= _FREQUENCY * math.sqrt(2 / n_components)
    widths = [n_components + 2 * _N_WAVES + n_classes, *hidden_layer_sizes, 1]
    names = ["leaky_relu"] * len(hidden_layer_sizes) + ["identity"]
    pairs = zip(itertools.pairwise(widths), names, strict=True)
    layers = [DenseLayer(*sizes, name) for sizes, name in pairs]
    for index, layer in enumerate(layers):
        initialize(layer, "auto", seed, "discriminator", index)
    return Discriminator(nn.Sequential(*layers), n_classes, waves)


def discriminator_of_rows(
    architecture: Architecture,
    n_features: int,
    hidden_layer_sizes: tuple[int, ...],
    seed: int,
) -> Discriminator:
    """Build one from an architecture: its encoder, with a code of one number.

    Parameters
    ----------
    architecture : Architecture
        Settled.
    n_features : int
    hidden_layer_sizes : tuple of int
    seed : int
    """
    layers, _ = build_parts(
        architecture,
        n_features,
        1,
        hidden_layer_sizes=hidden_layer_sizes,
        activation="leaky_relu",
        code_activation="identity",
        tied_weights=False,
        initialization="auto",
        seed=derive_seed(seed, "discriminator"),
    )
    return Discriminator(layers)
