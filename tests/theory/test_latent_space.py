"""What beta, the architecture and two components make of a VAE: I15, I16, I17, I24."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.ndimage import laplace
from scipy.stats import norm
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_ae import VariationalAutoencoder
from sklearn_ae.architectures import Convolutional, Residual
from theory.claims import (
    Claim,
    Identity,
    MeanPredictor,
    RandomProjection,
    check_claims,
    digits_split,
    parameters_of,
    rebuild,
)
from theory.data import shifted_digits


def sharpness(X, X_of):
    """Answer the Laplacian energy of 8 by 8 images, of that of others."""
    energies = (
        np.square(laplace(rows.reshape(-1, 8, 8), axes=(1, 2))).mean()
        for rows in (X, X_of)
    )
    return next(energies) / next(energies)


@pytest.mark.slow
def test_reconstructions_are_blurred(request):
    """I15: their edges are weaker than the digits', and less so the smaller beta is."""

    def figures(model, seed):
        X_train, X_test, *_ = digits_split(seed)
        answers = []
        for beta in (16, 4, 1, 0.25):
            if "beta" in model.get_params():
                model.set_params(beta=beta)
            answers.append(sharpness(rebuild(model.fit(X_train), X_test), X_test))
        return {"sharpness": answers[2], "least rise": min(np.diff(answers))}

    check_claims(
        request,
        figures,
        # One that is learned would rise with beta, until no component is in use.
        VariationalAutoencoder(
            16,
            noise_variance=0.02,
            hidden_layer_sizes=(128,),
            learning_rate=2e-3,
            max_epochs=20,
        ),
        [Claim("sharpness", never_above=0.999), Claim("least rise", never_below=1e-3)],
        stubs=[Identity(), MeanPredictor(), PCA(16)],
    )


@pytest.mark.slow
# What the stub does.
@pytest.mark.filterwarnings("ignore:No component is active")
@pytest.mark.parametrize("scale", [1 / 16, 1, 1000], ids=["gray", "raw", "thousands"])
def test_defaults_use_their_components(request, scale):
    """I14, I26: on digits in any units two components tell something at least."""

    def figures(model, seed):
        model.fit(digits_split(seed, scale)[0])
        return {"active": model.active_components_}

    # Above every variance that a component explains.
    large = 100 * scale**2 * 16**2
    check_claims(
        request,
        figures,
        VariationalAutoencoder(16),
        [Claim("active", never_below=2)],
        stubs=[VariationalAutoencoder(16, noise_variance=large, max_epochs=5)],
    )


class Rival(BaseEstimator):
    """An architecture whose ELBO is compared with others'."""

    def __init__(self, architecture="dense", hidden=(26,), random_state=None):
        self.architecture, self.hidden = architecture, hidden
        self.random_state = random_state

    def fitted(self, X, **params):
        model = VariationalAutoencoder(
            architecture=self.architecture,
            hidden_layer_sizes=self.hidden,
            activation="relu",
            learning_rate_schedule="cosine",
            # Else the likelihood is mostly that of pixels which hardly ever vary.
            noise_variance="learned",
            random_state=self.random_state,
            **params,
        )
        return model.fit(X)


@pytest.mark.slow
# Nor can single pixels be told apart.
@pytest.mark.filterwarnings("ignore:No component is active")
def test_convolutions_know_of_neighbours(request):
    """I16: on shifted digits, at least a nat more than a dense net of the same size."""
    params = {"n_components": 16, "learning_rate": 3e-3, "max_epochs": 20}

    def figures(rival, seed):
        X_train, X_test, *_ = shifted_digits(seed)
        other = rival.fitted(X_train, **params)
        dense = Rival(random_state=seed).fitted(X_train, **params)
        return {
            "parameters, of the dense net's": parameters_of(other)
            / parameters_of(dense),
            "nats more": other.score(X_test) - dense.score(X_test),
        }

    check_claims(
        request,
        figures,
        Rival(Convolutional(), (8, 16)),
        [
            Claim("parameters, of the dense net's", never_below=0.95, never_above=1.05),
            Claim("nats more", at_least=1),
        ],
        # Maps of single pixels know of no neighbour.
        stubs=[Rival(), Rival(Convolutional(kernel_size=1, stride=1), (1, 1))],
    )


@dataclass(eq=False, repr=False)
class WithoutSkips(Residual):
    """The layers of the blocks one after the other."""

    def _block(self, *args, **keywords):
        return straightened(super()._block(*args, **keywords))


def straightened(blocks):
    for block in blocks:
        block.layers[-1].activation = block.activation
    return [layer for block in blocks for layer in block.layers]


@pytest.mark.slow
# That is how deep nets without skips fail.
@pytest.mark.filterwarnings("ignore:No component is active")
def test_residual_blocks_are_trained_deep(request):
    """I17: 16 layers keep up with 4, and without skips they do not.

    A nat more than without skips, and at most half a nat less than 4 plain layers.
    """
    bounds = {}

    def bound(architecture, seed):
        key = str(architecture), architecture.n_blocks, seed
        if key not in bounds:
            X_train, X_test, *_ = digits_split(seed)
            model = Rival(architecture, (8,), seed).fitted(
                X_train,
                n_components=8,
                learning_rate=4e-3,
                batch_size=64,
                max_epochs=24,
                # Else the components of deep nets are given up before they are used.
                kl_warmup_epochs=10,
            )
            bounds[key] = model.score(X_test)
        return bounds[key]

    def figures(rival, seed):
        own = bound(rival.architecture, seed)
        return {
            "nats more than without": own - bound(WithoutSkips(n_blocks=8), seed),
            "nats more than 4 layers": own - bound(WithoutSkips(n_blocks=2), seed),
        }

    check_claims(
        request,
        figures,
        Rival(Residual(n_blocks=8)),
        [
            Claim("nats more than without", at_least=1),
            # Not `at_least`, whose factor of two is for positive thresholds.
            Claim("nats more than 4 layers", never_below=-0.5),
        ],
        stubs=[Rival(WithoutSkips(n_blocks=8))],
    )


def grid_of_codes(n=20):
    """Answer codes at evenly spread quantiles of a normal distribution of two."""
    at = norm.ppf((np.arange(n) + 0.5) / n)
    return np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)


@pytest.mark.slow
def test_two_components_of_mnist(request, load_real):
    """I24: the plane decodes to all digits but two at most, and keeps the classes.

    Nearest neighbours tell .15 more of the test images' classes than by PCA.
    """
    mnist = load_real("mnist")
    images, X_test = ((mnist[f"X_{s}"] / 255).astype("f4") for s in ("train", "test"))
    y, y_test = mnist["y_train"], mnist["y_test"]
    reference = make_pipeline(PCA(40, random_state=0), KNeighborsClassifier(3))
    reference.fit(images, y)

    def accuracy(model, X):
        Z = model.fit(X).transform(X)
        neighbour = KNeighborsClassifier(1).fit(Z, y[: len(X)])
        return neighbour.score(model.transform(X_test), y_test)

    def figures(model, seed):
        X = images[:10000]
        more = accuracy(model, X) - accuracy(PCA(2, random_state=0), X)
        found = reference.predict(model.inverse_transform(grid_of_codes()))
        return {"more than PCA": more, "digits": len(np.unique(found))}

    assert reference.score(X_test, y_test) >= 0.97
    check_claims(
        request,
        figures,
        VariationalAutoencoder(
            2, likelihood="bernoulli", learning_rate=3e-3, max_epochs=20
        ),
        [Claim("more than PCA", at_least=0.15), Claim("digits", never_below=8)],
        stubs=[PCA(2), RandomProjection(2), MeanPredictor(2)],
    )
