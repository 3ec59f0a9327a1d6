"""Densities of scikit-learn as parameters and arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.mixture import BayesianGaussianMixture
from sklearn.neighbors import KernelDensity

from sklearn_ae._files.checks import check_array
from sklearn_ae._files.registry import DENSITIES

_MATRICES = ("covariances_", "precisions_", "precisions_cholesky_")


def take_apart(density: Any) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """Answer the name, the parameters and the fitted state of a known density.

    The state is what scikit-learn's own attributes hold, except for a kernel density,
    whose state is its training data: its tree follows from them. It is None where the
    density is not fitted.
    """
    name = type(density).__name__
    parameters = density.get_params(deep=False)
    fitted = {
        attribute: value
        for attribute, value in vars(density).items()
        if attribute.endswith("_") and not attribute.startswith("_")
    }
    if isinstance(density, KernelDensity) and fitted:
        tree = density.tree_
        weight = None
        if tree.sample_weight is not None:
            weight = np.array(tree.sample_weight)
        fitted = {"data": np.array(tree.data), "sample_weight": weight}
    return name, parameters, fitted or None


def put_together(
    name: str, parameters: dict[str, Any], fitted: dict[str, Any] | None
) -> Any:
    """Answer the density that `take_apart` has taken apart.

    Raises
    ------
    ValueError
        If there is no such density, or its state is not that of one.
    """
    if name not in DENSITIES:
        raise ValueError(f"there is no density {name!r}")
    density = DENSITIES[name](**parameters)
    density._validate_params()
    if fitted is None:
        return density
    if isinstance(density, KernelDensity):
        data, weight = fitted["data"], fitted["sample_weight"]
        check_array("data of its density", data, np.shape(data)[:2])
        if weight is not None:
            check_array("sample_weight of its density", weight, data.shape[:1])
        return density.fit(data, sample_weight=weight)
    _check_mixture(density, fitted)
    vars(density).update(fitted)
    return density


def _check_mixture(density: Any, fitted: dict[str, Any]) -> None:
    n, d = density.n_components, fitted["n_features_in_"]
    shape = {"full": (n, d, d), "tied": (d, d), "diag": (n, d), "spherical": (n,)}
    matrices = shape[density.covariance_type]
    _check_weights(fitted["weights_"], n)
    shapes = {"means_": (n, d)} | dict.fromkeys(_MATRICES, matrices)
    if isinstance(density, BayesianGaussianMixture):
        shapes |= {"mean_precision_": (n,), "degrees_of_freedom_": (n,)}
        counts = fitted["weight_concentration_"]
        for array in counts if isinstance(counts, tuple) else (counts,):
            check_array("weight_concentration_ of its density", array, (n,))
    for name, each in shapes.items():
        check_array(f"{name} of its density", fitted[name], each)
    for name in fitted:
        if not name.endswith("_") or name.startswith("_") or hasattr(density, name):
            raise ValueError(f"{name!r} is no fitted attribute of its density")


def _check_weights(weights: Any, n_components: int) -> None:
    check_array("weights_ of its density", weights, (n_components,))
    # What scikit-learn's division by their sum may leave, and numpy still draws from.
    tolerance = 8 * n_components * np.finfo(weights.dtype).eps
    if weights.min() < 0 or abs(weights.sum(dtype=np.float64) - 1) > tolerance:
        raise ValueError("weights_ of its density are no probabilities")
