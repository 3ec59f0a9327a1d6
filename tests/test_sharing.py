"""Training in shares of rows: the same numbers with any number of threads."""

import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from threadpoolctl import threadpool_limits

from sklearn_ae import Autoencoder, _sharing
from sklearn_ae._derivatives import twice_differentiable
from sklearn_ae._sharing import SharedSequential
from sklearn_ae._threads import one_thread
from sklearn_ae.architectures import LSTM, Convolutional, Residual

SPECS = {
    "convolutional": Convolutional((9, 10), normalization="layer"),
    "residual": Residual((9, 10), kernel_size=2),
    "lstm": LSTM(30, bidirectional=True),
    "autoregressive": LSTM(10, autoregressive=True),
}
N_FEATURES = 90


@pytest.fixture(autouse=True)
def _small_shares(monkeypatch):
    """Also of nets that are too small to be worth it, and where there are few cores."""
    monkeypatch.setattr(_sharing, "_WORK", 1.0)
    torch.get_num_threads()
    with threadpool_limits(4):
        yield


class Counted(torch.nn.Module):
    """The identity, which notes the rows and the thread of each call."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, h):
        self.seen.append((len(h), threading.get_ident(), torch.get_num_threads()))
        return h


def layers():
    generator = torch.Generator().manual_seed(0)
    part = SharedSequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), Counted())
    for parameter in part.parameters():
        parameter.data.normal_(generator=generator)
    return part


def rows(n_rows):
    return torch.randn(n_rows, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("n_rows", "sizes"),
    [(31, [31]), (32, [16, 16]), (50, [25, 25]), (200, [50] * 4), (0, [0])],
)
def test_rows_are_shared_out_by_their_number(n_rows, sizes):
    part = layers().train()
    for n_threads in (1, 4):
        part[2].seen.clear()
        with threadpool_limits(n_threads), one_thread(1e12):
            part(rows(n_rows))
        assert sorted(n for n, _, _ in part[2].seen) == sizes
        assert {n for _, _, n in part[2].seen} == {1}
        assert len({thread for _, thread, _ in part[2].seen}) <= n_threads


def test_there_are_no_shares_but_in_training():
    part, x = layers(), rows(64)
    part.eval()(x)
    part.train()
    with torch.no_grad():
        part(x)
    with twice_differentiable():
        part(x)
    assert [n for n, _, _ in part[2].seen] == [64] * 3


def test_derivatives_are_those_of_the_whole():
    part, x = layers().train(), rows(100).requires_grad_()
    found = []
    for mode in (True, False):
        part.train(mode)
        h = part(x)
        inputs = [x, *part.parameters()]
        found.append([h, *torch.autograd.grad(h.square().sum(), inputs)])
    assert len(part[2].seen) == 5
    for one, other in zip(*found, strict=True):
        assert_allclose(one.detach(), other.detach(), rtol=1e-5, atol=1e-5)


def test_what_needs_no_derivative_gets_none():
    part, x = layers().train(), rows(64)
    part[0].bias.requires_grad_(False)
    part(x).sum().backward()
    assert x.grad is None
    assert part[0].bias.grad is None
    assert part[0].weight.grad is not None


def test_there_is_one_derivative_only():
    x = rows(64).requires_grad_()
    h = layers().train()(x)
    (slope,) = torch.autograd.grad(h.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_fit_is_the_same_with_any_number_of_threads(spec):
    """Bit for bit; and without shares it is the same but for rounding."""
    X = np.random.RandomState(0).uniform(size=(150, N_FEATURES)).astype(np.float32)
    fits = []
    for n_threads in (1, 2, 4):
        with threadpool_limits(n_threads), pytest.MonkeyPatch.context() as patch:
            patch.setattr("sklearn_ae._threads._WORK_PER_THREAD", 1.0)
            fits.append(
                Autoencoder(
                    3,
                    architecture=spec,
                    hidden_layer_sizes=(6,),
                    batch_size=70,
                    max_epochs=3,
                    random_state=0,
                ).fit(X)
            )
    first, *others = [fit.transform(X) for fit in fits]
    for codes in others:
        assert np.array_equal(codes, first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sharing, "_MOST", 1)
        whole = fits[0].fit(X).transform(X)
    assert not np.array_equal(whole, first)
    assert_allclose(whole, first, atol=1e-3)


class Interrupting(torch.nn.Module):
    """Fails where the rows have a 7."""

    def forward(self, h):
        if (h == 7).any():
            raise KeyboardInterrupt
        return h


@pytest.mark.parametrize("place", [0, 99])
def test_a_failure_in_any_share_is_raised(place):
    part, x = SharedSequential(torch.nn.Identity(), Interrupting()), torch.zeros(100, 7)
    part.n_products = 1
    x[place] = 7
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), one_thread(1e12):
            part.train()(x)
    x[place] = 0
    with one_thread(1e12):
        assert torch.equal(part(x), x)
    assert torch.get_num_threads() == 4
