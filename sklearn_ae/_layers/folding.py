"""Transposed convolutions, which of few channels are folded from products."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Most numbers of the larger map that one of the smaller adds to, where products that
# overlap take less time on a CPU: three channels and kernels of 3 x 3. Of one channel
# they took a tenth to two thirds, in one thread and in two.
_MOST_OVERLAPS = 27


def convolve_transposed(
    h: Tensor,
    weight: Tensor,
    bias: Tensor,
    strides: Sequence[int],
    padding: int,
    further: Sequence[int],
) -> Tensor:
    """Answer the transposed convolution of maps (n_rows, n_channels, *sizes).

    Parameters
    ----------
    h, weight, bias : Tensor
    strides : sequence of int
    padding : int
        On both sides of each axis.
    further : sequence of int
        What each axis of the answer has more, at its end.
    """
    # Exported nets run elsewhere, and not everything there can fold.
    is_exported = torch.jit.is_tracing() or torch.compiler.is_compiling()
    is_small = weight[0].numel() <= _MOST_OVERLAPS
    if is_small and h.device.type == "cpu" and not is_exported:
        return _folded(h, weight, strides, padding, further) + bias.reshape(
            -1, *[1] * len(strides)
        )
    function = F.conv_transpose1d if len(strides) == 1 else F.conv_transpose2d
    return function(h, weight, bias, strides, padding, further)


def _folded(
    h: Tensor,
    weight: Tensor,
    strides: Sequence[int],
    padding: int,
    further: Sequence[int],
) -> Tensor:
    """Answer products, summed where they overlap.

    What each place of the smaller map adds to the larger one is a product with all
    weights ("col2im").
    """
    n_rows, _, *sizes = h.shape
    kernel = weight.shape[2:]
    numbers = zip(sizes, kernel, strides, further, strict=True)
    larger = [(n - 1) * s + k - 2 * padding + more for n, k, s, more in numbers]
    added = torch.bmm(weight.flatten(1).mT.expand(n_rows, -1, -1), h.flatten(2))
    # A signal is an image of one line, and all rows are channels of one: one call.
    line = 2 - len(sizes)
    return F.fold(
        added.reshape(1, -1, added.shape[-1]),
        (*[1] * line, *larger),
        (*[1] * line, *kernel),
        padding=(*[0] * line, *[padding] * len(sizes)),
        stride=(*[1] * line, *strides),
    ).reshape(n_rows, -1, *larger)
