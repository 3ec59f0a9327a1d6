"""The shape of X: what nets take from it, and what they say of shapes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone

from sklearn_ae import Autoencoder, LSTMAutoencoder
from sklearn_ae.architectures import LSTM, Convolutional, Residual


def small(**params):
    defaults = {"hidden_layer_sizes": (3, 5), "max_epochs": 2, "random_state": 0}
    return Autoencoder(**(defaults | params))


SHAPES = {
    "image": (Convolutional(), (9, 20), 1),
    "image of one channel": (Convolutional(), (1, 9, 20), 1),
    "image of three channels": (Convolutional(kernel_size=4), (3, 9, 20), 3),
    "image that is no square": (Convolutional(), (4, 16), 1),
    "image by name": (Convolutional(dimensions=2), (2, 5, 7), 2),
    "signal": (Convolutional(dimensions=1), (2, 21), 2),
    "residual image": (Residual(), (5, 12), 1),
    "residual channels": (Residual(n_blocks=2), (3, 5, 6), 3),
}


@pytest.mark.parametrize(("spec", "shape", "channels"), SHAPES.values(), ids=SHAPES)
def test_shapes_are_taken_from_rows(spec, shape, channels):
    """The net is that of a spec with this shape, and the spec stays open."""
    images = np.random.default_rng(0).normal(size=(20, *shape))
    told = clone(spec).set_params(input_shape=shape)
    learned, expected = (small(architecture=spec).fit(images) for spec in (spec, told))
    assert learned.get_params()["architecture__input_shape"] is None
    assert learned.summary().equals(expected.summary())
    for rows in (images, images.reshape(20, -1)):
        assert_allclose(learned.transform(rows), expected.transform(rows), rtol=0)
        assert learned.reconstruct(rows).shape == rows.shape
    Z = learned.transform(images)
    assert learned.inverse_transform(Z).shape == images.shape
    first = next(p for p in learned.to_module().parameters() if p.ndim > 2)
    assert first.shape[1] == channels


@pytest.mark.parametrize(
    ("spec", "shape", "says"),
    [
        (
            Convolutional(),
            (2, 3, 4, 4),
            r"images are \(height, width\) or \(channels, h",
        ),
        (Residual(dimensions=2), (1, 2, 3, 4), "images are"),
        (Convolutional(dimensions=1), (3, 4, 4), r"signals are \(channels, length\)"),
        (Convolutional((4, 6)), (2, 12), r"architecture__input_shape=\(2, 12\)"),
        (Convolutional((3, 8, 9)), (8, 9, 3), r"X.transpose\(0, 3, 1, 2\)"),
        (Convolutional((2, 9), dimensions=1), (9, 2), r"X.transpose\(0, 2, 1\)"),
        (LSTM(), (2, 3, 4), r"sequences are \(n_steps, n_features_per_step\)"),
        (LSTM(4), (6, 2), "architecture__n_steps=6"),
        (LSTM(4), (3, 4), r"X.transpose\(0, 2, 1\)"),
        ("dense", (3, 4), r"dim 3.*X.reshape\(len\(X\), -1\)"),
    ],
    ids=str,
)
def test_shapes_that_a_net_cannot_have(spec, shape, says):
    """The message says what to do, by parameters that there are."""
    with pytest.raises(ValueError, match=says):
        small(architecture=spec).fit(np.zeros((5, *shape)))


@pytest.mark.parametrize(
    ("spec", "shape", "says"),
    [
        (Convolutional((32, 32, 3)), None, r"32 channels of 32 by 3 .*\(0, 3, 1, 2\)"),
        (Convolutional(), (32, 32, 3), r"32 channels of 32 by 3 .*\(3, 32, 32\)"),
        (Convolutional(dimensions=2), (8, 8, 1), "8 channels of 8 by 1 "),
        (Residual((9, 20, 4)), None, "9 channels of 20 by 4 "),
        (Residual(), (9, 20, 3), "9 channels of 20 by 3 "),
        (Convolutional(dimensions=1), (50, 3), r"50 channels of 3 .*\(0, 2, 1\)"),
        (Convolutional((50, 1), dimensions=1), None, "50 channels of 1 "),
        (LSTM(), (3, 40), r"3 step\(s\) of 40 features.*X.transpose\(0, 2, 1\)"),
        (LSTM(bidirectional=True), (1, 16), r"1 step\(s\) of 16 features"),
    ],
    ids=str,
)
def test_channels_that_seem_to_be_last(spec, shape, says):
    """A warning with the cure, once: it may be meant, and a model is not asked."""
    rows = np.random.default_rng(0).normal(size=(5, *(shape or spec.input_shape)))
    X = rows if shape else rows.reshape(5, -1)
    model = small(architecture=spec, hidden_layer_sizes=(2,), max_epochs=1)
    for fit in (model.fit, clone(model).partial_fit):
        with pytest.warns(UserWarning, match=says) as caught:
            fit(X)
        assert len(caught) == 1
        assert caught[0].filename == __file__
    model.partial_fit(X).transform(X)


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (Convolutional(), (3, 32, 32)),
        (Convolutional(), (1, 8, 8)),
        (Convolutional(), (64, 4, 4)),
        (Convolutional(), (4, 4, 4)),
        (Convolutional(), (30, 3)),
        (Convolutional(dimensions=1), (3, 50)),
        (Convolutional(dimensions=1), (8, 4)),
        (LSTM(), (40, 3)),
        (LSTM(), (4, 5)),
        (LSTM(3), (3, 40)),
    ],
    ids=str,
)
def test_channels_that_are_first(spec, shape):
    """Nothing is said (warnings are errors here)."""
    X = np.random.default_rng(0).normal(size=(5, *shape))
    fitted = small(architecture=spec, hidden_layer_sizes=(2,), max_epochs=1).fit(X)
    assert fitted.reconstruct(X).shape == X.shape


def test_steps_are_taken_from_rows():
    X = np.random.default_rng(0).normal(size=(30, 7, 3))
    learned, expected = (
        small(architecture=spec).fit(X) for spec in ("lstm", LSTM(n_steps=7))
    )
    assert learned.architecture == "lstm"
    for rows in (X, X.reshape(30, -1)):
        assert_allclose(learned.transform(rows), expected.transform(rows), rtol=0)
    assert learned.inverse_transform(learned.transform(X)).shape == X.shape
    assert learned.to_module().encoder.layers[0][0].lstm.input_size == 3


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (
            (5, 3),
            r"np.pad\(X, \(\(0, 0\), \(0, 2\), \(0, 0\)\), constant_values=np.nan",
        ),
        (
            (9, 3),
            r"cut longer sequences, X\[:, :7\], or fit to sequences that are padded",
        ),
        ((3, 7), r"put the steps first, X.transpose\(0, 2, 1\)"),
        ((7, 4), r"\(7, 4\), but \(7, 3\) is expected: reshape X, or fit to rows"),
        ((15,), r"15 features, but LSTM.* 21 .*np.pad\(X, \(\(0, 0\), \(0, 6\)\), "),
        ((24,), r"24 features, but LSTMAutoencoder is expecting 21 .*Cut.*X\[:, :21\]"),
        ((16,), "16 features, but LSTMAutoencoder is expecting 21 features as input.$"),
    ],
    ids=str,
)
def test_sequences_of_other_lengths(shape, says):
    """What is said can be done."""
    X = np.random.default_rng(0).normal(size=(10, 7, 3))
    model = LSTMAutoencoder(2, max_epochs=1, random_state=0).fit(X)
    others = np.random.default_rng(0).normal(size=(10, *shape))
    for call in (model.transform, model.score, model.partial_fit, model.reconstruct):
        with pytest.raises(ValueError, match=says):
            call(others)
    if shape == (5, 3):
        padded = np.pad(others, ((0, 0), (0, 2), (0, 0)), constant_values=np.nan)
        assert np.isfinite(model.transform(padded)).all()


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ("lstm", (10, 3)),
        ("lstm", (10, 1)),
        (LSTM(5), (5, 5)),
        *((Convolutional(), shape) for shape in [(9, 20), (1, 9, 20), (3, 9, 20)]),
        (Convolutional(dimensions=1), (2, 21)),
        (Residual(), (5, 12)),
    ],
    ids=str,
)
def test_a_single_row(spec, shape):
    """What is said can be done, whatever the row comes in."""
    X = np.random.default_rng(0).normal(size=(20, *shape))
    model = small(architecture=spec, hidden_layer_sizes=(3,), max_epochs=1).fit(X)
    row = X[0]
    for call in (model.transform, model.score, model.partial_fit, model.reconstruct):
        with pytest.raises(ValueError, match=r"single row is given as X\[np.newaxis\]"):
            call(row)
    with pytest.raises(ValueError, match=r"is given as np.asarray\(X\)\[np.newaxis\]"):
        model.transform(row.tolist())
    if len(shape) == 2:
        with pytest.raises(ValueError, match=r"given as np.asarray\(X\)\[np.newaxis"):
            model.transform(pd.DataFrame(row))
    with pytest.raises(ValueError, match=r"is given as X\[np.newaxis\]"):
        model.transform(torch.from_numpy(row))
    assert len(model.transform(row[np.newaxis])) == 1


def test_a_single_row_of_one_channel_or_of_another_length():
    random = np.random.default_rng(0)
    images = small(architecture="convolutional").fit(random.normal(size=(9, 1, 9, 20)))
    with pytest.raises(ValueError, match=r"given as X.reshape\(1, 1, 9, 20\)"):
        images.transform(np.ones((9, 20)))
    sequences = LSTMAutoencoder(2, max_epochs=1).fit(random.normal(size=(9, 10, 3)))
    for n_steps in (7, 12):
        says = r"single sequence is given as X\[np.newaxis\], and as long .*, 10 steps"
        with pytest.raises(ValueError, match=says):
            sequences.transform(np.ones((n_steps, 3)))


@pytest.mark.parametrize("steps", [1, 2])
def test_sequences_that_are_no_array(steps):
    """Lists, and arrays of objects."""
    ragged = [np.ones((n, 3)[:steps]) for n in (4, 5)]
    objects = np.empty(2, object)
    objects[:] = ragged
    for X in (ragged, objects):
        with pytest.raises(ValueError, match="padded with NaN at their end"):
            LSTMAutoencoder(2, max_epochs=1).fit(X)
        with pytest.raises(ValueError, match="setting an array element") as caught:
            small().fit(X)
        assert "NaN" not in str(caught.value)


def test_vectors_leave_the_shape_to_later_rows():
    """A first X of vectors has the net guess; a shape that agrees is then the rows'."""
    X = np.random.default_rng(0).normal(size=(10, 25))
    images = X.reshape(10, 5, 5)
    model = small(architecture="convolutional").partial_fit(X)
    assert model.inverse_transform(model.transform(images)).shape == X.shape
    model.partial_fit(images).partial_fit(X)
    assert model.inverse_transform(model.transform(X)).shape == images.shape
    for spec, others in (("convolutional", (1, 25)), ("lstm", (5, 5))):
        model = small(architecture=spec).partial_fit(X)
        with pytest.raises(ValueError, match="is expected: reshape X, or fit to rows"):
            model.partial_fit(X.reshape(10, *others))


def test_a_spec_of_one_s_own_takes_the_shape_too():
    """And is told of missing entries in the shape that it says."""

    @dataclass(eq=False, repr=False)
    class Steps(LSTM):
        def ended(self, X):
            assert X.ndim == 3
            return super().ended(X)

    X = np.random.default_rng(0).normal(size=(10, 4, 3))
    X[::2, 2:] = np.nan
    model = small(architecture=Steps(), hidden_layer_sizes=(3,)).fit(X)
    assert np.array_equal(np.isnan(model.reconstruct(X)), np.isnan(X))
    assert np.isnan(model.reconstruct(X.reshape(10, -1))).sum() == 30
