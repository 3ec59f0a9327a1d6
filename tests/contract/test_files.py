"""Promise 23: estimators as files, written whole and read without running anything."""

from __future__ import annotations

import copy
import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from sklearn.base import clone
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity
from skorch.callbacks import LRScheduler

import sklearn_ae
from contract.make_files import FILES, is_kept
from contract.table import (
    CASES_BY_NAME,
    ROWS,
    answers,
    assert_same_model,
    digest,
    every_case,
    every_class,
    fitted_numbers,
    labels,
    structured_rows,
)
from contract.test_world import assert_same_world, world
from sklearn_ae import Autoencoder, Huber
from sklearn_ae._files.registry import CLASSES

without_cuda = pytest.mark.skipif(
    torch.cuda.is_available(), reason="needs a machine without CUDA"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def through_file(estimator, path):
    """Save and load an estimator, with everything that could run code forbidden."""

    def refuse(*args, **kwargs):
        raise AssertionError("a file must not be unpickled")

    estimator.save(path)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((pickle, "load"), (pickle, "loads"), (torch, "load")):
            patch.setattr(module, name, refuse)
        patch.setattr(pickle, "Unpickler", refuse)
        return sklearn_ae.load(path)


@every_case
def test_files_answer_the_same(row, params, X, y, path):
    """23: bit-equal in both precisions; what cannot be written is named."""
    estimator = row.make(**params).fit(X, y)
    foreign = [name for name, value in params.items() if callable(value)]
    if foreign:
        with pytest.raises(ValueError, match=f"^{foreign[0]}=.*cannot be written"):
            estimator.save(path)
        assert not path.exists()
        return
    loaded = through_file(estimator, path)
    assert digest(loaded, X) == digest(estimator, X)
    single = X.astype("f4")
    np.testing.assert_array_equal(loaded.transform(single), estimator.transform(single))
    Z = estimator.transform(X)
    np.testing.assert_array_equal(
        loaded.inverse_transform(Z), estimator.inverse_transform(Z)
    )
    assert repr(loaded.get_params()) == repr(estimator.get_params())
    assert vars(loaded).keys() == vars(estimator).keys()
    assert loaded.history_ == estimator.history_
    assert loaded.loss_terms_ == estimator.loss_terms_
    for name, value in fitted_numbers(estimator).items():
        assert fitted_numbers(loaded)[name].dtype == value.dtype
    assert_same_model(clone(loaded).fit(X, y), estimator)


@every_class
def test_training_goes_on(row, X, y, path):
    """23, 8: as from a pickle, with the optimizer's state."""
    for method in ("fit", "partial_fit"):
        estimator = row.make(**row.by_batch, warm_start=True).fit(X, y)
        copied = pickle.loads(pickle.dumps(estimator))
        loaded = through_file(estimator, path)
        getattr(copied, method)(X, y)
        getattr(loaded, method)(X, y)
        assert digest(loaded, X) == digest(copied, X)
        assert loaded.n_iter_ > estimator.n_iter_


@every_class
def test_files_of_what_is_not_fitted(row, path):
    """23."""
    loaded = through_file(row.make(device="cuda:7"), path)
    assert not loaded.__sklearn_is_fitted__()
    assert repr(loaded) == repr(row.make(device="cuda:7"))


@every_class
def test_parameters_come_back_as_they_were(row, path):
    """23: tuples as tuples, numbers of numpy as Python's, fresh specs and densities."""
    params = {
        "n_components": np.int64(3),
        "learning_rate": np.float32(0.5),
        "tol": 0.1 + 0.2,
        "warm_start": np.bool_(True),
        "callbacks": [],
        "random_state": 2**31,
        "batch_size": 7,
    }
    loaded = through_file(row.cls(**params), path)
    for name, value in params.items():
        found = getattr(loaded, name)
        assert found == value
        assert type(found) in (int, float, bool, list)
    further = {
        "hidden_layer_sizes": ((), (4, 3), [5], np.array([4])),
        "loss": (Huber(0.3), "huber"),
    }
    for name in further.keys() & loaded.get_params():
        for value in further[name]:
            found = getattr(through_file(row.cls(**{name: value}), path), name)
            assert type(found) is type(value)
            assert repr(found) == repr(value)
            assert found is not value or isinstance(value, (str, tuple))


@every_class
@pytest.mark.parametrize(
    "density",
    [
        *(GaussianMixture(2, covariance_type=c) for c in ("full", "tied", "diag")),
        GaussianMixture(2, covariance_type="spherical", n_init=2, random_state=3),
        GaussianMixture(2, means_init=np.eye(2)),
        BayesianGaussianMixture(n_components=2, max_iter=1000),
        BayesianGaussianMixture(
            n_components=2,
            max_iter=1000,
            weight_concentration_prior_type="dirichlet_distribution",
        ),
        KernelDensity(bandwidth="scott"),
        KernelDensity(kernel="tophat", metric="manhattan", leaf_size=5),
    ],
    ids=str,
)
def test_densities_sample_the_same(row, density, X, y, path):
    """23: by their arrays, and a tree by its data."""
    if not row.takes_density:
        return
    estimator = row.make(latent_density=density).fit(X, y)
    loaded = through_file(estimator, path)
    np.testing.assert_array_equal(loaded.sample(9, 0), estimator.sample(9, 0))
    Z = estimator.transform(X)
    one, other = loaded.latent_density_, estimator.latent_density_
    np.testing.assert_array_equal(one.score_samples(Z), other.score_samples(Z))
    assert vars(one).keys() == vars(other).keys()
    assert repr(loaded) == repr(estimator)
    assert not hasattr(loaded.latent_density, "n_features_in_")


def test_a_fitted_density_as_parameter(X, path):
    """23: with the weights of its rows."""
    density = KernelDensity().fit(X, sample_weight=np.arange(1.0, len(X) + 1))
    loaded = through_file(Autoencoder(latent_density=density), path).latent_density
    np.testing.assert_array_equal(loaded.score_samples(X), density.score_samples(X))
    np.testing.assert_array_equal(loaded.sample(5, 0), density.sample(5, 0))


@every_class
def test_the_world_stays_as_it_was(row, X, y, path):
    """23, 20: the net is built again without a draw from a global generator."""
    estimator = row.make().fit(X, y)
    before = world()
    through_file(estimator, path)
    assert_same_world(before)


@every_class
def test_names_and_containers_come_back(row, X, y, path):
    """23, 5: what pandas columns were called, and what `transform` answers with."""
    frame = pd.DataFrame(X, columns=list("abcdef"))
    estimator = row.make().set_output(transform="pandas").fit(frame, y)
    loaded = through_file(estimator, path)
    pd.testing.assert_frame_equal(loaded.transform(frame), estimator.transform(frame))
    assert loaded.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.transform(frame[list("fedcba")])


class Own(Autoencoder):
    pass


class OwnLoss(Huber):
    pass


class OwnDensity(GaussianMixture):
    pass


REFUSED = {
    "optimizer": torch.optim.SGD,
    "learning_rate_schedule": partial(torch.optim.lr_scheduler.StepLR, step_size=1),
    "callbacks": [LRScheduler()],
    "random_state": np.random.RandomState(0),
    "latent_density": OwnDensity(),
    "latent_density__random_state": np.random.RandomState(0),
    "loss": OwnLoss(),
}


@every_class
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written(row, name, path):
    """23: is refused by its name, and leaves no file and the old file whole."""
    estimator = row.cls()
    if name.partition("__")[0] not in estimator.get_params():
        return
    if "__" in name:
        estimator.set_params(latent_density=GaussianMixture())
    estimator.set_params(**{name: REFUSED[name]})
    with pytest.raises(ValueError, match=f"^{name}=.*cannot be written to a file"):
        estimator.save(path)
    assert not path.exists()
    row.cls().save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=name):
        estimator.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_what_else_is_refused(X, path):
    """23: other classes and attributes."""
    fast = {"hidden_layer_sizes": (4,), "max_epochs": 1}
    with pytest.raises(ValueError, match="Own is no class of sklearn_ae"):
        Own(**fast).save(path)
    with pytest.raises(ValueError, match="'max_epochs' parameter"):
        Autoencoder(max_epochs=-1).save(path)
    with pytest.raises(ValueError, match="'hidden_layer_sizes' parameter"):
        Autoencoder(hidden_layer_sizes=(0,)).save(path)
    estimator = Autoencoder(**fast).fit(X)
    estimator.lock_ = pytest
    with pytest.raises(ValueError, match=r"^lock_="):
        estimator.save(path)
    del estimator.lock_
    estimator.note = "plain"
    with pytest.raises(ValueError, match=r"^note='plain'"):
        estimator.save(path)


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": (5,), "n_components": 3},
        {"hidden_layer_sizes": (10**9,)},
        {"activation": "tanh"},
        {"loss": Huber(0.3)},
        {"weight_decay": 0.1},
        {"max_epochs": 9, "tol": 0, "optimizer": "sgd"},
    ],
    ids=str,
)
def test_parameters_that_were_changed_since_fit(params, X, path):
    """23: the file has the net that was trained, and what it is to be told next."""
    fast = {"hidden_layer_sizes": (4,), "loss": Huber(0.7), "max_epochs": 1}
    estimator = Autoencoder(**fast, random_state=0).fit(X)
    expected, before = digest(estimator, X), estimator.get_params(deep=False)
    estimator.set_params(**params)
    once = through_file(estimator, path)
    for loaded in (once, through_file(once, path)):
        assert repr(loaded) == repr(estimator)
        assert digest(loaded, X) == expected
    assert digest(loaded.set_params(**before).fit(X), X) == expected
    estimator.set_params(**before | {"loss": OwnLoss()}).fit(X)
    with pytest.raises(ValueError, match="^loss=.*cannot be written"):
        estimator.set_params(loss="huber").save(path)


def test_callbacks_of_scikit_learn_are_refused(path):
    """23, 14: by the attribute that holds them."""
    estimator = Autoencoder()
    if hasattr(estimator, "set_callbacks"):
        callback = pytest.importorskip("sklearn.callback").ProgressBar()
        with pytest.raises(ValueError, match=r"^_skl_callbacks="):
            estimator.set_callbacks(callback).save(path)


def test_the_registry_holds_the_public_estimators():
    """23."""
    assert {row.name: row.cls for row in ROWS} == CLASSES


@every_class
@without_cuda
def test_a_file_of_another_machine(row, X, y, path):
    """22, 23: one warning, answers from the CPU, and a `fit` that refuses."""
    here = row.make().fit(X, y)
    estimator = copy.deepcopy(here).set_params(device="cuda:3")
    estimator._model.device = torch.device("cuda:3")
    estimator.save(path)
    with pytest.warns(UserWarning, match="trained on device='cuda:3'.*CPU") as log:
        loaded = sklearn_ae.load(path)
    assert len(log) == 1
    assert log[0].filename == __file__
    assert digest(loaded, X) == digest(here, X)
    with pytest.raises(ValueError, match="device='cuda:3' is not available here"):
        loaded.fit(X, y)
    assert_same_model(through_file(loaded, path), here)


@pytest.mark.cuda
@every_class
def test_a_file_of_a_model_on_cuda(row, X, y, path):
    """22, 23: it is where it was."""
    estimator = row.make(device="cuda").fit(X, y)
    loaded = through_file(estimator, path)
    assert loaded._model.device == estimator._model.device
    np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))


@every_class
def test_files_are_plain_and_small(row, path):
    """23: any reader of the format finds the weights; equal models, equal bytes."""
    X = structured_rows(80, 300)
    estimator = row.make(n_components=60).fit(X, labels(X))
    estimator.save(path)
    tensors = safetensors.numpy.load_file(path)
    for name, parameter in estimator.to_module().named_parameters():
        np.testing.assert_array_equal(tensors[f"module.{name}"], parameter.detach())
    n_bytes = sum(array.nbytes for array in tensors.values())
    assert path.stat().st_size < n_bytes + 10_000
    sklearn_ae.load(path).save(path.with_name("again"))
    assert path.with_name("again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "values",
    [
        *([0.1 + 0.2, np.nan, -np.inf] * 30, [1, -(2**63) + 1] * 40, [True] * 70),
        *([2**70] * 70, [1, 2.0] * 40, [None] * 70, ["a"] * 70, [[0.5] * 70] * 2),
        [{"a": 1, "terms": {"b": 0.5}, "c": False} for _ in range(70)],
        *([{}] * 70, [{"a": 1}, {"b": 1}] * 40, [{1: 2}] * 70),
    ],
    ids=range(12),
)
def test_long_lists_come_back(values, path):
    """23: whatever their entries are, of the very types."""
    estimator = Autoencoder(max_epochs=1).fit(structured_rows())
    estimator.more_ = values
    loaded = through_file(estimator, path)
    assert repr(loaded.more_) == repr(values)


def test_long_fits_have_short_headers(path):
    """23: 100,000 epochs, as numbers and not as text."""
    estimator = Autoencoder(max_epochs=2, random_state=0).fit(structured_rows())
    n = 50_000
    first, last = estimator.history_
    assert {*last} - {*first} == {"stopped_by"}
    estimator.history_ = [dict(first) for _ in range(2 * n - 1)] + [last]
    estimator.loss_curve_ = estimator.loss_curve_ * n
    estimator.loss_terms_ = {k: v * n for k, v in estimator.loss_terms_.items()}
    loaded = through_file(estimator, path)
    assert loaded.history_ == estimator.history_
    assert loaded.loss_curve_ == estimator.loss_curve_
    assert int.from_bytes(path.read_bytes()[:8], "little") < 10_000


@pytest.mark.parametrize("architecture", ["dense", "convolutional", "residual", "lstm"])
def test_nets_of_default_sizes(architecture, X, y, path):
    """23: a limit on what a file may claim leaves room for every class's own."""
    for row in ROWS:
        if "architecture" not in row.cls().get_params():
            continue
        estimator = row.cls(architecture=architecture, max_epochs=1, random_state=0)
        if row.name == "ContractiveAutoencoder":
            estimator.set_params(n_projections=1)
        if row.name == "StackedAutoencoder":
            estimator.set_params(pretraining=None)
        estimator.fit(X[:10], y[:10])
        loaded = through_file(estimator, path)
        np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))


def released():
    return sorted(FILES.glob("*/*.safetensors"))


@pytest.mark.parametrize(
    "file", released(), ids=lambda file: f"{file.parent.name}-{file.stem}"
)
def test_files_of_every_release(file, X, y):
    """23: are read, answer what they answered, and can be trained on."""
    loaded = sklearn_ae.load(file)
    with np.load(file.with_suffix(".npz")) as stored:
        frame = pd.DataFrame(stored["X"], columns=list("abcdef"))
        for name, array in answers(loaded, frame).items():
            np.testing.assert_allclose(array, stored[name], rtol=1e-9, atol=1e-9)
    if hasattr(loaded, "sample"):
        assert loaded.sample(3, random_state=0).shape == (3, 6)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    loaded.set_params(warm_start=True).fit(frame, y)
    assert len(loaded.loss_curve_) == loaded.n_iter_


def test_this_release_has_its_files():
    """23: one for every class, see `contract.make_files`."""
    wanted = {name for name, (_, params) in CASES_BY_NAME.items() if is_kept(params)}
    folder = FILES / sklearn_ae.__version__
    assert {Path(file).stem for file in folder.glob("*.safetensors")} == wanted
    assert {row.name for row in ROWS} <= wanted
