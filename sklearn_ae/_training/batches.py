"""Batches: slices of one tensor, in an order drawn anew for every epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sklearn_ae._input import RowSource
from sklearn_ae._threads import split
from sklearn_ae._torch import make_generator

# A tensor up to this size is put in order once an epoch; its batches are then views.
_REORDER_BYTES = 2**25

_gather = split(torch.index_select)


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
    """

    def __init__(
        self, source: RowSource, batch_size: int, seed: int | None, epoch: int = 0
    ) -> None:
        self.source, self.batch_size = source, batch_size
        self.seed, self.epoch = seed, epoch

    def __len__(self) -> int:
        return -(-len(self.source) // self.batch_size)

    def _order(self) -> Tensor:
        resident = self.source.resident
        device = torch.device("cpu") if resident is None else resident.device
        generator = make_generator(self.seed, "shuffling", self.epoch, device)
        self.epoch += 1
        return torch.randperm(len(self.source), generator=generator, device=device)

    def __iter__(self) -> Iterator[tuple[Tensor, None]]:
        # Pairs of rows and no target, which is what skorch's own batches look like.
        n_rows, size = len(self.source), self.batch_size
        starts = range(0, n_rows, size)
        if self.seed is None:
            for start in starts:
                yield self.source[start : start + size], None
            return
        order = self._order()
        resident = self.source.resident
        if resident is not None and resident.nbytes <= _REORDER_BYTES:
            for batch in _gather(resident, 0, order).split(size):
                yield batch, None
            return
        for start in starts:
            yield self.source.take(order[start : start + size]), None
