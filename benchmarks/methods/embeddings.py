"""The methods that are compared, each as an estimator made from the same options."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from benchmarks.common import BenchmarkError

Maker = Callable[[int, int, str], Any]


@dataclass(frozen=True)
class Method:
    """A method: its name in tables, how to make it, and settings to choose among."""

    label: str
    make: Maker
    max_components: int | None = None
    module: str | None = None
    package: str | None = None
    grid: dict[str, list[Any]] = field(default_factory=dict)
    rebuilds: bool = True

    def obstacle(self) -> str | None:
        """Return what to do before the method can be imported, if anything."""
        if self.module is None:
            return None
        try:
            with warnings.catch_warnings():
                # UMAP says that it does without TensorFlow, as it may.
                warnings.simplefilter("ignore", ImportWarning)
                import_module(self.module)
        except ImportError as error:
            # One that is there may be of another time than the packages that it needs.
            reason = "" if isinstance(error, ModuleNotFoundError) else f"; {error}"
            return f"pip install {self.package}{reason}"
        return None


class OpenTSNE(BaseEstimator):
    """openTSNE behind the two methods that the comparison calls."""

    def __init__(
        self, n_components: int, random_state: int, perplexity: float = 30
    ) -> None:
        self.n_components = n_components
        self.random_state = random_state
        self.perplexity = perplexity

    def fit(self, X: np.ndarray, y: None = None) -> OpenTSNE:
        """Embed the rows of X."""
        from openTSNE import TSNE as Embedder

        embedder = Embedder(
            n_components=self.n_components,
            random_state=self.random_state,
            perplexity=self.perplexity,
            n_jobs=-1,
        )
        self.embedding_ = embedder.fit(X)
        return self

    def fit_transform(self, X: np.ndarray, y: None = None) -> np.ndarray:
        """Embed the rows of X, and return where they are."""
        return np.asarray(self.fit(X).embedding_)

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Place new rows among the embedded ones."""
        return np.asarray(self.embedding_.transform(X))


def _pca(n_components: int, seed: int, device: str) -> PCA:
    return PCA(n_components, random_state=seed)


def _tsne(n_components: int, seed: int, device: str) -> TSNE:
    return TSNE(n_components, random_state=seed, n_jobs=-1)


def _opentsne(n_components: int, seed: int, device: str) -> OpenTSNE:
    return OpenTSNE(n_components, seed)


def _umap(n_components: int, seed: int, device: str) -> Any:
    from umap import UMAP

    # UMAP runs on one thread when seeded, and warns unless told so.
    return UMAP(n_components=n_components, random_state=seed, n_jobs=1)


def _linear(n_components: int, seed: int, device: str) -> Any:
    from sklearn_ae import LinearAutoencoder

    return LinearAutoencoder(n_components, random_state=seed, device=device)


def _deep(n_components: int, seed: int, device: str) -> Any:
    from sklearn_ae import Autoencoder

    return Autoencoder(n_components, random_state=seed, device=device)


# Six settings for each method that has some; the defaults are among them.
_PERPLEXITIES = {"perplexity": [5, 10, 20, 30, 50, 100]}

METHODS = {
    "pca": Method("PCA", _pca),
    "linear": Method("linear autoencoder", _linear),
    "deep": Method(
        "deep autoencoder",
        _deep,
        grid={"learning_rate": [3e-4, 1e-3, 3e-3], "weight_decay": [0.0, 1e-3]},
    ),
    "tsne": Method(
        "t-SNE", _tsne, max_components=3, grid=_PERPLEXITIES, rebuilds=False
    ),
    # Its inverse triangulates the codes, which more dimensions would not survive.
    "umap": Method(
        "UMAP",
        _umap,
        max_components=3,
        module="umap",
        package="umap-learn",
        grid={"n_neighbors": [5, 10, 15, 30, 50, 100]},
        rebuilds=False,
    ),
    "opentsne": Method(
        "openTSNE",
        _opentsne,
        max_components=2,
        module="openTSNE",
        package="openTSNE",
        grid=_PERPLEXITIES,
        rebuilds=False,
    ),
}


def choose(names: Sequence[str] | None) -> tuple[dict[str, Method], list[str]]:
    """Return the methods asked for, and how to get others.

    Without names, every method that can be imported is chosen; a method that is named
    must be there.
    """
    methods = {name: METHODS[name] for name in names or METHODS}
    obstacles = {name: method.obstacle() for name, method in methods.items()}
    hints = [f"{methods[name].label} ({o})" for name, o in obstacles.items() if o]
    if names is not None and hints:
        raise BenchmarkError(f"not installed: {', '.join(hints)}")
    return {name: m for name, m in methods.items() if not obstacles[name]}, hints


def check_device(device: str) -> None:
    """Refuse a device that is not there before anything is measured."""
    from sklearn_ae._compute.devices import resolve_device

    try:
        resolve_device(device)
    except ValueError as error:
        raise BenchmarkError(str(error)) from error


def warm_up(method: Method, X: np.ndarray, device: str, n_components: int = 2) -> None:
    """Fit a few rows once, so that no clock sees imports, thread pools, compilers."""
    estimator = method.make(n_components, 0, device)
    if "max_epochs" in estimator.get_params():
        estimator.set_params(max_epochs=1)
    estimator.fit(X[:100])
