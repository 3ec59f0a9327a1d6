"""What training goes on from, as arrays and back: optimizers and generators."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_ae._objective.specs import is_same
from sklearn_ae._training.optimizers import load_optimizer

# Of tensors that numpy has no form for.
_WITHOUT_ARRAYS = frozenset({torch.bfloat16, torch.complex32})


def keep_state(net: Any) -> dict[str, Any] | None:
    """Copy what a later fit needs of a net, so that it continues without a jump."""
    if net.on_all_rows_ is not None and not net.on_all_rows_.keeps_state:
        return None
    return {
        "optimizer": net.optimizer,
        "state": copy.deepcopy(net.optimizer_.state_dict()),
        "generators": net.streams_.states(),
        **net.own_state(),
    }


def restore_state(net: Any, kept: dict[str, Any] | None) -> None:
    """Let a net go on from what `keep_state` has answered of an earlier fit."""
    if kept is None:
        return
    net.generator_states = kept["generators"]
    is_same_kind = is_same(kept["optimizer"], net.optimizer)
    net.restore_own_state(kept, is_same_kind)
    if not is_same_kind:
        return
    rates = [group["lr"] for group in net.optimizer_.param_groups]
    load_optimizer(net.optimizer_, kept["state"])
    for group, rate in zip(net.optimizer_.param_groups, rates, strict=True):
        group["lr"] = rate
        # Left by a schedule of the earlier run; a new one starts from `lr`.
        group.pop("initial_lr", None)


def load_weights(
    module: nn.Module, weights: dict[str, Tensor], name: str, is_same: bool = True
) -> None:
    """Copy the weights that an earlier fit has trained into a module.

    Raises
    ------
    ValueError
        If the module, which the message names, has another shape, or is not the same.
    """
    own = dict(module.named_parameters())
    shapes = [{key: w.shape for key, w in each.items()} for each in (own, weights)]
    if not is_same or shapes[0] != shapes[1]:
        raise ValueError(
            f"The shape of the {name} has changed since the last fit, so training "
            "cannot continue from it; set warm_start=False or fit a clone."
        )
    for key, parameter in own.items():
        parameter.data.copy_(weights[key].detach())


def as_arrays(state: Any) -> Any:
    """Answer a tree of plain values with an array for each tensor that can be one."""

    def change(value: Any) -> Any:
        if isinstance(value, Tensor) and value.dtype not in _WITHOUT_ARRAYS:
            return value.detach().cpu().numpy()
        return value.detach().cpu() if isinstance(value, Tensor) else value

    return _changed(state, change)


def as_tensors(state: Any) -> Any:
    """Answer what `as_arrays` has been given, with tensors of their own."""

    def change(value: Any) -> Any:
        is_array = isinstance(value, np.ndarray)
        return torch.from_numpy(np.array(value)) if is_array else value

    return _changed(state, change)


def _changed(state: Any, change: Callable[[Any], Any]) -> Any:
    """Answer a tree with other leaves."""
    if isinstance(state, dict):
        return {key: _changed(value, change) for key, value in state.items()}
    if type(state) in (list, tuple):
        return type(state)(_changed(value, change) for value in state)
    return change(state)
