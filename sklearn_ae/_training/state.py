"""What training goes on from, as arrays and back: optimizers and generators."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_ae._objective.specs import is_same
from sklearn_ae._training.alternating import count_codes
from sklearn_ae._training.optimizers import OPTIMIZERS, load_optimizer

# Of tensors that numpy has no form for.
_WITHOUT_ARRAYS = frozenset({torch.bfloat16, torch.complex32})
_LARGEST_SETTING = 1e6


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
    if isinstance(state, dict):
        return {key: as_arrays(value) for key, value in state.items()}
    if type(state) in (list, tuple):
        return type(state)(as_arrays(value) for value in state)
    if isinstance(state, torch.Tensor):
        state = state.detach().cpu()
        return state if state.dtype in _WITHOUT_ARRAYS else state.numpy()
    return state


def as_tensors(state: Any) -> Any:
    """Answer what `as_arrays` has been given, with tensors of their own."""
    if isinstance(state, dict):
        return {key: as_tensors(value) for key, value in state.items()}
    if type(state) in (list, tuple):
        return type(state)(as_tensors(value) for value in state)
    if isinstance(state, np.ndarray):
        return torch.from_numpy(np.array(state))
    return state


def check_training_state(state: Any, module: nn.Module, n_components: int) -> None:
    """Refuse a state, read from a file, that no training has left behind.

    Parameters
    ----------
    state : dict
        Of arrays.
    module : AutoencoderModule
        What was trained.
    n_components : int

    Raises
    ------
    Exception
        Of many kinds, as anything may be wrong.
    """
    game = {"discriminator", "discriminator state", "draws", "last weights"}
    names = {"optimizer", "state", "generators"}
    if not names <= state.keys() <= names | game:
        raise ValueError("the state of its training lacks something, or has too much")
    n_values = sum(p.numel() for p in module.parameters())
    if state["optimizer"] == "alternating":
        _check_alternating(
            state["state"], len(module.reconstruction.shift), n_components
        )
    else:
        _check_optimizer(state["optimizer"], state["state"], n_values)
    for generator in state["generators"].values():
        _check_generator(generator)
    if not game & state.keys():
        return
    weights = list(state["discriminator"].values())
    for array in weights:
        _check_numbers(array, array.shape)
    n_opposed = sum(array.size for array in weights)
    _check_optimizer(state["optimizer"], state["discriminator state"], n_opposed)
    _check_generator(state["draws"])
    if "last weights" in state:
        _check_numbers(state["last weights"], (n_values,))


def _check_alternating(
    state: dict[str, Any], n_features: int, n_components: int
) -> None:
    shape = n_features, count_codes(n_features, n_components)
    if state["param_groups"][0]["params"] != [0] or len(state["param_groups"]) > 1:
        raise ValueError("the state of its optimizer is wrong")
    for kept in state["state"].values():
        block = kept["block"]
        if len(kept) > 1 or block.shape != shape or block.dtype != np.float64:
            raise ValueError("the state of its optimizer is wrong")
        if not np.isfinite(block).all():
            raise ValueError("the state of its optimizer is not finite")


def _check_optimizer(name: str, state: dict[str, Any], n_values: int) -> None:
    known = _state_of_one(name)
    (group,), (wanted,) = state["param_groups"], known["param_groups"]
    # Another version of torch may have more settings, or fewer.
    for key in group.keys() & wanted.keys() - {"lr", "params"}:
        if _kind(group[key]) != _kind(wanted[key]):
            raise ValueError(f"{key}={group[key]!r} is no setting of its optimizer")
    if state.keys() != known.keys() or group["params"] != [0]:
        raise ValueError("the state of its optimizer is wrong")
    if not state["state"]:
        # No step has been taken.
        return
    found, wanted = state["state"][0], known["state"][0]
    if found.keys() != wanted.keys() or len(state["state"]) > 1:
        raise ValueError("the state of its optimizer is wrong")
    for key, tensor in wanted.items():
        _check_numbers(found[key], (n_values,) if tensor.ndim else ())


def _kind(value: Any) -> Any:
    """Answer what a setting that a schedule or a callback has moved still is."""
    if isinstance(value, tuple):
        return tuple(map(_kind, value))
    if type(value) in (int, float) and abs(value) < _LARGEST_SETTING:
        # Whether there is any momentum decides what else a state has.
        return float, value == 0
    return value


def _state_of_one(name: str) -> dict[str, Any]:
    """Answer the state of an optimizer after a step on one number."""
    number = nn.Parameter(torch.zeros(1, dtype=torch.float32))
    number.grad = torch.zeros_like(number)
    optimizer = OPTIMIZERS[name]([number], lr=1.0)
    optimizer.step()
    return optimizer.state_dict()


def _check_numbers(array: Any, shape: tuple[int, ...]) -> None:
    is_right = isinstance(array, np.ndarray) and array.dtype == np.float32
    if not is_right or array.shape != shape or not np.isfinite(array).all():
        raise ValueError("the state of its training has wrong numbers")


def _check_generator(state: Any) -> None:
    # That of another device is left out where training goes on.
    if state.dtype != np.uint8 or state.ndim != 1:
        raise ValueError("the state of a generator is wrong")
    generator = torch.Generator("cpu")
    if state.shape == tuple(generator.get_state().shape):
        generator.set_state(torch.from_numpy(np.array(state)))
