"""Restricted Boltzmann machines, for the weights that a deep net starts from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sklearn_ae.exceptions import DivergenceError

# Hinton, A practical guide to training restricted Boltzmann machines (2010).
_WEIGHT_DEVIATION = 0.01
_WEIGHT_DECAY = 2e-4
_FIRST_MOMENTUM, _MOMENTUM, _FIRST_EPOCHS = 0.5, 0.9, 5
# Gaussian units need a smaller one, as nothing bounds what they answer.
_RATE, _GAUSSIAN_RATE = 0.1, 1e-2

# The activations that are the mean of a kind of unit.
UNITS = {"logistic": "binary", "identity": "gaussian"}


class BoltzmannMachine:
    r"""Restricted Boltzmann machine (Hinton 2002; Welling et al. 2004).

    .. math:: E(v, h) = -h^T W v - b^T v - c^T h

    for binary units; Gaussian ones, of unit variance, add half their squared value.

    Parameters
    ----------
    n_visible, n_hidden : int
    visible, hidden : {"binary", "gaussian"}
    generator : torch.Generator
        Draws the weights and, in training, the states of the units.
    spread : ndarray of shape (n_visible,), default=None
        What deviations of the visible units are multiples of; None where all are 1.
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        visible: str,
        hidden: str,
        generator: torch.Generator,
        spread: np.ndarray | None = None,
    ) -> None:
        self.visible, self.hidden, self.generator = visible, hidden, generator
        device = generator.device
        self.weight = torch.empty(n_hidden, n_visible, device=device)
        self.weight.normal_(0.0, _WEIGHT_DEVIATION, generator=generator)
        if spread is not None:
            self.weight.mul_(torch.from_numpy(spread).to(self.weight))
        self.visible_bias = torch.zeros(n_visible, device=device)
        self.hidden_bias = torch.zeros(n_hidden, device=device)
        self._velocity = [torch.zeros_like(p) for p in self.parameters()]

    def parameters(self) -> list[Tensor]:
        """List the weights, the visible and the hidden biases."""
        return [self.weight, self.visible_bias, self.hidden_bias]

    def hidden_mean(self, v: Tensor) -> Tensor:
        """Answer the mean of the hidden units given visible ones."""
        return _mean(F.linear(v, self.weight, self.hidden_bias), self.hidden)

    def visible_mean(self, h: Tensor) -> Tensor:
        """Answer the mean of the visible units given hidden ones."""
        return _mean(F.linear(h, self.weight.mT, self.visible_bias), self.visible)

    def contrast(self, v: Tensor) -> tuple[list[Tensor], Tensor]:
        """Answer what a step of contrastive divergence ascends, and its error.

        The states of the hidden units are drawn, everything else are means (Hinton
        2010, section 3).

        Returns
        -------
        list of Tensor
            One for each of the parameters.
        Tensor of shape ()
            Squared error of the reconstruction, summed over units.
        """
        h = self.hidden_mean(v)
        v_model = self.visible_mean(_draw(h, self.hidden, self.generator))
        h_model = self.hidden_mean(v_model)
        n_rows = len(v)
        direction = [
            (h.mT @ v - h_model.mT @ v_model) / n_rows,
            (v - v_model).mean(0),
            (h - h_model).mean(0),
        ]
        return direction, (v - v_model).square().sum(-1).mean()

    def train(
        self,
        batches: Iterable[tuple[Tensor, None]],
        visible: Callable[[Tensor], Tensor],
        n_epochs: int,
    ) -> Iterator[float]:
        """Train by contrastive divergence; yield the mean error of each epoch.

        Parameters
        ----------
        batches : iterable of (Tensor, None)
            Goes through all rows each time it is iterated over.
        visible : callable
            Turns the rows of a batch into states of the visible units.
        n_epochs : int

        Raises
        ------
        DivergenceError
            If the weights are no longer finite.
        """
        is_gaussian = "gaussian" in (self.visible, self.hidden)
        rate = _GAUSSIAN_RATE if is_gaussian else _RATE
        for epoch in range(n_epochs):
            momentum = _FIRST_MOMENTUM if epoch < _FIRST_EPOCHS else _MOMENTUM
            total, n_rows = 0.0, 0
            for rows, _ in batches:
                v = visible(rows)
                direction, error = self.contrast(v)
                direction[0].sub_(self.weight, alpha=_WEIGHT_DECAY)
                for parameter, step, velocity in zip(
                    self.parameters(), direction, self._velocity, strict=True
                ):
                    parameter.add_(velocity.mul_(momentum).add_(step, alpha=rate))
                total, n_rows = total + error * len(v), n_rows + len(v)
            error = float(total) / n_rows
            is_finite = all(bool(torch.isfinite(p).all()) for p in self.parameters())
            if not (is_finite and math.isfinite(error)):
                raise DivergenceError(
                    "The pretraining of a layer by a restricted Boltzmann machine "
                    f"diverged in epoch {epoch + 1}. Look for extreme values in X, or "
                    "set pretraining='greedy'."
                )
            yield error


def _mean(a: Tensor, units: str) -> Tensor:
    return torch.sigmoid(a) if units == "binary" else a


def _draw(mean: Tensor, units: str, generator: torch.Generator) -> Tensor:
    if units == "binary":
        # Unlike `torch.bernoulli` it takes NaN, of which the end of the epoch tells.
        drawn = torch.empty_like(mean).uniform_(generator=generator)
        return (drawn < mean).to(mean.dtype)
    noise = torch.empty_like(mean).normal_(generator=generator)
    return mean + noise
