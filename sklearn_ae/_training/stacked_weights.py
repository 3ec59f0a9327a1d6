"""The weights of a stack of nets: rows of one matrix, and optimizers of its blocks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_ae import _dense_gradient
from sklearn_ae._input import RowSource
from sklearn_ae._modules import AutoencoderModule, copy_module
from sklearn_ae._threads import split
from sklearn_ae._training.functional_gradient import FunctionalGradient
from sklearn_ae._training.net import AutoencoderNet
from sklearn_ae._training.optimizers import OPTIMIZERS, views_of

_CONTIGUOUS = torch.contiguous_format
_concatenate = split(torch.cat)
# What an optimizer's group has that is no setting of it.
_NOT_SETTINGS = ("params", "initial_lr")


class Member:
    """A net in a stack, and how far it has come.

    Attributes
    ----------
    net : AutoencoderNet
    source : RowSource
    averages : dict of str to float
        The mean terms of the epoch that has just been run.
    state : dict of str to Tensor
        Of its optimizer, while blocks are formed anew.
    error : Exception or None
        What has ended it before its time.
    has_ended : bool
    """

    def __init__(self, net: AutoencoderNet, source: RowSource) -> None:
        self.net, self.source = net, source
        self.averages: dict[str, float] = {}
        self.state: dict[str, Any] = {}
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
        # Schedulers warn unless they saw a step; the gradient is the stack's.
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
        """Take the weights out of the stack, which may go on without them."""
        if not self.has_ended:
            self.has_ended = True
            self.net.flat_.move_to(self.net.flat_.vector.detach().clone())
            self.net.end_training(self.source)


class Arrangement:
    """Weights of nets as rows of one matrix, with their gradients and optimizers.

    Members next to each other that have equally many rows and whose optimizers are set
    alike form a block, which has one optimizer.

    Parameters
    ----------
    members : sequence of Member
        In order; their nets' weights become the rows of the matrix.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        vectors = [member.net.flat_.vector.detach() for member in members]
        self.weights = torch.stack(vectors)
        self.gradients = torch.zeros_like(self.weights)
        for row, member in zip(self.weights, members, strict=True):
            member.net.flat_.move_to(row)
        self.blocks = list(self._form_blocks())
        self.steps: dict[tuple[int, int], _Step] = {}

    def _form_blocks(self) -> Iterator[_Block]:
        start = 0
        for _, run in itertools.groupby(
            self.members, key=lambda member: (len(member.source), member.settings)
        ):
            rows = slice(start, start + len(list(run)))
            yield _Block(
                rows, self.members[rows], self.weights[rows], self.gradients[rows]
            )
            start = rows.stop

    def begin_epoch(self, epoch: int) -> bool:
        """Answer whether the members of each block are still set alike; set it so."""
        for step in self.steps.values():
            step.module.begin_epoch(epoch)
        followed = [block.follow() for block in self.blocks]
        return all(followed)

    def dissolve(self) -> None:
        """Give each member the state of its optimizer, for another arrangement."""
        for block in self.blocks:
            block.hand_out()

    def step(
        self, rows: slice, x: Tensor, weights: Tensor | None, drawn: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Take a step with some members; answer the terms of each, (n_members,)."""
        key = rows.start, rows.stop
        if key not in self.steps:
            blocks = [b for b in self.blocks if key[0] <= b.rows.start < key[1]]
            self.steps[key] = _Step(
                self.members[rows], self.weights[rows], self.gradients[rows], blocks
            )
        return self.steps[key](x, weights, drawn)


class _Block:
    """Nets that one optimizer serves, their weights one vector."""

    def __init__(
        self, rows: slice, members: Sequence[Member], weights: Tensor, gradients: Tensor
    ) -> None:
        self.rows, self.members = rows, members
        self.vector = nn.Parameter(weights.view(-1))
        self.vector.grad = gradients.view(-1)
        first = members[0]
        make = OPTIMIZERS[first.net.optimizer]
        self.optimizer = make([self.vector], lr=first.settings["lr"])
        self.optimizer.param_groups[0].update(first.settings)
        self.update = getattr(self.optimizer, "update", self.optimizer.step)
        if first.state:
            states = [member.state for member in members]
            self.optimizer.state[self.vector] = {
                name: torch.cat([state[name] for state in states])
                if _is_vector(value)
                else value
                for name, value in first.state.items()
            }

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
        state = self.optimizer.state.get(self.vector, {})
        for i, member in enumerate(self.members):
            member.state = {
                name: value.view(len(self.members), -1)[i]
                if _is_vector(value)
                # Of another block than this one, it will count further steps.
                else _copy_of(value)
                for name, value in state.items()
            }


def _is_vector(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 1


def _copy_of(value: Any) -> Any:
    """Copy the number of steps, which is a tensor that optimizers count up."""
    return value.clone() if isinstance(value, Tensor) else value


class _Step:
    """A step of some members: a net whose weights and buffers are those of all."""

    def __init__(
        self,
        members: Sequence[Member],
        weights: Tensor,
        gradients: Tensor,
        blocks: list[_Block],
    ) -> None:
        modules = [member.net.module_ for member in members]
        self.blocks, self.gradients = blocks, gradients
        self.module = copy_module(modules[0]).train()
        self.parameters = list(self.module.parameters())
        shapes = [p.detach() for p in self.parameters]
        views = views_of(weights, shapes)
        for parameter, data in zip(self.parameters, views, strict=True):
            parameter.data = data
            # Apart: products write into rows that are far from each other by copies.
            parameter.grad = torch.zeros_like(data, memory_format=_CONTIGUOUS)
        self.pieces = [p.grad.view(len(gradients), -1) for p in self.parameters]
        _stack_buffers(self.module, modules)
        if _dense_gradient.supports(self.module):
            for part in (self.module.reconstruction, self.module.corruption):
                _round_buffers(part, weights.dtype)
            self.gradient = _dense_gradient.DenseGradient(self.module)
        else:
            self.gradient = FunctionalGradient(self.module)

    def __call__(
        self, x: Tensor, weights: Tensor | None, drawn: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        terms = self.gradient(x, weights, drawn)
        _concatenate(self.pieces, 1, out=self.gradients)
        for block in self.blocks:
            block.update()
        return terms


def _stack_buffers(
    stacked: AutoencoderModule, modules: Sequence[AutoencoderModule]
) -> None:
    for name, _ in modules[0].named_buffers():
        owner, _, own = name.rpartition(".")
        parts = [module.get_buffer(name) for module in modules]
        setattr(stacked.get_submodule(owner), own, torch.stack(parts))


def _round_buffers(part: nn.Module | None, dtype: torch.dtype) -> None:
    """Round what only meets rows to their precision, which would be done each time."""
    for name, buffer in [] if part is None else list(part.named_buffers()):
        setattr(part, name, buffer.to(dtype))
