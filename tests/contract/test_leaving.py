"""Promise 22b: a fitted estimator as arrays and plain values, for whoever keeps it."""

from __future__ import annotations

import copy
import pickle
import zipfile
from io import BytesIO

import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_ae
from contract.table import (
    answers,
    assert_same_model,
    digest,
    every_case,
    every_class,
    fitted_numbers,
    weights,
)
from sklearn_ae import Autoencoder, Huber, VariationalAutoencoder
from sklearn_ae._files import pickles

PLAIN = (type(None), bool, int, float, str, np.generic, np.ndarray)


def public_classes():
    """Answer the names under which skops asks for what this package exports."""
    modules = (sklearn_ae, sklearn_ae.architectures)
    found = [getattr(module, name) for module in modules for name in module.__all__]
    return {f"{c.__module__}.{c.__name__}" for c in found if isinstance(c, type)}


def own_types(params):
    """Answer what skops asks for because a parameter is a function or a class."""
    found = set()
    for value in params.values():
        if callable(value):
            # Of a partial, and of what it is one of.
            function = getattr(value, "func", value)
            found |= {f"{function.__module__}.{function.__name__}", "functools.partial"}
    return found


def through_skops(estimator, further=()):
    """Write and read an estimator, trusting no more than the package's own classes."""
    data = skops.io.dumps(estimator)
    asked = skops.io.get_untrusted_types(data=data)
    assert set(asked) <= public_classes() | set(further)
    return skops.io.loads(data, trusted=asked)


def leaves(value):
    """Yield what a tree of dicts, lists and tuples holds."""
    if type(value) in (list, tuple):
        for item in value:
            yield from leaves(item)
    elif type(value) is dict:
        yield from leaves(list(value.items()))
    else:
        yield value


@every_case
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_state_is_arrays_and_plain_values(row, params, method, X, y):
    """22b: with the optimizer's, and with nothing but parameters beside them."""
    estimator = row.make(**params)
    if not hasattr(estimator, method) or (params and estimator.early_stopping):
        return
    getattr(estimator, method)(X, y)
    for leaf in leaves(estimator.__getstate__()):
        # Parameters are as they were given, and so are copies of them.
        is_given = callable(leaf) or isinstance(leaf, BaseEstimator)
        assert isinstance(leaf, PLAIN) or is_given
        assert not isinstance(leaf, torch.nn.Module | torch.Tensor)
        if isinstance(leaf, np.ndarray):
            assert leaf.dtype != object


@every_case
def test_skops_files_answer_the_same(row, params, X, y):
    """22b: bit-equal in both precisions, and what is read can be trained."""
    estimator = row.make(**params).fit(X, y)
    loaded = through_skops(estimator, own_types(params))
    assert digest(loaded, X) == digest(estimator, X)
    single = X.astype("f4")
    np.testing.assert_array_equal(loaded.transform(single), estimator.transform(single))
    assert repr(loaded.get_params()) == repr(estimator.get_params())
    assert vars(loaded).keys() == vars(estimator).keys()
    assert loaded.history_ == estimator.history_
    assert loaded.loss_terms_ == estimator.loss_terms_
    assert fitted_numbers(loaded).keys() == fitted_numbers(estimator).keys()
    assert_same_model(clone(loaded).fit(X, y), estimator)


@every_class
def test_skops_files_hold_no_net(row, X, y):
    """22b: nothing of torch or skorch is named in one, so none of it is run."""
    estimator = row.make(**row.by_batch).partial_fit(X, y)
    with zipfile.ZipFile(BytesIO(skops.io.dumps(estimator))) as file:
        schema = file.read("schema.json").decode()
    for name in ('"torch', '"skorch', "sklearn_ae._"):
        assert name not in schema
    for unfitted in (row.make(), row.make(device="cuda:3")):
        loaded = through_skops(unfitted)
        assert repr(loaded) == repr(unfitted)
        assert not loaded.__sklearn_is_fitted__()


@every_class
@pytest.mark.parametrize(
    "density", [GaussianMixture(2), KernelDensity(), BayesianGaussianMixture()]
)
def test_densities_go_along(row, density, X, y):
    """22b: trees of kernel densities too, which are no plain values."""
    estimator = row.make(**row.sampling(density)).fit(X, y)
    for copied in (through_skops(estimator), pickle.loads(pickle.dumps(estimator))):
        np.testing.assert_array_equal(copied.sample(9, 0), estimator.sample(9, 0))


@every_class
def test_pipelines_leave(row, X, y):
    """22b: alone and in a Pipeline."""
    pipeline = make_pipeline(StandardScaler(), row.make(**row.by_batch)).fit(X, y)
    for copied in (
        through_skops(pipeline),
        pickle.loads(pickle.dumps(pipeline)),
        copy.deepcopy(pipeline),
    ):
        np.testing.assert_array_equal(copied.transform(X), pipeline.transform(X))
        assert_same_model(copied[-1], pipeline[-1])


@every_class
def test_the_state_of_torch_does_not_reach_a_copy(row, X, y):
    """22b, 26: a net is built again as if torch had been told nothing."""
    estimator = row.make(warm_start=True).fit(X, y)
    state = pickle.dumps(estimator)
    with torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
        assert pickle.dumps(estimator) == state
        copies = pickle.loads(state), copy.deepcopy(estimator), through_skops(estimator)
    expected = digest(estimator, X)
    for copied in copies:
        assert digest(copied, X) == expected


@every_class
def test_a_shallow_copy_has_the_same_model(row, X, y):
    """22b: none is built for it; training one leaves the other as it is."""
    estimator = row.make().fit(X, y)
    before, copied = weights(estimator), copy.copy(estimator)
    assert copied._model is estimator._model
    copied.set_params(random_state=3).fit(X[:30], y[:30])
    for name, array in weights(estimator).items():
        np.testing.assert_array_equal(array, before[name])


def changed_parameters(row):
    """Yield parameters that would make another net."""
    known = row.cls().get_params()
    further = {
        "hidden_layer_sizes": (3,),
        "activation": "tanh",
        "n_components": 5,
        "weight_decay": 0.7,
        "alpha": 5.0,
        "beta": 5.0,
        "code_activation": "tanh",
        "noise_level": 0.7,
    }
    for name, value in further.items():
        if name in known:
            yield {name: value}


@every_class
def test_parameters_that_were_changed_do_not_reach_the_copy(row, X, y):
    """22b: it has the net that was trained, and trains with what it is told now."""
    estimator = row.make().fit(X, y)
    expected = answers(estimator, X)
    for params in changed_parameters(row):
        changed = copy.copy(estimator).set_params(**params)
        for again in (changed, pickle.loads(pickle.dumps(changed))):
            for copied in (
                pickle.loads(pickle.dumps(again)),
                copy.deepcopy(again),
                through_skops(again),
            ):
                assert repr(copied) == repr(changed)
                for name, array in answers(copied, X).items():
                    np.testing.assert_array_equal(array, expected[name])
    reset = copied.set_params(**row.make().get_params(deep=False))
    assert_same_model(reset, estimator)


def test_specs_that_were_changed_do_not_reach_the_copy(X):
    """22b: nor where a parameter is set within one, or a list is another one now."""
    loss, sizes = Huber(0.1), [8]
    estimator = Autoencoder(loss=loss, hidden_layer_sizes=sizes, max_epochs=2).fit(X)
    expected = estimator.to_module().reconstruction.delta
    loss.delta, sizes[0] = 3.0, 9
    copied = pickle.loads(pickle.dumps(estimator))
    assert copied.loss.delta == 3.0
    assert copied.hidden_layer_sizes == [9]
    assert copied.to_module().reconstruction.delta == expected
    np.testing.assert_array_equal(copied.transform(X), estimator.transform(X))


class Halves(torch.nn.Linear):
    """A module of one's own, with something that is no tensor."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs)
        self.factor = 1.0

    def forward(self, x):
        return super().forward(x) * self.factor


class OwnPrior(torch.nn.Module):
    """A density of codes of one's own."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(2))

    def log_density(self, z):
        scaled = z / self.scale.to(z.dtype)
        return -0.5 * scaled.square().sum(-1) - self.scale.log().sum()

    def sample(self, n_samples, generator):
        z = torch.empty(n_samples, 2, dtype=torch.float64).normal_(generator=generator)
        return z * self.scale.detach()


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (Autoencoder, {"architecture": (Halves, Halves)}),
        (Autoencoder, {"architecture": (torch.nn.Linear, torch.nn.Linear)}),
        (VariationalAutoencoder, {"prior": OwnPrior()}),
    ],
    ids=["modules", "modules of torch", "prior"],
)
def test_nets_with_parts_of_ones_own(cls, params, X):
    """22b: copies and pickles go on; skops is told why it cannot."""
    estimator = cls(2, max_epochs=2, random_state=0, warm_start=True, **params).fit(X)
    parts = [m for m in estimator._model.module.modules() if isinstance(m, Halves)]
    for part in parts:
        part.factor = 0.5
    for copied in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        assert digest(copied, X) == digest(estimator, X)
        modules = copied._model.module.modules()
        assert [m.factor for m in modules if isinstance(m, Halves)] == [0.5] * len(
            parts
        )
        copied.fit(X)
    with pytest.raises(TypeError, match="parts of one's own.*skops.*pickle"):
        skops.io.dumps(estimator)
    assert_same_model(copied, estimator.fit(X))
    prior = params.get("prior")
    if prior is not None:
        with pytest.raises(TypeError, match="parts of one's own.*skops.*pickle"):
            skops.io.dumps(clone(estimator))
        twin = copy.copy(estimator)
        assert twin.prior is prior


def with_version(estimator, version, number=pickles.FORMAT):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickles, "__version__", version)
        patch.setattr(pickles, "FORMAT", number)
        return pickle.dumps(estimator)


@every_class
def test_pickles_know_their_version(row, X, y):
    """22b: another version's are read with scikit-learn's warning, or refused."""
    estimator = row.make().fit(X, y)
    for state in (with_version(estimator, "0.0.7"), with_version(row.make(), "0.0.7")):
        with pytest.warns(InconsistentVersionWarning, match=r"0\.0\.7") as log:
            loaded = pickle.loads(state)
        assert len(log) == 1
        assert row.name in str(log[0].message)
        assert sklearn_ae.__version__ in str(log[0].message)
    with pytest.warns(InconsistentVersionWarning):
        loaded = pickle.loads(with_version(estimator, "99.1"))
    assert digest(loaded, X) == digest(estimator, X)
    newer = with_version(estimator, "99.1", pickles.FORMAT + 1)
    with pytest.raises(ValueError, match=r"99\.1.*upgrade"):
        pickle.loads(newer)


@every_class
def test_a_pickle_of_another_net_is_refused(row, X, y):
    """22b: by the name of the array, not by an answer."""
    estimator = row.make().fit(X, y)
    state = estimator.__getstate__()
    tensors = state["_model"]["tensors"]
    name = next(iter(tensors))
    for wrong in (tensors[name][..., :0], tensors[name].astype("f8")):
        state["_model"]["tensors"] = {**tensors, name: wrong}
        blank = object.__new__(row.cls)
        with pytest.raises(ValueError, match=f"cannot be unpickled: '{name}'"):
            blank.__setstate__(state)
        assert not blank.__sklearn_is_fitted__()
