"""The weights of a group of nets, and the optimizers that serve blocks of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_ae._data.rows import Batch, RowSource
from sklearn_ae._nets.autoencoder import AutoencoderModule, copy_module
from sklearn_ae._training import dense_gradient
from sklearn_ae._training.batched.gradient import FunctionalGradient
from sklearn_ae._training.net import AutoencoderNet
from sklearn_ae._training.optimizers import OPTIMIZERS, scaled_update, views_of

# What an optimizer's group has that is no setting of it.
_NOT_SETTINGS = ("params", "initial_lr")


class Member:
    """A net in a group, and how far it has come.

    Attributes
    ----------
    net : AutoencoderNet
    source : RowSource
    averages : dict of str to float
        The mean terms of the epoch that has just been run.
    states : list of dict of str to Tensor
        Of its optimizer, for each parameter, while blocks are formed anew.
    error : Exception or None
        What has ended it before its time.
    has_ended : bool
    """

    def __init__(self, net: AutoencoderNet, source: RowSource) -> None:
        self.net, self.source = net, source
        self.averages: dict[str, float] = {}
        self.states: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self.has_ended = False

    @property
    def settings(self) -> dict[str, Any]:
        """What the optimizer is set to, by a schedule for example."""
        (group,) = self.net.optimizer_.param_groups
        return {k: v for k, v in group.items() if k not in _NOT_SETTINGS}

    def attempt(self, step: Callable[[], None]) -> None:
        """Do what is the net's own; if it fails, it is the only one that ends."""
        try:
            step()
        except Exception as error:
            self.error = error
            self.end()

    def begin(self) -> None:
        """Get ready for the first epoch."""
        # Schedulers warn unless they saw a step; the gradient is the group's.
        self.net.optimizer_._opt_called = True
        self.net.gradient_ = None
        self.net.flat_.drop_gradients()
        self.net.begin_training(self.source)

    def end_epoch(self) -> None:
        """Record the epoch, and end with it if it was the last one."""
        self.net.record(self.averages)
        self.net.history.record("train_batch_count", len(self.net.batches_))
        if not self.net.end_epoch():
            self.end()

    def end(self) -> None:
        """Take the weights out of the group, which may go on without them."""
        if not self.has_ended:
            self.has_ended = True
            self.net.flat_.move_to(self.net.flat_.vector.detach().clone())
            self.net.end_training(self.source)


class Arrangement:
    """Weights of nets, one tensor for each of a net's parameters, and their optimizers.

    Members next to each other that have equally many rows and whose optimizers are set
    alike form a block, which has one optimizer. Between epochs the nets have their
    weights for themselves: as the rows of a matrix.

    Parameters
    ----------
    members : sequence of Member
        In order, which is that of the tensors' leading axis.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.rows = torch.stack([m.net.flat_.vector.detach() for m in members])
        for row, member in zip(self.rows, members, strict=True):
            member.net.flat_.move_to(row)
        self.views = views_of(self.rows, members[0].net.module_.parameters())
        # Never views: of a single member they would be of the matrix itself.
        copy = partial(torch.clone, memory_format=torch.contiguous_format)
        weights = map(copy, self.views)
        self.batched = [
            _BatchedWeight(weight, torch.zeros_like(weight)) for weight in weights
        ]
        self.blocks = list(self._form_blocks())
        self.steps: dict[tuple[int, int], _Step] = {}

    def _form_blocks(self) -> Iterator[_Block]:
        start = 0
        for _, run in itertools.groupby(
            self.members, key=lambda member: (len(member.source), member.settings)
        ):
            rows = slice(start, start + len(list(run)))
            yield _Block(rows, self.members[rows], [s[rows] for s in self.batched])
            start = rows.stop

    def begin_epoch(self, epoch: int) -> bool:
        """Answer whether the members of each block are still set alike; set it so."""
        for step in self.steps.values():
            step.module.begin_epoch(epoch)
        followed = [block.follow() for block in self.blocks]
        return all(followed)

    def load(self) -> None:
        """Take the weights from the nets, whose callbacks may have changed them."""
        for batched, view in zip(self.batched, self.views, strict=True):
            batched.weight.copy_(view)

    def store(self) -> None:
        """Give the weights to the nets."""
        pieces = [batched.weight.flatten(1) for batched in self.batched]
        torch.cat(pieces, 1, out=self.rows)

    def dissolve(self) -> None:
        """Give each member the state of its optimizer, for another arrangement."""
        for block in self.blocks:
            block.hand_out()

    def step(self, rows: slice, batch: Batch) -> dict[str, Tensor]:
        """Take a step with some members; answer the terms of each, (n_members,)."""
        key = rows.start, rows.stop
        if key not in self.steps:
            blocks = [b for b in self.blocks if key[0] <= b.rows.start < key[1]]
            batched = [s[rows] for s in self.batched]
            self.steps[key] = _Step(self.members[rows], batched, blocks)
        return self.steps[key](batch)


@dataclass(eq=False)
class _BatchedWeight:
    """A parameter of several nets, and its gradient, with a leading axis of nets."""

    weight: Tensor
    gradient: Tensor

    def __getitem__(self, rows: slice) -> _BatchedWeight:
        return _BatchedWeight(self.weight[rows], self.gradient[rows])


class _Block:
    """Nets that one optimizer serves."""

    def __init__(
        self, rows: slice, members: Sequence[Member], batched: Sequence[_BatchedWeight]
    ) -> None:
        self.rows, self.members = rows, members
        self.parameters = [nn.Parameter(each.weight) for each in batched]
        for parameter, each in zip(self.parameters, batched, strict=True):
            parameter.grad = each.gradient
        first = members[0]
        make = OPTIMIZERS[first.net.optimizer]
        self.optimizer = make(self.parameters, lr=first.settings["lr"])
        self.optimizer.param_groups[0].update(first.settings)
        self.update = scaled_update(self.optimizer, self._factors())
        if first.states:
            for i, parameter in enumerate(self.parameters):
                states = [member.states[i] for member in members]
                self.optimizer.state[parameter] = _batched_states(states)

    def _factors(self) -> list[tuple[Tensor, Tensor]]:
        """List weights of all output layers, and what their steps are multiples of."""
        places = {id(p): i for i, p in enumerate(_parameters(self.members[0]))}
        pairs = [member.net.output_factors() for member in self.members]
        return [
            (
                self.parameters[places[id(same[0][0])]].data,
                torch.stack([factor for _, factor in same]),
            )
            for same in zip(*pairs, strict=True)
        ]

    def follow(self) -> bool:
        """Set the optimizer to what those of the nets are set to, if they agree."""
        settings = [m.settings for m in self.members if not m.has_ended]
        if any(each != settings[0] for each in settings):
            return False
        if settings:
            self.optimizer.param_groups[0].update(settings[0])
        return True

    def hand_out(self) -> None:
        """Give each member its part of the optimizer's state."""
        states = [self.optimizer.state.get(p, {}) for p in self.parameters]
        for i, member in enumerate(self.members):
            member.states = [
                {
                    # Of another block than this one, it will count further steps.
                    name: value[i] if _is_of_weights(value) else _copy_of(value)
                    for name, value in state.items()
                }
                for state in states
            ]


def _parameters(member: Member) -> list[nn.Parameter]:
    return list(member.net.module_.parameters())


def _batched_states(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: torch.stack([state[name] for state in states])
        if _is_of_weights(value)
        else value
        for name, value in states[0].items()
    }


def _is_of_weights(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0


def _copy_of(value: Any) -> Any:
    """Copy the number of steps, which is a tensor that optimizers count up."""
    return value.clone() if isinstance(value, Tensor) else value


class _Step:
    """A step of some members: a net whose weights and buffers are those of all."""

    def __init__(
        self,
        members: Sequence[Member],
        batched: Sequence[_BatchedWeight],
        blocks: list[_Block],
    ) -> None:
        modules = [member.net.module_ for member in members]
        self.blocks = blocks
        self.module = copy_module(modules[0]).train()
        for parameter, each in zip(self.module.parameters(), batched, strict=True):
            parameter.data, parameter.grad = each.weight, each.gradient
        _batch_buffers(self.module, modules)
        if dense_gradient.supports(self.module):
            for part in (self.module.reconstruction, self.module.corruption):
                _round_buffers(part, batched[0].weight.dtype)
            self.gradient = dense_gradient.DenseGradient(self.module)
        else:
            self.gradient = FunctionalGradient(self.module)

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        terms = self.gradient(batch)
        for block in self.blocks:
            block.update()
        return terms


def _batch_buffers(
    batched: AutoencoderModule, modules: Sequence[AutoencoderModule]
) -> None:
    for name, _ in modules[0].named_buffers():
        owner, _, own = name.rpartition(".")
        parts = [module.get_buffer(name) for module in modules]
        setattr(batched.get_submodule(owner), own, torch.stack(parts))


def _round_buffers(part: nn.Module | None, dtype: torch.dtype) -> None:
    """Round what only meets rows to their precision, which would be done each time."""
    for name, buffer in [] if part is None else list(part.named_buffers()):
        setattr(part, name, buffer.to(dtype))
