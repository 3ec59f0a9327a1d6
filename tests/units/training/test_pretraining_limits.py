"""Pretraining that is refused, interrupted, continued, or fed with odd rows."""

import numpy as np
import pytest
import scipy.sparse
from contract.table import assert_same_model, structured_rows, weights
from contract.watchers import interrupting
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError
from theory.claims import digits

from sklearn_ae import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    DivergenceError,
    LinearAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
)
from sklearn_ae._training import boltzmann
from sklearn_ae._training import pretraining as pretraining_module
from sklearn_ae._training.boltzmann import BoltzmannMachine
from sklearn_ae.architectures import Dense

SIZES = {"hidden_layer_sizes": (12, 7), "pretraining_epochs": 3, "random_state": 0}
STILL = {**SIZES, "max_epochs": 0}
GREEDY = {**SIZES, "max_epochs": 4, "pretraining": "greedy", "batch_size": 16}
RBM = {**GREEDY, "pretraining": "rbm", "activation": "logistic"}


class NotDense(Dense):
    supports_pretraining = False


@pytest.fixture
def X():
    return structured_rows()


@pytest.mark.parametrize(
    ("params", "names"),
    [
        (GREEDY | {"architecture": NotDense()}, ["'greedy'", "architecture=NotDense"]),
        (RBM | {"architecture": NotDense()}, ["'rbm'", "architecture=NotDense"]),
        (RBM | {"activation": "relu"}, ["'rbm'", "activation='relu'"]),
        (RBM | {"code_activation": "tanh"}, ["'rbm'", "code_activation='tanh'"]),
        (RBM | {"loss": "multinomial"}, ["'rbm'", "loss='multinomial'"]),
        (
            RBM | {"output_activation": "tanh"},
            ["'rbm'", "loss='squared_error'", "output_activation='tanh'"],
        ),
        (
            RBM | {"loss": "binary_cross_entropy", "tied_weights": True},
            ["'rbm'", "loss='binary_cross_entropy'", "tied_weights=True"],
        ),
    ],
)
def test_refusals_name_both_parameters(params, names, X):
    with pytest.raises(ValueError, match="does not work|needs") as refusal:
        Autoencoder(3, **params).fit(X)
    assert all(name in str(refusal.value) for name in names), refusal.value


SHORT = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
LOGISTIC = {"activation": "logistic", "pretraining": "rbm"}
MISTAKES = [
    (SparseAutoencoder(8, penalty="top_k", k=9, pretraining="greedy"), "'k' parameter"),
    (SparseAutoencoder(8, code_activation="identity", **LOGISTIC), "penalty='kl'"),
    (
        ContractiveAutoencoder(3, activation="identity", pretraining="greedy"),
        "A linear encoder",
    ),
    (StackedAutoencoder(3, callbacks=[dict]), "'callbacks' parameter"),
    (StackedAutoencoder(3, early_stopping=True, validation_fraction=0.99), "to train"),
    (Autoencoder(3, optimizer=len, **LOGISTIC), "'optimizer' parameter"),
    (Autoencoder(3, learning_rate_schedule=len, **LOGISTIC), "_schedule' parameter"),
]


@pytest.mark.parametrize(("estimator", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_found_before_the_first_layer(estimator, message, X, monkeypatch):
    """What is used only when all layers are trained is looked at before."""
    trained = []
    for method in ("_autoencoder_layer", "_machine_layer"):
        monkeypatch.setattr(pretraining_module, method, lambda *args: trained.append(1))
    with pytest.raises(ValueError, match=message):
        estimator.set_params(**SHORT).fit(X)
    assert not trained


def test_what_is_not_used_is_not_looked_at(X):
    """No schedule where the net has no epochs, or in `partial_fit`."""
    params = RBM | {"learning_rate_schedule": "exponential"}
    Autoencoder(3, **params | {"max_epochs": 0}).fit(X)
    assert Autoencoder(3, **params).partial_fit(X).n_iter_ == 1


def test_other_values_are_refused(X):
    for name, value in (
        ("pretraining", "layerwise"),
        ("pretraining_epochs", 0),
        ("max_epochs", -1),
    ):
        with pytest.raises(InvalidParameterError, match=f"'{name}' parameter"):
            Autoencoder(3, **GREEDY | {name: value}).fit(X)


def test_no_epochs_need_pretraining(X):
    """An untrained net is no fit, and a continued one does not pretrain."""
    for estimator in (
        Autoencoder(3, max_epochs=0),
        LinearAutoencoder(3, max_epochs=0),
        StackedAutoencoder(3, **GREEDY | {"warm_start": True}).fit(X),
    ):
        estimator.set_params(max_epochs=0)
        with pytest.raises(InvalidParameterError, match="'max_epochs' parameter"):
            estimator.fit(X)


def test_a_linear_autoencoder_has_no_pretraining():
    assert not {"pretraining", "pretraining_epochs"} & set(
        LinearAutoencoder().get_params()
    )


@pytest.fixture
def interrupt_layer(monkeypatch):
    """Answer what presses Ctrl-C in the second epoch of a layer."""

    def press(index):
        contrast = BoltzmannMachine.contrast
        begun = []

        class Interrupted(pretraining_module.Run):
            def __init__(self, shallow, *args, **kwargs):
                begun.append(shallow)
                if len(begun) == index + 1:
                    shallow.callbacks = [interrupting("on_epoch_begin", 2)]
                super().__init__(shallow, *args, **kwargs)

        def interrupted_contrast(machine, v):
            if machine not in begun:
                begun.append(machine)
            if len(begun) == index + 1:
                raise KeyboardInterrupt
            return contrast(machine, v)

        monkeypatch.setattr(pretraining_module, "Run", Interrupted)
        monkeypatch.setattr(BoltzmannMachine, "contrast", interrupted_contrast)

    return press


@pytest.mark.parametrize("params", [GREEDY, RBM], ids=["greedy", "rbm"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_an_interrupt_leaves_the_layers_so_far(params, n_layers, X, interrupt_layer):
    """17: the layers that are trained, in a net that can be used and trained on."""
    whole = Autoencoder(3, **params | {"max_epochs": 0}).fit(X)
    estimator = Autoencoder(3, **params, warm_start=True)
    interrupt_layer(n_layers)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    assert estimator.pretraining_curves_ == whole.pretraining_curves_[:n_layers]
    ours, theirs = weights(estimator), weights(whole)
    for name in (f"encoder.{n_layers - 1}.weight", f"decoder.{3 - n_layers}.bias"):
        assert_array_equal(ours[name], theirs[name])
    assert np.isfinite(estimator.reconstruct(X)).all()
    assert np.isfinite(estimator.loss_)
    assert estimator.n_iter_ == 0
    assert estimator.fit(X).n_iter_ == 4


@pytest.mark.parametrize("params", [GREEDY, RBM], ids=["greedy", "rbm"])
def test_before_the_first_layer_nothing_changes(params, X, interrupt_layer):
    """17: no untrained net takes the place of an older one, or of none."""
    older = Autoencoder(3, **params).fit(X)
    expected = Autoencoder(3, **params).fit(X)
    interrupt_layer(0)
    for estimator in (Autoencoder(3, **params), older):
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X[:, :4])
        interrupt_layer(0)
    with pytest.raises(NotFittedError):
        Autoencoder(3, **params).transform(X)
    assert_same_model(older, expected)
    assert older.n_features_in_ == 6


def test_an_interrupt_before_fine_tuning_keeps_the_stack(X):
    """17: what pretraining has reached is worth keeping."""
    still = StackedAutoencoder(3, **STILL, batch_size=16).fit(X)
    callbacks = [interrupting("on_epoch_begin", 1)]
    estimator = StackedAutoencoder(3, **GREEDY, callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    assert_same_model(estimator, still)
    assert estimator.loss_ == still.loss_


@pytest.mark.parametrize("params", [GREEDY, RBM], ids=["greedy", "rbm"])
@pytest.mark.parametrize("first", [0, 2])
def test_warm_start_does_not_pretrain_again(params, first, X):
    """And two fits of two epochs are one of four, as none and four are."""
    whole = Autoencoder(3, **params).fit(X)
    halves = Autoencoder(3, **params, warm_start=True)
    halves.set_params(max_epochs=first).fit(X)
    curves = halves.pretraining_curves_
    halves.set_params(max_epochs=4 - first).fit(X)
    assert halves.pretraining_curves_ is curves
    assert_same_model(halves, whole)
    assert halves.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("max_epochs", [0, 2])
def test_partial_fit_goes_on_from_a_pretrained_net(max_epochs, X):
    """Only the first call pretrains."""
    estimator = StackedAutoencoder(3, **GREEDY).set_params(max_epochs=max_epochs)
    estimator.fit(X)
    before = estimator.reconstruct(X)
    estimator.partial_fit(X)
    assert estimator.n_iter_ == max_epochs + 1
    assert len(estimator.pretraining_curves_) == 3
    assert not np.array_equal(estimator.reconstruct(X), before)


def test_the_first_partial_fit_pretrains(X):
    """On its own rows, and goes once over them."""
    estimator = StackedAutoencoder(3, **GREEDY).partial_fit(X)
    curves = estimator.pretraining_curves_
    assert [len(curve) for curve in curves] == [3, 3, 3]
    assert estimator.n_iter_ == 1
    assert estimator.partial_fit(X[:20]).pretraining_curves_ is curves
    assert estimator.n_iter_ == 2


def test_pretraining_is_gone_with_it(X):
    """A later fit without pretraining leaves no curves behind."""
    model = StackedAutoencoder(3, **STILL).fit(X)
    model.set_params(pretraining=None, max_epochs=1).fit(X)
    assert not hasattr(model, "pretraining_curves_")


@pytest.mark.parametrize(
    "estimator",
    [
        DenoisingAutoencoder(3, **GREEDY),
        DenoisingAutoencoder(3, **RBM),
        DenoisingAutoencoder(3, loss="binary_cross_entropy", **RBM),
    ],
    ids=["greedy", "rbm", "binary"],
)
def test_missing_entries(estimator, X):
    """NaN is the mean to the first layer, and reaches no other."""
    X = X.copy()
    X[::3, 0] = X[1::4, 2] = np.nan
    model = estimator.fit(X)
    assert np.isfinite(model.pretraining_curves_).all()
    assert np.isfinite(model.layer_codes(X)[0]).all()
    assert not np.isnan(model.impute(X)).any()


@pytest.mark.parametrize(
    "estimator",
    [
        StackedAutoencoder(3, **GREEDY),
        Autoencoder(3, **RBM),
        Autoencoder(3, loss="binary_cross_entropy", **RBM),
        Autoencoder(3, loss="multinomial", **GREEDY),
        SparseAutoencoder(20, **GREEDY),
    ],
    ids=["greedy", "rbm", "binary", "multinomial", "sparse"],
)
def test_sparse_rows(estimator, X):
    """CSR rows train to the same model as dense ones."""
    X = np.where(X > 0.5, X, 0.0)
    dense = type(estimator)(**estimator.get_params(deep=False)).fit(X)
    sparse = estimator.fit(scipy.sparse.csr_array(X))
    for name, array in weights(sparse).items():
        assert_allclose(array, weights(dense)[name], atol=1e-5)
    assert_allclose(
        sparse.pretraining_curves_[0], dense.pretraining_curves_[0], rtol=1e-5
    )


@pytest.mark.parametrize("params", [GREEDY, RBM], ids=["greedy", "rbm"])
def test_the_same_number_of_threads_gives_the_same_bits(params):
    """Wide layers, which several threads share."""
    import torch

    X = np.tile(digits()[:300], (1, 4))
    wide = {"hidden_layer_sizes": (300, 200), "batch_size": 300, "max_epochs": 1}
    n_threads, models = torch.get_num_threads(), []
    try:
        for n in (2, 1, 2):
            torch.set_num_threads(n)
            models.append(Autoencoder(5, **params | wide).fit(X))
    finally:
        torch.set_num_threads(n_threads)
    first, one, again = models
    assert_same_model(first, again)
    assert first.pretraining_curves_ == again.pretraining_curves_
    (curve, *_), (other, *_) = first.pretraining_curves_, one.pretraining_curves_
    assert_allclose(curve[0], other[0], rtol=1e-3)


@pytest.mark.parametrize("n_epochs", [1, 50])
def test_a_diverging_machine_is_reported(n_epochs, X, monkeypatch):
    monkeypatch.setattr(boltzmann, "_GAUSSIAN_RATE", 1e30)
    estimator = Autoencoder(3, **RBM | {"pretraining_epochs": n_epochs})
    with pytest.raises(DivergenceError, match="restricted Boltzmann machine"):
        estimator.fit(X)
    assert not estimator.__sklearn_is_fitted__()


def test_a_constant_matrix():
    """Rows that do not differ have nothing to learn, and nothing breaks."""
    X = np.full((20, 4), 0.5)
    for params in (GREEDY, RBM, RBM | {"loss": "binary_cross_entropy"}):
        model = Autoencoder(3, **params).fit(X)
        assert_allclose(model.reconstruct(X), X, atol=0.3)
