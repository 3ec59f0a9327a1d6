"""The fast path against autograd, and a group of models against each of them."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone

from sklearn_ae import (
    Autoencoder,
    Correntropy,
    DenoisingAutoencoder,
    Huber,
    LinearAutoencoder,
    RobustAutoencoder,
    SparseAutoencoder,
)
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.moments import moments
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.dense import SelectiveEncoder
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae._nets.autoencoder import set_precision
from sklearn_ae._objective.losses import LOSSES
from sklearn_ae._training import dense_gradient
from sklearn_ae._training.dense_gradient import DenseGradient, supports
from sklearn_ae._training.net import AutoencoderNet

N_FEATURES = 7
# Rows that a loss can be computed for, and the outputs that it accepts.
REAL, UNIT = "real", "unit interval"
ROWS = {
    "squared_error": (REAL, [*ACTIVATIONS]),
    "absolute_error": (REAL, [*ACTIVATIONS]),
    "huber": (REAL, [*ACTIVATIONS]),
    "binary_cross_entropy": (UNIT, ["auto", "logistic"]),
    "multinomial": (UNIT, ["auto"]),
    "correntropy": (REAL, [*ACTIVATIONS]),
}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
CASES = [
    *((loss, {"activation": name}) for loss in ROWS for name in ACTIVATIONS),
    *((loss, {"code_activation": name}) for loss in ROWS for name in ACTIVATIONS),
    *(
        (loss, {"output_activation": name})
        for loss, (_, outputs) in ROWS.items()
        for name in outputs
    ),
    (Huber(delta=0.05), {}),
    (Huber(delta=50.0), {}),
    (Correntropy(kernel_width=0.3), {}),
    (Correntropy(kernel_width=9.0), {}),
]


@pytest.fixture(autouse=True)
def _one_thread():
    """Nets this small have no use for a second one."""
    with one_thread():
        yield


def rows_for(loss, n_rows=11, seed=0):
    """Answer rows away from zero, in units that are not of order one."""
    random = np.random.RandomState(seed)
    kind, _ = ROWS[getattr(loss, "name", loss)]
    if kind == UNIT:
        return random.uniform(size=(n_rows, N_FEATURES))
    return 3.0 * random.normal(size=(n_rows, N_FEATURES)) + 2


def build(estimator, X, dtype=torch.float64, seed=0):
    """Build the net of an estimator, with biases that are not zero."""
    module = estimator._build_module(X.shape[1], moments(X), seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.normal_(0, 0.3, generator=generator)
    set_precision(module, dtype)
    for parameter in module.parameters():
        # Not zero: what is written must not depend on what was there.
        parameter.grad = torch.full_like(parameter, 7.0)
    return module


def standardised(module, X, dtype):
    x = (
        torch.from_numpy(X) - module.reconstruction.shift
    ) / module.reconstruction.scale
    return x.to(dtype)


def by_autograd(module, batch):
    """Answer terms and gradients of the objective by autograd."""
    parameters = dict(module.named_parameters())
    terms = module.objective(batch)
    gradients = torch.autograd.grad(sum(terms.values()), parameters.values())
    terms = {name: term.detach() for name, term in terms.items()}
    return terms, dict(zip(parameters, gradients, strict=True))


def by_fast_path(module, batch):
    assert supports(module)
    terms = DenseGradient(module)(batch)
    return terms, {name: p.grad for name, p in module.named_parameters()}


def assert_close(answer, expected, tolerance):
    """Compare dicts of tensors, each relative to its own norm.

    One that nearly cancels is compared to a hundredth of the norm of all.
    """
    assert answer.keys() == expected.keys()
    norms = {name: float(value.double().norm()) for name, value in expected.items()}
    least = 1e-2 * max(norms.values())
    for name, value in expected.items():
        assert answer[name].shape == value.shape, name
        error = float((answer[name].double() - value.double()).norm())
        assert error <= tolerance * max(norms[name], least), name


def case_id(value):
    return (
        "-".join(f"{k}={v}" for k, v in value.items())
        if isinstance(value, dict)
        else str(value)
    )


def test_every_loss_is_in_the_table():
    """A new name cannot dodge it: activations are read from the package."""
    assert set(ROWS) == set(LOSSES)
    for loss in LOSSES:
        for position in ("activation", "code_activation"):
            tried = {c[position] for name, c in CASES if name == loss and position in c}
            assert tried == set(ACTIVATIONS)


# Hidden layers, whether weights are tied, their decay: each with each of another.
PAIRS = [((), False, 0.4), ((), True, 0.0), ((6, 5), False, 0.0), ((6, 5), True, 0.4)]


@pytest.mark.parametrize(("loss", "activations"), CASES, ids=case_id)
def test_gradient_is_that_of_autograd(loss, activations):
    """Shallow and deep, tied or not, decayed or not, one row and many."""
    X = rows_for(loss)
    for hidden, tied, decay in PAIRS:
        estimator = Autoencoder(
            3,
            loss=loss,
            hidden_layer_sizes=hidden,
            tied_weights=tied,
            weight_decay=decay,
            **activations,
        )
        for dtype, tolerance in TOLERANCE.items():
            module = build(estimator, X, dtype)
            for n_rows in (1, len(X)):
                x = standardised(module, X[:n_rows], dtype)
                terms, gradients = by_autograd(module, Batch(x))
                fast_terms, fast = by_fast_path(module, Batch(x))
                assert_close(fast, gradients, tolerance)
                assert_close(fast_terms, terms, tolerance)


def test_the_comparison_can_fail():
    """A gradient that forgets the penalty or one layer is found out."""
    X = rows_for("squared_error")
    module = build(Autoencoder(3, hidden_layer_sizes=(6,), weight_decay=0.4), X)
    x = standardised(module, X, torch.float64)
    _, gradients = by_autograd(module, Batch(x))
    gradient = DenseGradient(module)
    gradient.penalties = {}
    gradient(Batch(x))
    fast = {name: p.grad for name, p in module.named_parameters()}
    with pytest.raises(AssertionError):
        assert_close(fast, gradients, 1e-3)


def test_gradient_is_written_anew():
    """A second call answers the same: nothing is added to what was there."""
    X = rows_for("squared_error")
    for tied in (False, True):
        estimator = Autoencoder(3, tied_weights=tied, hidden_layer_sizes=(6,))
        module = build(estimator, X)
        gradient, x = DenseGradient(module), standardised(module, X, torch.float64)
        gradient(Batch(x))
        first = [p.grad.clone() for p in module.parameters()]
        gradient(Batch(x))
        for p, before in zip(module.parameters(), first, strict=True):
            assert torch.equal(p.grad, before)


def as_group(modules):
    """Answer one module whose parameters have a leading axis of models.

    So have the buffers in which the models differ.
    """
    batched = copy.deepcopy(modules[0])
    for name, _ in modules[0].named_buffers():
        parts = [module.get_buffer(name) for module in modules]
        if not all(torch.equal(part, parts[0]) for part in parts):
            owner, _, own_name = name.rpartition(".")
            setattr(batched.get_submodule(owner), own_name, torch.stack(parts))
    rows = zip(*(module.parameters() for module in modules), strict=True)
    for parameter, parts in zip(batched.parameters(), rows, strict=True):
        parameter.grad = None
        parameter.data = torch.stack([part.detach() for part in parts])
        parameter.grad = torch.full_like(parameter, 7.0)
    return batched


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", [(), (6, 5)], ids=["shallow", "deep"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("decay", [0.0, 0.4], ids=["plain", "decayed"])
def test_group_is_each_of_its_models(loss, hidden, tied, decay):
    """A leading model axis on parameters and rows gives what separate models give."""
    X = rows_for(loss)
    estimator = Autoencoder(
        3,
        loss=loss,
        hidden_layer_sizes=hidden,
        tied_weights=tied,
        weight_decay=decay,
        activation="tanh",
    )
    for dtype, tolerance in TOLERANCE.items():
        modules = [build(estimator, X, dtype, seed) for seed in range(3)]
        batches = torch.stack(
            [
                standardised(module, rows_for(loss, seed=seed), dtype)
                for seed, module in enumerate(modules)
            ]
        )
        terms, gradients = by_fast_path(as_group(modules), Batch(batches))
        for i, module in enumerate(modules):
            own_terms, own = by_fast_path(module, Batch(batches[i]))
            assert_close({name: g[i] for name, g in gradients.items()}, own, tolerance)
            assert_close(
                {name: t[i] for name, t in terms.items()}, own_terms, tolerance
            )


@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(3, hidden_layer_sizes=(8,), max_epochs=5),
        Autoencoder(
            3,
            hidden_layer_sizes=(8,),
            activation="selu",
            tied_weights=True,
            weight_decay=0.1,
            loss="huber",
            max_epochs=5,
        ),
        Autoencoder(3, code_activation="binary", hidden_layer_sizes=(), max_epochs=5),
        LinearAutoencoder(3, max_epochs=1),
        SparseAutoencoder(20, penalty="top_k", k=2, weight_decay=0.1, max_epochs=5),
    ],
    ids=["deep", "tied", "binary", "lbfgs", "top_k"],
)
def test_fit_is_the_same_without_the_fast_path(estimator, monkeypatch):
    """A whole training by autograd ends at the same codes, and the same curve."""
    X = rows_for("squared_error", n_rows=100)
    estimator.set_params(random_state=0)

    def refuse(*args):
        raise AssertionError("the other path was asked for")

    with monkeypatch.context() as patch:
        patch.setattr(AutoencoderNet, "_autograd", refuse)
        Z = estimator.fit(X).transform(X)
        curve = estimator.loss_curve_
    with monkeypatch.context() as patch:
        patch.setattr(dense_gradient, "supports", lambda module: False)
        patch.setattr(DenseGradient, "__call__", refuse)
        estimator.fit(X)
    assert_allclose(estimator.transform(X), Z, atol=1e-4 * np.abs(Z).max())
    assert_allclose(estimator.loss_curve_, curve, rtol=1e-4)


def test_supports_only_what_it_writes_out():
    """Layers and penalties that it does not know are left to autograd."""
    X = rows_for("squared_error")
    module = build(Autoencoder(3, weight_decay=0.1), X)
    assert supports(module)
    unknown = copy.deepcopy(module)
    unknown.penalties["other"] = torch.nn.Identity()
    assert not supports(unknown)
    for encoder in (module.encoder, SelectiveEncoder(module.encoder, 2)):
        unknown = copy.deepcopy(module)
        unknown.encoder = encoder
        assert supports(unknown)
        unknown.encoder = copy.deepcopy(encoder).append(torch.nn.Identity())
        assert not supports(unknown)
    unknown.encoder = torch.nn.Linear(N_FEATURES, 3)
    assert not supports(unknown)


@pytest.mark.parametrize(
    ("penalty", "activation"),
    [
        *(("kl", name) for name, a in ACTIVATIONS.items() if a.low is not None),
        *(("l1", name) for name in ACTIVATIONS),
    ],
)
def test_gradient_of_sparse_penalties_is_that_of_autograd(penalty, activation):
    """Alone and beside weight decay; with cross-entropy, directions have no scale."""
    for loss in ("squared_error", "binary_cross_entropy"):
        X = rows_for(loss)
        for hidden in ((), (6, 5)):
            for tied in (False, True):
                for decay in (0.0, 0.4):
                    estimator = SparseAutoencoder(
                        9,
                        penalty=penalty,
                        alpha=0.7,
                        rho=0.3,
                        loss=loss,
                        code_activation=activation,
                        hidden_layer_sizes=hidden,
                        tied_weights=tied,
                        weight_decay=decay,
                    )
                    for dtype, tolerance in TOLERANCE.items():
                        module = build(estimator, X, dtype)
                        x = standardised(module, X, dtype)
                        terms, gradients = by_autograd(module, Batch(x))
                        fast_terms, fast = by_fast_path(module, Batch(x))
                        assert "sparsity" in terms
                        assert_close(fast, gradients, tolerance)
                        assert_close(fast_terms, terms, tolerance)


@pytest.mark.parametrize("penalty", ["kl", "l1"])
def test_group_of_sparse_models_is_each_of_them(penalty):
    """Each with a weight of its own."""
    X = rows_for("squared_error")
    modules = [
        build(SparseAutoencoder(9, penalty=penalty, alpha=alpha), X, seed=seed)
        for seed, alpha in enumerate([0.1, 1.0, 7.0])
    ]
    x = standardised(modules[0], X, torch.float64)
    terms, gradients = by_fast_path(as_group(modules), Batch(torch.stack([x] * 3)))
    for i, module in enumerate(modules):
        own_terms, own = by_fast_path(module, Batch(x))
        assert_close({name: g[i] for name, g in gradients.items()}, own, 1e-10)
        assert_close({name: t[i] for name, t in terms.items()}, own_terms, 1e-10)


HYPERPARAMETERS = [
    (RobustAutoencoder(weight_decay=0.3), "kernel_width", [0.5, "auto", 90.0]),
    (Autoencoder(loss=Huber()), "loss__delta", [0.05, 1.0, 50.0]),
    (Autoencoder(loss="huber", output_activation="tanh"), "loss__delta", [0.1, 1, 9.0]),
    (Autoencoder(), "weight_decay", [1e-3, 0.4, 70.0]),
    (Autoencoder(loss="binary_cross_entropy"), "weight_decay", [1e-3, 0.4, 7.0]),
    *(
        (DenoisingAutoencoder(noise=name), "noise_level", [0.1, 0.5, 0.9])
        for name in ("masking", "gaussian", "salt_and_pepper")
    ),
    (
        DenoisingAutoencoder(loss=Correntropy(), weight_decay=0.2),
        "loss__kernel_width",
        [0.3, 3.0, 300.0],
    ),
]


@pytest.mark.parametrize(("estimator", "name", "values"), HYPERPARAMETERS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_group_of_other_hyperparameters_is_each_of_its_models(
    estimator, name, values, dtype
):
    """Each model has its own width, delta, noise level or decay, and its own units."""
    X, modules = rows_for(estimator._loss().name), []
    for seed, value in enumerate(values):
        candidate = clone(estimator).set_params(
            n_components=3, hidden_layer_sizes=(6,), **{name: value}
        )
        modules.append(build(candidate, X, dtype, seed))
    x = standardised(modules[0], X, dtype)
    drawn = [draw_for(module, x, seed) for seed, module in enumerate(modules)]
    together = {part: torch.stack([each[part] for each in drawn]) for part in drawn[0]}
    batched = as_group(modules)
    terms, gradients = by_fast_path(
        batched, Batch(torch.stack([x] * 3), drawn=together)
    )
    assert terms["reconstruction"].dtype == dtype
    for i, module in enumerate(modules):
        own_terms, own = by_fast_path(module, Batch(x, drawn=drawn[i]))
        for answer, expected in ((gradients, own), (terms, own_terms)):
            one = {key: value[i] for key, value in answer.items()}
            assert_close(one, expected, TOLERANCE[dtype])
        units = batched.reconstruction.unit, batched.reconstruction.floor
        for unit, expected in zip(units, (module.unit, module.floor), strict=True):
            assert float(unit.expand(3)[i]) == pytest.approx(expected, rel=1e-12)


def draw_for(module, x, seed):
    generator = torch.Generator().manual_seed(seed)
    parts = module.random_parts().items()
    return {name: part.draw(x, generator) for name, part in parts}
