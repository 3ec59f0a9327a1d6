"""Pure functions against independent references, derivatives against differences."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, huber, ndtr, softmax, xlog1py, xlogy
from scipy.stats import norm
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error
from torch.autograd import gradcheck
from torch.nn import init

from sklearn_ae._layers.functions import ACTIVATIONS, weight_deviation
from sklearn_ae._objective.losses import (
    LOSSES,
    RESIDUAL_LOSSES,
    binary_cross_entropy,
    binary_cross_entropy_derivative,
    multinomial,
    multinomial_derivative,
)
from sklearn_ae.architectures import Dense


def selu(a):
    # Klambauer et al. 2017.
    return 1.0507009873554805 * np.where(a > 0, a, 1.6732632423543772 * np.expm1(a))


# Formulas of the papers, in numpy.
REFERENCES = {
    "identity": lambda a: a,
    "relu": lambda a: np.maximum(a, 0),
    "logistic": expit,
    "tanh": np.tanh,
    "selu": selu,
    "elu": lambda a: np.where(a > 0, a, np.expm1(a)),
    "gelu": lambda a: a * ndtr(a),
    "silu": lambda a: a * expit(a),
    "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "binary": lambda a: np.where(a > 0, 1.0, 0.0),
}
# LeCun et al. 1998, a third of its variance, Glorot and Bengio 2010.
RULES = {
    "identity": "third",
    "relu": "lecun",
    "logistic": "glorot",
    "tanh": "glorot",
    "selu": "lecun",
    "elu": "lecun",
    "gelu": "lecun",
    "silu": "lecun",
    "leaky_relu": "lecun",
    "binary": "glorot",
}
DELTA = torch.tensor(0.7, dtype=torch.float64)
RESIDUAL_REFERENCES = {
    "squared_error": (np.square, ()),
    "absolute_error": (np.abs, ()),
    "huber": (lambda r: huber(float(DELTA), r), (DELTA,)),
    "correntropy": (lambda r: -norm.pdf(r, scale=float(DELTA)), (DELTA,)),
}


def arguments(away_from=(0.0,)):
    """Answer float64 arguments that keep clear of kinks."""
    a = torch.linspace(-4.0, 4.0, 161, dtype=torch.float64) + 1e-3
    for kink in away_from:
        a = a[(a - kink).abs() > 5e-3]
    return a


def difference(function, a, h=1e-6):
    """Answer the central difference quotient."""
    return (function(a + h) - function(a - h)) / (2 * h)


def test_every_function_has_a_reference():
    assert set(REFERENCES) == set(RULES) == set(ACTIVATIONS)
    assert set(RESIDUAL_REFERENCES) == set(RESIDUAL_LOSSES)
    others = {"binary_cross_entropy", "multinomial"}
    assert set(LOSSES) == {*RESIDUAL_REFERENCES, *others}


# Activations


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activation_is_its_formula(name, dtype):
    a = arguments().to(dtype)
    h = ACTIVATIONS[name].function(a)
    assert h.dtype == dtype
    tolerance = 20 * torch.finfo(dtype).eps
    expected = REFERENCES[name](a.double().numpy())
    assert_allclose(h.numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"binary"}))
def test_derivative_of_activation_is_the_difference_quotient(name):
    function, derivative, *_ = ACTIVATIONS[name]
    a = arguments()
    gradient = torch.linspace(-2, 2, len(a), dtype=torch.float64)
    answer = derivative(gradient, a, function(a))
    assert_allclose(answer, gradient * difference(function, a), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"binary"}))
def test_derivative_of_activation_passes_gradcheck(name):
    function, derivative, *_ = ACTIVATIONS[name]

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            h = function(a)
            ctx.save_for_backward(a, h)
            return h

        @staticmethod
        def backward(ctx, gradient):
            return derivative(gradient, *ctx.saved_tensors)

    rows = arguments()[::8].reshape(4, -1).requires_grad_()
    assert gradcheck(Function.apply, (rows,))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivative_of_activation_is_autograd(name, dtype):
    """At the kink too: both take the same side."""
    function, derivative, *_ = ACTIVATIONS[name]
    a = torch.cat([arguments(), torch.zeros(1), torch.tensor([-80.0, 80.0])]).to(dtype)
    gradient = torch.linspace(-2, 2, len(a), dtype=dtype)
    (expected,) = torch.autograd.grad(function(a.requires_grad_()), a, gradient)
    answer = derivative(gradient, a.detach(), function(a.detach()))
    tolerance = 20 * torch.finfo(dtype).eps
    assert_allclose(answer, expected, rtol=tolerance, atol=tolerance)


def test_binary_is_a_step_with_a_straight_through_gradient():
    """The value is exactly 0 or 1; the gradient is the logistic function's."""
    function, derivative, *_ = ACTIVATIONS["binary"]
    for dtype in (torch.float32, torch.float64):
        a = arguments().to(dtype).requires_grad_()
        h = function(a)
        assert_array_equal(h.detach(), (a.detach() > 0).to(dtype))
        gradient = torch.linspace(-2, 2, len(a), dtype=dtype)
        (by_autograd,) = torch.autograd.grad(h, a, gradient)
        p = expit(a.detach().double().numpy())
        expected = gradient.double().numpy() * p * (1 - p)
        assert_allclose(by_autograd, expected, rtol=1e-5, atol=1e-7)
        by_formula = derivative(gradient, a.detach(), h.detach())
        assert_allclose(by_formula, expected, rtol=1e-5, atol=1e-7)
    assert float(function(torch.zeros(()))) == 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_finite_far_out(name):
    function, derivative, *_ = ACTIVATIONS[name]
    a = torch.tensor([-1e4, -90.0, 90.0, 1e4])
    h = function(a)
    assert torch.isfinite(h).all()
    assert torch.isfinite(derivative(torch.ones(4), a, h)).all()


# Initial weights


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_weight_deviation_is_that_of_the_rule(name):
    weight = torch.empty(30, 50)
    n_inputs, n_outputs = init._calculate_fan_in_and_fan_out(weight)
    rules = {
        # What torch.nn.Linear starts from.
        "third": init.calculate_gain("leaky_relu", math.sqrt(5)) / math.sqrt(n_inputs),
        "lecun": 1 / math.sqrt(n_inputs),
        "glorot": math.sqrt(2 / (n_inputs + n_outputs)),
    }
    answer = weight_deviation(name, n_inputs, n_outputs)
    assert answer == pytest.approx(rules[RULES[name]], rel=1e-9)


def test_weight_deviation_keeps_the_signal_of_selu():
    """Mean and variance survive twenty layers, which is what selu is made for."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(500, 400, generator=generator, dtype=torch.float64)
    for _ in range(20):
        weight = torch.randn(400, 400, generator=generator, dtype=torch.float64)
        a = h @ weight * weight_deviation("selu", 400, 400)
        h = ACTIVATIONS["selu"].function(a)
    assert abs(float(h.mean())) < 0.1
    assert 0.8 < float(h.var()) < 1.2


@pytest.mark.parametrize("initialization", ["auto", 0.02])
@pytest.mark.parametrize("tied", [False, True])
def test_layers_are_drawn_with_that_deviation(initialization, tied):
    encoder, decoder = Dense().build(
        200,
        50,
        hidden_layer_sizes=(100,),
        activation="relu",
        code_activation="tanh",
        tied_weights=tied,
        initialization=initialization,
        seed=0,
    )
    rules = [("relu", 200, 100), ("tanh", 100, 50), ("relu", 50, 100)]
    rules.append(("identity", 100, 200))
    layers = [*encoder] if tied else [*encoder, *decoder]
    for layer, rule in zip(layers, rules, strict=False):
        auto = initialization == "auto"
        expected = weight_deviation(*rule) if auto else initialization
        weight = layer.weight.detach().double()
        # Three standard errors of a standard deviation.
        slack = 3 / math.sqrt(2 * weight.numel())
        assert float(weight.std()) == pytest.approx(expected, rel=slack)
        assert abs(float(weight.mean())) < 3 * expected / math.sqrt(weight.numel())
        assert float(layer.bias.detach().abs().max()) == 0


# Losses


@pytest.mark.parametrize("name", RESIDUAL_REFERENCES)
def test_loss_of_residuals_is_its_formula(name):
    """The function is what it costs more than where the residual is 0."""
    reference, lengths = RESIDUAL_REFERENCES[name]
    x = torch.linspace(5, -3, len(arguments()), dtype=torch.float64)
    x_hat = x + arguments()
    cost = RESIDUAL_LOSSES[name].function(x_hat, x, *lengths)
    expected = reference((x_hat - x).numpy())
    floor = RESIDUAL_LOSSES[name].floor(*lengths)
    assert_allclose(floor, reference(0.0), rtol=1e-12)
    assert_allclose(cost + floor, expected, rtol=1e-12, atol=1e-16)


def test_a_wide_kernel_is_not_rounded_away():
    """Divided by its curvature it is half the squared error, in float32 too."""
    residual = torch.linspace(-2, 2, 41)
    cost = RESIDUAL_LOSSES["correntropy"].function(
        residual, torch.zeros(41), torch.tensor(1e6)
    )
    expected = residual.square() / (2 * np.sqrt(2 * np.pi) * 1e18)
    assert_allclose(cost, expected, rtol=1e-5)


def test_losses_are_those_of_scikit_learn_and_torch():
    random = np.random.RandomState(0)
    x, x_hat = random.normal(size=(2, 40, 5))
    arrays = torch.from_numpy(x_hat), torch.from_numpy(x)
    names = ("squared_error", "absolute_error", "huber")
    squared, absolute, clipped = (RESIDUAL_LOSSES[name].function for name in names)
    assert_allclose(squared(*arrays).mean(), mean_squared_error(x, x_hat))
    assert_allclose(absolute(*arrays).mean(), mean_absolute_error(x, x_hat))
    theirs = torch.nn.functional.huber_loss(*arrays, delta=float(DELTA))
    assert_allclose(clipped(*arrays, DELTA).mean(), theirs)


@pytest.mark.parametrize("name", RESIDUAL_REFERENCES)
def test_derivative_of_loss_is_the_difference_quotient(name):
    _, lengths = RESIDUAL_REFERENCES[name]
    function, derivative, _ = RESIDUAL_LOSSES[name]
    r = arguments(away_from=(0.0, float(DELTA), -float(DELTA)))
    x = torch.linspace(1, -1, len(r), dtype=torch.float64)
    x_hat, gradient = x + r, torch.linspace(-2, 2, len(r), dtype=torch.float64)
    expected = gradient * difference(lambda a: function(a, x, *lengths), x_hat)
    answer = derivative(gradient, x_hat, x, *lengths)
    assert_allclose(answer, expected, rtol=1e-6, atol=1e-8)
    (by_autograd,) = torch.autograd.grad(
        function(x_hat.requires_grad_(), x, *lengths), x_hat, gradient
    )
    assert_allclose(answer, by_autograd, rtol=1e-12)


@pytest.mark.parametrize("name", RESIDUAL_REFERENCES)
@pytest.mark.parametrize("shape", [(), (6, 1), (3, 1, 1), (3, 6, 1)])
def test_derivative_of_loss_takes_shares_of_rows(name, shape):
    """A share per fit, per row, per model: it spreads over what it lacks."""
    _, lengths = RESIDUAL_REFERENCES[name]
    derivative = RESIDUAL_LOSSES[name].derivative
    generator = torch.Generator().manual_seed(0)
    x_hat, x = torch.randn(2, 3, 6, 4, generator=generator)
    share = torch.rand(shape, generator=generator)
    answer = derivative(share, x_hat, x, *lengths)
    expected = share.expand(3, 6, 4) * derivative(torch.ones(()), x_hat, x, *lengths)
    assert answer.shape == (3, 6, 4)
    assert_allclose(answer, expected, rtol=1e-6)


def test_binary_cross_entropy_is_its_formula():
    random = np.random.RandomState(0)
    logits, x = random.normal(size=(30, 4)) * 3, random.uniform(size=(30, 4))
    x[0], x[1] = 0, 1
    p = expit(logits)
    arrays = torch.from_numpy(logits), torch.from_numpy(x)
    cost = binary_cross_entropy(*arrays)
    assert_allclose(cost, -xlogy(x, p) - xlog1py(1 - x, -p), rtol=1e-10)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(*arrays)
    assert_allclose(cost.mean(), theirs, rtol=1e-12)
    labels = x[:, 0] > 0.5
    ours = binary_cross_entropy(arrays[0][:, 0], torch.from_numpy(labels * 1.0))
    assert_allclose(ours.mean(), log_loss(labels, p[:, 0]), rtol=1e-10)


def test_derivative_of_binary_cross_entropy():
    a = arguments()
    x = torch.linspace(0, 1, len(a), dtype=torch.float64)
    gradient = torch.linspace(2, -2, len(a), dtype=torch.float64)
    expected = gradient * difference(lambda a: binary_cross_entropy(a, x), a)
    answer = binary_cross_entropy_derivative(gradient, a, x)
    assert_allclose(answer, expected, rtol=1e-6, atol=1e-8)


def test_binary_cross_entropy_is_finite_far_out():
    logits = torch.tensor([-1e4, 1e4])
    for x in (0.0, 0.3, 1.0):
        cost = binary_cross_entropy(logits, torch.full((2,), x))
        assert_allclose(cost, [1e4 * x, 1e4 * (1 - x)], rtol=1e-6, atol=1e-3)


def test_multinomial_is_its_formula():
    random = np.random.RandomState(0)
    logits, x = random.normal(size=(30, 4)) * 3, random.poisson(2, size=(30, 4)) * 1.0
    arrays = torch.from_numpy(logits), torch.from_numpy(x)
    cost = multinomial(*arrays)
    assert_allclose(cost, -x * np.log(softmax(logits, axis=1)), rtol=1e-10)
    theirs = torch.nn.functional.cross_entropy(
        arrays[0], arrays[1] / arrays[1].sum(-1, keepdim=True), reduction="none"
    )
    assert_allclose(cost.sum(-1).numpy() / x.sum(axis=1), theirs, rtol=1e-10)


@pytest.mark.parametrize("share", [0.5, "by row"])
def test_derivative_of_multinomial(share):
    random = np.random.RandomState(0)
    logits = torch.from_numpy(random.normal(size=(6, 4))).requires_grad_()
    x = torch.from_numpy(random.poisson(2, size=(6, 4)) * 1.0)
    gradient = torch.rand(6, 1).double() if share == "by row" else torch.tensor(share)
    (expected,) = torch.autograd.grad((gradient * multinomial(logits, x)).sum(), logits)
    answer = multinomial_derivative(gradient, logits.detach(), x)
    assert_allclose(answer, expected, rtol=1e-10, atol=1e-14)
