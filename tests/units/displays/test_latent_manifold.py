"""Grids of decoded codes drawn by LatentManifoldDisplay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from sklearn_ae import (  # noqa: E402
    Autoencoder,
    ConditionalVariationalAutoencoder,
)
from sklearn_ae.displays import LatentManifoldDisplay  # noqa: E402


class NormalAutoencoder(Autoencoder):
    """Says that its codes have a standard normal prior."""

    def _prior_quantiles(self, probabilities):
        return np.repeat(norm.ppf(probabilities)[:, np.newaxis], self.n_components, 1)


@pytest.fixture(scope="module")
def normal(digits):
    return NormalAutoencoder(3, max_epochs=2, random_state=0).fit(digits[0])


def draw(*arguments, **keywords):
    return LatentManifoldDisplay.from_estimator(*arguments, **keywords)


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_the_grid_is_at_the_quantiles_of_the_prior(normal):
    display = draw(normal, grid_size=5)
    expected = norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(display.x_codes, expected)
    np.testing.assert_allclose(display.y_codes, expected)
    assert display.rows.shape == (5, 5, 64)
    for i, j in np.ndindex(5, 5):
        decoded = normal.inverse_transform([[expected[j], expected[i], 0.0]])[0]
        np.testing.assert_allclose(display.rows[i, j], decoded, rtol=1e-6)
    assert display.ax_.get_xlabel() == "normalautoencoder0"
    assert display.ax_.get_ylabel() == "normalautoencoder1"
    assert draw(normal).rows.shape == (20, 20, 64)


def test_the_grid_is_at_the_quantiles_of_the_codes_of_X(digits, digits_pca, normal):
    X = digits[0]
    for estimator in (digits_pca, normal):
        display = draw(estimator, X, grid_size=4, components=(2, 0))
        Z = estimator.transform(X)
        shares = np.linspace(0.01, 0.99, 4)
        np.testing.assert_allclose(display.x_codes, np.quantile(Z[:, 2], shares))
        np.testing.assert_allclose(display.y_codes, np.quantile(Z[:, 0], shares))
        codes = np.median(Z, axis=0)
        codes[[2, 0]] = display.x_codes[3], display.y_codes[1]
        decoded = estimator.inverse_transform([codes])[0]
        np.testing.assert_allclose(display.rows[1, 3], decoded, atol=1e-5)
    assert display.ax_.get_xlabel() == "normalautoencoder2"


@pytest.mark.parametrize("grid_size", [2, 5, 20])
def test_the_grid_has_the_range_of_the_codes(digits, digits_pca, grid_size):
    """Of all but the outermost, however few its lines are."""
    X = digits[0]
    display = draw(digits_pca, X, grid_size=grid_size)
    for axis, codes in enumerate((display.x_codes, display.y_codes)):
        z = digits_pca.transform(X)[:, axis]
        within = (z >= codes[0]) & (z <= codes[-1])
        assert 0.97 < within.mean() < 1
        assert codes[-1] - codes[0] > 0.7 * np.ptp(z)


def test_rows_far_from_all_codes_do_not_make_the_others_grey():
    class Exploding:
        def transform(self, X):
            return X[:, :2]

        def inverse_transform(self, Z):
            far = np.abs(Z).max(axis=1) > 2
            return np.where(far[:, np.newaxis], 100.0, 1) * np.arange(16) / 15

    X = np.random.RandomState(0).normal(size=(1000, 16))
    for image_shape, limits in (((4, 4), (0, 1)), ((16,), None)):
        display = draw(Exploding(), X, image_shape=image_shape, grid_size=30)
        assert display.rows.max() == 100
        if limits is not None:
            np.testing.assert_allclose(display.artist_.get_clim(), limits)
        else:
            heights = np.array(display.artist_.get_segments())[..., 1]
            assert heights.min() > -0.5
            assert heights.max() < 29.5


@pytest.mark.parametrize("components", [1, (1,), np.int64(1)])
def test_one_component_is_a_strip(normal, components):
    display = draw(normal, grid_size=6, components=components)
    assert display.rows.shape == (1, 6, 64)
    assert display.y_codes is None
    codes = np.zeros((6, 3))
    codes[:, 1] = display.x_codes
    expected = normal.inverse_transform(codes)
    np.testing.assert_allclose(display.rows[0], expected, rtol=1e-6)
    assert display.ax_.get_xlabel() == "normalautoencoder1"
    assert display.ax_.get_ylabel() == ""
    assert len(display.ax_.get_yticks()) == 0


def test_a_code_of_one_component_is_a_strip(iris):
    X = iris[0]
    assert draw(PCA(1).fit(X), X, grid_size=3).rows.shape == (1, 3, 4)


def test_the_prior_of_a_pipeline_is_that_of_its_last_step(digits):
    X = digits[0]
    pipeline = make_pipeline(StandardScaler(), NormalAutoencoder(2, max_epochs=1))
    display = draw(pipeline.fit(X), grid_size=3)
    np.testing.assert_allclose(display.x_codes, norm.ppf([1 / 6, 1 / 2, 5 / 6]))
    decoded = pipeline.inverse_transform([[display.x_codes[2], display.y_codes[0]]])
    np.testing.assert_allclose(display.rows[0, 2], decoded[0], rtol=1e-5)


def test_the_first_component_goes_right_and_the_second_up():
    rows = np.arange(2 * 3 * 16.0).reshape(2, 3, 16)
    display = LatentManifoldDisplay(rows, np.arange(3.0), np.arange(2.0)).plot()
    image, array = display.artist_, display.artist_.get_array()
    left, right, low, high = extent = image.get_extent()
    # A gap of one pixel: 4 of 5 in a cell are the row's.
    np.testing.assert_allclose(extent, [-0.4, 2.4, -0.4, 1.4])
    height, width = array.shape
    assert image.origin == "upper"
    for i, j in np.ndindex(2, 3):
        # The four pixels on each side of a tick are the row's, upright.
        column = round((j - left) / (right - left) * width)
        line = round((high - i) / (high - low) * height)
        cell = array[line - 2 : line + 2, column - 2 : column + 2]
        np.testing.assert_array_equal(cell, rows[i, j].reshape(4, 4))
    assert np.ma.count(array) == rows.size
    np.testing.assert_array_equal(display.ax_.get_xticks(), [0, 1, 2])
    assert labels_of(display.ax_.xaxis) == ["0.00", "1.00", "2.00"]
    assert labels_of(display.ax_.yaxis) == ["0.00", "1.00"]
    assert not display.ax_.yaxis_inverted()
    assert image.get_clim() == (0, 95)
    display.figure_.canvas.draw()
    origin, right, up = display.ax_.transData.transform([[0, 0], [1, 0], [0, 1]])
    assert right[0] - origin[0] == pytest.approx(up[1] - origin[1])


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 8, 20, 21])
def test_ticks_are_few_and_symmetric(n):
    codes = norm.ppf((np.arange(n) + 0.5) / n)
    display = LatentManifoldDisplay(np.ones((1, n, 16)), codes).plot()
    ticks = display.ax_.get_xticks()
    assert len(ticks) == min(n, 6 - (n > 6) * n % 2)
    np.testing.assert_array_equal(ticks + ticks[::-1], n - 1)
    labels = [f"{codes[int(tick)]:z.2f}" for tick in ticks]
    assert labels_of(display.ax_.xaxis) == labels


@pytest.mark.parametrize(
    ("codes", "labels"),
    [
        ([-300.0, 0.0, 500.0], ["-300", "0", "500"]),
        ([0.001, 0.002, 0.003], ["0.00100", "0.00200", "0.00300"]),
        ([2.0, 2.0, 2.0], ["2.00", "2.00", "2.00"]),
        ([-20.0, -0.01, 20.0], ["-20.0", "0.0", "20.0"]),
    ],
)
def test_ticks_have_the_decimals_that_tell_codes_apart(codes, labels):
    display = LatentManifoldDisplay(np.ones((1, 3, 16)), np.array(codes)).plot()
    assert labels_of(display.ax_.xaxis) == labels


def test_rows_that_are_no_images_are_lines_in_their_cells(iris):
    X = iris[0]
    display = draw(PCA(2).fit(X), X, grid_size=3)
    lines = display.artist_.get_segments()
    low, high = display.rows.min(), display.rows.max()
    assert len(lines) == 9
    for line, (i, j) in zip(lines, np.ndindex(3, 3), strict=True):
        heights = (display.rows[i, j] - low) / (high - low)
        np.testing.assert_allclose(line[:, 0], j + np.linspace(-0.4, 0.4, 4))
        np.testing.assert_allclose(line[:, 1], i + 0.8 * heights - 0.4)


@pytest.mark.parametrize(
    ("n_features", "image_shape", "is_image"),
    [(16, None, True), (9, None, False), (20, (4, 5), True), (16, (16,), False)],
)
def test_square_rows_are_images_and_others_lines(n_features, image_shape, is_image):
    rows = np.random.RandomState(0).rand(2, 2, n_features)
    codes = np.arange(2)
    display = LatentManifoldDisplay(rows, codes, codes, image_shape=image_shape).plot()
    assert len(display.ax_.images) == is_image
    assert bool(display.ax_.collections) != is_image


def test_decoded_rows_with_a_shape_are_drawn_in_it():
    class Shaped:
        def transform(self, X):
            return X[:, :2]

        def inverse_transform(self, Z):
            return np.ones((len(Z), 3, 5))

    display = draw(Shaped(), np.eye(4), grid_size=2)
    assert display.image_shape == (3, 5)
    assert display.rows.shape == (2, 2, 15)
    assert display.artist_.get_array().shape == (7, 11)
    assert display.ax_.get_ylabel() == "component 2"


@pytest.mark.parametrize("image_shape", [(3, 4, 5), (4, 5, 3)])
def test_three_channels_come_first_or_last_and_share_one_scale(image_shape):
    rows = np.random.RandomState(0).uniform(-100, 300, size=(1, 2, 60))
    display = LatentManifoldDisplay(rows, np.arange(2), image_shape=image_shape).plot()
    scaled = (rows - rows.min()) / (rows.max() - rows.min())
    images = scaled[0].reshape(2, *image_shape)
    if image_shape[0] == 3:
        images = np.moveaxis(images, 1, -1)
    array = display.artist_.get_array()
    assert array.shape == (4, 11, 3)
    np.testing.assert_allclose(array[:, :5], images[0])
    np.testing.assert_allclose(array[:, 6:], images[1])


def test_one_feature_and_constant_rows_are_drawn():
    for n_features in (1, 3, 16):
        display = LatentManifoldDisplay(np.ones((1, 2, n_features)), np.arange(2))
        display.plot().figure_.canvas.draw()
        assert display.ax_.has_data()


@pytest.mark.parametrize("image_shape", [None, (64,)])
def test_no_label_covers_another(digits, digits_pca, image_shape):
    display = draw(digits_pca, digits[0], image_shape=image_shape)
    display.figure_.canvas.draw()
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        extents = [text.get_window_extent() for text in axis.get_ticklabels()]
        extents.append(axis.label.get_window_extent())
        for k, extent in enumerate(extents):
            assert extent.x0 >= 0
            assert extent.x1 <= display.figure_.bbox.x1
            assert not any(extent.overlaps(other) for other in extents[:k])


def test_artist_keywords_reach_images_and_lines():
    display = LatentManifoldDisplay(np.ones((1, 2, 16)), np.arange(2))
    display.plot(artist_kw={"cmap": "viridis", "vmin": -1})
    assert display.artist_.get_cmap().name == "viridis"
    assert display.artist_.get_clim() == (-1, 1)
    display.image_shape = (16,)
    display.plot(artist_kw={"color": "red", "linewidth": 3})
    np.testing.assert_array_equal(display.artist_.get_color()[0], [1, 0, 0, 1])
    assert display.artist_.get_linewidth() == [3]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"grid_size": 0}, "grid_size == 0, must be >= 1."),
        ({"components": 3}, "components=3 asks for a column that the code has not"),
        ({"components": (0, 1, 2)}, "must be one or two integers, got (0, 1, 2)."),
        (
            {"image_shape": (8, 9)},
            "image_shape=(8, 9) holds 72 values, but a row has 64.",
        ),
    ],
)
def test_grids_that_cannot_be_drawn_are_refused(normal, keywords, message):
    with pytest.raises(ValueError, match=" ") as caught:
        draw(normal, **keywords)
    assert message in str(caught.value)
    assert plt.get_fignums() == []


def test_estimators_without_a_prior_or_a_decoder_are_refused(digits, digits_pca):
    X = digits[0]

    class Decoder:
        def inverse_transform(self, Z):
            return Z

    autoencoder = Autoencoder(2, max_epochs=1).fit(X)
    for estimator in (digits_pca, autoencoder, make_pipeline(autoencoder)):
        with pytest.raises(ValueError, match="prior") as caught:
            draw(estimator)
        assert str(caught.value) == (
            f"{type(estimator).__name__} has no prior whose quantiles are known: pass "
            "X, and the quantiles of its codes are used."
        )
    with pytest.raises(AttributeError, match=r"^TSNE has no `inverse_transform`\.$"):
        draw(TSNE(), X)
    with pytest.raises(AttributeError, match=r"^Decoder has no `transform`\.$"):
        draw(Decoder(), X)
    with pytest.raises(NotFittedError, match="NormalAutoencoder instance is not"):
        draw(NormalAutoencoder())
    assert plt.get_fignums() == []


def test_a_label_of_choice(digits):
    """Of labelled rows: those of one label, or the average over labels."""
    X, y = digits[0], np.array(["odd", "even"])[np.arange(len(digits[0])) % 2]
    model = ConditionalVariationalAutoencoder(max_epochs=2, random_state=0).fit(X, y)
    display = draw(model, grid_size=3, label="odd")
    Z = np.stack(np.meshgrid(display.x_codes, display.y_codes), axis=-1).reshape(-1, 2)
    expected = model.inverse_transform(Z, "odd").reshape(3, 3, -1)
    np.testing.assert_allclose(display.rows, expected)
    expected = model.inverse_transform(Z).reshape(3, 3, -1)
    np.testing.assert_allclose(draw(model, grid_size=3).rows, expected)


def test_a_label_where_there_are_none(normal):
    with pytest.raises(ValueError, match=r"NormalAutoencoder .* label='odd'"):
        draw(normal, label="odd")
