"""A trained net built again from parameters and arrays, and what must fit together."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from torch import nn

from sklearn_ae._compute.devices import AllocationLimit
from sklearn_ae._data.moments import Moments
from sklearn_ae._nets.autoencoder import fill_tensors, named_tensors

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


def rebuild(
    estimator: Any,
    row_shape: tuple[int, ...] | None,
    moments: Moments,
    seed: int,
    tensors: dict[str, Any],
) -> nn.Module:
    """Build the net of an estimator for tensors that a file has, maybe not yet read.

    Parameters
    ----------
    estimator : BaseAutoencoder
    row_shape, moments, seed
        What it starts from.
    tensors : dict of str to object
        Each with a `shape`, a `dtype` and `nbytes`. A file may claim anything of them.

    Returns
    -------
    Module
        With the weights that a fit would start from.

    Raises
    ------
    ValueError
        If they are not those of such a net.
    """
    n_bytes = sum(tensor.nbytes for tensor in tensors.values())
    # Some are made on the way, an encoder of distributions twice; a net of 10**9 units
    # is refused before it is made.
    with AllocationLimit(4 * n_bytes + 2**20, 8 * len(tensors) + 256):
        module = estimator._build_module(row_shape, moments, seed)
    _check_tensors(module, tensors)
    module.rehearse(estimator.n_components)
    return module.eval()


def build_again(
    estimator: Any,
    row_shape: tuple[int, ...] | None,
    moments: Moments,
    seed: int,
    tensors: dict[str, np.ndarray],
) -> nn.Module:
    """Build the net of an estimator, and write the tensors into it that were trained.

    Raises
    ------
    ValueError
        If they are not those of such a net.
    """
    module = estimator._build_module(row_shape, moments, seed)
    _check_tensors(module, tensors)
    fill_tensors(module, tensors)
    module.rehearse(estimator.n_components)
    return module.eval()


def _check_tensors(module: nn.Module, tensors: dict[str, Any]) -> None:
    """Refuse tensors of other names, shapes or dtypes than a net has."""
    wanted = {
        name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in named_tensors(module)
    }
    found = {name: (array.shape, str(array.dtype)) for name, array in tensors.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"{name!r} is {found.get(name)}, where the net of its parameters has "
                f"{wanted.get(name)}"
            )


def check_finite_tensors(module: nn.Module) -> None:
    """Refuse a net with values that are not finite."""
    for name, tensor in named_tensors(module):
        if tensor.dtype.is_floating_point and not tensor.isfinite().all():
            raise ValueError(f"{name!r} has values that are not finite")


def alike(one: Any, other: Any) -> bool:
    """Whether two descriptions are equal, but for the rounding of another machine."""
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def check_parameters(estimator: Any) -> None:
    """Refuse parameters that `fit` would refuse."""
    estimator._validate_params()
    estimator._checked_hidden_layer_sizes()


def check_start(row_shape: Any, moments: Moments, seed: Any) -> None:
    """Refuse a shape of rows, moments and a seed that no fit has started from."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError(f"{seed!r} is no seed")
    vectors = [moments.mean, moments.low, moments.high, moments.median, moments.shift]
    if moments.deviation is not None:
        vectors.append(moments.deviation)
    if not all(map(_is_vector, vectors)) or len({len(v) for v in vectors}) > 1:
        raise ValueError("the moments of its training rows are no vectors of numbers")
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


def _is_vector(value: Any) -> bool:
    is_vector = isinstance(value, np.ndarray) and value.dtype == float
    return is_vector and value.ndim == 1 and value.size and np.isfinite(value).all()


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
    """Refuse fitted attributes that do not go with one another."""
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
    if not {*estimator._lasting_attributes} <= fitted.keys():
        raise ValueError(f"one of {estimator._lasting_attributes} is missing")
    names = fitted.get("feature_names_in_")
    if names is not None and (
        not isinstance(names, np.ndarray)
        or names.shape != (n_features,)
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError("feature_names_in_ does not name the features")
    if residuals is not None and (
        not isinstance(residuals, np.ndarray)
        or residuals.shape != (n_features,)
        or not (residuals >= 0).all()
    ):
        raise ValueError("the variance of the residuals is wrong")
    _check_labels(model.moments.class_count, fitted)
    density = fitted.get("latent_density_")
    if density is not None:
        width = getattr(density, "n_features_in_", None)
        if width != model.n_components or residuals is None:
            raise ValueError("latent_density_ is none of its codes")
    known = (model.n_components, model.n_epochs, fitted["n_features_in_"])
    wanted = (estimator.n_components, fitted["n_iter_"], n_features)
    if known != wanted or not all(map(_is_integer, known)):
        raise ValueError("its numbers of components, epochs or features disagree")
    if model.n_epochs < 0:
        raise ValueError("its number of epochs is negative")


def missing_attributes(estimator: Any, fitted: dict[str, Any]) -> list[str]:
    """Name what a fit with these parameters has, and this one, interrupted, has not."""
    found = {*fitted}
    if fitted["_model"].residual_variance is not None:
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
