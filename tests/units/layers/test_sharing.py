"""Convolutions and recurrences: the same numbers with any number of threads."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from threadpoolctl import threadpool_limits

from sklearn_ae import Autoencoder
from sklearn_ae._compute import threads
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._layers import folding
from sklearn_ae._layers.folding import Geometry, convolve, recur
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


@pytest.fixture(autouse=True)
def _small_shares(monkeypatch):
    """Also of nets that are too small to be worth it, and where there are few cores."""
    monkeypatch.setattr(folding, "_WORK", 1.0)
    monkeypatch.setattr(threads, "_WORK_PER_THREAD", 1.0)
    torch.get_num_threads()
    with threadpool_limits(4):
        yield


def convolution(
    n_rows, n_inputs, n_outputs, n_axes, transposed, *, kernel=3, stride=2, size=9
):
    """Answer maps, weights, biases and the geometry of a convolution at a stride."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(n_rows, n_inputs, *[size] * n_axes, generator=generator)
    channels = (n_inputs, n_outputs) if transposed else (n_outputs, n_inputs)
    weight = torch.randn(*channels, *[kernel] * n_axes, generator=generator)
    bias = torch.randn(n_outputs, generator=generator)
    numbers = (stride, (kernel - 1) // 2, (stride - 1) * transposed)
    geometry = Geometry(*([n] * n_axes for n in numbers), transposed)
    return (*(t.requires_grad_() for t in (h, weight, bias)), geometry)


def torchs_own(h, weight, bias, geometry):
    """Answer torch's function of the same."""
    n_axes, (*places, further, transposed) = len(geometry.stride), geometry
    if transposed:
        functions = {1: F.conv_transpose1d, 2: F.conv_transpose2d}
        return functions[n_axes](h, weight, bias, *places, further)
    return {1: F.conv1d, 2: F.conv2d}[n_axes](h, weight, bias, *places)


def derivatives(h, *inputs):
    generator = torch.Generator().manual_seed(1)
    gradient = torch.randn(h.shape, generator=generator)
    return [h.detach(), *torch.autograd.grad(h, inputs, gradient)]


def sequences(n_rows, n_inputs, n_units):
    """Answer sequences of 60 steps, and the weights of a layer."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_rows, 60, n_inputs, generator=generator)
    shapes = [(4 * n_units, n_inputs), (4 * n_units, n_units), (4 * n_units,)]
    shapes.append(shapes[-1])
    weights = [0.3 * torch.randn(shape, generator=generator) for shape in shapes]
    return [tensor.requires_grad_() for tensor in (x, *weights)]


def torchs_recurrence(x, start, weights):
    return torch.lstm(x, (start, start), weights, True, 1, 0.0, True, False, True)[0]


# Rows; channels in and out. Of the first two, rows are made groups; of the third one of
# two transposes is folded, of the fourth the other.
SIZES = [
    (64, 16, 32),
    (100, 48, 16),
    (128, 1, 16),
    (128, 16, 3),
    (64, 12, 16),
    (62, 16, 16),
    (3, 2, 5),
]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("n_axes", [1, 2])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_convolutions_are_torchs(sizes, n_axes, transposed):
    *inputs, geometry = convolution(*sizes, n_axes, transposed)
    found = []
    for n_threads in (1, 2, 3, 4):
        with threadpool_limits(n_threads), one_thread(1e12):
            found.append(derivatives(convolve(*inputs, geometry), *inputs))
    for others in found[1:]:
        assert all(map(torch.equal, others, found[0]))
    for ours, torchs in zip(
        found[0], derivatives(torchs_own(*inputs, geometry), *inputs), strict=True
    ):
        assert ours.shape == torchs.shape
        assert_allclose(ours, torchs, rtol=1e-4, atol=1e-4 * float(torchs.abs().max()))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("n_axes", [1, 2])
@pytest.mark.parametrize("n_channels", [(3, 1), (1, 2), (5, 8)], ids=str)
def test_convolutions_of_all_kernels_and_strides_are_torchs(
    n_channels, n_axes, transposed
):
    for kernel, stride, size in itertools.product((1, 2, 3, 5), (1, 2, 3), (5, 6, 7)):
        *inputs, geometry = convolution(
            *(4, *n_channels, n_axes, transposed),
            **{"kernel": kernel, "stride": stride, "size": size},
        )
        ours = derivatives(convolve(*inputs, geometry), *inputs)
        torchs = derivatives(torchs_own(*inputs, geometry), *inputs)
        for one, other in zip(ours, torchs, strict=True):
            assert one.shape == other.shape
            assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_few_channels_are_folded(monkeypatch):
    """Up to three channels of 3 x 3, in the transpose of either direction."""
    calls, folded = [], folding._folded
    monkeypatch.setattr(
        folding, "_folded", lambda *args: (calls.append(1), folded(*args))[1]
    )
    found = {}
    for transposed, n_few in itertools.product((False, True), (1, 3, 4)):
        channels = (16, n_few) if transposed else (n_few, 16)
        *inputs, geometry = convolution(4, *channels, 2, transposed)
        a = convolve(*inputs, geometry)
        n_forward = len(calls)
        a.sum().backward()
        found[transposed, n_few] = (n_forward, len(calls))
        calls.clear()
        convolve(*(tensor.double() for tensor in inputs), geometry)
        assert not calls
    assert found == {
        (False, 1): (0, 1),
        (False, 3): (0, 1),
        (False, 4): (0, 0),
        (True, 1): (1, 1),
        (True, 3): (1, 1),
        (True, 4): (0, 0),
    }


@pytest.mark.parametrize("n_units", [1, 8])
@pytest.mark.parametrize("n_inputs", [1, 2, 16])
@pytest.mark.parametrize("n_rows", [3, 32, 64, 200])
def test_recurrences_are_torchs(n_rows, n_inputs, n_units):
    x, *weights = sequences(n_rows, n_inputs, n_units)
    found = []
    for n_threads in (1, 2, 3, 4):
        with threadpool_limits(n_threads), one_thread(1e12):
            found.append(derivatives(recur(x, weights), x, *weights))
    for others in found[1:]:
        assert all(map(torch.equal, others, found[0]))
    own = torchs_recurrence(x, torch.zeros(1, n_rows, n_units), weights)
    for ours, torchs in zip(found[0], derivatives(own, x, *weights), strict=True):
        assert_allclose(ours, torchs, rtol=1e-4, atol=1e-4 * float(torchs.abs().max()))


def test_more_threads_would_round_differently():
    """As many as give each 16 rows, which is enough for convolutions."""
    x, *weights = sequences(128, 16, 200)
    found = []
    for n_threads in (1, 8):
        with threadpool_limits(n_threads), one_thread(1e12):
            found.append(derivatives(recur(x, weights), x, *weights))
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize(
    ("n_rows", "n_inputs", "n_outputs", "n_groups"),
    [
        (64, 16, 32, 4),
        (100, 48, 16, 4),
        (62, 16, 16, 1),
        (60, 16, 16, 1),
        (64, 16, 24, 1),
        (64, 1, 16, 1),
        (128, 16, 1, 1),
    ],
)
def test_rows_are_made_groups(n_rows, n_inputs, n_outputs, n_groups, monkeypatch):
    for transposed in (False, True):
        *inputs, geometry = convolution(n_rows, n_inputs, n_outputs, 2, transposed)
        h, weight, _ = inputs
        assert folding._n_groups(h, weight, geometry) == n_groups
        n_products = weight.numel() * n_rows * (81 if transposed else 81 / 4)
        with monkeypatch.context() as patch:
            patch.setattr(folding, "_WORK", n_products)
            assert folding._n_groups(h, weight, geometry) == n_groups
            patch.setattr(folding, "_WORK", n_products + 1)
            assert folding._n_groups(h, weight, geometry) == 1
        assert folding._n_groups(h.double(), weight.double(), geometry) == 1


def test_operations_and_their_derivatives_take_the_threads_there_are(monkeypatch):
    x, *weights = sequences(64, 2, 8)
    operations = {
        "grouped": lambda *inputs: convolve(*inputs, geometry),
        "one group": lambda *inputs: convolve(inputs[0][:62], *inputs[1:], geometry),
        "folded": lambda *_: convolve(*few, overlapping),
        "recurrent": lambda *_: recur(x, weights),
    }
    *inputs, geometry = convolution(64, 16, 16, 2, False)
    *few, overlapping = convolution(64, 64, 3, 2, True)
    seen, counts = {}, []
    set_threads = threads._set_threads
    monkeypatch.setattr(
        threads, "_set_threads", lambda n: (set_threads(n), counts.append(n))
    )
    for name, operation in operations.items():
        for n_threads in (2, 3, 8):
            with threadpool_limits(n_threads), one_thread(1e12):
                operation(*inputs).sum().backward()
            seen[name, n_threads] = [n for n in counts if n > 1]
            counts.clear()
    assert seen == {
        # Of the derivatives the one by the maps, then the one by the weights.
        ("grouped", 2): [2, 2, 2],
        ("grouped", 3): [2, 2, 2],
        ("grouped", 8): [4, 4, 4],
        ("one group", 2): [2, 2],
        ("one group", 3): [2, 2],
        ("one group", 8): [2, 2],
        ("folded", 2): [2, 2],
        ("folded", 3): [3, 2],
        ("folded", 8): [8, 4],
        ("recurrent", 2): [2, 2],
        ("recurrent", 3): [2, 2],
        ("recurrent", 8): [4, 4],
    }


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_needs_no_derivative_gets_none(frozen):
    for n_outputs, transposed in ((16, False), (1, True)):
        *inputs, geometry = convolution(64, 16, n_outputs, 2, transposed)
        inputs[frozen].requires_grad_(False)
        convolve(*inputs, geometry).sum().backward()
        assert [t.grad is None for t in inputs] == [i == frozen for i in range(3)]
    layer = sequences(64, 2, 8)
    layer[frozen].requires_grad_(False)
    recur(layer[0], layer[1:]).sum().backward()
    assert [t.grad is None for t in layer] == [i == frozen for i in range(5)]


def test_second_derivatives_are_torchs():
    def second(function, inputs):
        answer, (of, by, *_) = function(*inputs), inputs
        (slope,) = torch.autograd.grad(answer.square().sum(), of, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), by)[0]

    pairs = []
    for n_outputs, transposed in ((16, False), (16, True), (1, True)):
        inputs = convolution(64, 16, n_outputs, 2, transposed)
        pairs.append([second(f, inputs) for f in (convolve, torchs_own)])
    x, *weights = sequences(64, 2, 8)
    start = torch.zeros(1, 64, 8)
    functions = (
        lambda x, *weights: recur(x, weights),
        lambda x, *weights: torchs_recurrence(x, start, weights),
    )
    pairs.append([second(f, [x, *weights]) for f in functions])
    for ours, torchs in pairs:
        assert_allclose(ours, torchs, rtol=1e-4, atol=1e-4 * float(torchs.abs().max()))


@pytest.mark.parametrize("n_outputs", [1, 16])
def test_transforms_of_functions_are_torchs(n_outputs):
    """Nets that differ in weights only are trained by them, as a stack."""
    h, weight, bias, geometry = convolution(8, 4, n_outputs, 2, True)
    weights = torch.stack([weight.detach(), 2 * weight.detach()])
    of_each = {}
    for function in (convolve, torchs_own):

        def loss(weight, function=function):
            return function(h.detach(), weight, bias.detach(), geometry).square().sum()

        of_each[function] = torch.func.vmap(torch.func.grad(loss))(weights)
    ours, torchs = of_each.values()
    assert_allclose(ours, torchs, rtol=1e-4, atol=1e-4 * float(torchs.abs().max()))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_fit_is_the_same_with_any_number_of_threads(spec):
    """Bit for bit; the last batch, of 22 rows, is too small to be shared out."""
    X = np.random.RandomState(0).uniform(size=(150, N_FEATURES)).astype(np.float32)
    codes = []
    for n_threads in (1, 2, 4):
        with threadpool_limits(n_threads):
            autoencoder = Autoencoder(
                3,
                architecture=spec,
                hidden_layer_sizes=(16, 32),
                batch_size=64,
                max_epochs=3,
                random_state=0,
            )
            codes.append(autoencoder.fit(X).transform(X))
    assert np.ptp(codes[0]) > 0
    assert np.array_equal(codes[1], codes[0])
    assert np.array_equal(codes[2], codes[0])
