"""Rows and their reconstructions drawn by ReconstructionDisplay."""

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

from sklearn_ae.displays import ReconstructionDisplay  # noqa: E402


def test_reconstructions_by_two_estimators_stand_under_the_originals(digits):
    X = digits[0]
    estimators = {"two": PCA(2).fit(X), "whole": PCA(64).fit(X)}
    display = ReconstructionDisplay.from_estimators(estimators, X, n_samples=4)
    np.testing.assert_array_equal(display.originals, X[:4])
    assert list(display.reconstructions) == ["two", "whole"]
    for name, pca in estimators.items():
        expected = pca.inverse_transform(pca.transform(X[:4]))
        np.testing.assert_array_equal(display.reconstructions[name], expected)
    assert display.axes_.shape == (3, 4)
    labels = [cells[0].get_ylabel() for cells in display.axes_]
    assert labels == ["original", "two", "whole"]
    rows = [display.originals, *display.reconstructions.values()]
    for cells, values in zip(display.axes_, rows, strict=True):
        for cell, row in zip(cells, values, strict=True):
            (image,) = cell.images
            np.testing.assert_array_equal(image.get_array(), row.reshape(8, 8))
            assert image.get_clim() == (X[:4].min(), X[:4].max())
            assert image.get_cmap().name == "gray"
            assert cell.get_aspect() == 1
            assert len(cell.get_xticks()) == len(cell.get_yticks()) == 0


def test_one_estimator_is_named_after_its_class(digits, digits_pca):
    X = digits[0]
    display = ReconstructionDisplay.from_estimator(digits_pca, X)
    assert display.axes_.shape == (2, 10)
    assert list(display.reconstructions) == ["PCA"]
    named = ReconstructionDisplay.from_estimator(
        digits_pca, X, name="five", n_samples=3, image_shape=(4, 16), random_state=1
    )
    assert list(named.reconstructions) == ["five"]
    assert named.axes_.shape == (2, 3)
    assert named.axes_[0, 0].images[0].get_array().shape == (4, 16)
    assert not np.array_equal(named.originals, X[:3])


def test_rows_are_the_first_or_chosen_by_the_seed(digits, digits_pca):
    X = digits[0][:7]

    def draw(n_samples, random_state=None):
        return ReconstructionDisplay.from_estimator(
            digits_pca, X, n_samples=n_samples, random_state=random_state
        ).originals

    np.testing.assert_array_equal(draw(3), X[:3])
    np.testing.assert_array_equal(draw(3, 0), draw(3, 0))
    assert not np.array_equal(draw(3, 0), draw(3, 2))
    chosen = draw(7, 0)
    assert not np.array_equal(chosen, X)
    np.testing.assert_array_equal(np.unique(chosen, axis=0), np.unique(X, axis=0))
    assert len(draw(8)) == len(draw(8, 0)) == 7


def test_reconstruct_is_preferred_to_the_two_transforms(digits):
    class Halving(PCA):
        def reconstruct(self, X):
            return X / 2

    X = digits[0]
    display = ReconstructionDisplay.from_estimator(Halving(2).fit(X), X, n_samples=2)
    np.testing.assert_array_equal(display.reconstructions["Halving"], X[:2] / 2)


def test_only_the_drawn_rows_are_reconstructed(digits):
    class Counting(PCA):
        def reconstruct(self, X):
            self.n_rows = len(X)
            return X

    counting = Counting(2).fit(digits[0])
    ReconstructionDisplay.from_estimator(counting, digits[0], n_samples=3)
    assert counting.n_rows == 3


@pytest.mark.parametrize("kind", ["frame", "polars", "sparse", "list"])
def test_rows_of_other_containers_are_drawn_alike(iris, kind):
    X = iris[0]
    if kind == "polars":
        frame = pytest.importorskip("polars").DataFrame(X, schema=list("abcd"))
    frame = {
        "frame": lambda: pd.DataFrame(X, columns=list("abcd"), index=X[:, 0]),
        "polars": lambda: frame,
        "sparse": lambda: sparse.csr_array(X),
        "list": lambda: X.tolist(),
    }[kind]()
    svd = TruncatedSVD(2, random_state=0)
    if kind in ("frame", "polars"):
        svd.set_output(transform="pandas" if kind == "frame" else "polars")
    svd.fit(frame)
    display = ReconstructionDisplay.from_estimator(svd, frame, n_samples=3)
    np.testing.assert_array_equal(display.originals, X[:3])
    codes = X[:3] @ svd.components_.T
    expected = codes @ svd.components_
    np.testing.assert_allclose(display.reconstructions["TruncatedSVD"], expected)


def test_a_pipeline_is_reconstructed_in_the_units_of_X(iris):
    X = iris[0] * 1000
    pipeline = make_pipeline(StandardScaler(), PCA(4)).fit(X)
    display = ReconstructionDisplay.from_estimator(pipeline, X, n_samples=3)
    np.testing.assert_allclose(display.reconstructions["Pipeline"], X[:3])


def test_rows_with_a_shape_are_drawn_in_it():
    class Shaped:
        def reconstruct(self, X):
            assert X.shape == (2, 3, 5)
            return X + 1

    X = np.arange(30).reshape(2, 3, 5)
    display = ReconstructionDisplay.from_estimator(Shaped(), X)
    assert display.image_shape == (3, 5)
    assert display.originals.shape == (2, 15)
    np.testing.assert_array_equal(display.axes_[1, 1].images[0].get_array(), X[1] + 1)


@pytest.mark.parametrize(
    ("n_features", "image_shape", "is_image"),
    [
        (16, None, True),
        (9, None, False),
        (20, None, False),
        (20, (4, 5), True),
        (16, (16,), False),
    ],
)
def test_square_rows_are_images_and_others_lines(n_features, image_shape, is_image):
    X = np.random.RandomState(0).rand(3, n_features)
    display = ReconstructionDisplay(X, {"model": X / 2}, image_shape=image_shape).plot()
    for cell in display.axes_.ravel():
        assert len(cell.images) == is_image
        assert bool(cell.lines) != is_image


def test_lines_share_one_scale_and_show_the_original_behind():
    X = np.array([[0.0, 1.0, 2.0], [5.0, 6.0, 10.0]])
    display = ReconstructionDisplay(X, {"model": X + 0.5}).plot()
    for column in range(2):
        (original,) = display.axes_[0, column].lines
        behind, line = display.axes_[1, column].lines
        np.testing.assert_array_equal(original.get_ydata(), X[column])
        np.testing.assert_array_equal(behind.get_ydata(), X[column])
        np.testing.assert_array_equal(line.get_ydata(), X[column] + 0.5)
    assert {cell.get_ylim() for cell in display.axes_.ravel()} == {(-1.0, 11.0)}
    labels = [[cell.get_xlabel() for cell in cells] for cells in display.axes_]
    assert labels == [["", ""], ["feature", "feature"]]


@pytest.mark.parametrize("image_shape", [(1, 2, 4), (2, 4, 1)])
def test_one_channel_is_grey(image_shape):
    X = np.arange(16.0).reshape(2, 8)
    display = ReconstructionDisplay(X, {"model": X}, image_shape=image_shape).plot()
    image = display.axes_[0, 1].images[0]
    np.testing.assert_array_equal(image.get_array(), X[1].reshape(2, 4))
    assert image.get_clim() == (0, 15)


def test_three_channels_come_first_or_last_and_share_one_scale():
    X = np.random.RandomState(0).uniform(-100, 300, size=(2, 3, 4, 5))
    scaled = (X - X.min()) / (X.max() - X.min())
    first = ReconstructionDisplay(
        X.reshape(2, 60), {"double": 2 * X.reshape(2, 60)}, image_shape=(3, 4, 5)
    ).plot()
    expected = np.moveaxis(scaled[0], 0, -1)
    np.testing.assert_allclose(first.axes_[0, 0].images[0].get_array(), expected)
    double = (2 * X[0] - X.min()) / (X.max() - X.min())
    expected = np.moveaxis(double, 0, -1).clip(0, 1)
    np.testing.assert_allclose(first.axes_[1, 0].images[0].get_array(), expected)
    last = np.moveaxis(X, 1, -1).reshape(2, 60)
    display = ReconstructionDisplay(last, {"a": last}, image_shape=(4, 5, 3)).plot()
    np.testing.assert_allclose(
        display.axes_[0, 1].images[0].get_array(), np.moveaxis(scaled[1], 0, -1)
    )


def test_errors_are_the_mean_over_the_features():
    X = np.array([[1.0, 2.0, 3.0, 4.0], [np.nan, 0.0, 0.0, 0.0]])
    display = ReconstructionDisplay(X, {"model": X * 0 + 1}).plot(errors=True)
    titles = [[cell.get_title() for cell in cells] for cells in display.axes_]
    assert titles == [["", ""], ["error 3.5", "error 1"]]
    silent = display.plot()
    assert all(cell.get_title() == "" for cell in silent.axes_.ravel())


@pytest.mark.parametrize("image_shape", [None, (64,)])
def test_no_text_covers_a_picture(digits, digits_pca, image_shape):
    display = ReconstructionDisplay.from_estimators(
        {"a name of some length": digits_pca, "b": digits_pca},
        digits[0],
        n_samples=4,
        image_shape=image_shape,
        errors=True,
    )
    figure = display.figure_
    figure.canvas.draw()
    texts = [cell.title for cell in display.axes_[1:].ravel()]
    texts += [cells[0].yaxis.label for cells in display.axes_]
    for text in texts:
        extent = text.get_window_extent()
        assert extent.width > 0
        assert not any(extent.overlaps(cell.bbox) for cell in display.axes_.ravel())
        assert extent.x0 >= 0
        assert extent.x1 <= figure.bbox.x1


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e4])
@pytest.mark.parametrize("layout", ["new", None, "constrained"])
@pytest.mark.parametrize("image_shape", [None, (64,)])
def test_no_error_runs_into_the_next_cell(
    digits, digits_pca, scale, layout, image_shape
):
    """However small the cells are, and in whatever units."""
    X = digits[0] * scale
    pca = PCA(2, random_state=0).fit(X)
    ax, keywords = None, {"image_shape": image_shape, "errors": True}
    keywords["n_samples"] = 10 if image_shape is None else 5
    if layout != "new":
        _, (left, ax) = plt.subplots(1, 2, figsize=(8, 4), layout=layout)
        left.plot([0, 1])
    estimators = {"PCA": pca, "a longer name": pca}
    display = ReconstructionDisplay.from_estimators(estimators, X, ax=ax, **keywords)
    display.figure_.canvas.draw()
    for cell in display.axes_[1:].ravel():
        extent = cell.title.get_window_extent()
        assert extent.width > 0
        assert extent.x0 >= cell.bbox.x0 - 0.5
        assert extent.x1 <= cell.bbox.x1 + 0.5
        assert cell.title.get_fontsize() > 3
    if ax is not None:
        names = [cells[0].yaxis.label.get_window_extent() for cells in display.axes_]
        assert all(name.x0 > left.bbox.x1 for name in names)
        cells = [cell.bbox for cell in display.axes_.ravel()]
        assert not any(name.overlaps(cell) for name in names for cell in cells)


def test_large_errors_have_no_exponent():
    X = np.zeros((1, 4))
    display = ReconstructionDisplay(X, {"model": X + 42}).plot(errors=True)
    assert display.axes_[1, 0].get_title() == "error 1800"


def test_constant_rows_are_drawn():
    X = np.ones((2, 48))
    for image_shape in [(48,), (3, 4, 4)]:
        display = ReconstructionDisplay(X, {"a": X}, image_shape=image_shape).plot()
        display.figure_.canvas.draw()
        assert all(cell.has_data() for cell in display.axes_.ravel())


def test_one_axes_is_divided_and_an_array_is_filled():
    X = np.random.RandomState(0).rand(3, 16)
    display = ReconstructionDisplay(X, {"model": X})
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    right.plot([0, 1])
    display.plot(left)
    assert display.figure_ is figure
    assert display.bounding_ax_ is left
    assert not left.axison
    assert display.axes_.shape == (2, 3)
    figure.canvas.draw()
    assert all(cell.bbox.x1 < right.bbox.x0 for cell in display.axes_.ravel())
    figure, axes = plt.subplots(2, 3)
    display.plot(axes)
    assert display.figure_ is figure
    assert display.bounding_ax_ is None
    assert (display.axes_ == axes).all()
    assert all(cell.images for cell in axes.ravel())


def test_artist_keywords_reach_images_and_lines():
    X = np.random.RandomState(0).rand(2, 16)
    display = ReconstructionDisplay(X, {"model": X})
    display.plot(artist_kw={"cmap": "viridis", "vmin": -1})
    image = display.axes_[1, 0].images[0]
    assert image.get_cmap().name == "viridis"
    assert image.get_clim() == (-1, X.max())
    display.image_shape = (16,)
    display.plot(artist_kw={"color": "red"})
    assert display.axes_[1, 0].lines[-1].get_color() == "red"


@pytest.mark.parametrize(
    ("image_shape", "message"),
    [
        ((8, 9), "image_shape=(8, 9) holds 72 values, but a row has 64."),
        (
            (2, 8, 4),
            "image_shape must be (height, width), with 1 or 3 channels before or after "
            "them, or (n_features,) for a line; got (2, 8, 4).",
        ),
    ],
)
def test_an_image_shape_that_does_not_hold_a_row_is_refused(image_shape, message):
    X = np.zeros((2, 64))
    display = ReconstructionDisplay(X, {"model": X}, image_shape=image_shape)
    with pytest.raises(ValueError, match="image_shape") as caught:
        display.plot()
    assert str(caught.value) == message
    assert plt.get_fignums() == []


def test_axes_that_do_not_fit_are_refused():
    display = ReconstructionDisplay(np.eye(4), {"model": np.eye(4)})
    with pytest.raises(ValueError, match=r"ax must have shape \(2, 4\), got \(2, 3\)."):
        display.plot(plt.subplots(2, 3)[1])
    loose = plt.figure().add_axes((0.1, 0.1, 0.5, 0.5))
    with pytest.raises(ValueError, match="ax must be part of a grid, like those of"):
        display.plot(loose)


def test_estimators_that_cannot_reconstruct_are_refused(iris):
    X = iris[0]

    class Narrow:
        def reconstruct(self, X):
            return X[:, :2]

    draw = ReconstructionDisplay.from_estimator
    with pytest.raises(AttributeError) as caught:
        draw(TSNE(), X)
    assert str(caught.value) == (
        "TSNE has neither `reconstruct` nor both `transform` and `inverse_transform`."
    )
    with pytest.raises(ValueError, match="reconstructions") as caught:
        draw(Narrow(), X)
    assert str(caught.value) == (
        "the reconstructions by Narrow have shape (10, 2), their originals (10, 4)."
    )
    with pytest.raises(NotFittedError, match="StandardScaler instance is not fitted"):
        draw(StandardScaler(), X)
    with pytest.raises(ValueError, match="n_samples == 0, must be >= 1"):
        draw(PCA().fit(X), X, n_samples=0)
    with pytest.raises(ValueError, match=r"^estimators is empty\.$"):
        ReconstructionDisplay.from_estimators({}, X)
    assert plt.get_fignums() == []
