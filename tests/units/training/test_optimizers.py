"""The named optimizers do what torch's own do."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Checkpoint
from torch import nn

from sklearn_ae import (
    Autoencoder,
    ContractiveAutoencoder,
    Correntropy,
    DenoisingAutoencoder,
    LinearAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae._training.optimizers import FlatAdam, FlatParameters


def test_flat_adam_is_torchs_adam():
    """Twenty updates by the short call are twenty steps, bias correction included."""
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(7)) for _ in range(2))
    flat, reference = FlatAdam([ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1)
    for _ in range(20):
        gradient = torch.randn(7, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        flat.update()
        reference.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    assert float(flat.state[ours]["step"]) == 20


def test_flat_parameters_share_memory_until_released():
    """A step on the vector is a step on every layer; afterwards nothing is shared."""
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 3))
    before = [p.detach().clone() for p in module.parameters()]
    flat = FlatParameters(module)
    flat.vector.data += 1
    for parameter, old in zip(module.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), old + 1)
    flat.release()
    flat.vector.data += 1
    for parameter, old in zip(module.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), old + 1)
        assert parameter.grad is None


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adam", torch.optim.Adam),
        ("sgd", partial(torch.optim.SGD, momentum=0.9, nesterov=True)),
        ("rmsprop", torch.optim.RMSprop),
    ],
)
def test_a_name_is_the_torch_class(name, reference):
    """A whole fit by name is that of the torch class on the separate parameters."""
    X = torch.randn(90, 5, generator=torch.Generator().manual_seed(0)).numpy()
    options = {"hidden_layer_sizes": (4,), "max_epochs": 5, "random_state": 0}
    by_name = Autoencoder(optimizer=name, **options).fit(X)
    by_class = Autoencoder(optimizer=reference, **options).fit(X)
    assert by_name.loss_curve_ == pytest.approx(by_class.loss_curve_, rel=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [torch.optim.LBFGS, partial(torch.optim.LBFGS, line_search_fn="strong_wolfe")],
)
def test_lbfgs_as_a_class_sums_all_rows(optimizer):
    X = torch.randn(90, 5, generator=torch.Generator().manual_seed(0)).numpy()
    estimator = Autoencoder(
        optimizer=optimizer, learning_rate=0.1, max_epochs=3, random_state=0
    ).fit(X)
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]
    assert not hasattr(estimator, "partial_fit")


@pytest.mark.parametrize("optimizer", ["lbfgs", "alternating", "adam"])
def test_checkpoints_look_at_the_last_batch(optimizer, tmp_path):
    """Also where all rows are taken at once."""
    X = torch.randn(90, 5, generator=torch.Generator().manual_seed(0)).numpy()
    checkpoint = Checkpoint("train_loss_best", dirname=str(tmp_path), load_best=True)
    options = {"optimizer": optimizer, "max_epochs": 3, "random_state": 0, "tol": 0.0}
    watched = LinearAutoencoder(callbacks=[checkpoint], **options).fit(X)
    plain = LinearAutoencoder(**options).fit(X)
    assert watched.loss_curve_ == plain.loss_curve_
    assert (watched.transform(X) == plain.transform(X)).all()
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert any(key.startswith("encoder") for key in saved)


@pytest.mark.parametrize(
    "kind",
    [
        torch.optim.AdamW,
        partial(torch.optim.AdamW, weight_decay=0.5),
        partial(torch.optim.SGD, weight_decay=0.5, momentum=0.9),
        partial(torch.optim.RMSprop, weight_decay=0.5),
        partial(torch.optim.NAdam, weight_decay=0.5, decoupled_weight_decay=True),
    ],
    ids=["AdamW", "AdamW of one's own", "SGD", "RMSprop", "NAdam"],
)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_no_decay_but_the_objectives(kind, weight_decay):
    """A class's own would pull on biases as well, and be in no term of the loss."""
    X = torch.randn(90, 5, generator=torch.Generator().manual_seed(0)).numpy()
    options = {"hidden_layer_sizes": (4,), "max_epochs": 5, "random_state": 0}
    options |= {"learning_rate": 0.01, "weight_decay": weight_decay}
    found = Autoencoder(optimizer=kind, **options).fit(X)

    class Bare(getattr(kind, "func", kind)):
        def __init__(self, parameters, lr):
            keywords = {**getattr(kind, "keywords", {}), "weight_decay": 0.0}
            super().__init__(parameters, lr=lr, **keywords)

    assert (
        found.loss_curve_ == Autoencoder(optimizer=Bare, **options).fit(X).loss_curve_
    )


OF_ALL_ROWS = [
    Autoencoder(2, hidden_layer_sizes=(4,), weight_decay=0.01),
    Autoencoder(2, hidden_layer_sizes=(4,), loss="huber", activation="tanh"),
    ContractiveAutoencoder(2, hidden_layer_sizes=(4,), activation="tanh", alpha=0.1),
    SparseAutoencoder(6, penalty="l1", alpha=0.1),
]


@pytest.mark.parametrize("estimator", OF_ALL_ROWS, ids=lambda e: type(e).__name__)
def test_lbfgs_weighs_rows_alike(estimator, monkeypatch):
    """Whatever the slices that it sums over, of which the last is the smallest."""
    X = torch.randn(43, 5, generator=torch.Generator().manual_seed(0)).numpy()
    estimator.set_params(optimizer="lbfgs", max_epochs=2, random_state=0)
    expected = estimator.fit(X).loss_curve_
    for n_entries in (5 * 40, 5 * 20):
        monkeypatch.setattr("sklearn_ae._data.rows._SLICE_ENTRIES", n_entries)
        assert estimator.fit(X).loss_curve_ == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [torch.optim.LBFGS, "lbfgs"], ids=["class", "name"])
def test_lbfgs_draws_noise_once_an_epoch(kind):
    """What is told of an epoch is the objective that it has made smaller."""
    X = torch.randn(43, 5, generator=torch.Generator().manual_seed(0)).numpy()
    draws = []

    def noise(X, random_state):
        draws.append(random_state.normal())
        return X + random_state.normal(size=X.shape)

    model = DenoisingAutoencoder(2, noise=noise, optimizer=kind, random_state=0)
    model.set_params(hidden_layer_sizes=(4,), max_epochs=3, tol=0.0).fit(X)
    assert len(set(draws)) == model.n_iter_ == 3
    assert len(draws) > 20


def test_the_loss_of_a_step_of_lbfgs_is_that_of_its_end(monkeypatch):
    """With the codes of `VariationalAutoencoder`, which are drawn, as with noise."""
    X = torch.randn(43, 5, generator=torch.Generator().manual_seed(0)).numpy()
    answered = []
    step = torch.optim.LBFGS.step

    def watched(self, closure):
        step(self, closure)
        answered.append(float(closure()))

    monkeypatch.setattr(torch.optim.LBFGS, "step", watched)
    model = VariationalAutoencoder(2, optimizer="lbfgs", noise_variance=1.0)
    model.set_params(max_epochs=3, random_state=0).fit(X)
    net = model.to_module()
    told = [(loss - net.floor) / net.unit for loss in model.loss_curve_]
    assert told == pytest.approx(answered, rel=1e-6)


def test_lbfgs_ignores_a_schedule():
    X = torch.randn(90, 5, generator=torch.Generator().manual_seed(0)).numpy()
    options = {"optimizer": "lbfgs", "max_epochs": 3, "random_state": 0}
    plain = Autoencoder(**options).fit(X)
    scheduled = Autoencoder(learning_rate_schedule="cosine", **options).fit(X)
    assert plain.loss_curve_ == scheduled.loss_curve_


def test_continuing_keeps_the_rate_of_a_partial():
    """The second call trains at the rate that the partial fixes, as the first did."""
    X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0)).numpy()
    optimizer = partial(torch.optim.SGD, lr=0.05)
    options = {"hidden_layer_sizes": (), "batch_size": 64, "random_state": 0}
    by_partial = Autoencoder(optimizer=optimizer, learning_rate=1.0, **options)
    by_rate = Autoencoder(optimizer=torch.optim.SGD, learning_rate=0.05, **options)
    for _ in range(3):
        by_partial.partial_fit(X)
        by_rate.partial_fit(X)
    assert by_partial.loss_curve_ == by_rate.loss_curve_


class _Rates(Callback):
    """Keeps the learning rate of each epoch."""

    seen: ClassVar[list[float]] = []

    def on_epoch_begin(self, net, **kwargs):
        self.seen.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize("optimizer", ["adam", "sgd", torch.optim.Adam])
@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("cosine", 0.5 + 0.5 * np.cos(np.pi * np.arange(9) / 8)),
        ("exponential", 0.01 ** (np.arange(9) / 8)),
    ],
)
def test_schedules_end_at_the_last_epoch(schedule, shares, optimizer):
    """With the share of the first rate that is promised: 0, or a hundredth."""
    X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0)).numpy()
    ends = []

    class End(Callback):
        def on_train_end(self, net, **kwargs):
            ends.append(net.optimizer_.param_groups[0]["lr"])

    _Rates.seen.clear()
    options = {"learning_rate_schedule": schedule, "learning_rate": 0.02}
    options |= {"optimizer": optimizer, "max_epochs": 8, "n_iter_no_change": 1}
    # A schedule that is planned is not cut short, however little there is to gain.
    Autoencoder(callbacks=[_Rates(), End()], tol=10.0, **options).fit(X)
    assert [*_Rates.seen, *ends] == pytest.approx(0.02 * shares, abs=1e-12)


def test_plateau_waits_for_half_of_the_patience():
    """And then takes a tenth, again and again."""
    X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0)).numpy()
    _Rates.seen.clear()
    options = {"learning_rate_schedule": "plateau", "n_iter_no_change": 8}
    options |= {"learning_rate": 0.02, "tol": 10.0, "max_epochs": 30}
    model = Autoencoder(callbacks=[_Rates()], random_state=0, **options).fit(X)
    # The first epoch is what the others are compared with.
    assert model.n_iter_ == 9
    expected = [0.02] * 6 + [0.002] * 3
    assert _Rates.seen == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["squared_error", "correntropy", Correntropy(100.0)])
def test_plateau_lowers_the_rate_of_what_stands_still(loss):
    """Whatever the sign of the objective, and only then."""
    X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0)).numpy()
    options = {
        "loss": loss,
        "hidden_layer_sizes": (),
        "learning_rate_schedule": "plateau",
        "n_iter_no_change": 6,
        "max_epochs": 6,
        "callbacks": [_Rates()],
        "random_state": 0,
    }
    for rate, lowered in ((1e-6, True), (1e-2, False)):
        _Rates.seen.clear()
        model = Autoencoder(learning_rate=rate, **options).fit(X)
        assert model.n_iter_ == len(_Rates.seen) == 6
        assert _Rates.seen[0] == rate
        assert (_Rates.seen[-1] < rate) == lowered
