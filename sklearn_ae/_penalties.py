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
        return self.weight * sum(_squared_norm(w) for w in weights_of(net))

    def add_derivative(
        self, weights: list[Tensor], gradients: list[Tensor], factor: float
    ) -> Tensor:
        """Add `factor` times the derivative to the weights' gradients.

        Parameters
        ----------
        weights, gradients : list of Tensor of shape (..., n_outputs, n_inputs)
            A leading axis counts models.
        factor : float

        Returns
        -------
        Tensor of shape (...)
            The penalty, times `factor`.
        """
        strength = factor * self.weight
        for w, gradient in zip(weights, gradients, strict=True):
            gradient.add_(w * (2 * strength)[..., None, None])
        return strength * sum(_squared_norm(w) for w in weights)


def _squared_norm(w: Tensor) -> Tensor:
    # In two steps: a single sum over all entries would depend on the thread count.
    return w.square().sum(-1).sum(-1)


def weights_of(net: nn.Module) -> list[nn.Parameter]:
    """List the weights of a net; what has one axis only is a bias."""
    return [parameter for parameter in net.parameters() if parameter.ndim > 1]
