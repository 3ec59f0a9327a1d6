"""Batches: slices of one tensor, in an order drawn anew for every epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import repeat

import torch
from torch import Tensor

from sklearn_ae._input import RowSource
from sklearn_ae._threads import split
from sklearn_ae._torch import make_generator

# Tensors up to this size, of all batches that are read at the same time, are put in
# order once an epoch; their batches are then views.
_REORDER_BYTES = 2**25

gather = split(torch.index_select)


# Rows in a batch, and batches in an epoch, where nothing else was asked for.
_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES = 32, 256, 40


class Batches:
    """All rows of a source once, in batches; the last one may be smaller.

    Parameters
    ----------
    source : RowSource
    batch_size : int
    seed : int or None
        Where the order of the rows comes from; None keeps the order of the source.
    epoch : int, default=0
        How many epochs this seed has served before.

    Attributes
    ----------
    n_others : int
        How many batches of other orders are read at the same time.
    """

    def __init__(
        self, source: RowSource, batch_size: int, seed: int | None, epoch: int = 0
    ) -> None:
        self.source, self.batch_size = source, batch_size
        self.seed, self.epoch = seed, epoch
        self.n_others = 0

    def __len__(self) -> int:
        return -(-len(self.source) // self.batch_size)

    def _order(self) -> Tensor:
        resident = self.source.resident
        device = torch.device("cpu") if resident is None else resident.device
        generator = make_generator(self.seed, "shuffling", self.epoch, device)
        self.epoch += 1
        return torch.randperm(len(self.source), generator=generator, device=device)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        # Pairs of rows and targets, which is what skorch's own batches look like.
        targets, size = self.source.targets, self.batch_size
        if self.seed is None:
            for start in range(0, len(self.source), size):
                batch = slice(start, start + size)
                yield self.source[batch], None if targets is None else targets[batch]
            return
        order = self._order()
        labels: Iterable[Tensor | None] = repeat(None)
        if targets is not None:
            labels = targets[order.to(targets.device)].split(size)
        resident = self.source.resident
        most_bytes = _REORDER_BYTES // (1 + self.n_others)
        if resident is not None and resident.nbytes <= most_bytes:
            rows: Iterable[Tensor] = gather(resident, 0, order).split(size)
        else:
            rows = map(self.source.take, order.split(size))
        # Not strict: there is no end of no labels.
        yield from zip(rows, labels, strict=False)


def batch_size_for(batch_size: int | str, n_rows: int) -> int:
    """Answer how many rows a batch has: what was asked for, or what suits them."""
    if batch_size != "auto":
        return batch_size
    power = 2 ** round(math.log2(max(1, n_rows / _BATCHES)))
    return min(max(power, _SMALLEST_BATCH), _LARGEST_BATCH)
