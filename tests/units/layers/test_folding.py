"""Convolutions and their transposes are torch's, folded or not, with derivatives."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from threadpoolctl import threadpool_limits

from sklearn_ae import Autoencoder
from sklearn_ae._compute import threads
from sklearn_ae._layers import folding
from sklearn_ae._layers.folding import convolve_transposed
from sklearn_ae.architectures import LSTM, Convolutional, Residual

SPECS = {
    "convolutional": Convolutional((12, 12), normalization="layer"),
    "signal": Convolutional((144,), kernel_size=5),
    "residual": Residual((12, 12), kernel_size=2),
    "lstm": LSTM(36, bidirectional=True),
    "univariate": LSTM(144),
    "autoregressive": LSTM(12, autoregressive=True),
}
N_FEATURES = 144


def transposed(n_rows, n_inputs, n_outputs, n_axes, *, kernel=3, stride=2, size=9):
    """Answer maps, weights, biases, and where the kernels are."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(n_rows, n_inputs, *[size] * n_axes, generator=generator)
    shape = (n_inputs, n_outputs, *[kernel] * n_axes)
    weight = torch.randn(shape, generator=generator)
    bias = torch.randn(n_outputs, generator=generator)
    places = [stride] * n_axes, (kernel - 1) // 2, [stride - 1] * n_axes
    return [t.requires_grad_() for t in (h, weight, bias)], places


def torchs_own(h, weight, bias, *places):
    function = F.conv_transpose1d if h.ndim == 3 else F.conv_transpose2d
    return function(h, weight, bias, *places)


def derivatives(h, *inputs):
    generator = torch.Generator().manual_seed(1)
    gradient = torch.randn(h.shape, generator=generator)
    return [h.detach(), *torch.autograd.grad(h, inputs, gradient)]


def assert_alike(ours, torchs):
    for one, other in zip(ours, torchs, strict=True):
        assert one.shape == other.shape
        assert_allclose(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize("n_axes", [1, 2])
@pytest.mark.parametrize("n_channels", [(3, 1), (1, 2), (5, 8), (16, 32)], ids=str)
def test_transposes_of_all_kernels_and_strides_are_torchs(n_channels, n_axes):
    for kernel, stride, size in itertools.product((1, 2, 3, 5), (1, 2, 3), (5, 6, 7)):
        numbers = {"kernel": kernel, "stride": stride, "size": size}
        inputs, places = transposed(4, *n_channels, n_axes, **numbers)
        assert_alike(
            derivatives(convolve_transposed(*inputs, *places), *inputs),
            derivatives(torchs_own(*inputs, *places), *inputs),
        )


def test_few_channels_are_folded(monkeypatch):
    """Up to three of 3 x 3; not in a net that is exported."""
    calls, folded = [], folding._folded
    monkeypatch.setattr(
        folding, "_folded", lambda *args: (calls.append(1), folded(*args))[1]
    )
    for n_outputs, n_calls in ((1, 1), (3, 1), (4, 0)):
        inputs, places = transposed(4, 16, n_outputs, 2)
        convolve_transposed(*inputs, *places)
        assert len(calls) == n_calls, n_outputs
        calls.clear()
    inputs, places = transposed(4, 16, 1, 2)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    convolve_transposed(*inputs, *places)
    assert not calls


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_needs_no_derivative_gets_none(frozen):
    inputs, places = transposed(64, 16, 1, 2)
    inputs[frozen].requires_grad_(False)
    convolve_transposed(*inputs, *places).sum().backward()
    assert [t.grad is None for t in inputs] == [i == frozen for i in range(3)]


@pytest.mark.parametrize("n_outputs", [1, 16])
def test_second_derivatives_are_torchs(n_outputs):
    inputs, places = transposed(64, 16, n_outputs, 2)

    def second(function):
        of, by, _ = inputs
        answer = function(*inputs, *places).square().sum()
        (slope,) = torch.autograd.grad(answer, of, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), by)

    assert_alike(second(convolve_transposed), second(torchs_own))


@pytest.mark.parametrize("n_outputs", [1, 16])
def test_transforms_of_functions_are_torchs(n_outputs):
    """Nets that differ in weights only are trained by them, as a group."""
    inputs, places = transposed(8, 4, n_outputs, 2)
    h, weight, bias = (tensor.detach() for tensor in inputs)

    def of_each(function):
        def loss(weight):
            return function(h, weight, bias, *places).square().sum()

        return torch.func.vmap(torch.func.grad(loss))(torch.stack([weight, 2 * weight]))

    assert_alike([of_each(convolve_transposed)], [of_each(torchs_own)])


def fitted(spec, n_threads, **params):
    X = np.random.RandomState(0).uniform(size=(70, N_FEATURES)).astype(np.float32)
    params = {"batch_size": 64, "max_epochs": 1, "random_state": 0} | params
    with threadpool_limits(n_threads):
        net = Autoencoder(
            3, architecture=spec, hidden_layer_sizes=(16, 32), **params
        ).fit(X)
        return net.transform(X)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_same_number_of_threads_gives_the_same_bits(spec, monkeypatch):
    """Also of nets that are too small for it, and where there is one core."""
    monkeypatch.setattr(threads, "_WORK_PER_THREAD", 1.0)
    torch.get_num_threads()
    codes = [fitted(spec, 2) for _ in range(2)]
    assert np.ptp(codes[0]) > 0
    assert np.array_equal(*codes)
    # One step, which Adam would make of the sign of a gradient near 0.
    step = {"batch_size": 70, "optimizer": "sgd"}
    one, two = (fitted(spec, n_threads, **step) for n_threads in (1, 2))
    assert_allclose(two, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_small_nets_have_the_same_bits_with_any_number_of_threads(spec):
    torch.get_num_threads()
    assert np.array_equal(*(fitted(spec, n, batch_size=8) for n in (1, 3)))
