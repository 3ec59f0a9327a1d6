"""The net as a torch module: units, precision, and what its objective depends on."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, huber, xlog1py, xlogy
from scipy.stats import norm

from sklearn_ae import Autoencoder, LinearAutoencoder
from sklearn_ae._data.moments import moments
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae._nets.autoencoder import in_precision, set_precision
from sklearn_ae._objective.losses import LOSSES

COSTS = {
    "squared_error": lambda x, x_hat: np.square(x - x_hat),
    "absolute_error": lambda x, x_hat: np.abs(x - x_hat),
    "huber": lambda x, x_hat: huber(1.0, x - x_hat),
    "binary_cross_entropy": lambda x, p: -xlogy(x, p) - xlog1py(1 - x, -p),
    "multinomial": lambda x, p: -x * np.log(p / x.sum(axis=1).mean()),
    "correntropy": lambda x, x_hat: -norm.pdf(x - x_hat, scale=automatic_width(x)),
}


def automatic_width(x):
    deviations = np.median(np.abs(x - np.median(x, axis=0)), axis=0)
    return np.sqrt(np.square(deviations).mean())


@pytest.fixture
def X():
    return np.random.RandomState(0).uniform(size=(20, 6))


def build(X, dtype=torch.float64, **parameters):
    estimator = Autoencoder(3, **({"hidden_layer_sizes": (5,)} | parameters))
    return set_precision(estimator._build_module(X.shape[1], moments(X), 0), dtype)


def terms_of(module, X):
    """Answer the objective's terms for rows in data units."""
    with torch.no_grad():
        return module.objective(Batch(module.standardize(torch.from_numpy(X))))


def test_layers_are_affine_maps_and_activations(X):
    """Encode and decode equal the matrices written out in numpy."""
    module = build(X, activation="tanh", code_activation="logistic")
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    names = ["encoder.0", "encoder.1", "decoder.0", "decoder.1"]
    arrays = {n: p.detach().numpy() for n, p in module.named_parameters()}
    scale = np.sqrt(X.var(axis=0).mean())
    h = (X - X.mean(axis=0)) / scale
    functions = [np.tanh, expit, np.tanh, lambda a: a]
    for name, function in zip(names, functions, strict=True):
        h = function(h @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"])
        if name == "encoder.1":
            Z = h
    with torch.no_grad():
        assert_allclose(module.encode(torch.from_numpy(X)), Z, rtol=1e-12)
        x_hat = module.decode(torch.from_numpy(Z))
        assert_allclose(x_hat, h * scale + X.mean(axis=0), rtol=1e-12)
        assert_allclose(module(torch.from_numpy(X)), x_hat, rtol=1e-12)


def test_every_loss_has_a_cost():
    assert set(COSTS) == set(LOSSES)


@pytest.mark.parametrize("loss", COSTS)
@pytest.mark.parametrize("output_activation", ["auto", "logistic"])
def test_objective_times_unit_is_the_cost_in_data_units(X, loss, output_activation):
    if loss == "multinomial":
        output_activation = "auto"
    module = build(X, loss=loss, output_activation=output_activation)
    with torch.no_grad():
        X_hat = module(torch.from_numpy(X)).numpy()
    expected = COSTS[loss](X, X_hat).sum(axis=1).mean()
    answer = terms_of(module, X)["reconstruction"] * module.unit + module.floor
    assert_allclose(float(answer), expected, rtol=1e-12)
    assert (module.floor < 0) == (loss == "correntropy")


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "correntropy"])
@pytest.mark.parametrize(("factor", "offset"), [(1e-4, 0), (1e4, 0), (1, 1e3)])
def test_objective_has_no_units(X, loss, factor, offset):
    """The same rows in other units cost the same: one learning rate serves all."""
    before = terms_of(build(X, loss=loss), X)
    other = X * factor + offset
    after = terms_of(build(other, loss=loss), other)
    assert_allclose(after["reconstruction"], before["reconstruction"], rtol=1e-8)
    # A start that answers nothing but the mean would cost about one.
    assert 0.1 < abs(float(before["reconstruction"])) < 10


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_reaches_every_parameter(X, activation, tied):
    module = build(
        X,
        activation=activation,
        code_activation=activation,
        tied_weights=tied,
        weight_decay=0.1,
    )
    terms = module.objective(Batch(module.standardize(torch.from_numpy(X))))
    terms["reconstruction"].backward()
    for name, parameter in module.named_parameters():
        assert float(parameter.grad.abs().max()) > 0, name


def test_objective_draws_and_keeps_nothing(X):
    module = build(X, weight_decay=0.1)
    state, arrays = torch.get_rng_state(), {**module.state_dict()}
    before = {name: value.clone() for name, value in arrays.items()}
    first, second = terms_of(module, X), terms_of(module, X)
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


def test_objective_names_its_terms(X):
    assert list(terms_of(build(X), X)) == ["reconstruction"]
    terms = terms_of(build(X, weight_decay=0.1), X)
    assert list(terms) == ["reconstruction", "weight_decay"]


def test_tied_weights_are_the_transposed_ones(X):
    """Through the module: W2 = W1', and changing one changes the other."""
    module = build(X, tied_weights=True, hidden_layer_sizes=(), activation="identity")
    (layer,) = module.encoder
    with torch.no_grad():
        a = module.decoder(torch.eye(3, dtype=torch.float64))
        assert_array_equal(a, layer.weight)
        layer.weight.mul_(2)
        assert_array_equal(
            module.decoder(torch.eye(3, dtype=torch.float64)), layer.weight
        )


def test_precision_is_that_of_the_parameters(X):
    """Buffers stay float64: a shift far from zero needs that."""
    module = build(X, torch.float32)
    assert in_precision(module, torch.float32) is module
    double = in_precision(module, torch.float64)
    assert double is not module
    for dtype, m in ((torch.float32, module), (torch.float64, double)):
        assert {p.dtype for p in m.parameters()} == {dtype}
        assert {b.dtype for b in m.buffers()} == {torch.float64}
        assert m(torch.from_numpy(X).to(dtype)).dtype == dtype
    with torch.no_grad():
        for parameter in double.parameters():
            parameter.zero_()
    assert max(float(p.detach().abs().max()) for p in module.parameters()) > 0


@pytest.mark.parametrize(
    "estimator",
    [Autoencoder(3, hidden_layer_sizes=(5,), max_epochs=2), LinearAutoencoder(3)],
    ids=["basic", "linear"],
)
def test_module_of_an_estimator_is_its_own(X, estimator):
    """`to_module` encodes and decodes in data units, trains, and shares nothing."""
    X = X.astype(np.float32)
    estimator.set_params(random_state=0).fit(X)
    Z, X_hat = estimator.transform(X), estimator.reconstruct(X)
    module = estimator.to_module()
    x = torch.from_numpy(X)
    with torch.no_grad():
        assert_allclose(module.encode(x), Z, rtol=1e-4, atol=1e-5)
        assert_allclose(module(x), X_hat, rtol=1e-4, atol=1e-5)
    module(x).sum().backward()
    with torch.no_grad():
        for parameter in module.parameters():
            assert parameter.grad is not None
            parameter.fill_(1)
        for buffer in module.buffers():
            buffer.fill_(2)
    assert_array_equal(estimator.transform(X), Z)
    assert_array_equal(estimator.reconstruct(X), X_hat)
