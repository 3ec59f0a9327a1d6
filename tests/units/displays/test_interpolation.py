"""Paths between rows drawn by InterpolationDisplay."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from sklearn_ae import Autoencoder  # noqa: E402
from sklearn_ae.displays import InterpolationDisplay  # noqa: E402
from units.displays.drawings import draw_paths  # noqa: E402


def draw(*arguments, **keywords):
    return InterpolationDisplay.from_estimator(*arguments, **keywords)


def labels_of(display):
    return [label.get_text() for label in display.ax_.get_xticklabels()]


def test_paths_are_decoded_from_the_line_between_two_codes(digits):
    X = digits[0]
    autoencoder = Autoencoder(4, max_epochs=3, random_state=0).fit(X)
    display = draw(autoencoder, X[:3], X[3:6], n_steps=5)
    np.testing.assert_array_equal(display.starts, X[:3])
    np.testing.assert_array_equal(display.ends, X[3:6])
    np.testing.assert_array_equal(display.steps, [0, 0.25, 0.5, 0.75, 1])
    assert display.rows.shape == (3, 5, 64)
    Z = autoencoder.transform(X[:6])
    for pair, k in np.ndindex(3, 5):
        t = display.steps[k]
        codes = (1 - t) * Z[pair] + t * Z[pair + 3]
        expected = autoencoder.inverse_transform([codes])[0]
        np.testing.assert_allclose(display.rows[pair, k], expected, rtol=1e-5)
    reconstructed = autoencoder.reconstruct(X[:6])
    np.testing.assert_allclose(display.rows[:, 0], reconstructed[:3], atol=1e-5)
    np.testing.assert_allclose(display.rows[:, -1], reconstructed[3:], atol=1e-5)


def test_paths_of_a_linear_model_are_lines_in_the_units_of_X(iris):
    X = iris[0] * 1000
    pipeline = make_pipeline(StandardScaler(), PCA(4)).fit(X)
    display = draw(pipeline, X[:2], X[-2:], n_steps=3)
    middle = (X[:2] + X[-2:]) / 2
    expected = np.stack([X[:2], middle, X[-2:]], axis=1)
    np.testing.assert_allclose(display.rows, expected)


def test_a_path_goes_from_left_to_right_between_its_rows_and_the_first_is_on_top(
    digits, digits_pca
):
    X = digits[0]
    display = draw(digits_pca, X[:3], X[3:6])
    assert display.rows.shape[1] == 9
    parts = [X[:3, np.newaxis], display.rows, X[3:6, np.newaxis]]
    gaps = []
    for artist, part in zip(display.artists_, parts, strict=True):
        array = artist.get_array()
        assert artist.origin == "upper"
        assert artist.get_clim() == (X[:6].min(), X[:6].max())
        assert array.shape == (3 * 9 - 1, part.shape[1] * 9 - 1)
        for pair, step in np.ndindex(part.shape[:2]):
            image = array[9 * pair : 9 * pair + 8, 9 * step : 9 * step + 8]
            np.testing.assert_array_equal(image, part[pair, step].reshape(8, 8))
        gaps += artist.get_extent()[:2]
    assert sorted(gaps) == gaps
    assert labels_of(display) == ["start", "0", "0.25", "0.5", "0.75", "1", "end"]
    np.testing.assert_allclose(
        display.ax_.get_xticks(), [0, 1.3, 3.3, 5.3, 7.3, 9.3, 10.6]
    )
    assert not display.ax_.yaxis_inverted()


def test_rows_that_are_no_images_are_lines_to_one_scale():
    display = draw_paths()
    starts, paths, ends = display.artists_
    assert [len(part.get_segments()) for part in (starts, paths, ends)] == [4, 12, 4]
    # The first pair is drawn on top, the last at the bottom.
    np.testing.assert_allclose(starts.get_segments()[-1][:, 1], [3.4, 2.6, 2.6, 2.6])
    np.testing.assert_allclose(ends.get_segments()[0][:, 1], [0.4, 0.4, 0.4, -0.4])
    np.testing.assert_allclose(paths.get_segments()[1][:, 1], np.zeros(4), atol=1e-12)
    assert paths.get_segments()[1][:, 0].mean() == pytest.approx(2.3)


@pytest.mark.parametrize("kind", ["frame", "polars", "sparse", "list"])
def test_rows_of_other_containers_are_drawn_alike(iris, kind):
    X = iris[0]

    def contain(rows):
        if kind == "polars":
            return pytest.importorskip("polars").DataFrame(rows, schema=list("abcd"))
        if kind == "frame":
            return pd.DataFrame(rows, columns=list("abcd"), index=rows[:, 0])
        return sparse.csr_array(rows) if kind == "sparse" else rows.tolist()

    svd = TruncatedSVD(2, random_state=0)
    if kind in ("frame", "polars"):
        svd.set_output(transform="pandas" if kind == "frame" else "polars")
    svd.fit(contain(X))
    display = draw(svd, contain(X[:3]), contain(X[-3:]), n_steps=3)
    np.testing.assert_array_equal(display.starts, X[:3])
    np.testing.assert_array_equal(display.ends, X[-3:])
    projection = svd.components_.T @ svd.components_
    np.testing.assert_allclose(display.rows[:, 1], (X[:3] + X[-3:]) / 2 @ projection)


def test_rows_with_a_shape_are_drawn_in_it():
    class Shaped:
        def transform(self, X):
            return X.reshape(len(X), -1)

        def inverse_transform(self, Z):
            return Z.reshape(-1, 3, 5)

    X = np.arange(30.0).reshape(2, 3, 5)
    display = draw(Shaped(), X, X + 1, n_steps=3)
    assert display.image_shape == (3, 5)
    np.testing.assert_array_equal(display.rows[:, 1], X.reshape(2, 15) + 0.5)
    assert display.artists_[0].get_array().shape == (2 * 4 - 1, 5)


def test_hundreds_of_pairs_are_on_one_axes(digits, digits_pca):
    X = digits[0]
    display = draw(digits_pca, X[:300], X[300:600])
    assert display.figure_.axes == [display.ax_]
    assert max(display.figure_.get_size_inches()) < 14


@pytest.mark.parametrize("n_steps", [2, 5, 6, 11, 30])
def test_no_label_covers_another(digits, digits_pca, n_steps):
    X = digits[0]
    display = draw(digits_pca, X[:2], X[2:4], n_steps=n_steps)
    display.figure_.canvas.draw()
    labels = [*display.ax_.get_xticklabels(), display.ax_.xaxis.label]
    assert len(labels) <= 9
    extents = [label.get_window_extent() for label in labels]
    for k, extent in enumerate(extents):
        assert extent.x0 >= 0
        assert extent.x1 <= display.figure_.bbox.x1
        assert not any(extent.overlaps(other) for other in extents[:k])


def test_artist_keywords_reach_every_part(digits, digits_pca):
    X = digits[0]
    display = draw(digits_pca, X[:2], X[2:4], artist_kw={"cmap": "viridis", "vmax": 9})
    assert {artist.get_cmap().name for artist in display.artists_} == {"viridis"}
    assert {artist.get_clim() for artist in display.artists_} == {(0, 9)}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_steps": 1}, "n_steps == 1, must be >= 2."),
        ({"X_end": np.ones((2, 64))}, "inconsistent numbers of samples: [3, 2]"),
        (
            {"image_shape": (8, 9)},
            "image_shape=(8, 9) holds 72 values, but a row has 64.",
        ),
    ],
)
def test_paths_that_cannot_be_drawn_are_refused(digits, digits_pca, keywords, message):
    keywords = {"X_start": digits[0][:3], "X_end": digits[0][3:6]} | keywords
    with pytest.raises(ValueError, match=" ") as caught:
        draw(digits_pca, **keywords)
    assert message in str(caught.value)
    assert plt.get_fignums() == []


def test_estimators_that_cannot_encode_and_decode_are_refused(iris):
    X = iris[0]

    class Narrow(PCA):
        def inverse_transform(self, Z):
            return Z

    with pytest.raises(AttributeError, match=r"^TSNE has no `transform`\.$"):
        draw(TSNE(), X[:2], X[2:4])
    with pytest.raises(ValueError, match="features") as caught:
        draw(Narrow(2).fit(X), X[:2], X[2:4])
    assert str(caught.value) == (
        "the rows that Narrow decodes have 2 features, those of X_start 4."
    )
    with pytest.raises(NotFittedError, match="PCA instance is not fitted"):
        draw(PCA(2), X[:2], X[2:4])
    assert plt.get_fignums() == []
