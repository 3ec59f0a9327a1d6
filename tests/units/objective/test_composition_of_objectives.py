"""Objectives compose: a class of two bases has the parameters and terms of both."""

import inspect

import numpy as np
import pytest
import torch
from contract.table import assert_same_model, structured_rows
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import estimator_checks_generator

from sklearn_ae import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    Huber,
    RobustAutoencoder,
    SparseAutoencoder,
)
from sklearn_ae._data.moments import moments
from sklearn_ae._data.rows import Batch


class SparseDenoising(SparseAutoencoder, DenoisingAutoencoder):
    """Sparse codes of noisy rows."""


class ContractiveDenoising(ContractiveAutoencoder, DenoisingAutoencoder):
    """Contractive codes of noisy rows."""


class SparseContractive(SparseAutoencoder, ContractiveAutoencoder):
    """Sparse codes that hardly move; both terms have the weight `alpha`."""


class RobustSparse(RobustAutoencoder, SparseAutoencoder):
    """Sparse codes of rows with outliers."""


class SparseRobust(SparseAutoencoder, RobustAutoencoder):
    """The same in the other order."""


COMPOSED = {
    SparseDenoising: {"sparsity"},
    ContractiveDenoising: {"contraction"},
    SparseContractive: {"sparsity", "contraction"},
    RobustSparse: {"sparsity"},
    SparseRobust: {"sparsity"},
}
every_class = pytest.mark.parametrize("cls", COMPOSED, ids=lambda cls: cls.__name__)


@pytest.fixture
def X():
    return structured_rows()


def fast(cls, **params):
    fixed = {"hidden_layer_sizes": (8,), "max_epochs": 3, "batch_size": 16}
    return cls(5, **{**fixed, "random_state": 0, **params})


def parameters(cls):
    return inspect.signature(cls).parameters


@every_class
def test_the_signature_has_the_parameters_of_both(cls):
    names = [set(parameters(base)) for base in cls.__bases__]
    expected = set.union(*names)
    if issubclass(cls, RobustAutoencoder):
        # It fixes the loss, for those that come after it too.
        expected -= {"loss"}
    assert set(parameters(cls)) == expected == set(cls().get_params(deep=False))
    assert set(cls._parameter_constraints) == expected
    positional = [p for p in parameters(cls).values() if p.kind != p.KEYWORD_ONLY]
    assert [p.name for p in positional] == ["n_components"]
    wide = issubclass(cls, SparseAutoencoder)
    assert cls().n_components == (128 if wide else 2)


@every_class
def test_the_docstring_has_the_parameters_of_both(cls):
    for name in parameters(cls):
        assert f"\n{name} : " in inspect.getdoc(cls), name
    for base in cls.__bases__:
        own = inspect.getdoc(base).partition("\nAttributes\n")[2]
        for line in own.partition("\n\n")[0].splitlines():
            if line.endswith(("float", "int")) and "_ : " in line:
                assert line in inspect.getdoc(cls)


@every_class
def test_constraints_of_both_hold(cls, X):
    bad = {"alpha": -1.0, "noise_level": -1.0, "kernel_width": 0.0, "rho": 2.0}
    for name in bad.keys() & set(parameters(cls)):
        with pytest.raises(InvalidParameterError, match=f"'{name}' parameter"):
            fast(cls, **{name: bad[name]}).fit(X)


@every_class
@pytest.mark.parametrize("pretraining", [None, "greedy"])
def test_both_terms_are_trained(cls, pretraining, X):
    model = fast(cls, pretraining=pretraining, pretraining_epochs=3).fit(X)
    terms = {"reconstruction"} | COMPOSED[cls]
    assert set(model.loss_terms_) == terms
    for curve in model.loss_terms_.values():
        assert np.isfinite(curve).all()
        assert np.abs(curve).min() > 0
    assert model.score(X) > -1
    assert_same_model(clone(model).fit(X), model)
    assert repr(clone(model)) == repr(model)


@every_class
def test_noise_is_applied(cls, X):
    """The function is called for every batch, and what it answers is seen."""
    if not issubclass(cls, DenoisingAutoencoder):
        assert fast(cls).fit(X)._model.module.corruption is None
        return
    calls = []

    def flipped(rows, random):
        calls.append(len(rows))
        return -rows

    noisy = fast(cls, noise=flipped).fit(X)
    assert calls == [16, 16, 16, 12] * 3
    clean = fast(cls, noise=flipped, noise_level=0).fit(X)
    assert len(calls) == 12
    assert np.abs(noisy.transform(X) - clean.transform(X)).max() > 1e-4
    assert np.isfinite(fast(cls).fit(np.where(X > 0.8, np.nan, X)).impute(X)).all()


@pytest.mark.parametrize("cls", [RobustSparse, SparseRobust])
def test_the_order_of_the_bases_does_not_matter(cls, X):
    """A base that inherits a parameter does not hide another that declares it."""
    defaults = cls().get_params()
    assert (defaults["n_components"], defaults["code_activation"]) == (128, "auto")
    assert "loss" not in defaults
    assert '"auto" is logistic for "kl"' in cls.__doc__
    model = fast(cls).fit(X)
    assert model._model.module.reconstruction.name == "correntropy"
    assert model.kernel_width_ > 0
    assert model.dead_components_ >= 0


@pytest.mark.variant
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{cls.__name__}-{check.func.__name__}")
        for cls in COMPOSED
        for estimator, check in estimator_checks_generator(
            fast(cls, hidden_layer_sizes=(4,), max_epochs=2)
        )
        if "array_api" not in check.func.__name__
    ],
)
def test_check_estimator(estimator, check):
    check(estimator)


# Weights and lengths, and where the objective keeps them.
BUFFERS = [
    (Autoencoder(weight_decay=0.1), "penalties.weight_decay.weight"),
    (Autoencoder(loss=Huber(0.1)), "reconstruction.delta"),
    (Autoencoder(loss="correntropy"), "reconstruction.kernel_width"),
    (RobustAutoencoder(kernel_width=0.5), "reconstruction.kernel_width"),
    (RobustAutoencoder(kernel_width=0.5), "reconstruction.magnitude"),
    (SparseAutoencoder(alpha=0.1), "penalties.sparsity.alpha"),
    (SparseAutoencoder(rho=0.1), "penalties.sparsity.rho"),
    (SparseAutoencoder(penalty="l1"), "penalties.sparsity.strength"),
    (SparseAutoencoder(40, penalty="top_k", k=3), "penalties.revival.alpha"),
    (ContractiveAutoencoder(), "penalties.contraction.strength"),
    (ContractiveAutoencoder(n_projections=2), "penalties.contraction.strength"),
    (DenoisingAutoencoder(), "corruption.level"),
    (DenoisingAutoencoder(noise="gaussian"), "corruption.level"),
    (DenoisingAutoencoder(noise="salt_and_pepper"), "corruption.level"),
]


@pytest.mark.parametrize(("estimator", "name"), BUFFERS, ids=lambda v: str(v)[:40])
def test_weights_are_buffers_of_the_objective(estimator, name, X):
    """A group of models differs in them alone: changing one changes the objective."""
    known = moments(X)
    module = estimator._build_module(X.shape[1], known, 0)
    buffer = dict(module.named_buffers())[name]
    x = torch.from_numpy((X - known.mean) / known.scale).float()

    def objective():
        drawn = {
            part: each.draw(x, torch.Generator().manual_seed(0))
            for part, each in module.random_parts().items()
        }
        return float(sum(module.objective(Batch(x, drawn=drawn)).values()).detach())

    before = objective()
    assert before == objective()
    buffer.mul_(2.0)
    assert abs(objective() - before) > 1e-6 * abs(before)


class Objective(torch.nn.Module):
    """The objective of a net, as a module to call."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, drawn):
        return sum(self.net.objective(Batch(x, drawn=drawn)).values())


@pytest.mark.parametrize(("estimator", "name"), BUFFERS, ids=lambda v: str(v)[:40])
def test_a_group_of_models_is_each_of_them(estimator, name, X):
    """By `torch.func`, whatever the objective: over weights and hyperparameters."""
    known = moments(X)
    nets = [estimator._build_module(X.shape[1], known, seed) for seed in range(3)]
    for factor, net in zip((0.5, 1.0, 1.5), nets, strict=True):
        net.get_buffer(name).mul_(factor)
    x = torch.from_numpy((X - known.mean) / known.scale).float()
    drawn = {
        part: each.draw(x, torch.Generator().manual_seed(0))
        for part, each in nets[0].random_parts().items()
    }
    objectives = [Objective(net) for net in nets]
    state = torch.func.stack_module_state(objectives)

    def call(parameters, buffers):
        return torch.func.functional_call(
            objectives[0], (parameters, buffers), (x, drawn)
        )

    together = torch.vmap(call)(*state).detach()
    apart = [float(objective(x, drawn).detach()) for objective in objectives]
    np.testing.assert_allclose(together.numpy(), apart, rtol=1e-5)
    assert len(set(apart)) == 3
