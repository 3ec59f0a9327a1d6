"""Convolutions and recurrences that threads share out, and no result depends on it.

What they answer, and the derivative by what they are given, is computed row by row.
Derivatives by weights are sums over the rows. A recurrence's are rounded alike in two
and in four threads; a convolution's are not, but those of a grouped convolution are,
whose groups no two threads share. So every fourth row is made a group for them, without
a copy, where that costs little; otherwise one thread computes the derivative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sklearn_ae._compute.threads import model_shares, row_shares, split
from sklearn_ae._layers.derivatives import is_twice_differentiable

# Threads of a recurrence. Of 8,842 with two or four none was rounded differently, nor
# was a derivative; with eight, derivatives were.
_MOST_THREADS = 4

# Groups of rows, where a convolution takes at least as many multiplications as given.
# Of 2,400 with numbers of channels that these divide, and as many rows in each group,
# no derivative was rounded differently with two or four threads; of 5,700 others 72
# were. In one thread groups cost a tenth then.
_GROUPS, _WORK, _CHANNELS = 4, 1e7, 16

# Most numbers of a larger map that one of the smaller adds to, where products that
# overlap take less time: three channels and kernels of 3 x 3. Of one channel they took
# a tenth to two thirds, in one thread and in two.
_MOST_OVERLAPS = 27


class Geometry(NamedTuple):
    """Where the kernels of a convolution are, in numbers for each axis of the map."""

    stride: Sequence[int]
    padding: Sequence[int]
    output_padding: Sequence[int]
    transposed: bool

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What torch's convolution takes beside maps and weights, in its order."""
        spacing = [1] * len(self.stride)
        further = list(self.output_padding)
        return (self.stride, self.padding, spacing, self.transposed, further)

    def reversed(self, sizes: Sequence[int], kernel: Sequence[int]) -> Geometry:
        """Answer that of the transpose, which leads back to a map of these sizes."""
        further = [0] * len(sizes)
        if not self.transposed:
            numbers = zip(sizes, kernel, *self[:2], strict=True)
            further = [(n + 2 * p - k) % stride for n, k, stride, p in numbers]
        return Geometry(self.stride, self.padding, further, not self.transposed)


def convolve(h: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry) -> Tensor:
    """Answer the convolution of maps of shape (n_rows, n_channels, *sizes)."""
    is_transformed = torch._C._are_functorch_transforms_active()
    is_usual = h.device.type == "cpu" and h.dtype == torch.float32
    is_special = is_transformed or _is_traced() or is_twice_differentiable()
    if is_usual and not is_special:
        return _Convolution.apply(h, weight, bias, geometry)
    return torch.convolution(h, weight, bias, *geometry.arguments, 1)


class _Convolution(torch.autograd.Function):
    # Without `setup_context`, which `torch.func` asks for: it takes 60 us a call.

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(h, weight)
        ctx.geometry = geometry
        return _convolved(h, weight, bias, geometry)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        (h, weight), geometry = ctx.saved_tensors, ctx.geometry
        by_maps = by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            back = geometry.reversed(h.shape[2:], weight.shape[2:])
            by_maps = _convolved(slope, weight, None, back)
        if ctx.needs_input_grad[1]:
            by_weight = _derivative_by_weight(slope, h, weight, geometry)
        if ctx.needs_input_grad[2]:
            by_bias = slope.sum((0, *range(2, slope.ndim)))
        return by_maps, by_weight, by_bias, None


def _convolved(
    h: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    if geometry.transposed and weight[0].numel() <= _MOST_OVERLAPS:
        return _folded(h, weight, bias, geometry)
    return _convolution(h, weight, bias, *geometry.arguments, 1)


def _folded(
    h: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """Answer a transposed convolution as products, summed where they overlap.

    What each place of the smaller map adds to the larger one is a product with all
    weights ("col2im").
    """
    n_rows, _, *sizes = h.shape
    kernel, n_axes = weight.shape[2:], len(sizes)
    numbers = zip(sizes, kernel, *geometry[:3], strict=True)
    larger = [(n - 1) * s + k - 2 * p + more for n, k, s, p, more in numbers]
    by_row = weight.flatten(1).mT.expand(n_rows, -1, -1)
    added = _product_by_row(by_row, h.flatten(2))
    # A signal is an image of one line, and all rows are channels of one: one call.
    line = 2 - n_axes
    a = F.fold(
        added.reshape(1, -1, added.shape[-1]),
        (*[1] * line, *larger),
        (*[1] * line, *kernel),
        padding=(*[0] * line, *geometry.padding),
        stride=(*[1] * line, *geometry.stride),
    ).reshape(n_rows, -1, *larger)
    return a if bias is None else a + bias.reshape(-1, *[1] * n_axes)


def _derivative_by_weight(
    slope: Tensor, h: Tensor, weight: Tensor, geometry: Geometry
) -> Tensor:
    n_groups = _n_groups(h, weight, geometry)
    if n_groups > 1:
        slope, h = (
            maps.reshape(-1, n_groups * maps.shape[1], *maps.shape[2:])
            for maps in (slope, h)
        )
        weight = torch.cat([weight] * n_groups)
    _, by_weight, _ = _convolution_derivatives(
        *(slope, h, weight, None, *geometry.arguments, n_groups, [False, True, False])
    )
    return by_weight.unflatten(0, (n_groups, -1)).sum(0) if n_groups > 1 else by_weight


def recur(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Answer h of every step of sequences (n_rows, n_steps, n_inputs).

    Parameters
    ----------
    x : Tensor
    weights : sequence of Tensor
        As `torch.nn.LSTM` has them for one layer.
    """
    if x.shape[-1] == 1 and _is_trained(x, *weights):
        # Derivatives by the weights of a single input depend on the threads.
        inward, *others = weights
        x, weights = F.pad(x, (0, 1)), [F.pad(inward, (0, 1)), *others]
    start = x.new_zeros(1, x.shape[0], weights[1].shape[1])
    return _recurrence(x.transpose(0, 1), start, *weights).transpose(0, 1)


def _is_traced() -> bool:
    """Whether the net is exported or compiled, to run where threads are others."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def _is_trained(*tensors: Tensor) -> bool:
    return (
        torch.is_grad_enabled()
        and not is_twice_differentiable()
        and not _is_traced()
        and tensors[0].device.type == "cpu"
        and any(tensor.requires_grad for tensor in tensors)
    )


def _n_groups(h: Tensor, weight: Tensor, geometry: Geometry) -> int:
    is_aligned = (
        h.dtype == torch.float32
        and len(h) % _GROUPS == 0
        and len(h) // _GROUPS >= _CHANNELS
        and all(n % _CHANNELS == 0 for n in weight.shape[:2])
    )
    n_places = math.prod(h.shape[2:])
    if not geometry.transposed:
        n_places /= math.prod(geometry.stride)
    is_worth_it = len(h) * n_places * weight.numel() >= _WORK
    return _GROUPS if is_aligned and is_worth_it else 1


_convolution = split(
    torch.convolution,
    lambda n_threads, h, *_: row_shares(n_threads, h),
    with_derivative=False,
)
_product_by_row = split(torch.bmm, model_shares, with_derivative=False)
_convolution_derivatives = split(
    torch.ops.aten.convolution_backward,
    # A power of two, which as many groups are shared out evenly among.
    lambda n_threads, *arguments: 1 << min(n_threads, arguments[-2]).bit_length() - 1,
    with_derivative=False,
)


def _recur(steps: Tensor, start: Tensor, *weights: Tensor) -> Tensor:
    is_trained = torch.is_grad_enabled() and not torch.jit.is_tracing()
    h, *_ = torch.lstm(
        steps, (start, start), weights, True, 1, 0.0, is_trained, False, False
    )
    return h


def _recurrence_shares(n_threads: int, _: Tensor, start: Tensor, *__: Any) -> int:
    # The derivatives of a single unit depend on the threads, too.
    most = _MOST_THREADS if start.shape[-1] > 1 else 1
    return row_shares(min(n_threads, most), start[0])


_recurrence = split(_recur, _recurrence_shares)
