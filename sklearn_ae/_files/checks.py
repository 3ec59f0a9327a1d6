"""What must fit together in a file: parameters, fitted attributes and a model."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_ae._data.moments import Moments
from sklearn_ae._nets.autoencoder import named_tensors
from sklearn_ae._training.alternating import count_codes
from sklearn_ae._training.optimizers import OPTIMIZERS

# Of moments, an entry for each feature.
VECTORS = ("mean", "low", "high", "median", "shift", "deviation")
# What later fits and the methods read, whatever class it is.
_FITTED = {
    "history_": list,
    "loss_": float,
    "loss_curve_": list,
    "loss_terms_": dict,
    "n_features_in_": int,
    "n_iter_": int,
    "validation_scores_": (list, type(None)),
}
# Of the state of training, and of a game's, beside that.
_TRAINING = {"optimizer", "state", "generators"}
_GAME = {"discriminator", "discriminator state", "draws", "last weights"}
_LARGEST_SETTING = 1e6


def check_array(
    name: str, array: Any, shape: tuple[int, ...], dtype: Any = np.floating
) -> None:
    """Refuse what is no array of finite numbers of a shape and a dtype."""
    is_array = isinstance(array, np.ndarray) and np.issubdtype(array.dtype, dtype)
    if not is_array or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} is no array of finite numbers of shape {shape}")


def check_finite_tensors(module: nn.Module) -> None:
    """Refuse a net with values that are not finite."""
    for name, tensor in named_tensors(module):
        if tensor.dtype.is_floating_point and not tensor.isfinite().all():
            raise ValueError(f"{name!r} has values that are not finite")


def check_start(row_shape: Any, moments: Moments, seed: Any) -> None:
    """Refuse a shape of rows, moments and a seed that no fit has started from."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError(f"{seed!r} is no seed")
    for name in VECTORS:
        vector = getattr(moments, name)
        if vector is not None or name != "deviation":
            shape = (len(moments.mean),)
            check_array(f"{name}, a vector of its moments,", vector, shape, np.float64)
    if not _is_shape(row_shape, len(moments.mean)):
        raise ValueError("the shape of its rows is wrong")
    deviations = (moments.robust_deviation, moments.scale)
    numbers = (moments.variance, *deviations)
    if not all(type(x) is float and math.isfinite(x) for x in numbers):
        raise ValueError("the moments of its training rows are no numbers")
    if moments.target is not None:
        check_start(moments.target_shape or None, moments.target, seed)
    if type(moments.has_missing) is not bool:
        raise ValueError("has_missing is neither true nor false")
    if moments.class_count is not None and not _are_counts(moments.class_count):
        raise ValueError("the counts of its classes are no counts")
    least = 0.0 if moments.deviation is None else moments.deviation.min()
    if min(moments.variance, least) < 0 or min(deviations) <= 0:
        raise ValueError(
            "the moments of its training rows are negative, or a scale is 0"
        )


def _are_counts(value: Any) -> bool:
    is_vector = isinstance(value, np.ndarray) and value.ndim == 1 and value.size > 0
    if not is_vector or value.dtype != np.int64 or value.min() < 0:
        return False
    # What floats can count.
    return 0 < value.sum(dtype=float) < 2**53


def _are_classes(value: Any) -> bool:
    """Whether they are labels, each once, in order."""
    if not isinstance(value, np.ndarray) or value.ndim != 1:
        return False
    if value.dtype == object and not all(isinstance(label, str) for label in value):
        return False
    return value.dtype.kind in "biufUO" and bool((value[:-1] < value[1:]).all())


def check_fitted(estimator: Any, fitted: dict[str, Any], model: Any) -> None:
    """Refuse fitted attributes that do not go with one another, or with a model."""
    lasting = {*estimator._lasting_attributes}
    if (fitted or model) and not lasting <= fitted.keys():
        raise ValueError(f"one of {sorted(lasting)} is missing")
    if model is not None:
        _check_fitted_net(fitted, model)


def _check_fitted_net(fitted: dict[str, Any], model: Any) -> None:
    for name, kind in _FITTED.items():
        if name not in fitted or not isinstance(fitted[name], kind):
            raise ValueError(f"{name} is missing, or has a wrong type")
    n_features, residuals = len(model.moments.mean), model.residual_variance
    for row in fitted["history_"]:
        if not isinstance(row, dict) or not {"train_loss", "terms"} <= row.keys():
            raise ValueError("history_ is no list of epochs")
        figures = row.get("figures", {})
        if not isinstance(figures, dict) or not {f"{n}_" for n in figures} <= {*fitted}:
            raise ValueError("history_ has figures of which there are no curves")
    names = fitted.get("feature_names_in_")
    if names is not None and (
        not isinstance(names, np.ndarray)
        or names.shape != (n_features,)
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError("feature_names_in_ does not name the features")
    if residuals is not None:
        check_array("the variance of its residuals", residuals, (n_features,))
        if residuals.min() < 0:
            raise ValueError("the variance of its residuals is negative")
    _check_labels(model.moments.class_count, fitted)
    density = fitted.get("latent_density_")
    if density is not None:
        width = getattr(density, "n_features_in_", None)
        if width != model.n_components or residuals is None:
            raise ValueError("latent_density_ is none of its codes")
    known = (model.n_components, model.n_epochs, fitted["n_features_in_"])
    wanted = (model.parameters["n_components"], fitted["n_iter_"], n_features)
    if known != wanted or not all(map(_is_integer, known)):
        raise ValueError("its numbers of components, epochs or features disagree")
    if model.n_epochs < 0:
        raise ValueError("its number of epochs is negative")


def missing_attributes(estimator: Any, fitted: dict[str, Any], model: Any) -> list[str]:
    """Name what a fit with these parameters has, and this one, interrupted, has not."""
    if model is None:
        return []
    found = {*fitted}
    if model.residual_variance is not None:
        found.add("residual_variance")
    return sorted(estimator._expected_attributes() - found)


def _check_labels(counts: np.ndarray | None, fitted: dict[str, Any]) -> None:
    if counts is None:
        return
    classes, known = fitted.get("classes_"), fitted.get("class_count_")
    fits = _are_classes(classes) and classes.shape == counts.shape
    if not fits or not np.array_equal(counts, known):
        raise ValueError("classes_ and class_count_ are not those of its rows")


def _is_shape(value: Any, n_features: int) -> bool:
    if value is None:
        return True
    is_tuple = isinstance(value, tuple) and all(map(_is_integer, value))
    return is_tuple and min(value, default=0) > 0 and math.prod(value) == n_features


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_training_state(state: Any, module: nn.Module, n_components: int) -> None:
    """Refuse a state, of arrays, that no training has left behind."""
    if not _TRAINING <= state.keys() <= _TRAINING | _GAME:
        raise ValueError("the state of its training lacks something, or has too much")
    name, n_values = state["optimizer"], sum(p.numel() for p in module.parameters())
    n_features = len(module.reconstruction.shift)
    block = n_features, count_codes(n_features, n_components)
    _check_optimizer(name, state["state"], n_values, block)
    for generator in state["generators"].values():
        _check_generator(generator)
    if not _GAME & state.keys():
        return
    weights = list(state["discriminator"].values())
    for array in weights:
        check_array("a weight of its discriminator", array, array.shape, np.float32)
    n_opposed = sum(array.size for array in weights)
    _check_optimizer(name, state["discriminator state"], n_opposed, block)
    _check_generator(state["draws"])
    if "last weights" in state:
        check_array("last weights", state["last weights"], (n_values,), np.float32)


def _check_optimizer(
    name: str, state: dict[str, Any], n_values: int, block: tuple[int, int]
) -> None:
    known, shapes, dtype = _state_of_one(name), {"block": block}, np.float64
    (group,), (wanted,) = state["param_groups"], known["param_groups"]
    # Another version of torch may have more settings, or fewer.
    for key in group.keys() & wanted.keys() - {"lr", "params"}:
        if _kind(group[key]) != _kind(wanted[key]):
            raise ValueError(f"{key}={group[key]!r} is no setting of its optimizer")
    if known["state"]:
        kept, dtype = known["state"][0], np.float32
        shapes = {key: (n_values,) if kept[key].ndim else () for key in kept}
    # Of no parameter where no step has been taken.
    found = state["state"] and {0: shapes.keys()}
    if state.keys() != known.keys() or group["params"] != [0]:
        raise ValueError("the state of its optimizer is wrong")
    if {key: kept.keys() for key, kept in state["state"].items()} != found:
        raise ValueError("the state of its optimizer is wrong")
    for kept in state["state"].values():
        for key, shape in shapes.items():
            check_array(f"{key} of its optimizer", kept[key], shape, dtype)


def _kind(value: Any) -> Any:
    """Answer what a setting that a schedule or a callback has moved still is."""
    if isinstance(value, tuple):
        return tuple(map(_kind, value))
    if type(value) in (int, float) and abs(value) < _LARGEST_SETTING:
        # Whether there is any momentum decides what else a state has.
        return float, value == 0
    return value


def _state_of_one(name: str) -> dict[str, Any]:
    """Answer the state of an optimizer of one number, after a step if it takes any."""
    number = nn.Parameter(torch.zeros(1, dtype=torch.float32))
    number.grad = torch.zeros_like(number)
    optimizer = OPTIMIZERS[name]([number], lr=1.0)
    if name != "alternating":
        optimizer.step()
    return optimizer.state_dict()


def _check_generator(state: Any) -> None:
    # That of another device is left out where training goes on.
    if state.dtype != np.uint8 or state.ndim != 1:
        raise ValueError("the state of a generator is wrong")
    generator = torch.Generator("cpu")
    if state.shape == tuple(generator.get_state().shape):
        generator.set_state(torch.from_numpy(np.array(state)))
