"""Batches of an epoch: their rows, what is drawn for them, and the sums of terms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import repeat

import torch
from torch import Tensor

from sklearn_ae._compute.seeds import Random, make_generator
from sklearn_ae._data.rows import Batch, RowSource
from sklearn_ae._nets.autoencoder import split_missing

# Tensors up to this size, of all batches that are read at the same time, are put in
# order once an epoch; their batches are then views.
_REORDER_BYTES = 2**25

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
        beside: Iterable[Tensor | None] = repeat(None)
        if isinstance(targets, RowSource):
            beside = self._in_order(targets, order)
        elif targets is not None:
            beside = targets[order.to(targets.device)].split(size)
        # Not strict: there is no end of no targets.
        yield from zip(self._in_order(self.source, order), beside, strict=False)

    def _in_order(self, source: RowSource, order: Tensor) -> Iterable[Tensor]:
        resident = source.resident
        if resident is None:
            return map(source.take, order.split(self.batch_size))
        order = order.to(resident.device)
        if resident.nbytes <= _REORDER_BYTES // (1 + self.n_others):
            return resident.index_select(0, order).split(self.batch_size)
        return map(source.take, order.split(self.batch_size))


def batch_size_for(batch_size: int | str, n_rows: int) -> int:
    """Answer how many rows a batch has: what was asked for, or what suits them."""
    if batch_size != "auto":
        return batch_size
    power = 2 ** round(math.log2(max(1, n_rows / _BATCHES)))
    return min(max(power, _SMALLEST_BATCH), _LARGEST_BATCH)


class TermSums:
    """Sums of the objective's terms over the rows of an epoch, kept on the device.

    Parameters
    ----------
    n_nets : int, default=1
        How many nets there are, each with sums of its own.
    """

    def __init__(self, n_nets: int = 1) -> None:
        self.n_rows = [0] * n_nets
        self._sums: dict[str, Tensor] = {}
        self._firsts: dict[str, Tensor] = {}
        self._has_first = [False] * n_nets

    def add(
        self, terms: dict[str, Tensor], n_rows: int, nets: slice | None = None
    ) -> None:
        """Add the terms of a batch, means over its rows, of some nets or of all."""
        self.keep_first(terms, nets)
        for name, term in terms.items():
            if name not in self._sums:
                self._sums[name] = self._zeros(term)
            total = self._sums[name]
            (total if nets is None else total[nets]).add_(term, alpha=n_rows)
        nets = nets or slice(None)
        self.n_rows[nets] = [n + n_rows for n in self.n_rows[nets]]

    def keep_first(self, terms: dict[str, Tensor], nets: slice | None = None) -> None:
        """Remember the terms of a batch, unless there was one before."""
        which = nets or slice(None)
        if all(self._has_first[which]):
            return
        self._has_first[which] = [True] * len(self._has_first[which])
        for name, term in terms.items():
            if name not in self._firsts:
                self._firsts[name] = self._zeros(term)
            first = self._firsts[name]
            (first if nets is None else first[nets]).copy_(term)

    def _zeros(self, term: Tensor) -> Tensor:
        return term.new_zeros(len(self.n_rows), dtype=torch.float64)

    def firsts(self, net: int = 0) -> dict[str, float]:
        """Answer the terms of the first batch that a net has had."""
        return {name: float(first[net]) for name, first in self._firsts.items()}

    def averages(self) -> list[dict[str, float]]:
        """Answer the means over the rows, of each net."""
        of_nets = torch.stack(list(self._sums.values()), -1).tolist()
        return [
            {name: total / n for name, total in zip(self._sums, totals, strict=True)}
            for totals, n in zip(of_nets, self.n_rows, strict=True)
        ]


class Streams:
    """Draws for the random parts of an objective, each from a generator of its own.

    Parameters
    ----------
    parts : dict of str to Random
    seed : int
    use : str
        What the numbers are for, so that training and validation do not share them.
    epoch : int
        Epochs that this seed has served before.
    device : torch.device
    """

    def __init__(
        self,
        parts: dict[str, Random],
        seed: int,
        use: str,
        epoch: int,
        device: torch.device,
    ) -> None:
        self._parts = parts
        self._generators = {
            name: make_generator(seed, f"{name} in {use}", epoch, device)
            for name in parts
        }

    def batch(self, x: Tensor, target: Tensor | None, has_missing: bool) -> Batch:
        """Answer standardised rows as a batch, for which has been drawn."""
        x, weights = split_missing(x, has_missing)
        drawn = {
            name: part.draw(x, self._generators[name])
            for name, part in self._parts.items()
        }
        return Batch(x, weights, target, drawn)

    def states(self) -> dict[str, Tensor]:
        """Answer where the generators are."""
        return {name: each.get_state() for name, each in self._generators.items()}

    def restore(self, states: dict[str, Tensor]) -> None:
        """Put the generators back to where they were."""
        for name in self._generators.keys() & states.keys():
            restore_generator(self._generators[name], states[name])


def restore_generator(generator: torch.Generator, state: Tensor) -> None:
    """Put a generator back to where one has stopped, on a device of the same kind."""
    # Those of another kind of device have another kind of state.
    if state.shape == generator.get_state().shape:
        generator.set_state(state)
