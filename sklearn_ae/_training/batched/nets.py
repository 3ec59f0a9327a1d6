"""A group: nets of one shape that train at the same time, each as if it were alone.

Small nets spend their time on calls, not on arithmetic. In a group one call serves all
of them: weights, and batches where they differ, have a leading axis of models. What a
net does between its epochs (validation, schedule, stopping, callbacks) stays its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sklearn_ae._compute.threads import threads_for
from sklearn_ae._data.rows import Batch, RowSource
from sklearn_ae._training.batched.weights import Arrangement, Member
from sklearn_ae._training.batches import Batches, Streams, TermSums
from sklearn_ae._training.callbacks import keep_copies, listen_to_batches
from sklearn_ae._training.net import AutoencoderNet

# Nets that have ended are computed along with the others until they are so many.
_SHARE_OF_ENDED = 1 / 8


def may_be_batched(net: AutoencoderNet) -> bool:
    """Whether a net can train in a group: by a named optimizer, batch after batch.

    Nobody may look at single batches, which are those of all, nor keep copies of a
    net's weights: each would be one of all weights, whose memory they share.
    """
    named = isinstance(net.optimizer, str) and not net.on_all_rows_
    callbacks = net.callbacks_
    return named and not listen_to_batches(callbacks) and not keep_copies(callbacks)


def train_together(
    nets: Sequence[AutoencoderNet],
    sources: Sequence[RowSource],
    check: Callable[[], None] | None = None,
) -> list[Exception | None]:
    """Train nets, each on the rows of its source; answer what each of them has raised.

    Parameters
    ----------
    nets : sequence of AutoencoderNet
        Initialised, of one shape, with the same number of rows in a batch.
    sources : sequence of RowSource
        Rows that nets of one seed share are read once.
    check : callable, default=None
        Called before each batch; what it raises ends the training of all.
    """
    pairs = list(zip(nets, sources, strict=True))
    members = [Member(net, source) for net, source in pairs]
    with threads_for(sum(net.work(source) for net, source in pairs)):
        try:
            for member in members:
                member.attempt(member.begin)
            _BatchedNets([m for m in members if not m.has_ended], check).train()
        finally:
            for member in members:
                member.end()
    return [member.error for member in members]


@dataclass(frozen=True, eq=False)
class _Feed:
    """Batches, and what is drawn for them: for all nets of the same rows and seed."""

    batches: Batches
    streams: Streams

    @property
    def n_rows(self) -> int:
        return len(self.batches.source)


def _share_feeds(members: list[Member]) -> dict[Member, _Feed]:
    known: dict[tuple[Any, ...], _Feed] = {}
    feeds = {}
    for member in members:
        net = member.net
        own = id(net) if _draws_by_weights(net) else None
        key = id(member.source), net.seed, own
        feeds[member] = known.setdefault(key, _Feed(net.batches_, net.streams_))
    return feeds


def _draws_by_weights(net: AutoencoderNet) -> bool:
    """Whether what is drawn for a net's batches depends on its weights."""
    return any(part.draws_by_weights for part in net.module_.random_parts().values())


class _BatchedNets:
    """Nets in the order of their model axis: by rows, then by optimizer."""

    def __init__(
        self, members: list[Member], check: Callable[[], None] | None = None
    ) -> None:
        self.members, self.check = members, check
        self.feed_of = _share_feeds(members)
        self.draws_by_weights = any(_draws_by_weights(m.net) for m in members)
        self.has_missing = any(member.source.has_missing for member in members)

    def train(self) -> None:
        """Train until each net has ended."""
        arrangement = None
        for epoch in itertools.count():
            for member in self._active():
                member.attempt(member.net.begin_epoch)
            if not self._active():
                return
            arrangement = self._arranged(arrangement, epoch)
            arrangement.load()
            self._run_epoch(arrangement)
            arrangement.store()
            for member in self._active():
                member.attempt(member.end_epoch)

    def _active(self) -> list[Member]:
        return [member for member in self.members if not member.has_ended]

    def _arranged(self, current: Arrangement | None, epoch: int) -> Arrangement:
        """Answer an arrangement for this epoch, the current one if it still serves."""
        if current is not None:
            agree = current.begin_epoch(self.members[0].net.epochs_before + epoch)
            n_ended = len(self.members) - len(self._active())
            if agree and n_ended <= _SHARE_OF_ENDED * len(self.members):
                return current
            current.dissolve()
        self.members = self._active()
        feeds = {id(feed): feed for feed in map(self.feed_of.get, self.members)}
        self.feeds = sorted(feeds.values(), key=lambda feed: -feed.n_rows)
        for feed in self.feeds:
            feed.batches.n_others = len(self.feeds) - 1
        places = {feed: place for place, feed in enumerate(self.feeds)}
        place_of = {member: places[self.feed_of[member]] for member in self.members}
        self.members.sort(key=lambda m: (-len(m.source), m.settings["lr"], place_of[m]))
        device = self.members[0].net.flat_.vector.device
        in_order = [place_of[member] for member in self.members]
        self.places = torch.tensor(in_order, device=device)
        self.known_places: dict[tuple[int, int], Tensor] = {}
        self.lengths = list(self._by_length())
        return Arrangement(self.members)

    def _by_length(self) -> Iterator[tuple[slice, slice]]:
        """Yield members that have equally many rows, and their feeds."""
        member = feed = 0
        for n_rows, run in itertools.groupby(len(m.source) for m in self.members):
            n_members = sum(1 for _ in run)
            n_feeds = sum(each.n_rows == n_rows for each in self.feeds)
            yield slice(member, member + n_members), slice(feed, feed + n_feeds)
            member += n_members
            feed += n_feeds

    def _run_epoch(self, arrangement: Arrangement) -> None:
        sums = TermSums(len(self.members))
        # Members of fewer rows may be at the end of theirs before the others.
        for parts in itertools.zip_longest(*(feed.batches for feed in self.feeds)):
            if self.check is not None:
                self.check()
            for members, feeds in self._of_one_size(parts):
                batch = self._gather(parts, members, feeds)
                terms = arrangement.step(members, batch)
                if self.draws_by_weights:
                    # The nets' own parts draw, by the nets' own weights.
                    arrangement.store()
                sums.add(terms, batch.x.shape[-2], members)
        found = zip(self.members, sums.averages(), strict=True)
        for place, (member, averages) in enumerate(found):
            member.averages = averages
            if member.net.is_in_first_epoch:
                member.net.first_terms_ = partial(sums.firsts, place)

    def _of_one_size(self, parts: tuple[Any, ...]) -> Iterator[tuple[slice, slice]]:
        """Yield members next to each other, and feeds, whose batches have one size."""
        firsts = [parts[feeds.start] for _, feeds in self.lengths]
        sizes = [0 if first is None else len(first[0]) for first in firsts]
        pairs = zip(sizes, self.lengths, strict=True)
        for size, run in itertools.groupby(pairs, key=lambda pair: pair[0]):
            members, feeds = zip(*(each for _, each in run), strict=True)
            if size:
                yield (
                    slice(members[0].start, members[-1].stop),
                    slice(feeds[0].start, feeds[-1].stop),
                )

    def _places_within(self, members: slice, feeds: slice) -> Tensor:
        key = (members.start, members.stop)
        if key not in self.known_places:
            self.known_places[key] = self.places[members] - feeds.start
        return self.known_places[key]

    def _gather(self, parts: tuple[Any, ...], members: slice, feeds: slice) -> Batch:
        """Answer the batches of some members as one, with a leading axis of them."""
        pairs = zip(self.feeds[feeds], parts[feeds], strict=True)
        batches = [feed.streams.batch(*p, self.has_missing) for feed, p in pairs]
        places = self._places_within(members, feeds)

        def hand_out(pieces: Sequence[Tensor | None]) -> Tensor | None:
            if pieces[0] is None:
                return None
            if len(pieces) == 1:
                return pieces[0].expand(len(places), *pieces[0].shape)
            return torch.stack(pieces).index_select(0, places)

        *parts, drawn = zip(*batches, strict=True)
        names = drawn[0]
        of_names = {name: hand_out([each[name] for each in drawn]) for name in names}
        return Batch(*map(hand_out, parts), of_names)
