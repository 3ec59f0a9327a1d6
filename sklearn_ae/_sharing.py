"""Convolutions and recurrences that threads share out, and no result depends on it.

What they answer, and the derivative by what they are given, is computed row by row.
Derivatives by weights are sums over the rows. A recurrence's are rounded alike in two
and in four threads; a convolution's are not, but those of a grouped convolution are,
whose groups no two threads share. So every fourth row is made a group, without a copy,
and the sums of the groups are added up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sklearn_ae._derivatives import is_twice_differentiable
from sklearn_ae._threads import row_shares, split

# Threads of a recurrence. Of 1,900 with two or four none was rounded differently (of
# two inputs and more); of those with eight every tenth was.
_MOST_THREADS = 4

# Groups of rows in the derivative of a convolution by its weights, where it takes at
# least as many multiplications as given. Of 5,896 with numbers of channels that these
# divide, and as many rows in each group, none was rounded differently with two or four
# threads; of 5,700 others 72. In one thread groups cost a twentieth then.
_GROUPS, _WORK, _CHANNELS = 4, 1e7, 16


class Geometry(NamedTuple):
    """Where the kernels of a convolution are, in numbers for each axis of the map."""

    stride: Sequence[int]
    padding: Sequence[int]
    output_padding: Sequence[int]
    transposed: bool

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What torch's convolution and its derivative take, in their order."""
        spacing = [1] * len(self.stride)
        further = list(self.output_padding)
        return (self.stride, self.padding, spacing, self.transposed, further)


def convolve(h: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry) -> Tensor:
    """Answer the convolution of maps of shape (n_rows, n_channels, *sizes)."""
    if _is_trained(h, weight):
        return _Convolution.apply(h, weight, bias, geometry)
    return torch.convolution(h, weight, bias, *geometry.arguments, 1)


def recur(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Answer h of every step of sequences (n_rows, n_steps, n_inputs).

    Parameters
    ----------
    x : Tensor
    weights : sequence of Tensor
        As `torch.nn.LSTM` has them for one layer.
    """
    if not _is_trained(x, *weights):
        return _recur(x, *weights)
    if x.shape[-1] == 1:
        # Derivatives by the weights of a single input depend on the threads.
        inward, *others = weights
        x, weights = F.pad(x, (0, 1)), [F.pad(inward, (0, 1)), *others]
    return _Recurrence.apply(x, *weights)


def _is_trained(*tensors: Tensor) -> bool:
    return (
        torch.is_grad_enabled()
        and not is_twice_differentiable()
        and tensors[0].device.type == "cpu"
        and any(tensor.requires_grad for tensor in tensors)
    )


_convolution = split(
    lambda h, weight, bias, *geometry: torch.convolution(h, weight, bias, *geometry, 1),
    lambda n_threads, h, *_: row_shares(n_threads, h),
)
_derivative_by_rows = split(
    lambda gradient, h, weight, *geometry: torch.ops.aten.convolution_backward(
        gradient, h, weight, None, *geometry, 1, [True, False, False]
    )[0],
    lambda n_threads, gradient, *_: row_shares(n_threads, gradient),
)


def _by_weights(
    gradient: Tensor, h: Tensor, weight: Tensor, n_groups: int, *geometry: Any
) -> tuple[Tensor, Tensor]:
    n_outputs, shape = gradient.shape[1], weight.shape
    if n_groups > 1:
        gradient, h = (
            maps.reshape(-1, n_groups * maps.shape[1], *maps.shape[2:])
            for maps in (gradient, h)
        )
        weight = torch.cat([weight] * n_groups)
    _, of_weight, of_bias = torch.ops.aten.convolution_backward(
        gradient,
        h,
        weight,
        [n_groups * n_outputs],
        *geometry,
        n_groups,
        [False, True, True],
    )
    if n_groups > 1:
        of_weight = of_weight.view(n_groups, *shape).sum(0)
        of_bias = of_bias.view(n_groups, n_outputs).sum(0)
    return of_weight, of_bias


_derivative_by_weights = split(
    _by_weights,
    lambda n_threads, gradient, h, weight, n_groups, *_: row_shares(
        min(n_threads, n_groups), gradient
    ),
)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(h, weight)
        ctx.geometry = geometry.arguments
        return _convolution(h, weight, bias, *ctx.geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        h, weight = ctx.saved_tensors
        of_h = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_h = _derivative_by_rows(gradient, h, weight, *ctx.geometry)
        if any(ctx.needs_input_grad[1:]):
            of_weight, of_bias = _derivative_by_weights(
                gradient, h, weight, _n_groups(gradient, h, weight), *ctx.geometry
            )
        return of_h, of_weight, of_bias, None


def _n_groups(gradient: Tensor, h: Tensor, weight: Tensor) -> int:
    n_rows, n_places = len(h), min(math.prod(m.shape[2:]) for m in (gradient, h))
    is_aligned = (
        n_rows % _GROUPS == 0
        and n_rows // _GROUPS >= _CHANNELS
        and all(n % _CHANNELS == 0 for n in weight.shape[:2])
    )
    is_worth_it = n_rows * n_places * weight.numel() >= _WORK
    return _GROUPS if is_aligned and is_worth_it else 1


def _recur(x: Tensor, *weights: Tensor) -> Tensor:
    start = x.new_zeros(1, len(x), weights[1].shape[1])
    is_trained = torch.is_grad_enabled()
    h, *_ = torch.lstm(
        x, (start, start), weights, True, 1, 0.0, is_trained, False, True
    )
    return h


def _with_graph(x: Tensor, *weights: Tensor) -> tuple[Tensor, list[Tensor]]:
    inputs = [t.detach().requires_grad_(t.requires_grad) for t in (x, *weights)]
    with torch.enable_grad():
        return _recur(*inputs), inputs


def _recurrence_shares(n_threads: int, x: Tensor, *_: Any) -> int:
    return row_shares(min(n_threads, _MOST_THREADS), x)


_recurrence = split(_with_graph, _recurrence_shares)
_derivative = split(
    lambda gradient, h, inputs: torch.autograd.grad(
        h, [t for t in inputs if t.requires_grad], gradient
    ),
    _recurrence_shares,
)


class _Recurrence(torch.autograd.Function):
    """Torch's own graph, all of which one call goes through in as many threads."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor) -> Tensor:
        ctx.graph = _recurrence(x, *weights)
        return ctx.graph[0].detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        found = iter(_derivative(gradient, *ctx.graph))
        del ctx.graph
        return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
