"""Adversarial autoencoders: J1 and J2, and the weight that takes no part, C5.

Figures are of held-out rows. A discriminator trained afresh, on the codes of training
rows and draws of the prior, is asked about those of held-out ones: its accuracy is that
of guessing where codes are distributed like the prior.
"""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from theory import (
    Claim,
    MeanPredictor,
    RandomProjection,
    check_claims,
    digits_split,
    sse,
)

from sklearn_ae import (
    AdversarialAutoencoder,
    Autoencoder,
    GaussianRing,
    StandardNormal,
    SwissRoll,
)

N_TEST, N_EFFECT, N_PERMUTATIONS = 200, 2000, 500


class Shrunk(PCA):
    """Two moments of the prior and no more: codes of PCA, whitened."""

    def __init__(self, n_components=2, *, whiten=True, random_state=None):
        super().__init__(n_components, whiten=whiten, random_state=random_state)


# The maximum mean discrepancy


def kernel_matrix(Z):
    """Sum Gaussian kernels of .5, 1 and 2 times the median distance; 0 on the diagonal."""
    squares = cdist(Z, Z, "sqeuclidean")
    median = np.median(np.sqrt(squares[np.triu_indices(len(Z), 1)]))
    K = sum(np.exp(-squares / (2 * (c * median) ** 2)) for c in (0.5, 1, 2))
    np.fill_diagonal(K, 0)
    return K


def discrepancy(K, is_first):
    """Answer the unbiased squared MMD of the rows that are first and the others."""
    a, b = is_first.astype(float), (~is_first).astype(float)
    n, m = a.sum(), b.sum()
    within = a @ K @ a / (n * (n - 1)) + b @ K @ b / (m * (m - 1))
    return within - 2 * a @ K @ b / (n * m)


def mmd(A, B):
    is_first = np.arange(len(A) + len(B)) < len(A)
    return discrepancy(kernel_matrix(np.concatenate([A, B])), is_first)


def p_value(A, B, random):
    """Answer how often a random split of both has as large a discrepancy."""
    K = kernel_matrix(np.concatenate([A, B]))
    is_first = np.arange(len(K)) < len(A)
    seen = discrepancy(K, is_first)
    others = (
        discrepancy(K, random.permutation(is_first)) for _ in range(N_PERMUTATIONS)
    )
    return (1 + sum(other >= seen for other in others)) / (1 + N_PERMUTATIONS)


def test_mmd_of_two_normal_distributions():
    """The protocol's closed form: N(0, 1) and N(D, 1), one kernel of width g."""
    random, D, g = np.random.RandomState(0), 0.5, 1.0
    A, B = random.normal(size=(2, 4000, 1))
    K = np.exp(-cdist(both := np.concatenate([A, B + D]), both, "sqeuclidean") / 2)
    np.fill_diagonal(K, 0)
    expected = 2 * np.sqrt(g**2 / (g**2 + 2)) * (1 - np.exp(-(D**2) / (2 * (g**2 + 2))))
    assert expected == pytest.approx(0.0471, abs=1e-4)
    found = discrepancy(K, np.arange(len(K)) < len(A))
    assert found == pytest.approx(expected, rel=0.15)


# J1


def accuracy_of_another(model, X, X_test, prior, seed):
    """Answer the accuracy of a discriminator of our own, on held-out codes and draws."""
    sides = []
    for part, rows in enumerate((X, X_test)):
        Z = model.transform(rows)
        draws = prior.sample(len(Z), 2, random_state=10 * seed + part)
        sides.append((np.concatenate([Z, draws]), np.arange(2 * len(Z)) < len(Z)))
    judge = MLPClassifier((64, 64), early_stopping=True, random_state=seed)
    return judge.fit(*sides[0]).score(*sides[1])


def normality(model, seed):
    """Figures of J1, beside an autoencoder of the same net without a game."""
    X, X_test, _, _ = digits_split(seed)
    plain = Autoencoder(2, random_state=seed).fit(X)
    random, prior = np.random.RandomState(seed), StandardNormal()
    Z = model.fit(X).transform(X_test)
    draws = prior.sample(N_EFFECT, 2, random_state=seed)
    some = random.permutation(len(Z))[:N_TEST]
    game = getattr(model, "discriminator_accuracy_", [np.nan])[-1]
    return {
        "p": p_value(Z[some], draws[:N_TEST], random),
        "effect": max(0.0, mmd(Z, draws)) / mmd(plain.transform(X_test), draws),
        "sse": sse(model, X_test) / sse(plain, X_test),
        "accuracy of another": accuracy_of_another(model, X, X_test, prior, seed),
        "accuracy in the game": game,
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_codes_are_normal(request):
    """J1: two components of the digits pass for N(0, I), at little cost."""
    check_claims(
        request,
        normality,
        AdversarialAutoencoder(2),
        [
            Claim("p", at_least=0.01),
            Claim("effect", at_most=0.1),
            Claim("sse", at_most=1.5),
            Claim("accuracy of another", at_least=0.45, at_most=0.62),
            Claim("accuracy in the game", at_least=0.45, at_most=0.62),
        ],
        stubs=[
            Autoencoder(2),
            AdversarialAutoencoder(2, alpha=1e-4),
            PCA(2),
            Shrunk(2),
            RandomProjection(2),
            MeanPredictor(2),
        ],
    )
