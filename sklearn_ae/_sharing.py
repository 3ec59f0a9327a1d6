"""Training in shares of rows, each of which one thread computes by itself."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sklearn_ae._derivatives import is_twice_differentiable
from sklearn_ae._threads import count_products, in_threads

# Multiplications, and rows, that a share has at least; and how many shares there are.
# Smaller ones cost what a second thread brings. A few larger ones are worth it in one
# thread, too: what they compute stays in its cache.
_WORK, _ROWS, _MOST = 4e7, 16, 4


class SharedRows(nn.Module, ABC):
    """A part of a net that treats each row by itself.

    A subclass implements `answer`, and sets `n_products` once it has its parts. In
    training it is called for shares of the rows at the same time. How many there are
    depends on the number of rows alone, each computes in one thread, and their
    gradients are added up in their order: so the result does not depend on the number
    of threads.

    Attributes
    ----------
    n_products : int
        Multiplications with weights that a row takes.
    """

    n_products: int

    @abstractmethod
    def answer(self, x: Tensor) -> Tensor:
        """Answer rows for rows."""

    def forward(self, x: Tensor) -> Tensor:
        """Answer rows for rows, in training in shares."""
        n_shares = self._n_shares(x)
        if n_shares < 2:
            return self.answer(x)
        parameters = [p for p in self.parameters() if p.requires_grad]
        return _InShares.apply(self.answer, n_shares, x, *parameters)

    def _n_shares(self, x: Tensor) -> int:
        is_training = self.training and torch.is_grad_enabled()
        if not is_training or x.device.type != "cpu" or is_twice_differentiable():
            return 1
        n_rows = x.shape[0]
        most = int(min(n_rows // _ROWS, n_rows * self.n_products / _WORK, _MOST))
        # A power of two, which as many threads share out evenly.
        return 1 << max(0, most.bit_length() - 1)


class SharedSequential(SharedRows, nn.Sequential):
    """Layers one after the other that treat each row by itself."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.n_products = count_products(self)

    def answer(self, x: Tensor) -> Tensor:
        """Apply all layers."""
        return nn.Sequential.forward(self, x)


class _InShares(torch.autograd.Function):
    """A function of rows and parameters, in shares of the rows."""

    @staticmethod
    def forward(
        ctx: Any, function: Any, n_shares: int, x: Tensor, *parameters: Tensor
    ) -> Tensor:
        needs_x = ctx.needs_input_grad[2]

        def answer(rows: Tensor) -> tuple[Tensor, Tensor]:
            rows = rows.detach().requires_grad_(needs_x)
            with torch.enable_grad():
                return rows, function(rows)

        ctx.shares = in_threads(answer, x.tensor_split(n_shares))
        ctx.needs_x, ctx.parameters = needs_x, parameters
        return torch.cat([h.detach() for _, h in ctx.shares])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        def pull_back(share: tuple[tuple[Tensor, Tensor], Tensor]) -> tuple[Tensor]:
            (rows, h), g = share
            inputs = [*ctx.parameters, rows] if ctx.needs_x else ctx.parameters
            return torch.autograd.grad(h, inputs, g)

        parts = gradient.tensor_split(len(ctx.shares))
        found = in_threads(pull_back, list(zip(ctx.shares, parts, strict=True)))
        del ctx.shares
        of_rows = torch.cat([g[-1] for g in found]) if ctx.needs_x else None
        n_parameters = len(ctx.parameters)
        sums = [
            functools.reduce(Tensor.add_, of_one)
            for of_one in zip(*(g[:n_parameters] for g in found), strict=True)
        ]
        return None, None, of_rows, *sums
