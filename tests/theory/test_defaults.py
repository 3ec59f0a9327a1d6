"""What the defaults promise on raw data: shares of variance, and neighbours."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from sklearn_ae import Autoencoder
from theory.claims import (
    Claim,
    MeanPredictor,
    RandomProjection,
    check_claims,
    digits_split,
    sse,
)


def unexplained(model, train, test):
    """Answer 1 less the score that the estimators promise, for stubs too."""
    return sse(model.fit(train), test) / np.square(train - train.mean(0)).sum(1).mean()


@pytest.mark.slow
def test_eight_components_of_raw_digits(request):
    """At its defaults Autoencoder(8) scores at least .80 on held-out digits, 0 to 16.

    PCA scores .67.
    """

    def figures(model, seed):
        X_train, X_test, *_ = digits_split(seed, scale=1)
        return {"unexplained": unexplained(model, X_train, X_test)}

    check_claims(
        request,
        figures,
        Autoencoder(8),
        [Claim("unexplained", at_most=0.20)],
        stubs=[PCA(8), MeanPredictor(8)],
        min_seeds=3,
    )


@pytest.mark.slow
def test_two_components_of_raw_digits(request):
    """At its defaults Autoencoder(2) scores at least .55, and its map keeps classes.

    The accuracy of five neighbours in the map is at least .82; PCA scores .28, and .61.
    """

    def figures(model, seed):
        X_train, X_test, y_train, y_test = digits_split(seed, scale=1)
        share = unexplained(model, X_train, X_test)
        neighbours = KNeighborsClassifier().fit(model.transform(X_train), y_train)
        error = 1 - neighbours.score(model.transform(X_test), y_test)
        return {"unexplained": share, "error of neighbours": error}

    check_claims(
        request,
        figures,
        Autoencoder(2),
        [
            Claim("unexplained", at_most=0.45),
            Claim("error of neighbours", at_most=0.18),
        ],
        stubs=[PCA(2), RandomProjection(2)],
        min_seeds=3,
    )


@pytest.mark.slow
def test_eight_components_of_raw_mnist(request, load_real):
    """At its defaults Autoencoder(8) scores at least .58 on MNIST, raw, 0 to 255.

    Trained on 10,000 images, scored on 2,000 others; PCA scores .43.
    """
    mnist = load_real("mnist")
    train, test = (
        mnist[name][:n].astype(np.float32)
        for name, n in (("X_train", 10000), ("X_test", 2000))
    )

    def figures(model, seed):
        return {"unexplained": unexplained(model, train, test)}

    check_claims(
        request,
        figures,
        Autoencoder(8),
        [Claim("unexplained", at_most=0.42)],
        stubs=[PCA(8), MeanPredictor(8)],
    )
