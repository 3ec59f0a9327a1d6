"""The grids of the regularised models, their rivals, and what is measured on codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA

# Where a logistic code counts as off or on; one that reaches 0 needs no threshold.
THRESHOLD = 0.1
# Step of the central differences, in units of the standardised rows.
STEP = 1e-2
# Shallow nets of many units need more and larger steps than the defaults.
TRAINING = {"learning_rate": 2e-3, "batch_size": 64}


@dataclass(frozen=True)
class Family:
    """A model with one parameter that regularises, and the values that are tried."""

    label: str
    parameter: str
    grid: tuple[float, ...]
    make: Callable[..., BaseEstimator]
    # Whether a larger value regularises more: not of k.
    grows: bool = True

    def estimator(self, value: float, k: int, epochs: int, seed: int) -> BaseEstimator:
        """Return the estimator with one value of the grid."""
        common = {**TRAINING, "max_epochs": epochs, "random_state": seed}
        return self.make(k, **{self.parameter: value}, **common)


def _sparse(penalty: str) -> Callable[..., BaseEstimator]:
    def make(n_components: int, **parameters: Any) -> BaseEstimator:
        from sklearn_ae import SparseAutoencoder

        return SparseAutoencoder(n_components, penalty=penalty, **parameters)

    return make


def _contractive(n_components: int, **parameters: Any) -> BaseEstimator:
    from sklearn_ae import ContractiveAutoencoder

    return ContractiveAutoencoder(
        n_components, hidden_layer_sizes=(), code_activation="logistic", **parameters
    )


def _denoising(n_components: int, **parameters: Any) -> BaseEstimator:
    from sklearn_ae import DenoisingAutoencoder

    return DenoisingAutoencoder(
        n_components,
        hidden_layer_sizes=(),
        code_activation="relu",
        noise="gaussian",
        **parameters,
    )


FAMILIES = {
    "kl": Family("sparse, KL", "alpha", (0, 0.3, 3, 30), _sparse("kl")),
    "l1": Family("sparse, L1", "alpha", (0, 0.1, 0.3, 0.6, 1.2, 3), _sparse("l1")),
    "top_k": Family(
        "sparse, top k", "k", (64, 32, 16, 8, 4, 2), _sparse("top_k"), grows=False
    ),
    "contractive": Family("contractive", "alpha", (0, 0.3, 3, 30, 300), _contractive),
    "denoising": Family(
        "denoising, Gaussian", "noise_level", (0, 0.5, 1, 2, 3), _denoising
    ),
}


def rivals(k: int, n_features: int, n_labels: int) -> Mapping[str, BaseEstimator]:
    """Return PCA of several sizes, as many components as the codes among them."""
    sizes = sorted({min(size, n_features, n_labels) for size in (8, 16, 32, k)})
    return {f"{size} components": PCA(size) for size in sizes}


def mean_jacobian_norm(encoder: BaseEstimator, X: np.ndarray) -> float:
    """Return the mean Frobenius norm of d code / d row, by central differences.

    The rows are float64: codes of float32 rows are too coarse for differences.
    """
    X = np.asarray(X, dtype=np.float64)
    squares = np.zeros(len(X))
    for feature in range(X.shape[1]):
        ahead, behind = X.copy(), X.copy()
        ahead[:, feature] += STEP
        behind[:, feature] -= STEP
        slope = (encoder.transform(ahead) - encoder.transform(behind)) / (2 * STEP)
        squares += np.square(slope).sum(axis=1)
    return float(np.sqrt(squares).mean())


def code_shares(codes: np.ndarray) -> dict[str, float]:
    """Return the shares of codes that are exactly 0 and that are above the threshold.

    A logistic code is never 0; it counts as active above a tenth.
    """
    return {
        "zero": float((codes == 0).mean()),
        "active": float((np.abs(codes) > THRESHOLD).mean()),
    }
