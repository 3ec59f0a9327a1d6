"""Weights of outer layers drawn by FilterDisplay."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import torch  # noqa: E402

from sklearn_ae import (  # noqa: E402
    Autoencoder,
    ConvolutionalAutoencoder,
    LSTMAutoencoder,
)
from sklearn_ae.displays import FilterDisplay  # noqa: E402

draw = FilterDisplay.from_estimator
PARTS = ("encoder", "decoder")


def fit(X, **params):
    params = {"hidden_layer_sizes": (6,), "max_epochs": 1, "random_state": 0} | params
    return Autoencoder(3, **params).fit(X)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_a_filter_is_what_a_unit_reads_or_writes(digits, part, tied):
    model = fit(digits[0], tied_weights=tied)
    display = draw(model, part=part)
    module = model.to_module()
    if part == "encoder":
        expected = module.encoder[0].weight
    else:
        last = module.decoder[-1]
        expected = last.directions
        # What the unit adds to a row, were the rest of the net not there.
        h = torch.zeros(7, 6)
        h[1:] = torch.eye(6)
        added = last(h)[1:] - last(h)[:1]
        np.testing.assert_allclose(display.rows, added.detach(), atol=1e-6)
    np.testing.assert_allclose(display.rows, expected.detach(), rtol=1e-6)
    assert display.rows.shape == (6, 64)
    assert display.artist_.get_array().shape == (2 * 9 - 1, 3 * 9 - 1)
    limit = np.abs(display.rows).max()
    assert display.artist_.get_clim() == (-limit, limit)
    order = {"encoder": "first", "decoder": "last"}[part]
    assert display.ax_.get_xlabel() == f"{order} layer of the {part}: 6 filters"


def test_the_first_filter_is_at_the_top_left():
    rows = np.arange(1.0, 6)[:, np.newaxis] * np.ones(16)
    array = FilterDisplay(rows).plot().artist_.get_array()
    assert array[0, 0] == 1
    assert array[0, -1] == 3
    assert array[-1, 0] == 4
    assert np.ma.count(array) == rows.size


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 8), (4, 3, 3)), ((3, 8, 8), (4, 3, 3, 3)), ((2, 8, 8), (8, 3, 3))],
)
@pytest.mark.parametrize("architecture", ["convolutional", "residual"])
def test_kernels(part, shape, expected, architecture):
    """Each channel is a picture of its own, unless there are three."""
    X = np.random.default_rng(0).uniform(size=(20, *shape))
    model = ConvolutionalAutoencoder(
        2, hidden_layer_sizes=(4, 5), architecture=architecture, max_epochs=1
    ).fit(X)
    display = draw(model, part=part)
    assert (len(display.rows), *display.image_shape) == expected
    module = getattr(model.to_module(), part)
    kernels = [w for w in module.parameters() if w.ndim == 4 and w.shape[-1] == 3]
    sizes = {float(w.detach().square().sum()) for w in kernels}
    found = (display.rows**2).sum()
    assert any(found == pytest.approx(size, rel=1e-5) for size in sizes)


def test_filters_have_the_shape_of_rows(digits):
    X = digits[0][:, :48]
    images = X.reshape(-1, 6, 8)
    assert tuple(draw(fit(X), images).image_shape) == (6, 8)
    assert draw(fit(X)).image_shape is None
    assert draw(fit(X), image_shape=(4, 12)).image_shape == (4, 12)
    with pytest.raises(ValueError, match=r"image_shape=\(5, 5\) holds 25 values"):
        draw(fit(X), image_shape=(5, 5))


def test_of_many_filters_those_of_the_largest_norms_are_drawn(digits):
    model = fit(digits[0], hidden_layer_sizes=(40,))
    every = draw(model).rows
    few = draw(model, n_filters=5)
    norms = np.linalg.norm(every, axis=1)
    kept = np.sort(np.argsort(norms)[-5:])
    np.testing.assert_array_equal(few.rows, every[kept])
    assert few.ax_.get_xlabel().endswith("5 of 40 filters")


def test_components_of_others_and_pipelines(digits, digits_pca):
    for part in PARTS:
        rows = draw(digits_pca, part=part).rows
        np.testing.assert_array_equal(rows, digits_pca.components_)
    piped = make_pipeline(StandardScaler(), fit(digits[0]))
    np.testing.assert_array_equal(draw(piped).rows, draw(piped[-1]).rows)


def test_what_has_no_filters_is_refused(digits):
    X = digits[0]
    with pytest.raises(NotFittedError, match="PCA instance is not fitted"):
        draw(PCA(2))
    with pytest.raises(NotFittedError, match="Autoencoder instance is not fitted"):
        draw(Autoencoder())
    tsne = TSNE(max_iter=250, perplexity=3, init="random").fit(X[:20])
    with pytest.raises(AttributeError, match="TSNE is no estimator of sklearn_ae"):
        draw(tsne)
    with pytest.raises(ValueError, match="part must be 'encoder' or 'decoder'"):
        draw(PCA(2).fit(X), part="middle")
    with pytest.raises(ValueError, match="n_filters == 0"):
        draw(PCA(2).fit(X), n_filters=0)
    recurrent = LSTMAutoencoder(2, hidden_layer_sizes=(4,), max_epochs=1)
    recurrent.fit(X[:20].reshape(20, 8, 8))
    for part in PARTS:
        with pytest.raises(ValueError, match=f"The {part} of LSTMAutoencoder has no"):
            draw(recurrent, part=part)
    assert plt.get_fignums() == []
