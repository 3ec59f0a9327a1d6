"""Promises 8, 22b: refits start afresh, a refusal harms nothing, going on is smooth."""

from __future__ import annotations

import copy
import io
import pickle
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.mixture import GaussianMixture

import sklearn_ae
from contract.table import (
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
from sklearn_ae import AdversarialAutoencoder, Autoencoder, DivergenceError

OTHER_X = structured_rows(45, 4, seed=1)


def public_state(estimator):
    names = (name for name in vars(estimator) if name.endswith("_"))
    return sorted(name for name in names if not name.startswith("_"))


@every_case
def test_refitting_starts_afresh(row, params, X, y):
    """8: after any other fit, of another width and with other names."""
    fresh = row.make(**params).fit(X, y)
    estimator = row.make(**params, **row.sampling(GaussianMixture()))
    estimator.fit(pd.DataFrame(OTHER_X, columns=list("wxyz")), labels(OTHER_X))
    estimator.set_params(**row.sampling(None)).fit(X, y)
    assert_same_model(estimator, fresh)
    assert public_state(estimator) == public_state(fresh)
    assert estimator.n_features_in_ == 6
    for name, expected in fitted_numbers(fresh).items():
        np.testing.assert_array_equal(fitted_numbers(estimator)[name], expected)
    for name, expected in answers(fresh, X).items():
        np.testing.assert_array_equal(answers(estimator, X)[name], expected)


# Name: (further parameters, X made of a good one).
REFUSALS = {
    "nan": ({}, lambda X: X * np.nan),
    "overflow": ({}, lambda X: X * 1e300),
    "no row": ({}, lambda X: X[:0]),
    "too few": ({"early_stopping": True}, lambda X: X[:2]),
    "parameter": ({"max_epochs": -1}, lambda X: X),
    "device": ({"device": "cuda:99"}, lambda X: X),
}


@every_class
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_refused_refit_leaves_the_old_model(row, warm_start, X, y):
    """8: its answers, names and curves, after each; and it can be fitted again."""
    frame = pd.DataFrame(X, columns=list("abcdef"))
    estimator = row.make(warm_start=warm_start).fit(frame, y)
    expected, state = answers(estimator, frame), public_state(estimator)
    numbers, before = fitted_numbers(estimator), estimator.get_params()
    names = list("abcdef" if warm_start else "uvwxyz")
    for kind, (params, spoil) in {
        **REFUSALS,
        "divergence": (row.diverges, np.copy),
    }.items():
        spoilt = pd.DataFrame(spoil(X), columns=names)
        with pytest.raises(ValueError, match=".") as refusal:
            estimator.set_params(**params).fit(spoilt, labels(spoilt))
        assert isinstance(refusal.value, DivergenceError) == (kind == "divergence")
        estimator.set_params(**before)
        assert list(estimator.feature_names_in_) == list("abcdef"), kind
        assert public_state(estimator) == state, kind
        for name, array in numbers.items():
            np.testing.assert_array_equal(fitted_numbers(estimator)[name], array, kind)
        for name, array in answers(estimator, frame).items():
            np.testing.assert_array_equal(array, expected[name], kind)
    n_epochs = len(numbers["loss_curve_"])
    assert not warm_start or estimator.fit(frame, y).n_iter_ > n_epochs


@every_class
def test_a_refused_partial_fit_leaves_the_old_model(row, X, y):
    """8."""
    estimator = row.make(**row.by_batch).partial_fit(X, y)
    expected = answers(estimator, X)
    for spoilt in (X * np.nan, X[:, :4], X * 1e300):
        with pytest.raises(ValueError, match="NaN|features|too large"):
            estimator.partial_fit(spoilt, y)
    for name, array in answers(estimator, X).items():
        np.testing.assert_array_equal(array, expected[name])
    assert len(estimator.loss_curve_) == 1


@every_class
def test_a_stream_equals_one_epoch(row, X):
    """8: k chunks of whole batches are one unshuffled pass."""
    params = {**row.by_batch, "batch_size": 16}
    rows = np.concatenate([X, X])[:96]
    y = labels(rows)
    whole = row.make(**params).partial_fit(rows, y).partial_fit(rows, y)
    for n_chunks in (2, 6):
        stream = row.make(**params).partial_fit(rows, y)
        for chunk in np.split(np.arange(96), n_chunks):
            stream.partial_fit(rows[chunk], y[chunk])
        assert_same_model(stream, whole)
        assert stream.n_iter_ == 1 + n_chunks
        np.testing.assert_allclose(np.mean(stream.loss_curve_[1:]), whole.loss_)
    for other in (np.arange(96)[::-1], np.roll(np.arange(96), 7)):
        reordered = row.make(**params).partial_fit(rows, y)
        reordered.partial_fit(rows[other], y[other])
        with pytest.raises(AssertionError):
            assert_same_model(reordered, whole)


@every_class
def test_warm_start_continues_as_if_never_stopped(row, X, y):
    """8: two fits of 2 epochs are one of 4, the optimizer's state included."""
    params = {**row.by_batch, "tol": 0.0, "n_iter_no_change": 100}
    for optimizer in ("adam", "sgd", "rmsprop"):
        params |= {"optimizer": optimizer, "max_epochs": 4}
        whole = row.make(**params).fit(X, y)
        halves = row.make(**params, warm_start=True).set_params(max_epochs=2)
        halves.fit(X, y)
        assert halves.n_iter_ == 2
        halves.fit(X, y)
        assert_same_model(halves, whole)
        assert halves.n_iter_ == len(halves.history_) == 4
        assert halves.loss_curve_ == whole.loss_curve_
        assert halves.loss_terms_ == whole.loss_terms_


@every_case
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_going_on_brings_no_jump(row, params, X, y):
    """8: the objective goes on where it was, in every configuration."""
    longer = {"max_epochs": 2 * row.fast["max_epochs"], **params}
    estimator = row.make(**longer, warm_start=True).fit(X, y)
    curve = list(estimator.loss_curve_)
    estimator.fit(X, y)
    assert estimator.loss_curve_[: len(curve)] == curve
    assert estimator.loss_curve_[len(curve)] < curve[-1] + 0.05 * abs(curve[-1])
    assert estimator.loss_curve_[len(curve)] < curve[0]
    lengths = {len(term) for term in estimator.loss_terms_.values()}
    assert lengths == {len(estimator.loss_curve_)} == {estimator.n_iter_}


@every_class
def test_partial_fit_goes_on_from_fit(row, X, y):
    """8: shift, scale and the score's unit stay those of the first rows."""
    estimator = row.make(**row.by_batch).set_params(max_epochs=30).fit(X, y)
    epochs, loss, score = estimator.n_iter_, estimator.loss_, estimator.score(X)
    for _ in range(3):
        estimator.partial_fit(X, y)
    assert estimator.n_iter_ == epochs + 3
    assert max(estimator.loss_curve_[-3:]) < loss + 0.05 * abs(loss)
    assert abs(estimator.score(X) - score) < 0.1
    moved = row.make(**row.by_batch).partial_fit(X, y)
    before = moved.score_samples(X[:5])
    # As many of each label as before.
    moved.set_params(learning_rate=1e-12).partial_fit(X[:21] + 3.0, y[:21])
    np.testing.assert_allclose(moved.score_samples(X[:5]), before, rtol=1e-4)


@every_class
def test_warm_start_refuses_another_shape(row, X, y):
    """8: and names the remedy."""
    estimator = row.make(warm_start=True).fit(X, y)
    expected = estimator.transform(X)
    with pytest.raises(ValueError, match="X has 5 features, but .* is expecting 6"):
        estimator.fit(X[:, :5], y)
    with pytest.raises(ValueError, match="shape of the net has changed.*warm_start"):
        estimator.set_params(n_components=3).fit(X, y)
    np.testing.assert_array_equal(estimator.transform(X), expected)
    assert estimator.set_params(warm_start=False).fit(X, y).transform(X).shape[1] == 3


@every_class
def test_partial_fit_refuses_early_stopping_and_lbfgs_has_none(row, X, y):
    """8."""
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        row.make(**row.by_batch, early_stopping=True).partial_fit(X, y)
    with pytest.raises(AttributeError, match="partial_fit"):
        row.make(optimizer="lbfgs").partial_fit(X, y)
    assert not hasattr(row.make(optimizer="lbfgs"), "partial_fit")


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(estimator):
    data = skops.io.dumps(estimator)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


def through_file(estimator, path):
    estimator.save(path)
    return sklearn_ae.load(path)


def copies_of(estimator, path):
    """Answer what each container gives back, by its name."""
    found = {
        "pickle": pickle.loads(pickle.dumps(estimator)),
        "joblib": through_joblib(estimator),
        "deepcopy": copy.deepcopy(estimator),
        "skops": through_skops(estimator),
    }
    if not any(callable(value) for value in estimator.get_params().values()):
        found["file"] = through_file(estimator, path)
        # Of what was read from one.
        found["pickle"] = pickle.loads(pickle.dumps(found["file"]))
    return found


@every_case
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_starts_of_copies(row, params, X, y, tmp_path):
    """8, 22b: `fit` goes on bit by bit as in memory, from whatever it was kept in."""
    estimator = row.make(**params, warm_start=True).fit(X, y)
    copies = copies_of(estimator, tmp_path / "file")
    for _ in range(2):
        expected = digest(estimator.fit(X, y), X)
        for name, copied in copies.items():
            assert digest(copied.fit(X, y), X) == expected, name


@every_case
def test_streams_of_copies(row, params, X, y, tmp_path):
    """8, 22b: so does `partial_fit`, after `fit` and after itself."""
    estimator = row.make(**params)
    if not hasattr(estimator, "partial_fit") or estimator.early_stopping:
        return
    for first in ("partial_fit", "fit"):
        estimator = getattr(row.make(**params, warm_start=first == "fit"), first)(X, y)
        copies = copies_of(estimator, tmp_path / "file")
        expected = digest(estimator.partial_fit(X[:40], y[:40]), X)
        for name, copied in copies.items():
            assert digest(copied.partial_fit(X[:40], y[:40]), X) == expected, name


# Each class with one of them in turn, and both kinds of nets with all.
OPTIMIZERS = ("adam", "sgd", "rmsprop")
CLASSES_AND_OPTIMIZERS = [
    pytest.param(row, optimizer, id=f"{row.name}-{optimizer}")
    for i, row in enumerate(ROWS)
    for j, optimizer in enumerate(OPTIMIZERS)
    if i % 3 == j or row.cls in (Autoencoder, AdversarialAutoencoder)
]


@pytest.mark.parametrize(("row", "optimizer"), CLASSES_AND_OPTIMIZERS)
def test_copies_go_on_with_every_optimizer(row, optimizer, X, y, tmp_path):
    """8, 22b: with moments, momentum and squares; other than one that begins afresh."""
    params = {**row.by_batch, "optimizer": optimizer, "tol": 0.0, "warm_start": True}
    estimator = row.make(**params).fit(X, y)
    copies = copies_of(estimator, tmp_path / "file")
    forgetful = pickle.loads(pickle.dumps(estimator))
    forgetful._model.training_state = None
    expected = digest(estimator.fit(X, y), X)
    for name, copied in copies.items():
        assert digest(copied.fit(X, y), X) == expected, name
    assert digest(forgetful.fit(X, y), X) != expected


FOREIGN = {
    "class": torch.optim.NAdam,
    "partial": partial(torch.optim.AdamW, amsgrad=True),
    "another partial": partial(torch.optim.SGD, momentum=0.5),
    "average": torch.optim.ASGD,
    "sums": torch.optim.Adagrad,
    "signs": torch.optim.Rprop,
    "factors": torch.optim.Adafactor,
}


@pytest.mark.parametrize("optimizer", FOREIGN.values(), ids=FOREIGN)
def test_copies_go_on_with_optimizers_of_torch(optimizer, X, tmp_path):
    """8, 22b: whose state is one array or more for each parameter."""
    params = {"max_epochs": 3, "batch_size": 16, "tol": 0.0, "random_state": 0}
    params |= {"optimizer": optimizer, "learning_rate": 0.01}
    for warm_start in (True, False):
        estimator = Autoencoder(**params, warm_start=warm_start)
        estimator = estimator.fit(X) if warm_start else estimator.partial_fit(X)
        copies = copies_of(estimator, tmp_path / "file")
        assert set(copies) == {"pickle", "joblib", "deepcopy", "skops"}
        expected = digest(estimator.partial_fit(X), X)
        for name, copied in copies.items():
            assert digest(copied.partial_fit(X), X) == expected, name


def test_a_copy_goes_on_with_another_optimizer(X, tmp_path):
    """8: the state of one is nothing to another, in memory or from a file."""
    estimator = Autoencoder(max_epochs=2, random_state=0, warm_start=True).fit(X)
    for optimizer in ("sgd", "lbfgs", partial(torch.optim.Adam, amsgrad=True)):
        copied = pickle.loads(pickle.dumps(estimator)).set_params(optimizer=optimizer)
        twin = through_file(estimator, tmp_path / "file").set_params(
            optimizer=optimizer
        )
        assert_same_model(copied.fit(X), twin.fit(X))
    assert estimator._model.training_state is not None
