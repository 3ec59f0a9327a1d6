"""Promise 26: the state of torch around a call changes no bit of its answers."""

from __future__ import annotations

import contextlib
import copy
import inspect
import pickle
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import sklearn_ae
from contract.states import (
    OF_THE_PROCESS,
    STATES,
    all_at_once,
    all_others,
    every_state,
    state_of_torch,
)
from contract.table import (
    CASES_BY_NAME,
    dense,
    every_class,
    fitted_numbers,
    labels,
    structured_rows,
)
from contract.watchers import interrupting, watching
from sklearn_ae import Autoencoder, DivergenceError, displays, metrics
from sklearn_ae._compute import ambient
from sklearn_ae._compute.ambient import undisturbed, usual_state
from sklearn_ae.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    regularization_path,
)

X = structured_rows()
Y = labels(X)

# Public methods that answer nothing of rows, codes or weights.
OTHERS = {
    "get_metadata_routing",
    "get_params",
    "set_callbacks",
    "set_output",
    "set_params",
    "set_partial_fit_request",
}


def with_gaps():
    gaps = X.copy()
    gaps[::3, 0] = np.nan
    return gaps


def weights(estimator):
    """Answer the trained weights by name, read in the usual state of torch."""
    module = estimator.to_module()
    with usual_state():
        return {name: p.detach().numpy() for name, p in module.named_parameters()}


def learned(estimator):
    if hasattr(estimator, "steps"):
        estimator = estimator[-1]
    return weights(estimator), fitted_numbers(estimator)


def saved(estimator):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "estimator.safetensors"
        estimator.save(path)
        return learned(sklearn_ae.load(path))


# How each of the others is called, of a fitted estimator and its codes.
METHODS = {
    "encode_distribution": lambda e, Z: e.encode_distribution(X),
    "fit": lambda e, Z: learned(copy.deepcopy(e).fit(X, Y)),
    "fit_transform": lambda e, Z: dense(copy.deepcopy(e).fit_transform(X, Y)),
    "get_feature_names_out": lambda e, Z: list(e.get_feature_names_out()),
    "impute": lambda e, Z: e.impute(with_gaps()),
    "inverse_transform": lambda e, Z: e.inverse_transform(Z),
    "layer_codes": lambda e, Z: e.layer_codes(X),
    "log_likelihood": lambda e, Z: e.log_likelihood(X, n_importance_samples=3),
    "partial_fit": lambda e, Z: learned(copy.deepcopy(e).partial_fit(X, Y)),
    "reconstruct": lambda e, Z: e.reconstruct(X),
    "reconstruction_error": lambda e, Z: e.reconstruction_error(X),
    "sample": lambda e, Z: e.sample(5, random_state=0),
    "save": lambda e, Z: saved(e),
    "score": lambda e, Z: e.score(X),
    "score_function": lambda e, Z: e.score_function(X),
    "score_samples": lambda e, Z: (e.score_samples(X), e.score_samples(X[:1])),
    "summary": lambda e, Z: e.summary().to_numpy().tolist(),
    "to_module": lambda e, Z: weights(e),
    "transform": lambda e, Z: (dense(e.transform(X)), dense(e.transform(X32))),
}
X32 = X.astype(np.float32)


def bits(found: Any) -> Any:
    """Answer a value in a form in which equal means equal to the last bit."""
    if isinstance(found, dict):
        return {name: bits(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)) and not hasattr(found, "dtype"):
        return [bits(value) for value in found]
    if isinstance(found, (np.ndarray, np.generic, float)):
        array = np.ascontiguousarray(found)
        return str(array.dtype), array.shape, array.tobytes()
    return found


def public_methods(cls: type) -> set[str]:
    names = {name for name in dir(cls) if name[0] != "_"}
    return {name for name in names if callable(getattr(cls, name))}


def can_be_called(estimator, name):
    if name == "partial_fit" and estimator.early_stopping:
        return False
    # Functions and classes are no part of a file.
    values = estimator.get_params(deep=False).values()
    is_plain = not any(map(callable, values)) and not isinstance(
        estimator.architecture, tuple
    )
    return hasattr(estimator, name) and (name != "save" or is_plain)


def everything(make) -> dict[str, Any]:
    """Answer what each public method answers, and a pickle, in bits."""
    estimator = make().fit(X, Y)
    Z = dense(estimator.transform(X))
    found = {
        name: bits(METHODS[name](estimator, Z))
        for name in sorted(public_methods(type(estimator)) - OTHERS)
        if can_be_called(estimator, name)
    }
    found["pickle"] = bits(learned(pickle.loads(pickle.dumps(estimator))))
    return found


def assert_same(compute, state, expected=None):
    """Assert that what a function answers, and the state, stay as they are."""
    expected = compute() if expected is None else expected
    with state():
        before = state_of_torch()
        found = compute()
        assert state_of_torch() == before
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


# Estimators.

states_at_once = pytest.mark.parametrize("state", [all_at_once, all_others])
_EXPECTED: dict[str, Any] = {}


@every_class
def test_every_public_method_is_called(row):
    """26: a new method cannot dodge the tests below."""
    assert public_methods(row.cls) <= METHODS.keys() | OTHERS


def assert_same_everything(row, state):
    mixture = GaussianMixture(2, random_state=0)

    def compute():
        return everything(lambda: row.make(**row.sampling(mixture)))

    if row.name not in _EXPECTED:
        _EXPECTED[row.name] = compute()
    assert_same(compute, state, _EXPECTED[row.name])


@states_at_once
@every_class
def test_an_estimator(row, state):
    """20, 26."""
    assert_same_everything(row, state)


@every_state
@every_class
@pytest.mark.variant
def test_an_estimator_in_one_state(row, state):
    """20, 26: one after another, as they may hide each other."""
    assert_same_everything(row, state)


@pytest.mark.variant
@pytest.mark.parametrize(
    ("row", "params"),
    [pytest.param(*case, id=n) for n, case in CASES_BY_NAME.items() if case[1]],
)
def test_a_variant(row, params):
    """20, 26."""
    assert_same(lambda: everything(lambda: row.make(**params)), all_at_once)


@every_class
def test_a_wide_net(row):
    """26: products that a processor can compute coarsely."""
    rows = np.random.default_rng(0).random((600, 300), dtype=np.float32)

    def compute():
        estimator = row.make(**row.wide[-1]).fit(rows, labels(rows))
        return bits({"learned": learned(estimator), "codes": estimator.transform(rows)})

    assert_same(compute, STATES["coarse products"])
    assert_same(compute, all_at_once)


@every_class
def test_a_fit_in_another_state_than_the_answers(row):
    """26: what is made in inference mode can be trained on outside of it."""
    going_on = {**row.by_batch, "warm_start": True}

    def compute(state=contextlib.nullcontext):
        with state():
            estimator = row.make(**going_on).fit(X, Y)
            codes = dense(estimator.transform(X))
            copied = copy.deepcopy(estimator)
            loaded = pickle.loads(pickle.dumps(estimator))
        found = [learned(e.fit(X, Y)) for e in (estimator, copied, loaded)]
        return bits({"codes": codes, "learned": found, "again": estimator.score(X)})

    expected = compute()
    for state in (torch.inference_mode, all_at_once):
        assert compute(state) == expected


@every_class
def test_in_threads(row):
    """26: of threads that are in another state, and of those that are born in one."""
    expected = everything(row.make)
    found = []

    def own_state():
        return {k: v for k, v in state_of_torch().items() if k not in OF_THE_PROCESS}

    def compute(state):
        with state():
            before = own_state()
            found.append((everything(row.make), own_state() == before))

    states = [torch.no_grad, STATES["device"], STATES["autocast to bfloat16"]]
    threads = [threading.Thread(target=compute, args=(state,)) for state in states]
    with all_at_once():
        before = state_of_torch()
        threads.append(threading.Thread(target=compute, args=(torch.inference_mode,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert state_of_torch() == before
    assert found == [(expected, True)] * len(threads)


@every_class
def test_after_what_is_raised(row):
    """20: for data, by divergence, by Ctrl-C."""
    interrupted = row.make(**row.by_batch, callbacks=[interrupting("on_epoch_end", 2)])
    with all_at_once():
        before = state_of_torch()
        with pytest.raises(ValueError, match="NaN"):
            row.make().fit(X * np.nan, Y)
        with pytest.raises(DivergenceError):
            row.make(**row.diverges).fit(X, Y)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(X, Y)
        assert state_of_torch() == before


@every_class
def test_a_module_of_ones_own_is_in_the_state_of_its_owner(row):
    """What a user computes with `to_module()` is the user's."""
    estimator = row.make().fit(X, Y)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        module = estimator.to_module()
        given = torch.from_numpy(X32[:, : len(module.reconstruction.shift)])
        codes = module.encode(given)
    assert codes.is_inference()
    assert all(p.requires_grad and not p.is_inference() for p in module.parameters())
    assert module.encode(given).requires_grad


# What users bring along.


class OwnEncoder(nn.Sequential):
    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__(nn.Linear(n_inputs, 5), nn.Tanh(), nn.Linear(5, n_outputs))
        self.register_buffer("offset", torch.zeros(n_outputs))

    def forward(self, x):
        return super().forward(x) + self.offset + torch.ones(len(self.offset))


def jitter(rows, random_state):
    return rows + 0.1 * random_state.normal(size=rows.shape)


class Descended(sklearn_ae.DenoisingAutoencoder):
    """A class of one's own: a hook and a public method are overridden."""

    def _build_penalties(self, *args, **kwargs):
        return super()._build_penalties(*args, **kwargs)

    def transform(self, X):
        """Encode rows, and answer the mean of the codes beside them."""
        Z = torch.from_numpy(super().transform(X))
        return torch.cat([Z, Z.mean(1, keepdim=True) @ torch.ones(1, 1).double()], 1)


OWN = {
    "modules": lambda: Autoencoder(architecture=(OwnEncoder, OwnEncoder), max_epochs=2),
    "optimizer": lambda: Autoencoder(optimizer=torch.optim.Adagrad, max_epochs=2),
    "noise": lambda: sklearn_ae.DenoisingAutoencoder(noise=jitter, max_epochs=2),
    "pretraining": lambda: Autoencoder(
        hidden_layer_sizes=(5,), activation="logistic", pretraining="rbm", max_epochs=2
    ),
    "layers": lambda: sklearn_ae.StackedAutoencoder(
        hidden_layer_sizes=(5, 4), pretraining_epochs=2, max_epochs=2
    ),
}


@pytest.mark.parametrize("make", OWN.values(), ids=OWN)
def test_what_users_bring_along(make):
    """26: it computes in the same state as everything else."""

    def compute():
        return everything(lambda: make().set_params(random_state=0))

    expected = compute()
    for state in (all_at_once, all_others):
        assert_same(compute, state, expected)


def test_a_class_of_ones_own():
    """26: what is overridden computes in the same state, and stays what it is."""
    estimator = Descended(max_epochs=2, random_state=0).fit(X)
    expected = bits(np.asarray(estimator.transform(X)))
    with all_at_once():
        assert bits(np.asarray(estimator.transform(X))) == expected
    assert estimator.transform(X).shape == (len(X), 3)
    assert Descended.transform.__doc__.startswith("Encode rows, and answer the mean")


NOISES = [
    sklearn_ae.MaskingNoise,
    sklearn_ae.GaussianNoise,
    sklearn_ae.SaltAndPepperNoise,
]
PRIORS = [
    *(sklearn_ae.StandardNormal, sklearn_ae.UniformBox),
    *(sklearn_ae.SwissRoll, sklearn_ae.GaussianRing),
]


@every_state
def test_noises_and_priors(state):
    """26: of the public objects that are passed in, those that answer something."""

    def compute():
        return bits(
            {n.__name__: n().corrupt(X, 0.3, random_state=0) for n in NOISES}
            | {p.__name__: p().sample(9, 2, random_state=0) for p in PRIORS}
        )

    assert_same(compute, state)


# Searches, metrics and displays.


def searched(search):
    # Times differ.
    results = {k: v for k, v in search.cv_results_.items() if "time" not in k}
    scores = {k: v for k, v in results.items() if "score" in k}
    return bits({"scores": scores, "best": learned(search.best_estimator_)})


def search_over(estimator, parameter, values, **settings):
    settings = {"cv": 2, "scoring": metrics.make_denoising_scorer(), **settings}
    return BatchedGridSearchCV(estimator, {parameter: values}, **settings).fit(X, Y)


@every_class
def test_batched_searches(row):
    """26: in threads that are born in the search."""

    def compute():
        with joblib.parallel_config(backend="threading", n_jobs=2):
            # Two shapes, so that there is work for two threads.
            grid = {"learning_rate": [1e-3, 1e-2], "n_components": [2, 2]}
            grid = {k: v for k, v in grid.items() if k in row.cls().get_params()}
            return searched(
                BatchedGridSearchCV(row.make(), grid, cv=2, n_jobs=2).fit(X, Y)
            )

    assert_same(compute, all_at_once)


@states_at_once
def test_a_search_and_a_path(state):
    """26."""
    sparse = sklearn_ae.SparseAutoencoder(4, max_epochs=2, random_state=0)

    def compute():
        pipeline = make_pipeline(StandardScaler(), sparse)
        name = "sparseautoencoder__alpha"
        path = regularization_path(sparse, X, "alpha", (a for a in (0.1, 1.0)))
        del path["param_range"]
        path["estimators"] = [learned(e) for e in path["estimators"]]
        randomized = BatchedRandomizedSearchCV(sparse, {"alpha": [0.1, 1.0]}, n_iter=2)
        return {
            "grid": searched(search_over(pipeline, name, [0.1, 1.0])),
            "randomized": searched(randomized.set_params(cv=2, random_state=0).fit(X)),
            "path": bits(dict(path)),
        }

    assert_same(compute, state)


def measure(name, estimator):
    """Answer what a public function of `metrics` says of an estimator."""
    Z = dense(estimator.transform(X))
    calls = {
        "continuity": lambda f: f(X, Z),
        "make_denoising_scorer": lambda f: [
            f(noise, 0.2)(estimator, X)
            for noise in ("gaussian", "masking", "salt_and_pepper", jitter)
        ],
        "make_probe_scorer": lambda f: f(n_labels=30)(estimator, X, Y),
        "make_sample_scorer": lambda f: [
            f(measure)(estimator, X)
            for measure in ("mmd", "fidelity", "coverage", "copies")
        ],
        "neighborhood_preservation": lambda f: f(X, Z),
        "one_standard_error": lambda f: f("score", "a")(
            {
                "mean_test_score": np.array([1.0, 2.0]),
                "std_test_score": np.array([1.0, 2.0]),
                "param_a": np.array([1, 2]),
                "split0_test_score": np.array([1.0, 2.0]),
            }
        ),
        "pca_alignment": lambda f: f(estimator, X),
        "reconstruction_r2": lambda f: f(estimator, X),
        "sparsity_score": lambda f: f(estimator, X, threshold=0.1),
    }
    return calls[name](getattr(metrics, name))


@every_state
def test_metrics(state):
    """26: of every public function."""

    def compute():
        density = GaussianMixture(2, random_state=0)
        estimator = Autoencoder(max_epochs=2, latent_density=density, random_state=0)
        estimator.fit(X)
        return bits({name: measure(name, estimator) for name in metrics.__all__})

    assert_same(compute, state)


def drawn(name, estimator):
    """Answer the numbers that a display of an estimator holds."""
    cls = getattr(displays, name)
    given = {
        "InterpolationDisplay": (X[:1], X[1:2]),
        "LatentManifoldDisplay": (),
        "LossCurveDisplay": (),
        "RegularizationPathDisplay": (X,),
    }.get(name, (X,))
    keywords = {}
    if name == "RegularizationPathDisplay":
        estimator = sklearn_ae.SparseAutoencoder(4, max_epochs=2, random_state=0)
        keywords = {"param_name": "alpha", "param_range": (0.1, 1.0)}
    if name == "LatentManifoldDisplay":
        keywords = {"X": X}
    display = cls.from_estimator(estimator, *given, **keywords)
    figure = display.figure_
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


def test_displays():
    """26: to the last pixel."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")

    def compute():
        estimator = Autoencoder(max_epochs=2, random_state=0).fit(X)
        found = {name: drawn(name, estimator) for name in displays.__all__}
        plt.close("all")
        return bits(found)

    assert_same(compute, all_at_once)


# How calls come in.


@every_class
def test_methods_look_as_they_were_written(row):
    """Signatures, names and docstrings are those of the functions inside."""
    for name in public_methods(row.cls):
        method = getattr(row.cls, name)
        if not (getattr(method, "__module__", None) or "").startswith("sklearn_ae"):
            continue
        written = inspect.unwrap(method)
        assert inspect.signature(method) == inspect.signature(written)
        assert method.__doc__ == written.__doc__ is not None
        assert method.__name__ == written.__name__ == name
        assert written is not method


def test_fields_that_are_functions_stay_so():
    """A function may be the default of a parameter."""

    class Configured(Autoencoder):
        """Autoencoder with a parameter.

        Parameters
        ----------
        how : callable, default=jitter
            Not used.
        """

        _parameter_constraints = {"how": [callable]}
        how: object = jitter

    assert Configured().how is jitter
    assert Configured(how=dense).get_params()["how"] is dense


def test_threads_put_the_same_setting_aside():
    """20: it comes back when the last call is over, whichever that is."""
    began, may_end, found = threading.Event(), threading.Event(), []

    @undisturbed
    def wait():
        began.set()
        may_end.wait(10)
        found.append(torch.get_default_dtype())

    @undisturbed
    def look():
        found.append(torch.get_default_dtype())

    with STATES["float64"]():
        thread = threading.Thread(target=wait)
        thread.start()
        began.wait(10)
        look()
        assert torch.get_default_dtype() == torch.float32
        may_end.set()
        thread.join()
        assert torch.get_default_dtype() == torch.float64
    assert found == [torch.float32] * 2


def test_an_interrupt_before_the_call(monkeypatch):
    """20: while settings are put aside; what was done is undone."""

    def press():
        raise KeyboardInterrupt

    pressed = ambient._Setting((), press, press)
    monkeypatch.setattr(ambient, "_SETTINGS", (*ambient._SETTINGS, pressed))
    with STATES["float64"]():
        with pytest.raises(KeyboardInterrupt):
            undisturbed(torch.get_default_dtype)()
        assert torch.get_default_dtype() == torch.float64
        monkeypatch.undo()
        assert undisturbed(torch.get_default_dtype)() == torch.float32
        assert torch.get_default_dtype() == torch.float64


def test_a_setting_that_is_made_within_a_call_stays():
    """20: a callback may have chosen another default dtype, for good."""
    choose = watching(
        on_train_end=lambda net, **_: torch.set_default_dtype(torch.float16)
    )
    with STATES["float64"]():
        Autoencoder(max_epochs=1, callbacks=[choose]).fit(X)
        assert torch.get_default_dtype() == torch.float16


def test_calls_within_calls():
    """20: what a callback asks of an estimator."""
    scores = []
    fitted = Autoencoder(max_epochs=1, random_state=0).fit(X)
    ask = watching(on_epoch_end=lambda net, **_: scores.append(fitted.score(X)))
    with all_at_once():
        before = state_of_torch()
        Autoencoder(max_epochs=2, callbacks=[ask]).fit(X)
        assert state_of_torch() == before
    assert scores == [fitted.score(X)] * 2
