"""Penalties on the Jacobian of the encoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sklearn_ae._compute.seeds import Random
from sklearn_ae._layers.dense import SelectiveEncoder, only_layer
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae._objective.penalties import Pass, Penalty

# Activations whose slope does not follow from their result.
_BY_ARGUMENT = {"gelu", "silu", "leaky_relu", "binary"}


class Contraction(Penalty):
    r"""Squared Frobenius norm of the encoder's Jacobian (Rifai et al. 2011).

    .. math:: \alpha \, \|J_f(x)\|_F^2

    in data units, with the mean over the batch's rows.

    Parameters
    ----------
    strength : float
        alpha, over the squared scale of the rows.
    """

    strength: Tensor

    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        """Answer the penalty of the encoder at what it has seen."""
        return self.strength * self._squared_norm(net.encoder, rows).mean(-1)

    def n_passes(self, net: nn.Module) -> int:
        """How many times over the net's derivatives hold the rows."""
        if only_layer(net.encoder) is not None:
            return 1
        row = next(net.parameters()).new_zeros(1, len(net.reconstruction.shift))
        with torch.no_grad():
            return net.encoder(row).shape[-1]

    def _squared_norm(self, encoder: nn.Module, rows: Pass) -> Tensor:
        return jacobian_norm(encoder, rows.seen, rows.z)


class ProjectedContraction(Contraction, Random):
    """The same, estimated without bias from random projections (Hutchinson 1990).

    Parameters
    ----------
    strength : float
    n_projections : int
    n_components : int
    """

    def __init__(self, strength: float, n_projections: int, n_components: int) -> None:
        super().__init__(strength=strength)
        self.n_projections, self.n_components = n_projections, n_components

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw directions of signs, (n_projections, n_rows, n_components)."""
        shape = (self.n_projections, x.shape[-2], self.n_components)
        signs = torch.empty(shape, dtype=x.dtype, device=x.device)
        return signs.bernoulli_(0.5, generator=generator).mul_(2.0).sub_(1.0)

    def n_passes(self, net: nn.Module) -> int:
        """How many times over the net's derivatives hold the rows."""
        return self.n_projections

    def _squared_norm(self, encoder: nn.Module, rows: Pass) -> Tensor:
        directions = rows.batch.drawn["contraction"]
        return _pulled_back(encoder, rows.seen, directions).mean(0)


def jacobian_norm(encoder: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    """Answer the squared Frobenius norm of the Jacobian of each row's code.

    Parameters
    ----------
    encoder : nn.Module
    x : Tensor of shape (n_rows, n_features)
    z : Tensor of shape (n_rows, n_components)
        The codes of `x`.
    """
    layer = only_layer(encoder)
    if layer is not None:
        activation, ones = ACTIVATIONS[layer.activation], torch.ones_like(z)
        if layer.activation in _BY_ARGUMENT:
            # Not its `derivative`: that of silu has none of its own in torch.
            a = F.linear(x, layer.weight, layer.bias)
            slope = torch.func.vjp(activation.function, a)[1](ones)[0]
        else:
            slope = activation.derivative(ones, z, z)
        if isinstance(encoder, SelectiveEncoder):
            # What it has set to 0 stays there.
            slope = slope * (z != 0)
        return slope.square() @ layer.weight.square().sum(-1)
    n_components = z.shape[-1]
    units = torch.eye(n_components, dtype=z.dtype, device=z.device)
    directions = units.unsqueeze(1).expand(-1, z.shape[-2], -1)
    return _pulled_back(encoder, x, directions).sum(0)


def _pulled_back(encoder: nn.Module, x: Tensor, directions: Tensor) -> Tensor:
    """Answer ||J' v||^2 of each direction and row, (n_directions, n_rows)."""
    # Reverse mode, and unlike `autograd.grad` it works where gradients are off.
    _, pull_back = torch.func.vjp(encoder, x)
    if len(directions) == 1:
        return pull_back(directions[0])[0].square().sum(-1).unsqueeze(0)
    return torch.func.vmap(lambda v: pull_back(v)[0].square().sum(-1))(directions)
