"""What draws new rows: densities of rows, autoencoders, and how each is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity


@dataclass(frozen=True)
class Net:
    """What all autoencoders have in common.

    Attributes
    ----------
    n_components : int
    hidden : tuple of int
    epochs : int
    batch_size : int
    learning_rate : float
    device : str
    """

    n_components: int
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    device: str = "cpu"

    def params(self, seed: int) -> dict[str, Any]:
        """Return constructor parameters that every estimator has."""
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": self.hidden,
            "activation": "relu",
            "max_epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "learning_rate_schedule": "cosine",
            "tol": 0.0,
            "device": self.device,
            "random_state": seed,
        }


@dataclass(frozen=True)
class Generator:
    """A way to draw rows: its name in tables, and how to make it.

    Attributes
    ----------
    label : str
    make : callable
        Of a `Net` and a seed.
    package : str or None
        What it needs besides.
    """

    label: str
    make: Callable[[Net, int], Any]
    package: str | None = None

    @property
    def installed(self) -> bool:
        """Whether the package is there."""
        return self.package is None or find_spec(self.package) is not None


def _gaussian(covariance: str) -> Callable[[Net, int], Any]:
    def make(net: Net, seed: int) -> Any:
        return GaussianMixture(1, covariance_type=covariance, random_state=seed)

    return make


def _mixture(net: Net, seed: int) -> Any:
    return GridSearchCV(
        GaussianMixture(random_state=seed),
        [
            {"covariance_type": ["diag"], "n_components": [10, 30, 100]},
            {"covariance_type": ["full"], "n_components": [2, 5]},
        ],
        cv=3,
    )


def _kernels(net: Net, seed: int) -> Any:
    return GridSearchCV(
        KernelDensity(), {"bandwidth": np.geomspace(0.05, 0.3, 6)}, cv=3
    )


def _autoencoder(net: Net, seed: int) -> Any:
    from sklearn_ae import Autoencoder

    density = GaussianMixture(10, random_state=seed)
    return Autoencoder(**net.params(seed), latent_density=density)


def _adversarial(net: Net, seed: int) -> Any:
    from sklearn_ae import AdversarialAutoencoder

    return AdversarialAutoencoder(**net.params(seed))


def _variational(**own: Any) -> Callable[[Net, int], Any]:
    def make(net: Net, seed: int) -> Any:
        from sklearn_ae import VariationalAutoencoder

        shared = {"noise_variance": "learned_per_feature"}
        return VariationalAutoencoder(**net.params(seed), **shared | own)

    return make


GENERATORS = {
    "diagonal": Generator("Gaussian, diagonal", _gaussian("diag")),
    "full": Generator("Gaussian, full covariance", _gaussian("full")),
    "mixture": Generator("GaussianMixture", _mixture),
    "kernels": Generator("KernelDensity", _kernels),
    "autoencoder": Generator("Autoencoder, mixture of codes", _autoencoder),
    "adversarial": Generator("AdversarialAutoencoder", _adversarial),
    "vae": Generator("VAE", _variational()),
    "one_variance": Generator(
        "VAE, one noise variance", _variational(noise_variance="learned")
    ),
    "beta": Generator("beta-VAE, beta 2", _variational(beta=2.0)),
    "info": Generator(
        "InfoVAE, beta 0.5, mmd_weight 300", _variational(beta=0.5, mmd_weight=300.0)
    ),
    "vamp": Generator("VAE, VampPrior", _variational(prior="vamp")),
    "flow": Generator("VAE, flow prior", _variational(prior="flow"), "zuko"),
}


def draw(generator: Any, n_rows: int, seed: int, noise: bool = True) -> np.ndarray:
    """Draw rows, of an autoencoder without its observation noise if so asked."""
    from sklearn_ae._priors.foreign import as_prior
    from sklearn_ae._priors.prior import draw_codes

    generator = getattr(generator, "best_estimator_", generator)
    if decodes(generator):
        return generator.sample(n_rows, random_state=seed, observation_noise=noise)
    rows, _ = draw_codes(as_prior(generator), n_rows, generator.n_features_in_, seed)
    return rows


def decodes(generator: Any) -> bool:
    """Whether it can draw rows without observation noise: decoded codes."""
    return hasattr(generator, "inverse_transform")


def log_likelihood(generator: Any, X: np.ndarray) -> float | None:
    """Return the mean log-likelihood of rows in nats, or a bound; None without."""
    generator = getattr(generator, "best_estimator_", generator)
    if hasattr(generator, "log_likelihood"):
        return float(generator.log_likelihood(X).mean(dtype=np.float64))
    if decodes(generator):
        return None
    return float(generator.score_samples(X).mean(dtype=np.float64))
