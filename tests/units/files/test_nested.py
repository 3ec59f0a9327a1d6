"""Estimators and densities within others, in one file; no class outside a list."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
import safetensors.numpy
from contract.forging import forge, parts_of
from contract.table import assert_same_model, digest, structured_rows
from sklearn.base import BaseEstimator, clone
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import HasMethods

import sklearn_ae
from sklearn_ae import Autoencoder, VariationalAutoencoder
from sklearn_ae._files.pickles import PickleMixin
from sklearn_ae._files.registry import CLASSES
from sklearn_ae._files.save import SaveMixin

X = structured_rows(60)
FAST = {"hidden_layer_sizes": (4,), "max_epochs": 2, "random_state": 0}


class Ensemble(SaveMixin, PickleMixin, BaseEstimator):
    """A toy: estimators around an estimator, and an object that it keeps."""

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "save"]), None],
        "more": "no_validation",
    }
    _lasting_attributes = ("estimator_", "estimators_", "offset_")

    def __init__(self, estimator=None, more=None):
        self.estimator, self.more = estimator, more

    def fit(self, X, y=None):
        self.estimator_ = clone(self.estimator).fit(X)
        seeds = [clone(self.estimator).set_params(random_state=s) for s in (1, 2)]
        self.estimators_ = [each.fit(X) for each in seeds]
        self.offset_ = float(np.quantile(self.estimator_.score_samples(X), 0.1))
        return self


class Own(Autoencoder):
    pass


class OwnDensity(GaussianMixture):
    pass


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(CLASSES, "Ensemble", Ensemble)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def through_file(estimator, path):
    estimator.save(path)
    return sklearn_ae.load(path)


def assert_same_ensemble(found, expected):
    assert found.offset_ == expected.offset_
    assert digest(found.estimator_, X) == digest(expected.estimator_, X)
    for one, other in zip(found.estimators_, expected.estimators_, strict=True):
        assert digest(one, X) == digest(other, X)


def test_an_estimator_that_is_not_fitted(path):
    inner = VariationalAutoencoder(3, hidden_layer_sizes=np.array([4]), beta=2.0)
    loaded = through_file(Ensemble(inner.set_output(transform="pandas")), path)
    assert repr(loaded) == repr(Ensemble(inner))
    assert loaded.estimator._sklearn_output_config == {"transform": "pandas"}
    assert not loaded.estimator.__sklearn_is_fitted__()


@pytest.mark.parametrize("cls", [Autoencoder, VariationalAutoencoder])
def test_estimators_that_are_fitted(cls, path):
    """Several, each with arrays of its own; they answer and can be trained on."""
    params = {} if cls is VariationalAutoencoder else {"loss": sklearn_ae.Huber(0.5)}
    inner = cls(2, **FAST, warm_start=True, **params)
    ensemble = Ensemble(inner).fit(X)
    loaded = through_file(ensemble, path)
    assert vars(loaded).keys() == vars(ensemble).keys()
    for copied in (loaded, through_file(loaded, path)):
        assert_same_ensemble(copied, ensemble)
    assert_same_ensemble(pickle.loads(pickle.dumps(ensemble)), ensemble)
    assert_same_model(loaded.estimators_[1].fit(X), ensemble.estimators_[1].fit(X))
    tensors = safetensors.numpy.load_file(path)
    for name, weight in loaded.estimator_.to_module().named_parameters():
        found = tensors[f"fitted.estimator_.module.{name}"]
        np.testing.assert_array_equal(found, weight.detach())


def test_a_fitted_estimator_as_parameter(path):
    """It stays fitted, also two levels down."""
    inner = Autoencoder(2, **FAST).fit(X)
    loaded = through_file(Ensemble(Ensemble(inner), more=(inner, {"a": inner})), path)
    for found in (loaded.estimator.estimator, loaded.more[0], loaded.more[1]["a"]):
        assert digest(found, X) == digest(inner, X)


@pytest.mark.parametrize(
    "density",
    [
        GaussianMixture(2),
        BayesianGaussianMixture(n_components=2),
        BayesianGaussianMixture(
            n_components=2, weight_concentration_prior_type="dirichlet_distribution"
        ),
        KernelDensity(bandwidth=0.3),
    ],
    ids=str,
)
def test_densities(density, path):
    """By their data, fitted or not, as a parameter and inside another one's."""
    assert repr(through_file(Ensemble(more=density), path).more) == repr(density)
    fitted = clone(density).fit(X)
    inner = Autoencoder(2, latent_density=fitted, **FAST)
    loaded = through_file(Ensemble(inner, more=[fitted]), path)
    for found in (loaded.more[0], loaded.estimator.latent_density):
        np.testing.assert_array_equal(found.score_samples(X), fitted.score_samples(X))
    header, arrays = parts_of(Ensemble(more=fitted), path)
    for name in arrays:
        for wrong in (arrays[name][..., None], arrays[name].astype("c8").view("f8")):
            forge(path, header, {**arrays, name: wrong})
            if name.partition("more__")[2] in header["parameters"]["more"]["density"]:
                with pytest.raises(ValueError, match="cannot be loaded"):
                    sklearn_ae.load(path)


@pytest.mark.filterwarnings("ignore:No component is active")
def test_one_of_ours_as_a_latent_density(path):
    density = VariationalAutoencoder(**FAST)
    model = Autoencoder(2, latent_density=density, **FAST).fit(X)
    loaded = through_file(model, path)
    np.testing.assert_array_equal(loaded.sample(5, 0), model.sample(5, 0))


@pytest.mark.parametrize(
    ("inner", "name"),
    [
        (Own(), "estimator"),
        (Autoencoder(latent_density=OwnDensity()), "estimator__latent_density"),
        (Autoencoder(callbacks=[print]), "estimator__callbacks"),
        (Ensemble(Own()), "estimator__estimator"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_classes_are_refused_by_save(inner, name, path):
    with pytest.raises(ValueError, match=f"^{name}=.*cannot be written"):
        Ensemble(inner).save(path)
    with pytest.raises(ValueError, match="^more=StandardScaler.*cannot be written"):
        Ensemble(more=StandardScaler()).save(path)
    assert not path.exists()


@pytest.fixture
def parts(path):
    return parts_of(Ensemble(Autoencoder(2, **FAST)).fit(X), path)


@pytest.mark.parametrize("name", ["Own", "StandardScaler", "BaseEstimator", "os", None])
def test_other_classes_are_refused_by_load(name, parts, path):
    header, arrays = parts
    for place in ("parameters estimator", "fitted estimator_"):
        section, key = place.split()
        changed = copy.deepcopy(header)
        changed[section][key]["estimator"]["class"] = name
        forge(path, changed, arrays)
        with pytest.raises(ValueError, match=f"no class '{name}'|'class'"):
            sklearn_ae.load(path)
    for node in ({"density": [name, {}, None]}, {"spec": ["loss", name, {}]}):
        forge(path, {**header, "parameters": {"more": node}}, arrays)
        with pytest.raises(ValueError, match="cannot be loaded"):
            sklearn_ae.load(path)


def test_what_is_within_is_checked_as_what_is_outside(parts, path):
    header, arrays = parts
    own, other = (node["estimator"] for node in header["fitted"]["estimators_"])

    def assert_refused(says, changed, arrays=arrays):
        forge(path, changed, arrays)
        with pytest.raises(ValueError, match=f"cannot be loaded: .*{says}"):
            sklearn_ae.load(path)

    def with_inner(**changes):
        changed = copy.deepcopy(header)
        changed["fitted"]["estimator_"]["estimator"] |= changes
        return changed

    inner = header["fitted"]["estimator_"]["estimator"]
    assert_refused("decoder.0.bias", with_inner(arrays=own["arrays"]))
    assert_refused("decoder.0.bias", with_inner(arrays="absent."))
    wider = {**inner["parameters"], "hidden_layer_sizes": [10**9]}
    assert_refused("larger than its arrays", with_inner(parameters=wider))
    assert_refused("'tol'", with_inner(parameters={**inner["parameters"], "tol": -1}))
    assert_refused("loss_", with_inner(fitted={**inner["fitted"], "loss_": "1"}))
    assert_refused("nothing needs", with_inner(model=None, fitted={}))
    for name in ("estimator_", "estimators_", "offset_"):
        less = {k: v for k, v in header["fitted"].items() if k != name}
        assert_refused("missing", {**header, "fitted": less}, arrays)
    name = f"{other['arrays']}module.encoder.0.weight"
    assert_refused("finite", header, {**arrays, name: arrays[name] * np.nan})
    start = '{"class":"Ensemble","output":{},"fitted":{},"model":null,'
    start = '{"estimator":' + start + '"parameters":{"estimator":'
    text = json.dumps({**header, "parameters": {"more": 0}})
    for n in (300, 10**4):
        deep = start * n + "null" + "}}}" * n
        assert_refused("Recursion", text.replace('"more": 0', f'"more":{deep}'))
