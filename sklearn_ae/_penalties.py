"""Penalties: terms that the objective adds to the cost of the reconstruction."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightDecay(nn.Module):
    r"""`weight_decay * sum(w^2)` over all weights, never biases (Krogh and Hertz 1992).

    Tied weights are one set of weights and count once.
    """

    weight: Tensor

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(weight, dtype=torch.float64))

    def forward(self, net: nn.Module) -> Tensor:
        """Answer the penalty of the weights of `net`."""
        return self.weight * sum(w.square().sum() for w in weights_of(net))

    def add_derivative(self, net: nn.Module, factor: float) -> Tensor:
        """Add `factor` times the derivative to the weights' `grad`; answer the term."""
        for w in weights_of(net):
            w.grad.add_(2 * factor * self.weight * w.detach())
        with torch.no_grad():
            return self(net)


def weights_of(net: nn.Module) -> list[nn.Parameter]:
    """List the weights of a net; what has one axis only is a bias."""
    return [parameter for parameter in net.parameters() if parameter.ndim > 1]
