"""Every objective with every architecture: each keeps what its theory promises.

The rows are waves of a frequency, a phase and a size of their own: three numbers tell
all of a row, but three linear ones leave a tenth of the variance. To a dense net a wave
is a vector, to convolutions a signal, to a recurrent net a sequence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA

import sklearn_ae
from sklearn_ae import (
    AdversarialAutoencoder,
    Autoencoder,
    ConditionalVariationalAutoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    RobustAutoencoder,
    SparseAutoencoder,
    StandardNormal,
    VariationalAutoencoder,
)
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae.architectures import ARCHITECTURES
from theory.claims import (
    Claim,
    MeanPredictor,
    check_claims,
    mmd,
    rebuild,
    sse,
    total_variance,
)

N_FEATURES = 12
TRAINING = {
    "learning_rate_schedule": "cosine",
    "batch_size": 50,
    "max_epochs": 40,
}
# Of an architecture to come they are (16,).
HIDDEN = {"dense": (32,), "convolutional": (8, 16), "lstm": (24,)}
# With less it would take more epochs.
RATES = {"lstm": 1.5e-2}
STILL = {"warm_start": True, "learning_rate": 1e-30}


def waves(seed, n=500):
    random = np.random.RandomState(seed)
    t = np.linspace(0, 1, N_FEATURES, endpoint=False)
    frequency = random.uniform(1, 2, (n, 1))
    phase = random.uniform(0, 2 * np.pi, (n, 1))
    size = random.uniform(0.5, 1.5, (n, 1))
    return size * np.sin(2 * np.pi * frequency * t + phase)


def split(seed, n=500):
    """Draw waves to train on, and others."""
    return waves(seed, n), waves(100 + seed)


def unexplained(model, X):
    return sse(model, X) / total_variance(X)


UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Check:
    """What is claimed of an estimator, and broken ones of which it must not hold."""

    estimator: BaseEstimator
    figures: Callable[[BaseEstimator, int], dict[str, float]]
    claims: list[Claim]
    broken: list[BaseEstimator]


def reconstruction(net):
    """Three numbers of a net tell more than those of PCA."""

    def figures(model, seed):
        X, X_test = split(seed)
        floor = unexplained(PCA(3).fit(X), X_test)
        return {"against PCA": unexplained(model.fit(X), X_test) / floor}

    return Check(
        Autoencoder(3, **net),
        figures,
        [Claim("against PCA", at_most=0.6)],
        [PCA(3), MeanPredictor(3)],
    )


def weight_decay(net):
    """Weights are smaller for it, at little cost."""

    def squares(model):
        weights = model.to_module().parameters()
        return sum(float(w.detach().square().sum()) for w in weights if w.ndim > 1)

    def figures(model, seed):
        X, X_test = split(seed)
        free = clone(model).set_params(weight_decay=0.0).fit(X)
        return {
            "weights against none": squares(model.fit(X)) / squares(free),
            UNEXPLAINED: unexplained(model, X_test),
        }

    return Check(
        Autoencoder(4, weight_decay=3e-3, **net),
        figures,
        [Claim("weights against none", at_most=0.8), Claim(UNEXPLAINED, at_most=0.05)],
        [
            Autoencoder(4, **net),
            # Too much of it: the net answers the mean.
            Autoencoder(4, weight_decay=10.0, **net),
        ],
    )


def sparse_l1(net):
    """Fewer codes are in use than without the penalty, at little cost."""

    def active(model, X):
        return (model.transform(X) > 0).mean()

    def figures(model, seed):
        X, X_test = split(seed)
        free = clone(model).set_params(alpha=0.0).fit(X)
        return {
            "active against none": active(model.fit(X), X_test) / active(free, X_test),
            UNEXPLAINED: unexplained(model, X_test),
        }

    l1 = SparseAutoencoder(24, penalty="l1", alpha=0.03, **net)
    return Check(
        l1,
        figures,
        [Claim("active against none", at_most=0.8), Claim(UNEXPLAINED, at_most=0.05)],
        [clone(l1).set_params(alpha=0.0), clone(l1).set_params(alpha=100.0)],
    )


def sparse_kl(net):
    """Mean codes are near rho, and not because the codes are always there."""
    rho = 0.1

    def figures(model, seed):
        X, X_test = split(seed)
        Z = model.fit(X).transform(X)
        return {
            "distance from the target": np.median(np.abs(Z.mean(axis=0) / rho - 1)),
            "deviation within units": np.median(Z.std(axis=0)) / rho,
            UNEXPLAINED: unexplained(model, X_test),
        }

    kl = SparseAutoencoder(24, penalty="kl", alpha=3.0, rho=rho, **net)
    return Check(
        kl,
        figures,
        [
            Claim("distance from the target", at_most=0.1),
            Claim("deviation within units", at_least=0.3),
            Claim(UNEXPLAINED, at_most=0.1),
        ],
        [
            clone(kl).set_params(alpha=0.0),
            clone(kl).set_params(alpha=1e4),
        ],
    )


def sparse_top_k(net):
    """Three codes of each row, out of many in use, tell more than three of PCA."""
    k = 3

    def figures(model, seed):
        X, X_test = split(seed)
        floor = unexplained(PCA(k).fit(X), X_test)
        is_used = model.fit(X).transform(X) != 0
        return {
            "rows of another number": (is_used.sum(axis=1) != k).mean(),
            "dead share": (~is_used).all(axis=0).mean(),
            "against PCA": unexplained(model, X_test) / floor,
        }

    top_k = SparseAutoencoder(24, penalty="top_k", k=k, **net)
    return Check(
        top_k,
        figures,
        [
            Claim("rows of another number", never_above=0.0),
            Claim("dead share", at_most=0.25),
            Claim("against PCA", at_most=0.7),
        ],
        [
            PCA(k),
            clone(top_k).set_params(k=k + 1),
            clone(top_k).set_params(alpha=0.0),
        ],
    )


def squared_norms(model, X, h=1e-5):
    """Answer the mean squared norm of the Jacobian of `transform`, by differences."""
    steps = h * np.eye(X.shape[1])
    changes = [model.transform(X + e) - model.transform(X - e) for e in steps]
    return np.square(changes).sum(axis=(0, 2)).mean() / (2 * h) ** 2


def contractive(net, n_projections=None):
    """Jacobians are small, beside the codes too; the penalty is their squared norm."""

    def figures(model, seed):
        X, X_test = split(seed)
        free = clone(model).set_params(alpha=0.0).fit(X)
        norm, free_norm = (squared_norms(m, X_test) for m in (model.fit(X), free))
        spread, free_spread = (total_variance(m.transform(X)) for m in (model, free))
        answer = {
            "norm against none": norm / free_norm,
            "relative to the codes": norm / spread / (free_norm / free_spread),
            UNEXPLAINED: unexplained(model, X_test),
        }
        # Of the trained net, which is not trained any further.
        model.set_params(max_epochs=1 if n_projections is None else 6, **STILL).fit(X)
        terms = model.loss_terms_.get("contraction", [0.0])
        penalty = np.mean(terms[-model.max_epochs :])
        of_rows = model.alpha * squared_norms(model, X)
        return answer | {"penalty off by": abs(penalty / (of_rows or 1.0) - 1)}

    params = net | {"n_projections": n_projections, "max_epochs": 30}
    return Check(
        ContractiveAutoencoder(4, alpha=1.0, **params),
        figures,
        [
            Claim("norm against none", at_most=0.25),
            Claim("relative to the codes", at_most=0.85),
            Claim(UNEXPLAINED, at_most=0.1),
            Claim("penalty off by", at_most=1e-3 if n_projections is None else 0.03),
        ],
        [
            ContractiveAutoencoder(4, alpha=0.0, **params),
            ContractiveAutoencoder(4, alpha=1e-6, **params),
        ],
    )


def contractive_by_projections(net):
    """So it is where the norm is estimated from random directions."""
    return contractive(net, n_projections=1)


def denoising(net):
    """Noise is removed, and more of it than by a net that has seen none."""
    level = 0.5

    def figures(model, seed):
        X, X_test = split(seed)
        noise = level * np.random.RandomState(seed).normal(size=X_test.shape)
        plain = Autoencoder(24, random_state=seed, **net)
        left, left_by_plain = (
            np.square(rebuild(m.fit(X), X_test + noise) - X_test).mean()
            for m in (model, plain)
        )
        return {
            "share of the noise": left / np.square(noise).mean(),
            "against plain": left / left_by_plain,
        }

    noisy = DenoisingAutoencoder(24, noise="gaussian", noise_level=level, **net)
    return Check(
        noisy,
        figures,
        [
            Claim("share of the noise", at_most=0.4),
            Claim("against plain", at_most=0.75),
        ],
        [
            clone(noisy).set_params(noise_level=0.0),
            MeanPredictor(24),
        ],
    )


def robust(net):
    """One row of twenty, spoiled, hardly moves it."""

    def figures(model, seed):
        X, X_test = split(seed)
        n_spoiled = len(X[::20])
        X[::20] = 10 * np.random.RandomState(seed).normal(size=(n_spoiled, N_FEATURES))
        squares = Autoencoder(4, random_state=seed, **net)
        left, by_squares = (unexplained(m.fit(X), X_test) for m in (model, squares))
        return {"against squares": left / by_squares, UNEXPLAINED: left}

    return Check(
        RobustAutoencoder(4, **net),
        figures,
        [Claim("against squares", at_most=0.25), Claim(UNEXPLAINED, at_most=0.05)],
        [
            RobustAutoencoder(4, kernel_width=1e3, **net),
            MeanPredictor(4),
        ],
    )


# As PCA has it, whose likelihood is what there is to beat.
ONE_VARIANCE = {"noise_variance": "learned", "activation": "relu"}


def variational(net):
    """Its bound is above the likelihood of a linear model with as many components.

    With warm-up, without which recurrent nets collapse (Bowman et al. 2016).
    """
    net = net | ONE_VARIANCE | {"kl_warmup_epochs": 15}

    def figures(model, seed):
        X, X_test = split(seed, 1500)
        linear = PCA(4).fit(X).score(X_test)
        return {
            "nats above PCA": model.fit(X).score(X_test) - linear,
            "least nats of a component": np.sort(model.kl_per_component_)[-3],
        }

    return Check(
        VariationalAutoencoder(4, **net),
        figures,
        [
            Claim("nats above PCA", at_least=0.5),
            Claim("least nats of a component", at_least=0.5),
        ],
        [
            VariationalAutoencoder(4, beta=0.0, **net),
            VariationalAutoencoder(4, **net | {"noise_variance": 1.0}),
        ],
    )


TREND = np.linspace(-1.5, 1.5, N_FEATURES)


class Mislabelled(ConditionalVariationalAutoencoder):
    """Is told labels that have nothing to do with the rows."""

    def fit(self, X, y=None):
        return super().fit(X, np.random.RandomState(0).permutation(y))


def conditional(net):
    """Drawn waves drift the way that their label says.

    And the bound, given labels, is above the likelihood of a linear model of waves that
    do not drift.
    """
    net = net | ONE_VARIANCE | {"kl_warmup_epochs": 5, "max_epochs": 80}

    def figures(model, seed):
        # Of fewer waves codes tell the drift as well, and labels are not looked at.
        X, X_test = split(seed, 1500)
        labels = np.array(["down", "none", "up"])
        y, y_test = np.arange(len(X)) % 3, np.arange(len(X_test)) % 3
        linear = PCA(3).fit(X).score(X_test)
        drifts = TREND * np.array([[-1.0], [0.0], [1.0]])
        model.fit(X + drifts[y], labels[y])
        drawn = model.sample(600, seed, y=np.repeat(labels, 200)).reshape(3, 200, -1)
        slopes = drawn.mean(axis=1) @ TREND / (TREND @ TREND)
        return {
            "nats above PCA": model.score_samples(
                X_test + drifts[y_test], labels[y_test]
            ).mean()
            - linear,
            "error of slopes": np.abs(slopes - [-1, 0, 1]).max(),
        }

    return Check(
        ConditionalVariationalAutoencoder(3, **net),
        figures,
        [
            Claim("nats above PCA", at_least=0.5),
            Claim("error of slopes", at_most=0.3),
        ],
        [
            Mislabelled(3, **net),
            ConditionalVariationalAutoencoder(3, **net | {"noise_variance": 1.0}),
        ],
    )


def adversarial(net):
    """Codes are distributed like the prior, at little cost."""
    # A game takes smaller steps, and more of them.
    net = net | {"learning_rate": 0.2 * net["learning_rate"], "max_epochs": 150}

    def figures(model, seed):
        X, X_test = split(seed)
        draws = StandardNormal().sample(len(X_test), 4, random_state=seed)
        free = clone(model).set_params(alpha=0.0).fit(X)
        distance, free_distance = (
            max(0.0, mmd(m.transform(X_test), draws)) for m in (model.fit(X), free)
        )
        return {
            "discrepancy against none": distance / free_distance,
            UNEXPLAINED: unexplained(model, X_test),
        }

    return Check(
        AdversarialAutoencoder(4, **net),
        figures,
        [
            Claim("discrepancy against none", at_most=0.3),
            Claim(UNEXPLAINED, at_most=0.1),
        ],
        [
            AdversarialAutoencoder(4, alpha=0.0, **net),
            AdversarialAutoencoder(4, alpha=1e-4, **net),
            # All that counts is the game: rows are forgotten.
            AdversarialAutoencoder(4, alpha=1e4, **net),
        ],
    )


CHECKS = {
    check.__name__: check
    for check in (
        reconstruction,
        weight_decay,
        sparse_l1,
        sparse_kl,
        sparse_top_k,
        contractive,
        contractive_by_projections,
        denoising,
        robust,
        variational,
        conditional,
        adversarial,
    )
}


def net_of(name):
    hidden = HIDDEN.get(name, (16,))
    net = {"architecture": name, "hidden_layer_sizes": hidden}
    return net | TRAINING | {"learning_rate": RATES.get(name, 1e-2)}


PAIRS = [
    pytest.param(*pair, marks=[pytest.mark.slow] * (pair[1] != "dense"))
    for pair in product(CHECKS, ARCHITECTURES)
]


@pytest.mark.parametrize(("objective", "architecture"), PAIRS)
def test_objective_keeps_its_promise(request, objective, architecture):
    """And an estimator that is broken in this respect does not."""
    check = CHECKS[objective](net_of(architecture))
    check_claims(
        request, check.figures, check.estimator, check.claims, stubs=check.broken
    )


def test_no_objective_is_left_out():
    """Each estimator with a term, a noise or a loss of its own has a check."""
    hooks = {"_build_penalties", "_build_corruption", "_build_prior", "_build_net"}
    hooks |= {"_loss"}
    public = (getattr(sklearn_ae, name) for name in sklearn_ae.__all__)
    expected = {
        kind
        for kind in public
        if isinstance(kind, type)
        and issubclass(kind, BaseAutoencoder)
        and hooks & vars(kind).keys()
    }
    estimators = [check(net_of("dense")).estimator for check in CHECKS.values()]
    assert {type(estimator) for estimator in estimators} == expected | {Autoencoder}
    sparse = [e for e in estimators if isinstance(e, SparseAutoencoder)]
    (penalties,) = SparseAutoencoder._parameter_constraints["penalty"]
    assert {estimator.penalty for estimator in sparse} == penalties.options
