"""Pretraining: what it starts from, what it leaves behind, and what it refuses."""

import itertools

import numpy as np
import pytest
from contract.table import assert_same_model, structured_rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from sklearn_ae import (
    Autoencoder,
    ContractiveAutoencoder,
    Correntropy,
    DenoisingAutoencoder,
    GaussianNoise,
    Huber,
    MaskingNoise,
    RobustAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
)
from sklearn_ae._layers.dense import dense_layers
from sklearn_ae._training import pretraining as pretraining_module


class SparseContractive(SparseAutoencoder, ContractiveAutoencoder):
    """One `alpha`, in the units of two terms."""


class ContractiveSparse(ContractiveAutoencoder, SparseAutoencoder):
    """The same in the other order."""


class SparseDenoising(SparseAutoencoder, DenoisingAutoencoder):
    """A weight, and a length."""


class DenoisingSparse(DenoisingAutoencoder, SparseAutoencoder):
    """The same in the other order."""


class ContractiveRobust(ContractiveAutoencoder, RobustAutoencoder):
    """A weight in the units of a loss that has a length."""


class RobustContractive(RobustAutoencoder, ContractiveAutoencoder):
    """The same in the other order."""


SIZES = {"hidden_layer_sizes": (12, 7), "pretraining_epochs": 3, "random_state": 0}
# The pretrained net as it is.
STILL = {**SIZES, "max_epochs": 0}
KINDS = [
    Autoencoder(3, pretraining="greedy", **STILL),
    Autoencoder(3, pretraining="greedy", loss="binary_cross_entropy", **STILL),
    Autoencoder(3, pretraining="greedy", loss="multinomial", **STILL),
    Autoencoder(3, pretraining="greedy", tied_weights=True, **STILL),
    Autoencoder(3, pretraining="greedy", optimizer="lbfgs", **STILL),
    Autoencoder(3, pretraining="rbm", activation="logistic", **STILL),
    StackedAutoencoder(3, activation="tanh", code_activation="logistic", **STILL),
    SparseAutoencoder(20, pretraining="greedy", **STILL),
    SparseAutoencoder(20, penalty="top_k", k=4, pretraining="greedy", **STILL),
    ContractiveAutoencoder(3, pretraining="greedy", **STILL),
    DenoisingAutoencoder(3, pretraining="greedy", **STILL),
    RobustAutoencoder(3, pretraining="greedy", **STILL),
]
every_kind = pytest.mark.parametrize("estimator", KINDS, ids=range(len(KINDS)))


@pytest.fixture
def X():
    return structured_rows()


def made(estimator, **params):
    return type(estimator)(**{**estimator.get_params(deep=False), **params})


def layers_of(estimator):
    """Answer weights and biases of the encoder's layers and of their mirror images."""
    module = estimator._model.module
    up, down = dense_layers(module.encoder), dense_layers(module.decoder)[::-1]
    return [
        tuple(
            array.detach().double().numpy()
            for array in (
                layer.weight,
                layer.bias,
                getattr(back, "weight", layer.weight.mT),
                back.bias,
            )
        )
        for layer, back in zip(up, down, strict=True)
    ]


def replay(estimator, X):
    """Answer the codes of each layer, computed here from the weights."""
    reconstruction = estimator._model.module.reconstruction
    h = (X - reconstruction.shift.numpy()) / float(reconstruction.scale)
    names = [estimator.activation] * len(estimator.hidden_layer_sizes)
    names.append(estimator._resolved_code_activation())
    for (W, b, *_), name in zip(layers_of(estimator), names, strict=True):
        a = h @ W.T + b
        h = {"identity": lambda a: a, "logistic": expit, "tanh": np.tanh}.get(
            name, lambda a: np.maximum(a, 0)
        )(a)
        yield h


def unrolled(estimator, Z):
    """Answer the decoder's last pre-activation from the transposed weights."""
    layers = layers_of(estimator)
    h = Z
    for index in reversed(range(len(layers))):
        h = h @ layers[index][0] + layers[index][3]
        if index:
            h = {"logistic": expit, "tanh": np.tanh}.get(
                estimator.activation, lambda a: np.maximum(a, 0)
            )(h)
    return h


@every_kind
def test_layers_replayed_by_hand_are_the_codes(estimator, X):
    """A10: widths as asked for, and `layer_codes` ends in `transform`."""
    model = made(estimator).fit(X)
    codes = model.layer_codes(X)
    widths = [*model.hidden_layer_sizes, model.n_components]
    assert [h.shape for h in codes] == [(len(X), n) for n in widths]
    assert_array_equal(codes[-1], model.transform(X))
    for h, expected in itertools.islice(
        zip(codes, replay(model, X), strict=True),
        # The selection comes after the last layer.
        None if getattr(model, "penalty", "") != "top_k" else len(widths) - 1,
    ):
        assert_allclose(h, expected, atol=1e-5)


@every_kind
def test_the_decoder_starts_from_the_transposes(estimator, X):
    """F2: and the reconstruction is the layers' maps one after the other."""
    model = made(estimator).fit(X)
    for W, _, W_back, _ in layers_of(model):
        assert_allclose(W_back, W.T, atol=1e-7)
    reconstruction = model._model.module.reconstruction
    a = unrolled(model, model.transform(X))
    if model._loss().name == "binary_cross_entropy":
        expected = expit(a)
    elif model._loss().name == "multinomial":
        expected = np.exp(a) / np.exp(a).sum(1, keepdims=True) * X.sum(1).mean()
    else:
        expected = a * float(reconstruction.scale) + reconstruction.shift.numpy()
    assert_allclose(model.reconstruct(X), expected, atol=1e-5)


@every_kind
def test_a_layer_does_not_know_of_the_next(estimator, X):
    """F1: bit for bit the same weights, whether there is another layer above or not."""
    if isinstance(estimator, SparseAutoencoder):
        pytest.skip("Only the code is sparse, so being the code is a difference.")
    estimator = made(estimator, code_activation=estimator.activation)
    deep = made(estimator, code_activation="logistic").fit(X)
    shallower = made(estimator, hidden_layer_sizes=(12,), n_components=7).fit(X)
    for ours, theirs in zip(layers_of(deep), layers_of(shallower), strict=False):
        for one, other in zip(ours, theirs, strict=True):
            assert_array_equal(one, other)
    assert deep.pretraining_curves_[:2] == shallower.pretraining_curves_


@every_kind
def test_curves(estimator, X):
    """A loss an epoch of each layer; no epoch of the whole net."""
    model = made(estimator).fit(X)
    assert [len(curve) for curve in model.pretraining_curves_] == [3, 3, 3]
    assert np.isfinite(model.pretraining_curves_).all()
    assert (model.n_iter_, model.history_, model.loss_curve_) == (0, [], [])
    assert np.isfinite(model.loss_)
    assert "pretraining_curves_ : list" in type(model).__doc__


@pytest.fixture
def stages(monkeypatch):
    """Record the shallow autoencoders, and the rows that they are trained on."""
    seen = []

    class Watched(pretraining_module.Run):
        def outcome(self):
            outcome = super().outcome()
            seen.append((self.estimator, self.rows.X, outcome))
            return outcome

    monkeypatch.setattr(pretraining_module, "Run", Watched)
    return seen


@every_kind
def test_layers_are_trained_on_the_codes_of_the_net(estimator, X, stages):
    """F1, F5: on clean ones, which are those that the layers of the net answer."""
    model = made(estimator).fit(X)
    if model.pretraining == "rbm":
        return
    rows = [stage_rows for _, stage_rows, _ in stages]
    assert rows[0] is X
    for seen, codes in zip(rows[1:], model.layer_codes(X), strict=False):
        assert_allclose(seen, codes, atol=1e-6)


def test_noise_is_on_the_codes(X, stages):
    """F5: a layer gets the noise on its own input."""
    model = DenoisingAutoencoder(3, noise="salt_and_pepper", pretraining="greedy")
    model.set_params(**STILL).fit(X)
    ends = [outcome.model.module.corruption.low for *_, outcome in stages]
    assert [len(end) for end in ends] == [6, 12, 7]
    for end, codes in zip(ends[1:], model.layer_codes(X), strict=False):
        assert_allclose(end, codes.min(axis=0), atol=1e-6)


def test_a_function_gets_rows_of_data_only(X, stages):
    """Images, say, which codes are not; the layers above have no noise."""
    images = []

    def recorded(rows, random):
        images.append(rows.reshape(-1, 2, 3))
        return rows

    model = DenoisingAutoencoder(3, noise=recorded, pretraining="greedy", **STILL)
    model.set_params(batch_size=len(X)).fit(X)
    corruptions = [outcome.model.module.corruption for *_, outcome in stages]
    assert [corruption is None for corruption in corruptions] == [False, True, True]
    # Three epochs of the first layer, and the objective of the net.
    assert len(images) == 4


@pytest.mark.parametrize(
    ("estimator", "of_all", "of_code"),
    [
        (SparseAutoencoder(20), set(), {"sparsity"}),
        (
            SparseAutoencoder(20, penalty="l1", weight_decay=0.1),
            {"weight_decay"},
            {"sparsity"},
        ),
        (SparseAutoencoder(20, penalty="top_k", k=4), set(), {"revival"}),
        (ContractiveAutoencoder(3), {"contraction"}, set()),
        (SparseContractive(20), {"contraction"}, {"sparsity"}),
        (ContractiveSparse(20), {"contraction"}, {"sparsity"}),
    ],
    ids=["kl", "l1", "top_k", "contractive", "both", "both the other way round"],
)
def test_each_layer_has_its_terms(estimator, of_all, of_code, X, stages):
    """Hidden layers are not sparse in the net, so neither are they before."""
    estimator.set_params(pretraining="greedy", **STILL)
    made(estimator).fit(X)
    found = [outcome.history[-1]["terms"] for _, _, outcome in stages]
    expected = {"reconstruction"} | of_all
    assert [set(terms) for terms in found] == [expected] * 2 + [expected | of_code]
    assert all(terms[name] != 0 for terms in found for name in expected)


@pytest.mark.parametrize("activation", ["leaky_relu", "identity"])
def test_hidden_layers_need_no_lowest_value(activation, X):
    """Which the penalty of the code has, that of the default."""
    model = SparseAutoencoder(20, activation=activation, pretraining="greedy", **STILL)
    assert np.isfinite(model.fit(X).transform(X)).all()


def test_each_layer_has_the_robust_loss(X, stages):
    """H13: correntropy at every layer, of a width that suits its input."""
    model = RobustAutoencoder(3, pretraining="greedy", **STILL).fit(X)
    reconstructions = [o.model.module.reconstruction for _, _, o in stages]
    assert [r.name for r in reconstructions] == ["correntropy"] * 3
    widths = [float(r.kernel_width * r.scale) for r in reconstructions]
    assert_allclose(widths[0], model.kernel_width_, rtol=1e-12)
    assert len(set(widths)) == 3


def strengths(stages):
    """Answer the weights of the penalties of each layer that was trained."""
    return [
        {name: float(next(part.buffers())) for name, part in penalties.items()}
        for penalties in (o.model.module.penalties for _, _, o in stages)
    ]


@pytest.mark.parametrize("penalty", ["kl", "l1", "top_k"])
@pytest.mark.parametrize("cls", [SparseContractive, ContractiveSparse])
def test_terms_have_the_weights_that_they_have_alone(cls, penalty, stages):
    """One parameter is converted by each term, in whichever order they come."""
    X = 50 * structured_rows()
    params = {**STILL, "pretraining": "greedy", "alpha": 3.0, "weight_decay": 0.2}
    wide = {"n_components": 20, "penalty": penalty}
    for estimator in (
        cls(**params, **wide),
        SparseAutoencoder(**params, **wide),
        # A linear code is refused where it is not tied.
        ContractiveAutoencoder(20, code_activation="logistic", **params),
    ):
        estimator.fit(X)
    found = strengths(stages)
    both, sparse, contractive = found[:3], found[3:6], found[6:]
    for own, one, other in zip(both, sparse, contractive, strict=True):
        assert_allclose(list(own.values()), [(one | other)[name] for name in own])
        assert own.keys() == one.keys() | other.keys()


UNITS = [
    (Autoencoder(weight_decay=0.1), {"weight_decay": 2}),
    (Autoencoder(loss=Huber(0.1)), {"loss__delta": 1}),
    (Autoencoder(loss=Correntropy(0.3)), {"loss__kernel_width": 1}),
    (Autoencoder(loss="absolute_error", weight_decay=0.1), {"weight_decay": 1}),
    (RobustAutoencoder(kernel_width=0.3), {"kernel_width": 1}),
    (DenoisingAutoencoder(noise="gaussian", noise_level=0.1), {"noise_level": 1}),
    (DenoisingAutoencoder(noise=GaussianNoise(), noise_level=0.1), {"noise_level": 1}),
    (DenoisingAutoencoder(noise=MaskingNoise(fill=0.5)), {"noise__fill": 1}),
    (SparseAutoencoder(alpha=0.1), {"alpha": 2}),
    (SparseAutoencoder(penalty="l1", alpha=0.1), {"alpha": 1}),
    (SparseAutoencoder(penalty="top_k", alpha=4.0), {}),
    (ContractiveAutoencoder(alpha=0.1), {"alpha": 4}),
    (ContractiveAutoencoder(weight_decay=0.1), {"alpha": 4, "weight_decay": 2}),
    (SparseDenoising(noise="gaussian"), {"alpha": 2, "noise_level": 1}),
    (DenoisingSparse(noise="gaussian"), {"alpha": 2, "noise_level": 1}),
    (ContractiveRobust(kernel_width=0.3), {"alpha": 1, "kernel_width": 1}),
    (RobustContractive(kernel_width=0.3), {"alpha": 1, "kernel_width": 1}),
]


@pytest.mark.parametrize(("estimator", "powers"), UNITS, ids=range(len(UNITS)))
def test_units_of_the_rows_do_not_matter(estimator, powers, X):
    """Lengths and weights in units of X mean the same at every layer."""
    n_components = 20 if isinstance(estimator, SparseAutoencoder) else 3
    params = {**STILL, "n_components": n_components, "pretraining": "greedy"}
    estimator.set_params(**params)
    one = made(estimator).fit(X)
    values = estimator.get_params()
    other = made(estimator)
    # Powers of two, for which rounding is the same.
    other.set_params(**{k: values[k] * 256.0**p for k, p in powers.items()})
    assert_same_model(one, other.fit(X * 256))
