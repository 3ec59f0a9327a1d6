"""Correntropy: its value, its limit, and outliers that it does not follow: H12, H13."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import (
    Autoencoder,
    Correntropy,
    LinearAutoencoder,
    RobustAutoencoder,
    StackedAutoencoder,
)
from theory.claims import (
    Claim,
    MeanPredictor,
    RandomProjection,
    check_claims,
    check_identity,
    decoder_matrix,
    digits,
    digits_split,
    gaussian_rows,
    largest_angle,
    principal_axes,
    rebuild,
    sse,
)

# Trains nothing, so that the loss of an epoch is that of the model it leaves.
STILL = {"learning_rate": 1e-30, "max_epochs": 1, "random_state": 0}
LINEAR = {
    "hidden_layer_sizes": (),
    "learning_rate": 1e-2,
    "learning_rate_schedule": "cosine",
    "max_epochs": 100,
}


def test_value_of_a_perfect_reconstruction():
    """H12: -d / (sqrt(2 pi) s); a root over all of 2 pi s is refuted (-8.92)."""
    d, s = 10, 0.2
    model = RobustAutoencoder(kernel_width=s, hidden_layer_sizes=(), **STILL)
    # Rows that do not differ are their mean, which is what the net starts from.
    model.fit(np.full((50, d), 3.0))

    def check(value):
        assert_allclose(model.loss_, value, rtol=1e-6)

    right = -d / (np.sqrt(2 * np.pi) * s)
    assert_allclose(right, -19.947, atol=1e-3)
    check_identity(check, right, -d / np.sqrt(2 * np.pi * s), right / d)


@pytest.mark.parametrize("scale", [1.0, 16.0])
@pytest.mark.parametrize("width", [0.3, "auto"])
def test_loss_is_minus_the_density_of_the_residuals(scale, width):
    """H12: summed over features, in data units; the width too is in units of X."""
    X = digits()[:200] * scale
    model = RobustAutoencoder(3, kernel_width=width, **STILL).fit(X)
    deviations = np.median(np.abs(X - np.median(X, axis=0)), axis=0)
    automatic = np.sqrt(np.square(deviations).mean())
    used = automatic if width == "auto" else width
    assert_allclose(model.kernel_width_, used)

    def check(s):
        densities = norm.pdf(X - model.reconstruct(X), scale=s)
        assert_allclose(model.loss_, -densities.sum(axis=1).mean(), rtol=1e-5)

    check_identity(check, used, used * scale * 2, used / np.sqrt(2))


def test_robust_autoencoder_is_the_loss():
    """It is `Autoencoder` with the loss `Correntropy`, bit for bit."""
    X, settings = digits()[:200], {"max_epochs": 3, "random_state": 0}
    robust = RobustAutoencoder(3, kernel_width=0.4, **settings).fit(X)
    plain = Autoencoder(3, loss=Correntropy(0.4), **settings).fit(X)
    assert robust.loss_curve_ == plain.loss_curve_
    assert np.array_equal(robust.transform(X), plain.transform(X))


def test_wide_kernel_without_outliers_is_pca(request):
    """H12: at ten times the deviation of the data it spans what PCA spans."""

    def figures(model, seed):
        X = gaussian_rows(seed, 2000)
        if isinstance(model, RobustAutoencoder):
            model.set_params(kernel_width=model.kernel_width * X.std())
        decoder = decoder_matrix(model.fit(X), 5)
        return {"angle": largest_angle(decoder, principal_axes(X)[1][:, :5])}

    settings = {"hidden_layer_sizes": (), "optimizer": "lbfgs"}
    check_claims(
        request,
        figures,
        RobustAutoencoder(5, kernel_width=10.0, **settings),
        [Claim("angle", at_most=2e-2)],
        stubs=[
            RobustAutoencoder(5, kernel_width=0.5, **settings),
            RandomProjection(5),
        ],
    )


def spoiled(kind, seed):
    """Answer rows of rank 3 in 20 dimensions with outliers, and others without."""
    random = np.random.RandomState(seed)
    loadings = random.normal(size=(3, 20))
    train, test = random.normal(size=(2, 1000, 3)) @ loadings
    if kind == "cauchy":
        return train + 0.3 * random.standard_cauchy(train.shape), test
    spikes = random.choice([-30.0, 30.0], train.shape)
    return np.where(random.uniform(size=train.shape) < 0.05, spikes, train), test


@pytest.mark.parametrize("kind", ["cauchy", "spikes"])
@pytest.mark.parametrize("width", [0.5, pytest.param("auto", marks=pytest.mark.slow)])
def test_outliers_hardly_move_it(request, kind, width):
    """H12: trained among outliers, at most a quarter of the error of least squares.

    On clean rows. A kernel so wide that it is least squares does not get there.
    """

    def figures(model, seed):
        train, test = spoiled(kind, seed)
        squares = LinearAutoencoder(3, random_state=seed).fit(train)
        return {"against squares": sse(model.fit(train), test) / sse(squares, test)}

    check_claims(
        request,
        figures,
        RobustAutoencoder(3, kernel_width=width, **LINEAR),
        [Claim("against squares", at_most=0.25)],
        stubs=[
            RobustAutoencoder(3, kernel_width=1e3, **LINEAR),
            LinearAutoencoder(3),
            MeanPredictor(3),
        ],
    )


@pytest.mark.parametrize("width", ["auto", 1.0])
def test_rows_far_away_hardly_move_it(request, width):
    """Of each twenty rows one is far away: the others as well as by least squares.

    That is, as by the linear autoencoder of the clean rows; a mean and a scale that
    follow the outliers leave it no gradient, or a kernel that holds them all.
    """

    def figures(model, seed):
        random = np.random.RandomState(seed)
        train, test = random.normal(size=(2, 1000, 3)) @ random.normal(size=(3, 20))
        train, test = (x + 0.3 * random.normal(size=x.shape) for x in (train, test))
        squares = LinearAutoencoder(3, random_state=seed).fit(train)
        train[::20] = 1000 * random.normal(size=20)
        return {"against squares": sse(model.fit(train), test) / sse(squares, test)}

    check_claims(
        request,
        figures,
        RobustAutoencoder(3, kernel_width=width, **LINEAR),
        [Claim("against squares", at_most=1.2)],
        stubs=[
            RobustAutoencoder(3, kernel_width=1e5, **LINEAR),
            LinearAutoencoder(3),
            MeanPredictor(3),
        ],
    )


STACK = {
    "hidden_layer_sizes": (128, 64),
    "pretraining": "greedy",
    "learning_rate": 2e-3,
    "learning_rate_schedule": "cosine",
}


@pytest.mark.slow
def test_robust_stack(request):
    """H13: with 30% impulsive pixels in training, below a stack of squared errors.

    Both in the squared error of clean held-out digits and in the error of a softmax
    on codes, trained on those of the spoiled rows. Impulses are -1 and 2, outside of
    the pixels' [0, 1]; of impulses 0 and 1 the softmax's share is noisier.
    """

    def probe_error(model, train, y_train, test, y_test):
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        probe.fit(model.transform(train), y_train)
        return 1 - probe.score(model.transform(test), y_test)

    def figures(model, seed):
        X_train, X_test, y_train, y_test = digits_split(seed)
        draw = np.random.RandomState(seed).uniform(size=X_train.shape)
        spoiled = np.where(draw < 0.3, np.where(draw < 0.15, 2, -1), X_train)
        squares = StackedAutoencoder(24, random_state=seed, **STACK).fit(spoiled)
        labelled = spoiled, y_train, X_test, y_test
        errors = [probe_error(m, *labelled) for m in (model.fit(spoiled), squares)]
        answers = [rebuild(m, X_test) - X_test for m in (model, squares)]
        return {
            "error of a softmax": errors[0] / errors[1],
            "squared error": np.square(answers[0]).sum() / np.square(answers[1]).sum(),
        }

    check_claims(
        request,
        figures,
        RobustAutoencoder(24, **STACK),
        [
            Claim("error of a softmax", at_most=0.86),
            Claim("squared error", at_most=0.61),
        ],
        stubs=[
            StackedAutoencoder(24, **STACK),
            RobustAutoencoder(24, kernel_width=1e3, **STACK),
            MeanPredictor(24),
        ],
    )
