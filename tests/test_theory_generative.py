"""Rows that a variational autoencoder draws, beside held-out ones: I23, I26, L5, M11."""

import numpy as np
import pytest
from sample_quality import (
    DiagonalGaussian,
    FullGaussian,
    MeanImage,
    Memoriser,
    PlainAutoencoder,
    copy_rate,
    coverage,
    fidelity,
    fidelity_radius,
    maximum_mean_discrepancy,
    nearest_distances,
)
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from theory import Claim, Identity, MeanPredictor, check_claims, digits_split

from sklearn_ae import Autoencoder, VariationalAutoencoder

# With one variance for all pixels, or slower, more components are in use than 1347 rows
# can fill: in between, decoded draws of the prior shrink to the mean.
NET = {"noise_variance": "learned_per_feature", "learning_rate": 3e-3}
GRAY = 1 / 16
# So many that the error of a discrepancy is that of the held-out rows alone.
N_DRAWS = 2000

_fitted = {}


def fitted(model, seed, scale=GRAY):
    """Fit on the digits of a seed, once for all tests."""
    key = repr(model), seed, scale
    if key not in _fitted:
        _fitted[key] = model.fit(digits_split(seed, scale)[0])
    return _fitted[key]


class Noiseless(VariationalAutoencoder):
    """Answers the mean where a draw around it is asked for."""

    def sample(self, n_samples=1, random_state=None, *, observation_noise=True):
        return super().sample(n_samples, random_state, observation_noise=False)


def of_means(generated, seed):
    """Answer the figures of decoded means, as many as there are held-out rows."""
    X_train, X_test, *_ = digits_split(seed)
    return {
        "fidelity": fidelity(generated, X_train, X_test),
        "coverage": coverage(generated, X_test),
        "copy rate": copy_rate(generated, X_train),
    }


def discrepancy_ratios(rows, seed):
    """Answer the MMD of rows to the held-out ones, beside those of Gaussians."""
    X_train, X_test, *_ = digits_split(seed)
    own = maximum_mean_discrepancy(rows, X_test)
    rivals = {"diagonal": DiagonalGaussian(), "full": FullGaussian()}
    draws = {k: r.fit(X_train).sample(N_DRAWS, seed) for k, r in rivals.items()}
    return {
        f"MMD, of the {name} Gaussian's": own / maximum_mean_discrepancy(draw, X_test)
        for name, draw in draws.items()
    }


def n_held_out(seed):
    return len(digits_split(seed)[1])


MEANS = [
    Claim("fidelity", at_least=0.8),
    Claim("coverage", at_least=0.75),
    Claim("copy rate", at_most=0.01),
]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [GRAY, 1, 1000], ids=["gray", "raw", "thousands"])
def test_samples_are_like_held_out_digits(request, scale):
    """I26, in any units. The ratio to the full Gaussian is reported, not claimed."""

    def figures(model, seed):
        fitted(model, seed, scale)
        means = model.sample(n_held_out(seed), seed, observation_noise=False)
        rows = model.sample(N_DRAWS, seed)
        unit = scale / GRAY
        answer = of_means(means / unit, seed) | discrepancy_ratios(rows / unit, seed)
        return answer | {"active": getattr(model, "active_components_", 16)}

    check_claims(
        request,
        figures,
        VariationalAutoencoder(16, **NET),
        [
            *MEANS,
            Claim("MMD, of the diagonal Gaussian's", at_most=0.75),
            Claim("MMD, of the full Gaussian's"),
            Claim("active", never_below=2),
        ],
        stubs=[
            FullGaussian(),
            DiagonalGaussian(),
            MeanImage(),
            Memoriser(),
            PlainAutoencoder(16),
            Noiseless(16, **NET),
        ],
    )
