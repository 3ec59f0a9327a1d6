"""What must fit together in a file: parameters, fitted attributes and a model."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from torch import nn

from sklearn_ae._data.moments import Moments
from sklearn_ae._nets.autoencoder import named_tensors

# More entries than any list of widths has; each of them becomes an object.
_LONGEST_PARAMETER = 2**16
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


def check_sizes(
    parameters: dict[str, Any], vectors: dict[str, Any], n_features: Any, file: Any
) -> None:
    """Refuse arrays that are larger or smaller than what they are for, unread.

    Those of the net are compared with the net.

    Parameters
    ----------
    parameters, vectors : dict of str to object
        Nodes of the header. Vectors have an entry for each feature.
    n_features : object
    file : StoredFile

    Raises
    ------
    ValueError
    """
    for name, node in parameters.items():
        entry = _entry_of(node, file)
        if entry is not None and math.prod(entry.shape) > _LONGEST_PARAMETER:
            raise ValueError(f"an array of shape {entry.shape} is no parameter {name}")
    for name, node in vectors.items():
        entry = _entry_of(node, file)
        if entry is None or name == "class_count":
            continue
        if entry.shape != (n_features,) or entry.dtype != float:
            raise ValueError(
                f"{name} of its training rows is {entry.dtype}{list(entry.shape)}, and "
                f"vectors of numbers have [{n_features}]: its numbers of features "
                "disagree"
            )


def _entry_of(node: Any, file: Any) -> Any:
    """Answer what a file says of the array that a node stands for, if it does."""
    if not isinstance(node, dict) or len(node) != 1:
        return None
    (name,) = node.values()
    return file.entries.get(name) if isinstance(name, str) else None


def check_finite_tensors(module: nn.Module) -> None:
    """Refuse a net with values that are not finite."""
    for name, tensor in named_tensors(module):
        if tensor.dtype.is_floating_point and not tensor.isfinite().all():
            raise ValueError(f"{name!r} has values that are not finite")


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
