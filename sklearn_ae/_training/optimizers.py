"""Optimizers and learning-rate schedules by name, on flat parameters."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from sklearn.utils._param_validation import InvalidParameterError
from torch import Tensor, nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LRScheduler,
    ReduceLROnPlateau,
)

from sklearn_ae._training.alternating import AlternatingLeastSquares, alternate
from sklearn_ae._training.batches import Batches, TermSums
from sklearn_ae._training.lbfgs import search_epoch

# Iterations of L-BFGS that make an epoch.
LBFGS_ITERATIONS = 20
# Schedules whose steps depend on the number of epochs.
PLANNED_SCHEDULES = ("cosine", "exponential")
# An exponential schedule ends at this share of the first learning rate.
_FINAL_SHARE = 0.01
# Added to the root of mean squared gradients. Those of a column's weights go with its
# deviation: of one a million times smaller than the others, torch's own 1e-8 would be
# most of the sum.
_EPSILON = 1e-12


class FlatParameters:
    """All parameters of a module as views of one vector, their gradients of another.

    One vector makes an optimizer step one call, whatever the number of layers.
    """

    def __init__(self, module: nn.Module) -> None:
        self._parameters = list(module.parameters())
        pieces = [p.detach().reshape(-1) for p in self._parameters]
        self.vector = nn.Parameter(torch.cat(pieces))
        self.vector.grad = torch.zeros_like(self.vector)
        self._spread(self.vector.data, "data")
        self._spread(self.vector.grad, "grad")

    def _spread(self, vector: Tensor, role: str) -> None:
        for parameter, view in zip(
            self._parameters, views_of(vector, self._parameters), strict=True
        ):
            setattr(parameter, role, view)

    def spread(
        self, factors: list[tuple[nn.Parameter, Tensor]]
    ) -> list[tuple[Tensor, Tensor]]:
        """Answer the parts of the vector that have these parameters, with factors."""
        known = {id(parameter): factor for parameter, factor in factors}
        found, start = [], 0
        # Next to each other they are one part: a call less.
        for is_known, run in itertools.groupby(
            self._parameters, key=lambda p: id(p) in known
        ):
            run = list(run)
            stop = start + sum(p.numel() for p in run)
            if is_known:
                pieces = [known[id(p)].expand(p.shape).flatten() for p in run]
                found.append((self.vector.data[start:stop], torch.cat(pieces)))
            start = stop
        return found

    def move_to(self, vector: Tensor) -> None:
        """Keep the parameters in other memory, whose values they take."""
        self.vector.data = vector
        self._spread(vector, "data")

    def zero_gradient(self) -> None:
        """Set the gradients to zero."""
        self.vector.grad.zero_()

    def release(self) -> None:
        """Give each parameter memory of its own again, and drop the gradients."""
        for parameter in self._parameters:
            parameter.data = parameter.data.clone()
        self.drop_gradients()

    def drop_gradients(self) -> None:
        """Free the memory of the gradients."""
        for parameter in (self.vector, *self._parameters):
            parameter.grad = None


def views_of(vector: Tensor, parameters: Iterable[Tensor]) -> list[Tensor]:
    """Answer views of a vector that have the shapes of parameters, one after another.

    Parameters
    ----------
    vector : Tensor of shape (..., n_values)
    parameters : iterable of Tensor
        Each has the shape that its views end with.
    """
    parameters = list(parameters)
    pieces = vector.split([p.numel() for p in parameters], -1)
    pairs = zip(pieces, parameters, strict=True)
    return [piece.view((*vector.shape[:-1], *p.shape)) for piece, p in pairs]


# Optimizers whose steps go with the size of the gradient.
_PROPORTIONAL = (torch.optim.SGD, torch.optim.ASGD, torch.optim.LBFGS)


def scaled_update(
    optimizer: torch.optim.Optimizer, factors: list[tuple[Tensor, Tensor]]
) -> Callable[[], Any]:
    """Answer what takes a step, a multiple of the optimizer's own for some weights.

    Adam and its like move each weight by the learning rate, however small its gradient
    is: the outputs of a column that is a thousand times smaller than others by a
    thousand times too much, unless the rate is in units of the column's deviation. To
    multiply steps is the same as to have these weights in other units. The others'
    steps are in the gradient's units already.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    factors : list of (Tensor, Tensor)
        Weights, and what their steps are multiplied by.
    """
    update = optimizer.update if isinstance(optimizer, FlatAdam) else optimizer.step
    if not factors or isinstance(optimizer, _PROPORTIONAL):
        return update
    before = [torch.empty_like(weight) for weight, _ in factors]

    @torch.no_grad()
    def scaled() -> None:
        for (weight, _), kept in zip(factors, before, strict=True):
            kept.copy_(weight)
        update()
        for (weight, factor), kept in zip(factors, before, strict=True):
            torch.lerp(kept, weight, factor, out=weight)

    return scaled


class FlatAdam(torch.optim.Adam):
    """Adam (Kingma and Ba 2015) on one vector or a few, with a step that is one call.

    `step` of torch spends most of a small net's time on grouping and hooks; `update`
    calls the same fused kernel on the same state.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr=lr, fused=True, eps=_EPSILON)

    @torch.no_grad()
    def update(self) -> None:
        """Do what `step` does."""
        group = self.param_groups[0]
        vectors = group["params"]
        states = [self.state[vector] for vector in vectors]
        if not states[0]:
            self.step()
            return
        beta1, beta2 = group["betas"]
        # Schedulers warn unless they saw a step.
        self._opt_called = True
        for state in states:
            state["step"] += 1
        torch._fused_adam_(
            vectors,
            [vector.grad for vector in vectors],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=0.0,
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": FlatAdam,
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, eps=_EPSILON),
    "lbfgs": partial(
        torch.optim.LBFGS,
        max_iter=LBFGS_ITERATIONS,
        # The iterations end a step, not the line search's calls within them.
        max_eval=25 * LBFGS_ITERATIONS,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-8,
        tolerance_change=1e-10,
    ),
    "alternating": AlternatingLeastSquares,
}


class AllRows(NamedTuple):
    """What makes an epoch of an optimizer that takes all rows at once.

    Attributes
    ----------
    epoch : callable
        Of the net, the rows in slices, and the sums that get the terms of the objective
        at the end of the epoch: answers whether nothing is left to gain.
    ends_itself : bool
        Whether it says so wherever that is so; else an objective that stands still
        says it as well.
    keeps_state : bool
        Whether a later fit goes on from what the optimizer knows.
    """

    epoch: Callable[[Any, Batches, TermSums], bool]
    ends_itself: bool
    keeps_state: bool


_ALL_ROWS: dict[type[torch.optim.Optimizer], AllRows] = {
    torch.optim.LBFGS: AllRows(search_epoch, ends_itself=False, keeps_state=False),
    AlternatingLeastSquares: AllRows(alternate, ends_itself=True, keeps_state=True),
}


def on_all_rows(optimizer: torch.optim.Optimizer) -> AllRows | None:
    """Answer what makes an epoch of an optimizer; None of one that goes by batches."""
    kinds = [kind for kind in _ALL_ROWS if isinstance(optimizer, kind)]
    return _ALL_ROWS[kinds[0]] if kinds else None


def make_optimizer(
    optimizer: str | Callable[..., torch.optim.Optimizer],
    flat: FlatParameters,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
) -> torch.optim.Optimizer:
    """Build an optimizer from a name, a torch class, or a partial of one.

    The named ones work entry by entry, so one vector serves them; a class of the user
    may look at the shape of each parameter and gets them as they are.
    """
    if isinstance(optimizer, str):
        learning_rate = 1.0 if optimizer == "lbfgs" else learning_rate
        return OPTIMIZERS[optimizer]([flat.vector], lr=learning_rate)
    kind = optimizer.func if isinstance(optimizer, partial) else optimizer
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        raise InvalidParameterError(
            "The 'optimizer' parameter must be a name, a torch optimizer class or a "
            f"functools.partial of one. Got {optimizer!r} instead."
        )
    chosen: dict[str, Any] = {"lr": learning_rate}
    if isinstance(optimizer, partial):
        chosen |= optimizer.keywords
    if "weight_decay" in inspect.signature(kind).parameters:
        # The objective has the decay already; a second one would not be reported.
        chosen["weight_decay"] = 0.0
    try:
        return optimizer(list(parameters), **chosen)
    except TypeError as error:
        raise InvalidParameterError(
            f"optimizer={optimizer!r} cannot be made: {error}. Give what it needs by "
            "functools.partial(torch.optim.SGD, momentum=0.8), say."
        ) from error


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Let an optimizer go on from the state of one of its kind, which stays as it is.

    Settings that the other had no value for, in another version of torch, stay.
    """
    settings = [dict(group) for group in optimizer.param_groups]
    # A copy: torch goes on with the very tensors that it is given.
    optimizer.load_state_dict(copy.deepcopy(state))
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update({key: own[key] for key in own.keys() - group.keys()})


def make_schedule(
    schedule: str | Callable[..., LRScheduler] | None,
    optimizer: torch.optim.Optimizer,
    max_epochs: int,
    patience: int,
) -> LRScheduler | None:
    """Build a learning-rate schedule that is stepped once an epoch."""
    if schedule is None or on_all_rows(optimizer):
        return None
    if callable(schedule):
        kind = schedule.func if isinstance(schedule, partial) else schedule
        if not (isinstance(kind, type) and issubclass(kind, LRScheduler)):
            raise InvalidParameterError(
                "The 'learning_rate_schedule' parameter must be None, a name, or a "
                f"functools.partial of a torch scheduler. Got {schedule!r} instead."
            )
        try:
            return schedule(optimizer)
        except TypeError as error:
            raise InvalidParameterError(
                f"learning_rate_schedule={schedule!r} cannot be made: {error}. Give "
                "what it needs by functools.partial(StepLR, step_size=10), say."
            ) from error
    if schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=max_epochs)
    if schedule == "exponential":
        return ExponentialLR(optimizer, gamma=_FINAL_SHARE ** (1 / max_epochs))
    return Plateau(optimizer, patience=max(1, patience // 2), threshold_mode="abs")


class Plateau(ReduceLROnPlateau):
    """The schedule "plateau": what counts as a gain is what counts for the training.

    torch's own default is a share of the best objective so far, of which a negative
    one would always be a gain.
    """


def step_schedule(
    schedule: LRScheduler | None, monitored: float, least_gain: float
) -> None:
    """Move a schedule on by one epoch, with the objective and what counts as a gain."""
    if isinstance(schedule, Plateau):
        schedule.threshold = least_gain
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(monitored)
    elif schedule is not None:
        schedule.step()


def uses_all_rows(optimizer: str | Callable[..., Any]) -> bool:
    """Whether a step of the optimizer takes all rows.

    That is "alternating", and L-BFGS by name or as a class.
    """
    kind = optimizer.func if isinstance(optimizer, partial) else optimizer
    is_class = isinstance(kind, type) and issubclass(kind, torch.optim.LBFGS)
    return is_class or kind in ("lbfgs", "alternating")
