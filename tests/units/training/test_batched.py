"""A group of nets against the same nets, each trained alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from contract.watchers import watching
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    TrainEndCheckpoint,
)
from threadpoolctl import threadpool_limits

from sklearn_ae import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    DivergenceError,
    RobustAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae._compute import threads
from sklearn_ae._data.rows import RowSource
from sklearn_ae._training import batches as batches_module
from sklearn_ae._training.batched import nets as nets_module
from sklearn_ae._training.batched import runs as batched_runs
from sklearn_ae._training.batched.runs import train_runs

CLOSE = 1e-5
FAST = {"hidden_layer_sizes": (12,), "batch_size": 16, "max_epochs": 6}
FOLDS = [slice(0, 50), slice(20, 71), slice(10, 60)]


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 9))
    return plane + 0.1 * rng.normal(size=plane.shape)


@pytest.fixture
def grouped(monkeypatch):
    """Record how many nets each group has."""
    sizes = []
    train_together = batched_runs.train_together

    def watched(nets, *args):
        sizes.append(len(nets))
        return train_together(nets, *args)

    monkeypatch.setattr(batched_runs, "train_together", watched)
    return sizes


def trained_in_a_group(estimators, folds):
    """Train clones, each on each fold; answer them with their errors."""
    members, runs = [], []
    for rows in folds:
        shared = None
        for estimator in estimators:
            member = clone(estimator)
            shared = shared or member._check_training_rows(rows, None)
            members.append(member)
            runs.append(member._begin_run(shared))
    attempts = train_runs(runs)
    for member, attempt in zip(members, attempts, strict=True):
        if attempt.error is None:
            member._complete_run(attempt.run)
    return members, [attempt.error for attempt in attempts]


def assert_as_alone(estimators, folds, close=CLOSE):
    """Compare curves and weights with those of separate fits; answer the members."""
    members, errors = trained_in_a_group(estimators, folds)
    assert errors == [None] * len(members)
    alone = [clone(e).fit(rows) for rows in folds for e in estimators]
    for one, other in zip(members, alone, strict=True):
        assert one.n_iter_ == other.n_iter_
        np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=close)
        for ours, theirs in zip(
            one.to_module().parameters(), other.to_module().parameters(), strict=True
        ):
            error = (ours - theirs).detach().norm() / (theirs.detach().norm() + 1e-3)
            assert error < 100 * close
    # Otherwise it would be no wonder.
    assert len({round(member.loss_, 9) for member in members}) > len(folds)
    return members


def along(estimator, name, values):
    return [clone(estimator).set_params(**{name: value}) for value in values]


WEIGHTS = [0.03, 0.3, 3.0]
PATHS = [
    (SparseAutoencoder(14, penalty="l1", **FAST), "alpha", WEIGHTS),
    (SparseAutoencoder(14, penalty="kl", **FAST), "alpha", WEIGHTS),
    (SparseAutoencoder(14, penalty="kl", **FAST), "rho", [0.05, 0.1, 0.3]),
    (SparseAutoencoder(14, penalty="top_k", k=3, **FAST), "alpha", WEIGHTS),
    (ContractiveAutoencoder(3, **FAST), "alpha", WEIGHTS),
    (ContractiveAutoencoder(3, n_projections=2, **FAST), "alpha", WEIGHTS),
    (DenoisingAutoencoder(3, **FAST), "noise_level", [0.1, 0.3, 0.5]),
    (DenoisingAutoencoder(3, noise="gaussian", **FAST), "noise_level", WEIGHTS),
    (
        DenoisingAutoencoder(3, noise="salt_and_pepper", **FAST),
        "noise_level",
        [0.1, 0.3, 0.5],
    ),
    (RobustAutoencoder(3, **FAST), "kernel_width", [0.5, 1.0, 2.0]),
    # Not a rectifier, whose kinks and those of the loss make much of rounding.
    (Autoencoder(3, loss="huber", activation="tanh", **FAST), "loss__delta", WEIGHTS),
    (Autoencoder(3, output_activation="tanh", **FAST), "weight_decay", WEIGHTS),
    (Autoencoder(3, tied_weights=True, **FAST), "weight_decay", WEIGHTS),
    (Autoencoder(3, optimizer="sgd", **FAST), "learning_rate", [1e-3, 1e-2, 3e-2]),
    (Autoencoder(3, optimizer="rmsprop", **FAST), "learning_rate", [1e-4, 1e-3, 3e-3]),
    (Autoencoder(3, **FAST), "learning_rate", [1e-4, 1e-3, 1e-2]),
    (Autoencoder(3, **FAST), "random_state", [1, 2, 3]),
    (VariationalAutoencoder(3, **FAST), "beta", [0.1, 0.5, 1.0]),
    (VariationalAutoencoder(3, mmd_weight=1.0, **FAST), "mmd_weight", WEIGHTS),
    (
        VariationalAutoencoder(3, kl_warmup_epochs=4, **FAST),
        "learning_rate",
        [1e-3, 3e-3, 1e-2],
    ),
    # What is drawn for a batch depends on the weights at that time.
    (
        VariationalAutoencoder(2, prior="gaussian_mixture", mmd_weight=1.0, **FAST),
        "learning_rate",
        [1e-3, 2e-3, 4e-3],
    ),
    (
        ConvolutionalAutoencoder(3, **{**FAST, "hidden_layer_sizes": (4,)}),
        "weight_decay",
        WEIGHTS,
    ),
]


@pytest.mark.parametrize(
    ("estimator", "name", "values"),
    PATHS,
    ids=[f"{type(e).__name__}-{name}-{i}" for i, (e, name, _) in enumerate(PATHS)],
)
def test_a_group_is_each_of_its_nets(estimator, name, values, X, grouped):
    """Over folds, of which one has a row more and so a batch more."""
    estimators = along(clone(estimator).set_params(random_state=0), name, values)
    assert_as_alone(estimators, [X[rows] for rows in FOLDS])
    assert grouped == [9]


@pytest.mark.parametrize("batch_size", [1, 10, 17, 50, 51, 80])
def test_every_size_of_batch(batch_size, X):
    """One that divides the rows of one fold only, and one that takes all."""
    estimators = along(
        Autoencoder(3, **{**FAST, "batch_size": batch_size}, random_state=0),
        "weight_decay",
        WEIGHTS,
    )
    assert_as_alone(estimators, [X[rows] for rows in FOLDS])


CYCLE = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.02, total_steps=20)
STEPS = partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.1)


@pytest.mark.parametrize(
    "schedule",
    ["cosine", "exponential", "plateau", STEPS, CYCLE],
    ids=["cosine", "exponential", "plateau", "steps", "cycle of momentum, too"],
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_schedules(schedule, optimizer, X):
    """Of each net its own: a plateau comes for each at another time."""
    estimator = Autoencoder(
        3,
        **{**FAST, "max_epochs": 15, "tol": 1e-2, "n_iter_no_change": 4},
        optimizer=optimizer,
        learning_rate_schedule=schedule,
        random_state=0,
    )
    if schedule is CYCLE and optimizer == "rmsprop":
        schedule.keywords["cycle_momentum"] = False
    estimators = [
        clone(estimator).set_params(learning_rate=rate, weight_decay=decay)
        for rate, decay in [(1e-3, 0.0001), (4e-3, 0.01), (1.1e-2, 0.1)]
    ]
    assert_as_alone(estimators, [X[:50], X[20:71]])


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_nets_that_part_keep_their_own_state(optimizer, X, grouped):
    """Set alike at first, of one optimizer, then by callbacks each in another way."""

    def part(net, **_):
        if len(net.history) == 2:
            (group,) = net.optimizer_.param_groups
            group["lr"] *= 1 + float(net.module_.penalties["weight_decay"].weight)

    params = {**FAST, "batch_size": 80, "callbacks": [watching(on_epoch_end=part)]}
    estimator = Autoencoder(3, **params, optimizer=optimizer, random_state=0)
    # With few steps Adam's averages still depend much on how many there were.
    assert_as_alone(along(estimator, "weight_decay", WEIGHTS), [X[:50], X[20:71]])
    assert grouped == [6]


def test_each_net_stops_by_itself(X, grouped):
    """Early or late, while the others go on: by its own held-out rows."""
    params = {**FAST, "max_epochs": 80, "tol": 5e-2, "n_iter_no_change": 2}
    estimators = along(
        DenoisingAutoencoder(3, **params, early_stopping=True, random_state=0),
        "learning_rate",
        np.geomspace(1e-3, 0.05, 12),
    )
    members = assert_as_alone(estimators, [X[:50], X[20:71]])
    lengths = {member.n_iter_ for member in members}
    assert len(lengths) > 4
    assert max(lengths) < 80
    assert grouped == [24]
    for member in members:
        assert member.loss_ in member.loss_curve_


def test_missing_entries(X):
    """Also where only one of the folds has some."""
    Y = X.copy()
    Y[3, 4] = np.nan
    estimators = along(
        DenoisingAutoencoder(3, **FAST, random_state=0), "noise_level", [0.1, 0.2]
    )
    assert_as_alone(estimators, [Y[:50], Y[20:70]])


def test_a_net_that_diverges_disturbs_no_other(X):
    rates = [1e-3, 1e9, 3e-3]
    estimators = along(
        Autoencoder(3, **FAST, optimizer="sgd", random_state=0), "learning_rate", rates
    )
    members, errors = trained_in_a_group(estimators, [X[:50]])
    assert [type(error) for error in errors] == [
        type(None),
        DivergenceError,
        type(None),
    ]
    assert "learning_rate=1e+09" in str(errors[1])
    for member in (members[0], members[2]):
        alone = clone(member).fit(X[:50])
        np.testing.assert_allclose(member.loss_curve_, alone.loss_curve_, rtol=CLOSE)
    assert not members[1].__sklearn_is_fitted__()


def test_callbacks_are_each_nets_own(X, grouped):
    """Those that look at epochs: scores, schedules, stopping, failures."""
    callbacks = [
        EpochScoring(lambda net, X, y: net.score(X), name="own", on_train=True),
        LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5),
        EarlyStopping("train_loss", patience=2, threshold=0.05, threshold_mode="rel"),
    ]
    params = {**FAST, "max_epochs": 30, "callbacks": callbacks}
    estimators = along(
        Autoencoder(3, **params, random_state=0), "learning_rate", [1e-3, 5e-3, 2e-2]
    )
    members = assert_as_alone(estimators, [X[:50]])
    assert grouped == [3]
    assert len({member.n_iter_ for member in members}) > 1
    for member in members:
        own = [row["own"] for row in member.history_]
        assert own[-1] > own[0]

    def fail(net, **_):
        if net.lr == 5e-3 and len(net.history) == 2:
            raise RuntimeError("on purpose")

    for estimator in estimators:
        estimator.callbacks = [watching(on_epoch_end=fail)]
    _, errors = trained_in_a_group(estimators, [X[:50]])
    assert [str(error) for error in errors] == ["None", "on purpose", "None"]


def test_callbacks_may_change_weights(X, grouped):
    """Between epochs they are each net's own."""

    def shrink(net, **_):
        with torch.no_grad():
            for parameter in net.module_.parameters():
                parameter.mul_(0.9)

    watchers = [watching(on_epoch_end=shrink)]
    estimator = Autoencoder(3, **FAST, callbacks=watchers, random_state=0)
    assert_as_alone(along(estimator, "weight_decay", WEIGHTS), [X[:50]])
    assert grouped == [3]


@pytest.mark.parametrize(
    ("kind", "options", "file"),
    [
        (Checkpoint, {"monitor": "train_loss_best"}, "params.pt"),
        (TrainEndCheckpoint, {}, "train_end_params.pt"),
    ],
)
def test_a_checkpoint_needs_no_other_callback(
    kind, options, file, X, tmp_path, grouped
):
    """It reads what is recorded of batches, so that its net trains alone."""
    checkpoint = kind(f_criterion=None, dirname=str(tmp_path), **options)
    score = EpochScoring(lambda net, X, y: net.score(X), name="own", on_train=True)
    for callbacks in [[checkpoint], [score, checkpoint]]:
        estimator = Autoencoder(3, **FAST, callbacks=callbacks, random_state=0)
        members, errors = trained_in_a_group([estimator, estimator], [X[:50]])
        assert errors == [None, None]
        assert grouped == []
    saved = torch.load(tmp_path / file, weights_only=True)
    for name, parameter in members[1].to_module().named_parameters():
        assert torch.equal(saved[name], parameter)


ALONE = {
    "one after another": {"optimizer": "lbfgs", "max_epochs": 1},
    "a class": {"optimizer": torch.optim.Adam},
    "recurrent": {"architecture": "lstm"},
    "warm start": {"warm_start": True},
    "copies": {
        "callbacks": [EarlyStopping("train_loss", load_best=True)],
    },
    "batches watched": {"callbacks": [watching(on_batch_end=lambda net, **_: None)]},
}


@pytest.mark.parametrize("params", ALONE.values(), ids=ALONE)
def test_what_cannot_be_batched_trains_alone(params, X, grouped):
    estimator = Autoencoder(2, **{**FAST, "max_epochs": 2, **params}, random_state=0)
    assert_as_alone(along(estimator, "weight_decay", [0.1, 1.0]), [X[:50]])
    assert grouped == []


def test_nets_of_other_shapes_have_groups_of_their_own(X, grouped):
    estimators = [
        Autoencoder(n, **FAST, activation=name, weight_decay=decay, random_state=0)
        for n in (2, 3)
        for name in ("relu", "tanh")
        for decay in (0.1, 0.2, 0.3)
    ]
    assert_as_alone(estimators, [X[:50]])
    assert grouped == [3, 3, 3, 3]


def test_rows_are_not_copied_for_each_net(X, monkeypatch):
    """Those of one fold and seed are gathered once."""
    orders = []
    draw = nets_module.Batches._order

    def watched(batches):
        orders.append(draw(batches))
        return orders[-1]

    monkeypatch.setattr(nets_module.Batches, "_order", watched)
    estimators = along(Autoencoder(3, **FAST, random_state=0), "weight_decay", WEIGHTS)
    trained_in_a_group(estimators, [X[rows] for rows in FOLDS])
    assert len(orders) == len(FOLDS) * FAST["max_epochs"]


def test_a_group_is_cut_to_the_memory_that_it_may_take(X, grouped):
    run = Autoencoder(3, **FAST)._begin_run(
        Autoencoder(3)._check_training_rows(X, None)
    )
    one = batched_runs._n_bytes(run) / 2**20
    assert batched_runs.group_size(run, 4.5 * one) == 4
    assert batched_runs.group_size(run, 0.5 * one) == 1
    runs = [run, *(Autoencoder(3, **FAST)._begin_run(run.rows) for _ in range(9))]
    train_runs(runs, working_memory=4.5 * one)
    # In parts of nearly equal size.
    assert sorted(grouped) == [3, 3, 4]


def test_rows_of_many_seeds_take_no_more_memory(X, monkeypatch):
    """What is put in order once an epoch is limited for all orders together."""
    taken = []
    take = RowSource.take
    monkeypatch.setattr(RowSource, "take", lambda *args: taken.append(1) or take(*args))
    estimators = along(Autoencoder(3, **FAST), "random_state", [0, 1, 2])
    n_bytes = X[:50].astype(np.float32).nbytes
    for allowed, n_taken in [(3, 0), (2, 3 * 4 * FAST["max_epochs"])]:
        taken.clear()
        monkeypatch.setattr(batches_module, "_REORDER_BYTES", allowed * n_bytes)
        trained_in_a_group(estimators, [X[:50]])
        assert len(taken) == n_taken
    assert_as_alone(estimators, [X[:50]])


def test_rows_of_each_seed_are_counted(X):
    """Early stopping holds out others for each seed; they go with the runs."""
    rows = Autoencoder(3)._check_training_rows(X, None)
    runs = [
        Autoencoder(3, **FAST, random_state=seed, early_stopping=True)._begin_run(rows)
        for seed in (0, 1, 0)
    ]
    assert runs[0].source is runs[2].source is not runs[1].source
    whole = Autoencoder(3, **FAST, random_state=0)._begin_run(rows)
    more = batched_runs._n_bytes(runs[0]) - batched_runs._n_bytes(whole)
    assert more == X.astype(np.float32).nbytes
    assert len(rows._parts) == 2
    runs.clear()
    assert len(rows._parts) == 0


def test_an_interrupt_ends_all_at_once(X):
    batches = []

    def press():
        batches.append(1)
        if len(batches) == 5:
            raise KeyboardInterrupt

    estimators = along(Autoencoder(3, **FAST, random_state=0), "weight_decay", WEIGHTS)
    rows = estimators[0]._check_training_rows(X, None)
    runs = [estimator._begin_run(rows) for estimator in estimators]
    with pytest.raises(KeyboardInterrupt):
        train_runs(runs, check=press)
    assert len(batches) == 5


def test_threads_of_a_group(X, monkeypatch):
    """One if it is small; otherwise the same number gives the same bits."""
    torch.get_num_threads()

    def weights(n_threads):
        estimators = along(
            SparseAutoencoder(20, penalty="l1", **FAST, random_state=0),
            "alpha",
            [0.01, 0.1, 1.0, 10.0],
        )
        with threadpool_limits(n_threads):
            members, _ = trained_in_a_group(estimators, [X[:50], X[20:71]])
        return [p.numpy() for m in members for p in m.to_module().state_dict().values()]

    one = weights(1)
    for ours, theirs in zip(weights(3), one, strict=True):
        assert_array_equal(ours, theirs)
    monkeypatch.setattr(threads, "_WORK_PER_THREAD", 1.0)
    pairs = [*zip(weights(2), weights(2), one, strict=True)]
    for ours, again, theirs in pairs:
        assert_array_equal(ours, again)
        assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("estimator", "name", "values"),
    [PATHS[0], PATHS[4], PATHS[6], PATHS[15]],
    ids=["dense", "by torch.func", "noise", "rates"],
)
def test_a_group_on_cuda_is_each_of_its_nets(estimator, name, values, X, grouped):
    estimator = clone(estimator).set_params(random_state=0, device="cuda")
    estimators = along(estimator, name, values)
    assert_as_alone(estimators, [X[rows] for rows in FOLDS], close=1e-3)
    assert grouped == [9]
