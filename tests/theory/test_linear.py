"""Linear autoencoders against the closed forms of PCA: A3, A7, B1, D1 to D4, L1."""

import numpy as np
import pytest
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sklearn_ae import Autoencoder, LinearAutoencoder
from sklearn_ae.architectures import Dense
from theory.claims import (
    SPECTRUM,
    Claim,
    MeanPredictor,
    RandomProjection,
    check_claims,
    decoder_matrix,
    end_to_end_matrix,
    excess,
    gaussian_rows,
    largest_angle,
    principal_axes,
    sse,
)

K, D = 5, len(SPECTRUM)
ADAM = {
    "optimizer": "adam",
    "learning_rate": 1e-2,
    "learning_rate_schedule": "cosine",
    "max_epochs": 500,
    "batch_size": 200,
}


def standardised_digits():
    return StandardScaler().fit_transform(load_digits().data)


def reach_pca(excess, angle, *more):
    """Claim an error just above the floor, never below but for rounding."""
    return [
        Claim("excess", at_most=excess, never_below=-1e-6),
        Claim("angle", at_most=angle),
        *more,
    ]


def against_pca(X, k):
    """Answer a function of a model's figures: its error and its subspace."""

    def figures(model, seed):
        rows = X(seed) if callable(X) else X
        model.fit(rows)
        decoder = decoder_matrix(model, k)
        return {
            "excess": excess(model, rows, k),
            "angle": largest_angle(decoder, principal_axes(rows)[1][:, :k]),
            "distance from orthonormal": np.linalg.norm(
                decoder.T @ decoder - np.eye(k)
            ),
        }

    return figures


def test_linear_autoencoder_reaches_pca(request):
    """D1: the error of the sample's floor, PCA's span, and a net that is not PCA."""
    check_claims(
        request,
        against_pca(gaussian_rows, K),
        LinearAutoencoder(K),
        reach_pca(1e-4, 1e-3, Claim("distance from orthonormal", at_least=1e-2)),
        stubs=[PCA(K), RandomProjection(K), MeanPredictor(K)],
    )


@pytest.mark.parametrize(
    "estimator",
    [
        LinearAutoencoder(K, tied_weights=True),
        Autoencoder(K, hidden_layer_sizes=(), optimizer="lbfgs"),
        Autoencoder(
            K, hidden_layer_sizes=(8,), activation="identity", optimizer="lbfgs"
        ),
    ],
    ids=["tied", "shallow", "deep"],
)
def test_linear_nets_reach_pca(request, estimator):
    """A3, A7, B1: tied, shallow and deep nets of linear units do what D1 says."""
    check_claims(
        request,
        against_pca(lambda seed: gaussian_rows(seed, 2000), K),
        estimator,
        reach_pca(1e-3, 1e-2),
        stubs=[RandomProjection(K), MeanPredictor(K)],
    )


def test_linear_autoencoder_reaches_pca_on_digits(request):
    """D1: the same on standardised digits with 16 components."""
    check_claims(
        request,
        against_pca(standardised_digits(), 16),
        LinearAutoencoder(16),
        reach_pca(1e-4, 1e-2),
        stubs=[RandomProjection(16), MeanPredictor(16)],
    )


@pytest.mark.parametrize(
    ("load", "k"),
    [
        (load_wine, 2),
        (load_wine, 5),
        (load_breast_cancer, 2),
        (load_breast_cancer, 5),
        (load_iris, 2),
        (load_iris, 3),
        (load_diabetes, 2),
        (load_diabetes, 5),
        (load_digits, 2),
        (load_digits, 5),
    ],
)
def test_linear_autoencoder_reaches_pca_on_raw_tables(request, load, k):
    """D1: to a degree, whatever the units of the columns; one epoch is too few."""
    check_claims(
        request,
        against_pca(load().data, k),
        LinearAutoencoder(k),
        [
            Claim("excess", at_most=1e-4, never_below=-1e-6),
            Claim("angle", never_above=np.radians(1)),
            Claim("distance from orthonormal", at_least=1e-2),
        ],
        stubs=[
            LinearAutoencoder(k, max_epochs=1),
            RandomProjection(k),
            MeanPredictor(k),
        ],
        min_seeds=3,
    )


@pytest.mark.slow
@pytest.mark.parametrize("data", ["gaussian", "digits"])
def test_adam_reaches_pca(request, data):
    """D1: Adam with a cosine schedule gets there too."""
    X, k = {"gaussian": (gaussian_rows, K), "digits": (standardised_digits(), 16)}[data]
    check_claims(
        request,
        against_pca(X, k),
        LinearAutoencoder(k, **ADAM),
        reach_pca(1e-3, 5e-2),
        stubs=[RandomProjection(k)],
        min_seeds=3,
    )


def test_components_are_those_of_pca(request):
    """D1: `components_` and variances are PCA's, in its order and with its signs."""

    def figures(model, seed):
        X = gaussian_rows(seed)
        model.fit(X)
        pca = PCA(K).fit(X)
        variances = model.explained_variance_ / pca.explained_variance_
        ratios = model.explained_variance_ratio_ / pca.explained_variance_ratio_
        return {
            "components": np.abs(model.components_ - pca.components_).max(),
            "mean": np.abs(model.mean_ - pca.mean_).max(),
            "variances": np.abs(variances - 1).max(),
            "ratios": np.abs(ratios - 1).max(),
        }

    check_claims(
        request,
        figures,
        LinearAutoencoder(K),
        [
            Claim("components", at_most=1e-3),
            Claim("mean", at_most=1e-9),
            Claim("variances", at_most=1e-4),
            Claim("ratios", at_most=1e-4),
        ],
        stubs=[LinearAutoencoder(K, max_epochs=1)],
    )


class DeepEncoder(Dense):
    """Hidden layers in the encoder alone: the decoder is affine in the code."""

    def build(self, n_features, n_components, *, hidden_layer_sizes, **options):
        """Build the encoder of a deep net and the decoder of a shallow one."""
        encoder, _ = super().build(
            n_features, n_components, hidden_layer_sizes=hidden_layer_sizes, **options
        )
        _, decoder = super().build(
            n_features, n_components, hidden_layer_sizes=(), **options
        )
        return encoder, decoder


@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(
            3,
            hidden_layer_sizes=(64,),
            activation="tanh",
            architecture=DeepEncoder(),
            optimizer="lbfgs",
            max_epochs=15,
        ),
        Autoencoder(
            3, hidden_layer_sizes=(), code_activation="tanh", optimizer="lbfgs"
        ),
    ],
    ids=["hidden layer", "tanh code"],
)
def test_linear_decoder_spans_pca(request, estimator):
    """D2: with a linear decoder no encoder gets below PCA, and a good one gets there.

    10-64-3-linear-10, and a shallow net whose code saturates.
    """
    check_claims(
        request,
        against_pca(lambda seed: gaussian_rows(seed, 2000, SPECTRUM[:10]), 3),
        estimator,
        [Claim("excess", at_most=0.01, never_below=-1e-6)],
        stubs=[RandomProjection(3), MeanPredictor(3)],
    )


def test_end_to_end_map_is_the_projector(request):
    """D3: A = W2 W1 is U U' of rank k, hence idempotent."""

    def figures(model, seed):
        X = gaussian_rows(seed, 2000)
        A = end_to_end_matrix(model.fit(X), D)
        U = principal_axes(X)[1][:, :K]
        return {
            "distance from U U'": np.linalg.norm(A - U @ U.T) / np.sqrt(K),
            "distance from A A": np.linalg.norm(A @ A - A) / np.sqrt(K),
        }

    check_claims(
        request,
        figures,
        LinearAutoencoder(K),
        [
            Claim("distance from U U'", at_most=0.02),
            Claim("distance from A A", at_most=0.02),
        ],
        stubs=[RandomProjection(K), LinearAutoencoder(D)],
    )


def test_unconstrained_map_is_the_identity(request):
    """D3: with as many components as features A is the identity, of full rank."""

    def figures(model, seed):
        X = gaussian_rows(seed, 1000, SPECTRUM[:K])
        A = end_to_end_matrix(model.fit(X), K)
        return {"distance from I": np.linalg.norm(A - np.eye(K))}

    check_claims(
        request,
        figures,
        LinearAutoencoder(K),
        [Claim("distance from I", at_most=0.02)],
        stubs=[PCA(K - 1), RandomProjection(K - 1)],
    )


def test_sigma_is_not_the_identity(request):
    """D4: a "linear" net with logistic units is not D1; with the identity it is."""

    def figures(model, seed):
        X = gaussian_rows(seed, 2000)
        return {"excess": excess(model.fit(X), X, K)}

    sigma = Autoencoder(K, hidden_layer_sizes=(), optimizer="lbfgs", max_epochs=10)
    stubs = [RandomProjection(K)]
    linear = [Claim("excess", at_most=1e-3, never_below=-1e-6)]
    check_claims(request, figures, sigma, linear, stubs)
    sigma.set_params(code_activation="logistic", output_activation="logistic")
    differs = [Claim("excess", at_least=0.01, at_most=4)]
    check_claims(
        request, figures, sigma, differs, [LinearAutoencoder(K), MeanPredictor(K)]
    )


@pytest.mark.slow
def test_no_free_lunch_on_gaussian_data(request):
    """L1: on Gaussian data a deep net does what PCA does, on rows it has not seen.

    That is no theorem: PCA is the best of all linear decoders only, and a wide net of
    rectifiers gains a few percent by folding directions of like variance into a code.
    """

    def figures(model, seed):
        X = gaussian_rows(seed, 12000)
        model.fit(X[:10000])
        pca = PCA(K).fit(X[:10000])
        return {"ratio": sse(model, X[10000:]) / sse(pca, X[10000:])}

    check_claims(
        request,
        figures,
        Autoencoder(K, hidden_layer_sizes=(64,), activation="tanh"),
        [Claim("ratio", at_most=1.02, never_below=1)],
        stubs=[RandomProjection(K), MeanPredictor(K)],
    )
