"""Codes drawn by LatentSpaceDisplay."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import to_rgba  # noqa: E402

from sklearn_ae.displays import LatentSpaceDisplay  # noqa: E402

MISSING = to_rgba("#d9d9d9")


def colors_of(scatter):
    return {tuple(color[:3]) for color in scatter.get_facecolors()}


def texts_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_codes_are_those_of_transform(iris):
    X, y = iris
    pca = PCA(3).fit(X)
    display = LatentSpaceDisplay.from_estimator(pca, X, y)
    np.testing.assert_array_equal(display.Z, pca.transform(X))
    np.testing.assert_array_equal(display.y, y)
    assert display.component_names == ["pca0", "pca1", "pca2"]
    assert display.ax_.get_xlabel() == "pca0"
    assert display.ax_.get_ylabel() == "pca1"


def test_each_class_is_one_artist_with_its_rows(iris):
    X, y = iris
    display = LatentSpaceDisplay.from_estimator(PCA(2).fit(X), X, y)
    assert [scatter.get_label() for scatter in display.scatters_] == ["0", "1", "2"]
    for label, scatter in enumerate(display.scatters_):
        np.testing.assert_array_equal(scatter.get_offsets(), display.Z[y == label])
        assert len(colors_of(scatter)) == 1
    assert texts_of(display.ax_.get_legend()) == ["0", "1", "2"]
    assert display.colorbar_ is None


@pytest.mark.parametrize("n_classes", [2, 10, 11, 20])
def test_classes_differ_in_colour_or_marker(n_classes):
    y = np.arange(n_classes)
    display = LatentSpaceDisplay.from_codes(np.c_[y, y], y)
    styles = {
        (*colors_of(scatter), scatter.get_paths()[0].vertices.tobytes())
        for scatter in display.scatters_
    }
    assert len(styles) == n_classes
    assert all(len(colors_of(scatter)) == 1 for scatter in display.scatters_)


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        (["b", "a", "b", "a"], ["a", "b"]),
        (np.array(["b", "a", "b", "a"], dtype=object), ["a", "b"]),
        ([True, False, True, True], ["False", "True"]),
        ([1.0, 0.0, 1.0, 7.0], ["0", "1", "7"]),
        (np.array([3, 1, 3, 1], dtype=np.uint8), ["1", "3"]),
        (["b", None, "a", np.nan], ["a", "b", "missing"]),
        ([1.0, np.nan, 2.0, np.nan], ["1", "2", "missing"]),
        ([np.nan] * 4, ["missing"]),
        (pd.Series([2, None, 1, 1], dtype="Int64"), ["1", "2", "missing"]),
        (pd.Series(["x", "y", "x", None], dtype="category"), ["x", "y", "missing"]),
        (pd.DataFrame({"label": ["v", "u", "u", "v"]}), ["u", "v"]),
    ],
    ids=lambda value: None if isinstance(value, list) else type(value).__name__,
)
def test_text_booleans_and_whole_numbers_are_classes(y, labels):
    display = LatentSpaceDisplay.from_codes(np.eye(4), y)
    assert texts_of(display.ax_.get_legend()) == labels
    assert sum(len(s.get_offsets()) for s in display.scatters_) == 4
    if labels[-1] == "missing":
        assert colors_of(display.scatters_[-1]) == {MISSING[:3]}


@pytest.mark.parametrize(
    ("y", "name"),
    [
        (pd.Series(["u", "v"], name="species"), "species"),
        # Such a frame answers `y.name` with its column.
        (pd.DataFrame({"name": ["u", "v"]}), "name"),
        (["u", "v"], None),
    ],
)
def test_the_name_of_the_target_titles_the_legend(y, name):
    display = LatentSpaceDisplay.from_codes(np.eye(2), y)
    assert display.target_name == name
    assert display.ax_.get_legend().get_title().get_text() == (name or "")


@pytest.mark.parametrize("dtype", ["float64", "float32", ">f8", "object", "Float64"])
def test_numbers_have_a_colorbar_and_missing_ones_are_grey(iris, dtype):
    y = pd.Series(iris[0][:, 2] + 0.05, name="length").astype(dtype)
    y.iloc[3] = None
    display = LatentSpaceDisplay.from_codes(iris[0], y)
    (scatter,) = display.scatters_
    np.testing.assert_array_equal(scatter.get_offsets(), iris[0][:, :2])
    assert display.colorbar_.ax.get_ylabel() == "length"
    assert display.ax_.get_legend() is None
    values = scatter.get_array()
    np.testing.assert_allclose(values[4:], iris[0][4:, 2] + 0.05, rtol=1e-6)
    display.figure_.canvas.draw()
    assert tuple(scatter.get_facecolors()[3][:3]) == MISSING[:3]
    assert tuple(scatter.get_facecolors()[4][:3]) != MISSING[:3]


@pytest.mark.parametrize(("n_values", "has_colorbar"), [(20, False), (21, True)])
def test_more_than_twenty_whole_numbers_are_numbers(n_values, has_colorbar):
    display = LatentSpaceDisplay.from_codes(np.eye(n_values), np.arange(n_values))
    assert (display.colorbar_ is not None) == has_colorbar
    assert (display.ax_.get_legend() is None) == has_colorbar


def test_without_a_target_there_is_one_artist_and_no_legend():
    display = LatentSpaceDisplay.from_codes(np.eye(3))
    (scatter,) = display.scatters_
    np.testing.assert_array_equal(scatter.get_offsets(), np.eye(3)[:, :2])
    assert display.ax_.get_legend() is None
    assert display.colorbar_ is None


@pytest.mark.parametrize(
    ("components", "columns"),
    [(None, [0, 1]), ((0, 1), [0, 1]), ([3, 1], [3, 1]), (np.array([2, 0]), [2, 0])],
)
def test_components_choose_the_columns(iris, components, columns):
    display = LatentSpaceDisplay.from_codes(iris[0], components=components)
    offsets = display.scatters_[0].get_offsets()
    np.testing.assert_array_equal(offsets, iris[0][:, columns])
    assert display.ax_.get_xlabel() == f"component {columns[0] + 1}"
    assert display.ax_.get_ylabel() == f"component {columns[1] + 1}"
    other = display.plot(components=(1, 2)).scatters_[0].get_offsets()
    np.testing.assert_array_equal(other, iris[0][:, 1:3])


def test_one_component_without_a_target_is_a_histogram(iris):
    X = iris[0]
    display = LatentSpaceDisplay.from_estimator(PCA(1).fit(X), X)
    assert sum(bar.get_height() for bar in display.ax_.patches) == len(X)
    assert display.ax_.patches[0].get_x() == pytest.approx(display.Z.min())
    assert display.ax_.get_xlabel() == "pca0"
    assert display.ax_.get_ylabel() == "number of rows"
    assert display.scatters_ == []


@pytest.mark.parametrize("components", [2, (2,), np.int64(2)])
def test_one_component_with_classes_is_a_strip_for_each(iris, components):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
    names[::10] = None
    display = LatentSpaceDisplay.from_codes(X, names, components=components)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["setosa", "versicolor", "virginica", "missing"]
    assert display.ax_.get_legend() is None
    for height, scatter in enumerate(display.scatters_):
        rows = names == labels[height] if height < 3 else pd.isna(names)
        x, heights = scatter.get_offsets().T
        np.testing.assert_array_equal(x, X[rows, 2])
        assert np.abs(heights - height).max() <= 0.3
        assert len(np.unique(heights)) == len(heights)
    again = display.plot(components=components).scatters_[0].get_offsets()[:, 1]
    np.testing.assert_array_equal(again, display.scatters_[0].get_offsets()[:, 1])


def test_one_component_with_numbers_is_drawn_against_them(iris):
    X, y = iris[0][:, :1], pd.Series(iris[0][:, 3] + 0.05, name="width")
    display = LatentSpaceDisplay.from_codes(X, y)
    np.testing.assert_array_equal(display.scatters_[0].get_offsets(), np.c_[X, y])
    assert display.ax_.get_ylabel() == "width"
    assert display.colorbar_ is None


@pytest.mark.parametrize(
    ("width", "components", "message"),
    [
        (1, (0, 1), "has not: it has 1 component(s), counted from 0."),
        (3, 3, "components=3 asks for a column that the code has not: it has 3"),
        (3, (0, -1), "components=(0, -1) asks for a column"),
        (3, (0, 1, 2), "must be one or two integers, got (0, 1, 2)."),
        (3, (), "components must be one or two integers, got ()."),
        (3, "01", "components must be one or two integers, got '01'."),
        (3, (0.0, 1.0), "components must be one or two integers, got (0.0, 1.0)."),
    ],
)
def test_components_that_are_not_there_are_refused(width, components, message):
    with pytest.raises(ValueError, match="components") as caught:
        LatentSpaceDisplay.from_codes(np.eye(4)[:, :width], components=components)
    assert message in str(caught.value)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("constructor", [sparse.csr_matrix, sparse.coo_array])
def test_sparse_codes_are_drawn_without_densifying_them(iris, constructor):
    X, y = iris
    display = LatentSpaceDisplay.from_codes(constructor(X), y, components=(1, 3))
    assert sparse.issparse(display.Z)
    offsets = np.vstack([scatter.get_offsets() for scatter in display.scatters_])
    np.testing.assert_array_equal(offsets, X[:, [1, 3]])


def test_columns_of_a_frame_label_the_axes(iris):
    X = pd.DataFrame(iris[0]).add_prefix("feature")
    pca = PCA(2).set_output(transform="pandas").fit(X)
    display = LatentSpaceDisplay.from_estimator(pca, X)
    assert display.ax_.get_ylabel() == "pca1"
    assert isinstance(display.Z, np.ndarray)
    frame = pd.DataFrame(display.Z, columns=["width", "height"])
    assert LatentSpaceDisplay.from_codes(frame).ax_.get_ylabel() == "height"
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(display.Z, schema=["u", "v"])
    display = LatentSpaceDisplay.from_codes(frame, polars.Series("w", range(150)))
    assert display.ax_.get_xlabel() == "u"
    assert display.colorbar_.ax.get_ylabel() == "w"


def test_a_pipeline_is_drawn_with_or_without_feature_names(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    display = LatentSpaceDisplay.from_estimator(pipeline, X, y)
    np.testing.assert_array_equal(display.Z, pipeline.transform(X))
    assert display.ax_.get_xlabel() == "pca0"
    nameless = make_pipeline(PCA(2), FunctionTransformer(np.abs)).fit(X)
    display = LatentSpaceDisplay.from_estimator(nameless, X, y)
    assert display.ax_.get_xlabel() == "component 1"


def test_an_embedding_by_tsne_is_drawn_from_its_codes(iris):
    X, y = iris[0][::10], iris[1][::10]
    tsne = TSNE(perplexity=3, max_iter=250, method="exact", random_state=0)
    embedding = tsne.fit_transform(X)
    names = ["t-SNE 1", "t-SNE 2"]
    display = LatentSpaceDisplay.from_codes(embedding, y, component_names=names)
    np.testing.assert_array_equal(display.Z, embedding)
    assert [display.ax_.get_xlabel(), display.ax_.get_ylabel()] == names


def test_an_estimator_without_transform_is_sent_to_from_codes(iris):
    with pytest.raises(AttributeError) as caught:
        LatentSpaceDisplay.from_estimator(TSNE(), iris[0])
    assert str(caught.value) == (
        "TSNE has no `transform`: pass its embedding to LatentSpaceDisplay.from_codes."
    )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"Z": [[0.0, np.nan]]}, "Input Z contains NaN"),
        ({"Z": [0.0, 1.0]}, "Expected 2D array, got 1D array"),
        ({"y": [1, 2]}, "inconsistent numbers of samples: [25, 2]"),
        ({"y": np.ones((25, 2))}, "y should be a 1d array"),
        ({"y": [np.inf] * 25}, "Input y contains infinity"),
        (
            {"component_names": ["one"]},
            "Z has 25 component(s), but there are 1 component_names.",
        ),
        (
            {"y": [f"class {i}" for i in range(25)]},
            "y has 25 classes, more than the 20 that colours and markers can tell "
            "apart: group them, or pass numbers.",
        ),
    ],
)
def test_codes_and_targets_that_cannot_be_drawn_are_refused(keywords, message):
    with pytest.raises(ValueError, match=" ") as caught:
        LatentSpaceDisplay.from_codes(**{"Z": np.eye(25)} | keywords)
    assert message in str(caught.value)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("y", [None, [0, 1, 1], [0.5, 1.5, 2.5]])
def test_scatter_keywords_reach_every_artist(y):
    keywords = {"s": 7, "alpha": 0.25}
    display = LatentSpaceDisplay.from_codes(np.eye(3), y, scatter_kw=keywords)
    assert all(scatter.get_sizes() == [7] for scatter in display.scatters_)
    assert all(scatter.get_alpha() == 0.25 for scatter in display.scatters_)
    assert keywords == {"s": 7, "alpha": 0.25}


def test_points_shrink_with_the_number_of_rows():
    sizes = [
        LatentSpaceDisplay.from_codes(np.zeros((n, 2))).scatters_[0].get_sizes()[0]
        for n in (10, 3_000, 100_000)
    ]
    assert sizes == [36, 10, 2]
