"""Targets are rows: of a shape, a scale and a place of their own."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from toys.predictor import BottleneckRegressor

import sklearn_ae
from sklearn_ae._data import rows
from sklearn_ae._files.registry import CLASSES


def small(**params):
    params = {"hidden_layer_sizes": (16,), "max_epochs": 4, "random_state": 0, **params}
    return BottleneckRegressor(4, **params)


def long(**params):
    return small(max_epochs=60, learning_rate=0.01, **params)


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(300, 6))


@pytest.fixture(scope="module")
def Y(X):
    return np.tanh(X) @ np.random.default_rng(1).normal(size=(6, 4))


@pytest.mark.parametrize("shape", [(), (4,), (2, 2), (1, 4)])
def test_predictions_have_the_shape_of_targets(X, Y, shape):
    y = Y[:, 0] if shape == () else Y.reshape(-1, *shape)
    fitted = long().fit(X, y)
    assert fitted.predict(X).shape == y.shape
    assert fitted.predict(X[:1]).shape == (1, *shape)
    assert (
        fitted.score(X, y)
        > 0.95
        > LinearRegression().fit(X, y.reshape(300, -1)).score(X, y.reshape(300, -1))
    )
    with pytest.raises(ValueError, match="y has targets of shape"):
        fitted.partial_fit(X, Y[:, :3])


def test_the_score(X, Y):
    """Of vectors as in scikit-learn, with weights too; of images that of all pixels."""
    fitted, w = small().fit(X, Y), np.arange(300.0)
    assert fitted.score(X, Y, w) == r2_score(Y, fitted.predict(X), sample_weight=w)
    images = (Y * [1, 100, 1, 1]).reshape(-1, 2, 2)
    fitted = small().fit(X, images)
    error = np.square(images - fitted.predict(X)).sum()
    expected = 1 - error / np.square(images - images.mean(axis=0)).sum()
    assert fitted.score(X, images) == pytest.approx(expected)


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_targets_have_units_of_their_own(X, Y, factor):
    plain = long().fit(X, Y)
    scaled = long().fit(1000 * X + 7, factor * Y + 1000 * factor)
    assert scaled.score(1000 * X + 7, factor * Y + 1000 * factor) == pytest.approx(
        plain.score(X, Y), abs=0.01
    )
    assert scaled.loss_ == pytest.approx(factor**2 * plain.loss_, rel=0.2)


def test_precision_follows_the_rows(X, Y):
    fitted = small().fit(X, Y.astype("f4"))
    assert fitted.predict(X).dtype == np.float64
    assert fitted.predict(X.astype("f4")).dtype == np.float32


@pytest.mark.parametrize("stops", [False, True])
def test_targets_on_disk_are_read_batch_by_batch(X, Y, stops, tmp_path, monkeypatch):
    """To the same bits, whether they are in memory or not."""
    params = {"early_stopping": stops, "max_epochs": 30, "tol": 1.0} if stops else {}
    expected = small(**params).fit(X, Y).predict(X)
    np.save(tmp_path / "Y.npy", Y)
    mapped = np.load(tmp_path / "Y.npy", mmap_mode="r")
    monkeypatch.setattr(rows, "_MAPPED_BYTES", 100)
    read = []
    take = rows.RowSource._read
    monkeypatch.setattr(
        rows.RowSource,
        "_read",
        lambda self, part: read.append((self.n_features, part)) or take(self, part),
    )
    np.testing.assert_array_equal(small(**params).fit(X, mapped).predict(X), expected)
    sizes = [len(p) for width, p in read if width == 4 and isinstance(p, np.ndarray)]
    assert max(sizes) == 32


def test_training_goes_on(X, Y):
    """With the shift, the scale and the shape of the first targets, bit by bit."""
    whole = small(max_epochs=6).fit(X, Y).predict(X)
    half = small(max_epochs=3, warm_start=True).fit(X, Y)
    for part in (pickle.loads(pickle.dumps(half)), half):
        np.testing.assert_array_equal(part.fit(X, Y).predict(X), whole)
    streamed = small().partial_fit(X[:150], Y[:150]).partial_fit(X[150:], 3 * Y[150:])
    np.testing.assert_allclose(
        streamed._model.moments.target.mean, Y[:150].mean(axis=0)
    )
    assert small(optimizer="lbfgs").fit(X, Y).score(X, Y) > 0.9


def test_files_keep_the_targets(X, Y, tmp_path, monkeypatch):
    monkeypatch.setitem(CLASSES, "BottleneckRegressor", BottleneckRegressor)
    fitted = small().fit(X, Y.reshape(-1, 2, 2))
    fitted.save(tmp_path / "regressor")
    loaded = sklearn_ae.load(tmp_path / "regressor")
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_the_loss_is_that_of_targets(X, Y):
    """Its medians, its range, and its output."""
    y = (Y > 0).astype(float)
    fitted = long(loss="binary_cross_entropy").fit(X, y)
    assert 0 <= fitted.predict(X).min() < 0.2
    assert 0.8 < fitted.predict(X).max() <= 1
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        small(loss="binary_cross_entropy").fit(X, Y)
    robust = small(loss="correntropy").fit(X, Y)._model.moments
    np.testing.assert_array_equal(robust.target.shift, np.median(Y, axis=0))
    np.testing.assert_array_equal(robust.shift, robust.mean)


def test_images_become_images(X):
    """By convolutions on both sides, each with the shape of its own rows."""
    pictures = X[:, :4].reshape(-1, 2, 2).repeat(4, axis=1).repeat(4, axis=2)
    small_ones = pictures[:, ::2, ::2] ** 2
    convolutional = {"architecture": "convolutional", "hidden_layer_sizes": (4, 8)}
    fitted = small(**convolutional, batch_size=32).fit(pictures, small_ones)
    assert fitted.predict(pictures).shape == small_ones.shape == (300, 4, 4)


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (None, "requires y to be passed"),
        (np.full(300, np.nan), "Input y contains NaN"),
        (np.zeros(299), "inconsistent numbers of samples"),
        (np.zeros((300, 0)), "minimum of 1 is required|nothing to predict"),
        (np.array(["a"] * 300), "dtype='numeric'|could not convert"),
    ],
)
def test_targets_that_are_refused(X, Y, y, says):
    fitted = small().fit(X, Y)
    expected = fitted.predict(X)
    with pytest.raises(ValueError, match=says):
        fitted.fit(X, y)
    np.testing.assert_array_equal(fitted.predict(X), expected)


def test_it_is_at_home_in_scikit_learn(X, Y):
    pipeline = make_pipeline(StandardScaler(), small())
    grid = {"bottleneckregressor__learning_rate": [1e-4, 1e-2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
    assert search.best_params_ == {"bottleneckregressor__learning_rate": 1e-2}
    assert repr(clone(small())) == repr(small())


@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(small(learning_rate=0.01, max_epochs=30))),
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)
