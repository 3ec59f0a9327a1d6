"""Densities of scikit-learn as parameters and arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.mixture import BayesianGaussianMixture
from sklearn.neighbors import KernelDensity

from sklearn_ae._files.registry import DENSITIES


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
        _check_array("data", data, np.shape(data)[:2])
        if weight is not None:
            _check_array("sample_weight", weight, data.shape[:1])
        return density.fit(data, sample_weight=weight)
    _check_mixture(density, fitted)
    vars(density).update(fitted)
    return density


def _check_mixture(density: Any, fitted: dict[str, Any]) -> None:
    n, d = density.n_components, fitted["n_features_in_"]
    shape = {"full": (n, d, d), "tied": (d, d), "diag": (n, d), "spherical": (n,)}
    matrices = shape[density.covariance_type]
    _check_weights(fitted["weights_"], n)
    _check_array("means_", fitted["means_"], (n, d))
    for name in ("covariances_", "precisions_", "precisions_cholesky_"):
        _check_array(name, fitted[name], matrices)
    if isinstance(density, BayesianGaussianMixture):
        counts = fitted["weight_concentration_"]
        is_process = density.weight_concentration_prior_type == "dirichlet_process"
        a, b = counts if is_process else (counts, counts)
        for array in (a, b, fitted["mean_precision_"], fitted["degrees_of_freedom_"]):
            _check_array("a prior", array, (n,))
    for name in fitted:
        if not name.endswith("_") or name.startswith("_") or hasattr(density, name):
            raise ValueError(f"{name!r} is no fitted attribute of its density")


def _check_weights(weights: Any, n_components: int) -> None:
    _check_array("weights_", weights, (n_components,))
    # What scikit-learn's division by their sum may leave, and numpy still draws from.
    tolerance = 8 * n_components * np.finfo(weights.dtype).eps
    if weights.min() < 0 or abs(weights.sum(dtype=np.float64) - 1) > tolerance:
        raise ValueError("weights_ of its density are no probabilities")


def _check_array(name: str, array: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise ValueError(f"{name} of its density is no array of floats")
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} of its density has a wrong shape or wrong values")
