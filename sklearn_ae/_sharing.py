"""Convolutions and recurrences that threads share out, and no result depends on it.

What they answer, and the derivative by what they are given, is computed row by row.
Derivatives by weights are sums over the rows. A recurrence's are rounded alike in two
and in four threads; a convolution's are not, but those of a grouped convolution are,
whose groups no two threads share. So every fourth row is made a group, without a copy,
where that costs little; otherwise one thread computes the derivative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sklearn_ae._derivatives import is_twice_differentiable
from sklearn_ae._threads import row_shares, split

# Threads of a recurrence. Of 8,842 with two or four none was rounded differently, nor
# was a derivative; with eight, derivatives were.
_MOST_THREADS = 4

# Groups of rows, where a convolution takes at least as many multiplications as given.
# Of 2,400 with numbers of channels that these divide, and as many rows in each group,
# none was rounded differently with two or four threads, nor was a derivative; of 5,700
# others 72 were. In one thread groups cost a tenth then.
_GROUPS, _WORK, _CHANNELS = 4, 1e7, 16


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


def convolve(h: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry) -> Tensor:
    """Answer the convolution of maps of shape (n_rows, n_channels, *sizes)."""
    n_groups = _n_groups(h, weight, geometry) if _is_trained(h, weight, bias) else 1
    if n_groups == 1:
        return _convolution(h, weight, bias, *geometry.arguments, 1)
    a = _grouped_convolution(
        h.reshape(-1, n_groups * h.shape[1], *h.shape[2:]),
        torch.cat([weight] * n_groups),
        torch.cat([bias] * n_groups),
        *geometry.arguments,
        n_groups,
    )
    return a.reshape(len(h), -1, *a.shape[2:])


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
    start = x.new_zeros(1, len(x), weights[1].shape[1])
    return _recurrence(x.transpose(0, 1), start, *weights).transpose(0, 1)


def _is_trained(*tensors: Tensor) -> bool:
    return (
        torch.is_grad_enabled()
        and not is_twice_differentiable()
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
_grouped_convolution = split(
    torch.convolution,
    # A power of two, which as many groups are shared out evenly among.
    lambda n_threads, *_: 1 << min(n_threads, _GROUPS).bit_length() - 1,
)


def _recur(steps: Tensor, start: Tensor, *weights: Tensor) -> Tensor:
    is_trained = torch.is_grad_enabled()
    h, *_ = torch.lstm(
        steps, (start, start), weights, True, 1, 0.0, is_trained, False, False
    )
    return h


def _recurrence_shares(n_threads: int, _: Tensor, start: Tensor, *__: Any) -> int:
    # The derivatives of a single unit depend on the threads, too.
    most = _MOST_THREADS if start.shape[-1] > 1 else 1
    return row_shares(min(n_threads, most), start[0])


_recurrence = split(_recur, _recurrence_shares)
