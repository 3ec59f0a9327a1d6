"""The conditional variational autoencoder: closed forms, and I25 (as K16)."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from benchmarks.measures.sample_quality import Judge
from sklearn_ae import ConditionalVariationalAutoencoder
from theory.claims import Claim, Stub, check_claims, check_identity
from theory.test_variational import LINEAR

K, D = 2, 6
SHARES = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[2.0, 0.0], [-2.0, 1.0], [0.0, -2.0]])
NOISE = 0.6
LABELS = np.array(["left", "right", "top"])


def normal_rows(seed, n=3000, shift=0.0):
    """Draw rows whose classes differ where the codes' directions are not.

    Then the posterior of the code given row and label is one of the row alone, and
    bounds of a linear model can be tight. With a shift, codes differ by class as well.
    """
    random = np.random.RandomState(seed)
    basis, _ = np.linalg.qr(random.normal(size=(D, D)))
    W, places = 2.0 * basis[:, :K], MEANS @ basis[:, K : 2 * K].T
    y = random.choice(3, n, p=SHARES)
    X = places[y] + (shift * MEANS[y] + random.normal(size=(n, K))) @ W.T
    return X + np.sqrt(NOISE) * random.normal(size=X.shape), LABELS[y]


def densities(X, y):
    """Answer log p(x|y) of the most likely model, shape (n_samples, n_classes).

    With means by class and one covariance for all: probabilistic PCA of what is left
    of rows without the mean of their class (Tipping and Bishop 1999).
    """
    means = np.array([X[y == label].mean(axis=0) for label in LABELS])
    rest = X - means[np.searchsorted(LABELS, y)]
    spectrum, axes = np.linalg.eigh(rest.T @ rest / len(X))
    spectrum, axes = spectrum[::-1], axes[:, ::-1]
    s2 = spectrum[K:].mean()
    W = axes[:, :K] * np.sqrt(spectrum[:K] - s2)
    covariance = W @ W.T + s2 * np.eye(D)
    return np.stack([multivariate_normal(m, covariance).logpdf(X) for m in means], 1)


class Ignorant(ConditionalVariationalAutoencoder):
    """Is told labels that have nothing to do with the rows."""

    def fit(self, X, y=None):
        return super().fit(X, np.random.RandomState(0).permutation(y))


def likelihood_figures(model, seed):
    X, y = normal_rows(seed)
    model.fit(X, y)
    of_classes = densities(X, y)
    own = of_classes[np.arange(len(X)), np.searchsorted(LABELS, y)]
    frequencies = model.class_count_ / len(X)
    joint = of_classes + np.log(frequencies)
    chosen = LABELS[joint.argmax(axis=1)]
    by_model = model.reconstruct(X)
    return {
        "nats below the best, labels known": own.mean()
        - model.score_samples(X, y).mean(),
        "nats below the best, unknown": logsumexp(joint, 1).mean() - model.score(X),
        "rows taken for the most probable label": (
            np.isclose(by_model, model.reconstruct(X, chosen)).all(axis=1).mean()
        ),
    }


def test_linear_model_reaches_the_maximum_of_the_likelihood(request):
    """Given labels, and of the mixture over labels, whose bound is tight as well."""
    check_claims(
        request,
        likelihood_figures,
        ConditionalVariationalAutoencoder(K, **LINEAR),
        [
            Claim("nats below the best, labels known", 0.05, never_below=-1e-3),
            Claim("nats below the best, unknown", 0.05, never_below=-1e-3),
            Claim("rows taken for the most probable label", at_least=0.99),
        ],
        [
            ConditionalVariationalAutoencoder(K, **LINEAR | {"noise_variance": 1.0}),
            Ignorant(K, **LINEAR),
        ],
    )


def fitted(shift=0.0, **params):
    X, y = normal_rows(0, 400, shift)
    model = ConditionalVariationalAutoencoder(
        K,
        hidden_layer_sizes=(16,),
        learning_rate=0.01,
        max_epochs=15,
        random_state=0,
        **params,
    )
    return model.fit(X, y), X, y


def log_p_of_labels(model, Z):
    """Answer log p(y|z) by the parts of the prior, shape (n_samples, n_classes)."""
    log_p = np.log(model.class_count_ / model.class_count_.sum())
    if not model.conditional_prior:
        return np.tile(log_p, (len(Z), 1))
    prior = {
        k: v.double().numpy() for k, v in model.to_module().prior.state_dict().items()
    }
    log_p = log_p + np.stack(
        [
            multivariate_normal(mean, np.diag(np.exp(log_variance))).logpdf(Z)
            for mean, log_variance in zip(
                prior["means"], prior["log_variances"], strict=True
            )
        ],
        axis=1,
    )
    return log_p - logsumexp(log_p, 1, keepdims=True)


@pytest.mark.parametrize("conditional_prior", [False, True])
def test_without_labels_it_is_the_average_over_labels(conditional_prior):
    """Decoded codes, and the likelihood: by hand from those of each label."""
    model, X, y = fitted(conditional_prior=conditional_prior)
    Z = model.transform(X)
    shares = np.exp(log_p_of_labels(model, Z))
    rows = np.stack([model.inverse_transform(Z, label) for label in LABELS])
    expected = np.einsum("nc,cnd->nd", shares, rows)
    assert_allclose(model.inverse_transform(Z), expected, atol=1e-5)
    joint = np.stack(
        [model.log_likelihood(X, 4000, label) for label in LABELS], axis=1
    ) + np.log(model.class_count_ / len(X))
    # The same codes serve all labels, so that the sums are the same.
    assert_allclose(model.log_likelihood(X, 4000), logsumexp(joint, 1), atol=1e-4)

    def is_above(scores):
        assert (scores > model.score_samples(X) - 1e-6).mean() > 0.95

    check_identity(is_above, logsumexp(joint, 1), logsumexp(joint, 1) - 1.0)


def test_a_prior_for_each_class():
    """Codes of a class are drawn from its own, whose divergence is what is paid."""
    shared, *_ = fitted(shift=1.0)
    model, X, y = fitted(shift=1.0, conditional_prior=True)
    assert model.score_samples(X, y).mean() > shared.score_samples(X, y).mean() + 0.1
    own = model.log_likelihood(X, 4000, y).mean()
    bound = model.score_samples(X, y).mean()
    assert bound < own < bound + 1.0
    prior = model.to_module().prior
    means, variances = prior.means.detach(), prior.log_variances.detach().exp()
    assert np.ptp(means.numpy(), axis=0).max() > 0.5
    Z = model._draw_codes(20000, 0, np.full(20000, 1))
    assert_allclose(Z.mean(axis=0), means[1], atol=0.03)
    assert_allclose(Z.var(axis=0), variances[1], rtol=0.05)
    mixed = model._draw_codes(20000, 0)
    expected = (model.class_count_ / len(X)) @ means.numpy()
    assert_allclose(mixed.mean(axis=0), expected, atol=0.05)


# I25: drawn rows are of the label that was asked for


class ClassMean(Stub):
    """Answers the mean of the class."""

    def fit(self, X, y=None):
        self.means_ = {label: X[y == label].mean(axis=0) for label in np.unique(y)}
        return self

    def sample(self, n, random_state=None, *, y=None, observation_noise=True):
        return np.stack([self.means_[label] for label in y])


class Copies(Stub):
    """Answers training rows of the class."""

    def fit(self, X, y=None):
        self.rows_ = {label: X[y == label] for label in np.unique(y)}
        return self

    def sample(self, n, random_state=None, *, y=None, observation_noise=True):
        random = np.random.RandomState(random_state)
        return np.stack([self.rows_[c][random.randint(len(self.rows_[c]))] for c in y])


def labelled_figures(model, seed, observation_noise):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, _ = train_test_split(
        X / 16, y, test_size=450, random_state=seed, stratify=y
    )
    judge = SVC(C=10).fit(X, y)
    asked = np.repeat(np.arange(10), 100)
    drawn = model.fit(X, y).sample(
        1000, seed, y=asked, observation_noise=observation_noise
    )
    answered = (judge.predict(drawn) == asked).reshape(10, 100).mean(axis=1)
    spread = [
        drawn[asked == c].var(axis=0).sum() / X[y == c].var(axis=0).sum()
        for c in range(10)
    ]
    return {
        "as asked": answered.mean(),
        "as asked, the worst label": answered.min(),
        "variance within labels, of the real one": np.mean(spread),
        "copies": Judge.of(X, X_test).copies(drawn),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [{}, {"n_components": 4}, {"n_components": 4, "conditional_prior": True}],
    ids=["defaults", "four components", "a prior for each class"],
)
@pytest.mark.parametrize("observation_noise", [True, False], ids=["rows", "means"])
def test_rows_are_of_the_label_that_was_asked_for(request, params, observation_noise):
    """I25: to a classifier of real digits; drawn rows and decoded codes."""
    check_claims(
        request,
        partial(labelled_figures, observation_noise=observation_noise),
        ConditionalVariationalAutoencoder(**params),
        [
            Claim("as asked", at_least=0.95),
            Claim("as asked, the worst label", at_least=0.75),
            Claim("variance within labels, of the real one", at_least=0.3),
            Claim("copies", at_most=0.01),
        ],
        [ClassMean(), Copies(), Ignorant(**params)],
    )


def test_codes_need_not_tell_the_label():
    """The labels' own differences are the decoder's, and codes keep the rest."""
    X, y = normal_rows(0)
    model = ConditionalVariationalAutoencoder(K, **LINEAR, random_state=0).fit(X, y)
    Z = model.transform(X)
    between = np.array([Z[y == label].mean(axis=0) for label in LABELS])
    assert np.abs(between).max() < 0.1 < 0.9 < Z.std()
    assert_array_equal(model.classes_, LABELS)
