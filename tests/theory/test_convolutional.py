"""Convolutions on images: E1 of the theory, beside dense nets of the same size."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from sklearn_ae import Autoencoder
from sklearn_ae.architectures import Convolutional, Residual
from theory.claims import Claim, check_claims, parameters_of, sse
from theory.data import shifted_digits


def trained(architecture, hidden, seed, X, n_components, max_epochs):
    model = Autoencoder(
        n_components,
        architecture=architecture,
        hidden_layer_sizes=hidden,
        learning_rate=2e-3,
        learning_rate_schedule="cosine",
        max_epochs=max_epochs,
        random_state=seed,
    )
    return model.fit(X)


class Rival(BaseEstimator):
    """A net to be compared with the dense one, which is no stub of itself."""

    def __init__(self, architecture="convolutional", hidden=(8, 16), random_state=None):
        self.architecture, self.hidden = architecture, hidden
        self.random_state = random_state


PARAMETERS = "parameters, relative to the dense net"
ERROR = "SSE, relative to the dense net"
# E1: at most .9 of the error of a dense net with as many parameters.
CLAIMS = [
    Claim(PARAMETERS, never_below=0.95, never_above=1.05),
    Claim(ERROR, at_most=0.9),
]


def compared(rival, hidden, seed, X, X_test, **params):
    """Answer the figures of a rival beside those of a dense net."""
    dense = trained("dense", hidden, seed, X, **params)
    other = trained(rival.architecture, rival.hidden, seed, X, **params)
    return {
        PARAMETERS: parameters_of(other) / parameters_of(dense),
        ERROR: sse(other, X_test) / sse(dense, X_test),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "rival",
    [Rival(Convolutional(), (8, 16)), Rival(Residual(), (6, 12))],
    ids=["convolutional", "residual"],
)
def test_shifted_digits(request, rival):
    """E1."""

    def figures(rival, seed):
        rows = shifted_digits(seed)
        return compared(rival, (20,), seed, *rows, n_components=16, max_epochs=40)

    # Maps of single pixels know of no neighbour.
    single = Rival(Convolutional(kernel_size=1, stride=1), (1, 1))
    stubs = [single, Rival("dense", (20,))]
    check_claims(request, figures, rival, CLAIMS, stubs=stubs)


@pytest.mark.slow
def test_clothes(request, load_real):
    """E1, on 10,000 images with 32 components."""
    arrays = load_real("fashion_mnist")

    def figures(rival, seed):
        X = arrays["X_train"]
        drawn = np.random.default_rng(seed).permutation(len(X))[:12_000]
        X = X[drawn].astype(np.float32)
        rows = X[:10_000], X[10_000:]
        return compared(rival, (67,), seed, *rows, n_components=32, max_epochs=10)

    rival, stub = Rival(Convolutional(), (16, 32)), Rival("dense", (67,))
    check_claims(request, figures, rival, CLAIMS, stubs=[stub])
