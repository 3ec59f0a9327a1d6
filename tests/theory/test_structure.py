"""What an autoencoder is made of: A1, A3 to A5, A7, A8, A12."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import sklearn_ae
from sklearn_ae import (
    AdversarialAutoencoder,
    Autoencoder,
    ConditionalVariationalAutoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    LSTMAutoencoder,
    RobustAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae._estimators.base import BaseAutoencoder
from theory.claims import (
    SPECTRUM,
    Claim,
    Identity,
    MeanPredictor,
    RandomProjection,
    Stub,
    check_claims,
    check_identity,
    digits,
    gaussian_rows,
    parameters_of,
    pca_floor,
    rebuild,
    sse,
    total_variance,
    weight_matrices_of,
)

# A leaf of the taxonomy, and the estimator that stands for it.
LEAVES = {
    "basic": Autoencoder,
    "convolutional": ConvolutionalAutoencoder,
    "linear": LinearAutoencoder,
    "LSTM": LSTMAutoencoder,
    "stacked": StackedAutoencoder,
    "sparse": SparseAutoencoder,
    "contractive": ContractiveAutoencoder,
    "denoising": DenoisingAutoencoder,
    "robust": RobustAutoencoder,
    "variational": VariationalAutoencoder,
    "conditional": ConditionalVariationalAutoencoder,
    "adversarial": AdversarialAutoencoder,
}
QUICK = [
    Autoencoder(3, hidden_layer_sizes=(16,), max_epochs=5),
    Autoencoder(3, code_activation="tanh", hidden_layer_sizes=(), max_epochs=5),
    LinearAutoencoder(3, max_epochs=5),
]


class LeakyBatch(Stub):
    """Centres every batch on its own mean, so that rows of a batch meet."""

    def transform(self, X):
        return (X - X.mean(axis=0))[:, : self.n_components]


@pytest.mark.parametrize("estimator", QUICK, ids=["deep", "shallow", "linear"])
def test_code_and_decode(estimator):
    """A1: decoding the codes is the reconstruction, on rows never seen too."""
    X = digits()
    model = clone(estimator).set_params(random_state=0).fit(X[:300])
    for rows in (X[:300], X[300:340]):
        assert model.transform(rows).shape == (len(rows), 3)
        assert_allclose(rebuild(model, rows), model.reconstruct(rows), atol=1e-5)


@pytest.mark.parametrize("estimator", QUICK, ids=["deep", "shallow", "linear"])
def test_rows_do_not_meet(estimator):
    """A1: a row's code is its own, whatever stands beside it."""
    X = digits()

    def check(model):
        model = clone(model).set_params(random_state=0).fit(X[:300])
        Z = model.transform(X[300:340])
        for i in range(0, 40, 7):
            assert_allclose(model.transform(X[300 + i : 301 + i])[0], Z[i], atol=1e-5)

    check_identity(check, estimator, LeakyBatch(3))


@pytest.mark.parametrize("estimator", QUICK, ids=["deep", "shallow", "linear"])
def test_same_seed_same_model(estimator):
    """A1: the same `random_state` gives the same codes, another gives others."""
    X = digits()[:200]
    first, second, other = (
        clone(estimator).set_params(random_state=seed).fit(X).transform(X)
        for seed in (0, 0, 1)
    )
    assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "estimator",
    [LinearAutoencoder(5), Autoencoder(5, hidden_layer_sizes=())],
    ids=["linear", "shallow"],
)
def test_parameter_count_of_a_shallow_net(estimator, tied):
    """A3, A7: two weight matrices and 2dk + k + d numbers; tied, one and dk + k + d."""
    X, d, k = gaussian_rows(0, 50), 20, 5
    model = clone(estimator).set_params(tied_weights=tied, max_epochs=1).fit(X)
    counts = {False: (2, 2 * d * k + k + d), True: (1, d * k + k + d)}

    def check(expected):
        assert (weight_matrices_of(model), parameters_of(model)) == expected

    check_identity(check, counts[tied], counts[not tied])


def test_parameter_count_of_a_deep_net():
    """A3: every layer of the encoder has its mirror image; tied, only its biases."""
    X = gaussian_rows(0, 50)
    model = Autoencoder(3, hidden_layer_sizes=(7, 4), max_epochs=1, random_state=0)
    weights = 20 * 7 + 7 * 4 + 4 * 3
    biases = (7 + 4 + 3) + (4 + 7 + 20)
    model.fit(X)
    assert weight_matrices_of(model) == 6
    assert parameters_of(model) == 2 * weights + biases
    model.set_params(tied_weights=True).fit(X)
    assert weight_matrices_of(model) == 3
    assert parameters_of(model) == weights + biases


def variance_left(model, seed):
    """Error, and deviation of the reconstructions, relative to those of the rows."""
    X = gaussian_rows(seed, 1000, SPECTRUM[:6])
    X_hat = rebuild(model.fit(X), X)
    return {
        "sse": np.square(X - X_hat).sum(axis=1).mean() / total_variance(X),
        "deviation": np.sqrt(total_variance(X_hat) / total_variance(X)),
    }


def test_no_constraint_copies(request):
    """A4: with as many components as features and no penalty it is the identity."""
    check_claims(
        request,
        variance_left,
        LinearAutoencoder(6),
        [Claim("sse", at_most=1e-4)],
        stubs=[MeanPredictor(6), RandomProjection(5)],
    )


@pytest.mark.parametrize(
    "estimator",
    [
        LinearAutoencoder(6, weight_decay=1e6),
        Autoencoder(6, hidden_layer_sizes=(8,), weight_decay=1e6),
    ],
    ids=["linear", "deep"],
)
def test_infinite_penalty_answers_the_mean(request, estimator):
    """A4: with all weights penalised away every row becomes the mean."""
    check_claims(
        request,
        variance_left,
        estimator,
        [
            Claim("sse", at_most=1.01, never_below=0.99),
            Claim("deviation", at_most=1e-2),
        ],
        stubs=[Identity(6), RandomProjection(5), LinearAutoencoder(6)],
    )


def error_by_width(model, seed):
    """Growth of the error from each width to the next, and its place above PCA's."""
    X, widths = digits(), (1, 2, 4, 8, 16)
    errors = [sse(clone(model).set_params(n_components=k).fit(X), X) for k in widths]
    floors = [pca_floor(X, k) for k in widths]
    return {
        "largest step": float(np.diff(errors).max() / total_variance(X)),
        "below the floor": float(max(1 - np.divide(errors, floors))),
    }


def test_wider_codes_lose_less(request):
    """A5: the error falls with the width of the code, and stays above PCA's.

    An error below the floor of a linear decoder would mean that rows leak past it.
    """
    check_claims(
        request,
        error_by_width,
        LinearAutoencoder(),
        [
            Claim("largest step", never_above=-0.01),
            Claim("below the floor", never_above=1e-6),
        ],
        stubs=[MeanPredictor(), Identity()],
    )


@pytest.mark.slow
def test_wider_codes_of_a_deep_net_lose_less(request):
    """A5: so it is with hidden layers."""

    def figures(model, seed):
        return {"largest step": error_by_width(model, seed)["largest step"]}

    check_claims(
        request,
        figures,
        Autoencoder(hidden_layer_sizes=(64,), max_epochs=60),
        [Claim("largest step", never_above=-0.01)],
        stubs=[MeanPredictor(), Identity()],
    )


@pytest.mark.slow
def test_depth_beats_pca(request, load_real):
    """A8: on 10,000 MNIST images 784-128-32-8 leaves at most .8 of what PCA leaves."""
    X = load_real("mnist")["X_train"][:12000].astype(np.float32)

    def figures(model, seed):
        order = np.random.RandomState(seed).permutation(len(X))
        train, test = X[order[:10000]], X[order[10000:]]
        ratio = sse(model.fit(train), test) / sse(PCA(8).fit(train), test)
        return {"error against PCA": ratio}

    check_claims(
        request,
        figures,
        Autoencoder(8, hidden_layer_sizes=(128, 32), max_epochs=12),
        [Claim("error against PCA", at_most=0.8)],
        stubs=[PCA(8), LinearAutoencoder(8), MeanPredictor(8)],
    )


def test_every_estimator_is_a_leaf():
    """A12: each public estimator has its place in the taxonomy, and each leaf one."""
    public = {getattr(sklearn_ae, name) for name in sklearn_ae.__all__}
    classes = {x for x in public if isinstance(x, type)}
    estimators = {x for x in classes if issubclass(x, BaseAutoencoder)}
    assert estimators == set(LEAVES.values())


@pytest.mark.slow
# Labels tell all of rows that differ by the means of their classes only.
@pytest.mark.filterwarnings("ignore:No component is active")
@pytest.mark.parametrize("leaf", LEAVES)
def test_leaf_passes_scikit_learn(leaf):
    """A12: scikit-learn's own checks, at the defaults."""
    results = check_estimator(LEAVES[leaf](), on_skip=None, on_fail=None)
    assert len(results) > 30
    assert {r["status"] for r in results} <= {"passed", "skipped"}


@pytest.mark.slow
@pytest.mark.parametrize("leaf", LEAVES)
def test_leaf_is_at_home_in_scikit_learn(leaf):
    """A12: pipeline, grid search, clone and pickle; outputs equal to 1e-6."""
    X, y = digits()[:200], np.arange(200) % 3
    pipeline = make_pipeline(StandardScaler(), LEAVES[leaf](max_epochs=10))
    name = pipeline.steps[-1][0]
    pipeline.set_params(**{f"{name}__random_state": 0})
    search = GridSearchCV(pipeline, {f"{name}__n_components": [1, 6]}, cv=2).fit(X, y)
    assert search.best_params_ == {f"{name}__n_components": 6}
    best = search.best_estimator_
    Z, X_hat = best.transform(X), best.inverse_transform(best.transform(X))
    assert Z.shape == (200, 6)
    for twin in (pickle.loads(pickle.dumps(best)), clone(best).fit(X, y)):
        assert_allclose(twin.transform(X), Z, atol=1e-6)
        assert_allclose(twin.inverse_transform(Z), X_hat, atol=1e-6)
