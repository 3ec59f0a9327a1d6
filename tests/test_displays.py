import importlib
import inspect
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import to_rgba  # noqa: E402

import sklearn_ae  # noqa: E402
import sklearn_ae.displays as displays_module  # noqa: E402
from sklearn_ae.displays import (  # noqa: E402
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)

MISSING = to_rgba("#d9d9d9")


@pytest.fixture(autouse=True)
def _close_figures():
    assert plt.get_fignums() == []
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def digits_pca(digits):
    return PCA(5, random_state=0).fit(digits[0])


class Trained(BaseEstimator):
    """Has the fitted attributes of an autoencoder, without training one."""

    def __init__(self, offset=0.0):
        self.offset = offset

    def fit(self, X, y=None):
        self.loss_terms_ = {
            "reconstruction": [9.0 + self.offset, 5.0, 2.0],
            "sparsity": [3.0, 2.0, 0.5],
        }
        self.loss_curve_ = [12.0 + self.offset, 7.0, 2.5]
        self.validation_scores_ = [-13.0, -8.0, -4.0]
        return self

    def score(self, X, y=None):
        return self.offset


def colors_of(scatter):
    return {tuple(color[:3]) for color in scatter.get_facecolors()}


def texts_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def train_mlp(X, **parameters):
    parameters = {"hidden_layer_sizes": (4,), "random_state": 0, "tol": 1} | parameters
    return MLPRegressor(**parameters).fit(X, X)


# Every display


def draw_codes(**keywords):
    return LatentSpaceDisplay.from_codes(np.eye(4), [0, 0, 1, 1], **keywords)


def draw_losses(**keywords):
    return LossCurveDisplay({"model": [3.0, 2.0]}).plot(**keywords)


def draw_reconstructions(**keywords):
    return ReconstructionDisplay(np.eye(4), {"model": np.eye(4)}).plot(**keywords)


@pytest.mark.parametrize("draw", [draw_codes, draw_losses])
def test_given_axes_are_used_and_no_figure_is_opened(draw):
    figure, axes = plt.subplots(1, 2)
    display = draw(ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert axes[1].has_data()
    assert not axes[0].has_data()
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("draw", [draw_codes, draw_losses, draw_reconstructions])
def test_a_new_figure_has_a_constrained_layout_and_is_the_only_one(draw):
    display = draw()
    assert plt.get_fignums() == [display.figure_.number]
    engine = type(display.figure_.get_layout_engine()).__name__
    assert engine == "ConstrainedLayoutEngine"


@pytest.mark.parametrize("draw", [draw_codes, draw_losses, draw_reconstructions])
def test_plotting_twice_makes_two_figures_and_returns_the_display(draw):
    display = draw()
    first = display.figure_
    n_artists = [len(ax.collections) + len(ax.lines) for ax in first.axes]
    assert display.plot() is display
    assert display.figure_ is not first
    second = [len(ax.collections) + len(ax.lines) for ax in display.figure_.axes]
    assert second == n_artists
    assert sum(second) > 0


@pytest.mark.parametrize(
    ("call", "caller"),
    [
        (draw_codes, "LatentSpaceDisplay.from_codes"),
        (draw_losses, "LossCurveDisplay.plot"),
        (draw_reconstructions, "ReconstructionDisplay.plot"),
        (
            lambda: LatentSpaceDisplay.from_estimator(None, None),
            "LatentSpaceDisplay.from_estimator",
        ),
        (
            lambda: LossCurveDisplay.from_estimators({}),
            "LossCurveDisplay.from_estimators",
        ),
        (
            lambda: ReconstructionDisplay.from_estimators({}, None),
            "ReconstructionDisplay.from_estimators",
        ),
    ],
)
def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch, call, caller):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as caught:
        call()
    assert str(caught.value) == (
        f"{caller} requires matplotlib: `pip install sklearn_ae[plot]`."
    )


def test_the_module_can_be_imported_without_matplotlib(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sklearn_ae.disp")]:
        monkeypatch.delitem(sys.modules, name)
    # Importing replaces this attribute; the old one has to come back.
    monkeypatch.setattr(sklearn_ae, "displays", displays_module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    module = importlib.import_module("sklearn_ae.displays")
    assert module is not displays_module
    assert module.__all__ == displays_module.__all__


@pytest.mark.parametrize("name", displays_module.__all__)
def test_public_methods_are_documented_with_an_example(name):
    display = getattr(displays_module, name)
    methods = [
        method
        for key, method in inspect.getmembers(display, callable)
        if not key.startswith("_")
    ]
    assert len(methods) == 3
    for documented in [display, *methods]:
        assert "Parameters\n" in documented.__doc__
        assert ">>> " in documented.__doc__


# LatentSpaceDisplay


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


def test_the_legend_stands_beside_the_points_where_there_is_a_layout():
    beside = LatentSpaceDisplay.from_codes(np.eye(20), np.arange(20))
    beside.figure_.canvas.draw()
    legend = beside.ax_.get_legend()
    assert not legend.get_window_extent().overlaps(beside.ax_.bbox)
    inside_figure = legend.get_window_extent().extents
    assert (inside_figure[2:] <= beside.figure_.bbox.extents[2:]).all()
    assert (inside_figure[:2] >= 0).all()
    within = draw_codes(ax=plt.subplots()[1])
    within.figure_.canvas.draw()
    extent = within.ax_.get_legend().get_window_extent()
    assert within.ax_.bbox.containsx(extent.x0)
    assert within.ax_.bbox.containsx(extent.x1)


# ReconstructionDisplay


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


# LossCurveDisplay


def test_the_training_objective_is_drawn_against_the_epoch():
    trained = Trained().fit(None)
    display = LossCurveDisplay.from_estimator(trained)
    np.testing.assert_array_equal(display.loss_curves["Trained"], trained.loss_curve_)
    line = display.lines_[0]
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), trained.loss_curve_)
    assert line.get_linestyle() == "-"
    assert display.ax_.get_xlabel() == "epoch"
    assert display.ax_.get_ylabel() == "objective"


def test_the_held_out_objective_is_the_negative_of_the_scores():
    display = LossCurveDisplay.from_estimator(Trained().fit(None), name="model")
    np.testing.assert_array_equal(display.validation_curves["model"], [13.0, 8.0, 4.0])
    line, held_out = display.lines_
    np.testing.assert_array_equal(held_out.get_ydata(), [13.0, 8.0, 4.0])
    assert held_out.get_linestyle() == "--"
    assert held_out.get_color() == line.get_color()
    assert texts_of(display.ax_.get_legend()) == ["model", "model, held out"]


def test_without_early_stopping_nothing_is_held_out():
    trained = Trained().fit(None)
    trained.validation_scores_ = None
    display = LossCurveDisplay.from_estimator(trained)
    assert display.validation_curves == {}
    assert len(display.lines_) == 1


def test_terms_are_stored_and_drawn_on_request():
    display = LossCurveDisplay.from_estimator(Trained().fit(None), terms=True)
    assert list(display.loss_terms["Trained"]) == ["reconstruction", "sparsity"]
    assert [line.get_label() for line in display.lines_] == [
        "Trained",
        "Trained, held out",
        "Trained: reconstruction",
        "Trained: sparsity",
    ]
    np.testing.assert_array_equal(display.lines_[2].get_ydata(), [9.0, 5.0, 2.0])
    np.testing.assert_array_equal(display.lines_[3].get_ydata(), [3.0, 2.0, 0.5])
    assert [line.get_linestyle() for line in display.lines_] == ["-", "--", ":", ":"]
    assert len({line.get_color() for line in display.lines_}) == 3
    assert len(display.plot().lines_) == 2


def test_the_r2_of_a_foreign_estimator_is_not_drawn_as_a_loss(iris):
    network = train_mlp(iris[0], early_stopping=True)
    assert len(network.validation_scores_) == network.n_iter_
    display = LossCurveDisplay.from_estimator(network)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_ydata(), network.loss_curve_)
    assert line.get_label() == "MLPRegressor"


def test_several_estimators_share_one_axes(iris):
    estimators = {"mine": Trained().fit(None), "other": train_mlp(iris[0])}
    display = LossCurveDisplay.from_estimators(estimators, terms=True)
    assert len(display.figure_.axes) == 1
    labels = texts_of(display.ax_.get_legend())
    assert labels[0] == "mine"
    assert labels[-1] == "other"
    assert len(labels) == 5
    solid = [line for line in display.lines_ if line.get_linestyle() == "-"]
    assert len({line.get_color() for line in solid}) == 2


def test_pipelines_and_searches_are_read_at_their_trained_estimator(iris):
    X = iris[0]
    pipeline = make_pipeline(StandardScaler(), Trained(offset=1.0)).fit(X)
    search = GridSearchCV(pipeline, {"trained__offset": [0.0, 5.0]}, cv=2).fit(X)
    for estimator, first in [(pipeline, 13.0), (search, 17.0)]:
        display = LossCurveDisplay.from_estimator(estimator)
        assert list(display.loss_curves) == ["Trained"]
        assert display.loss_curves["Trained"][0] == first


@pytest.mark.parametrize(
    ("curve", "scale", "expected"),
    [
        ([11.0, 1.0], "auto", "log"),
        ([10.0, 1.0], "auto", "linear"),
        ([11.0, 0.0], "auto", "linear"),
        ([11.0, -1.0], "auto", "linear"),
        ([11.0, np.nan, np.inf], "auto", "linear"),
        ([], "auto", "linear"),
        ([10.0, 9.0], "log", "log"),
        ([11.0, 1.0], "linear", "linear"),
    ],
)
def test_the_scale_follows_the_values(curve, scale, expected):
    display = LossCurveDisplay({"model": curve}).plot(scale=scale)
    display.figure_.canvas.draw()
    assert display.ax_.get_yscale() == expected
    is_log = expected == "log"
    assert display.ax_.get_ylabel() == "objective" + " (log scale)" * is_log


def test_the_scale_looks_at_every_drawn_curve():
    display = LossCurveDisplay(
        {"model": [3.0, 2.0]}, loss_terms={"model": {"penalty": [0.1, 0.01]}}
    )
    assert display.plot().ax_.get_yscale() == "linear"
    assert display.plot(terms=True).ax_.get_yscale() == "log"


def test_one_epoch_is_a_point_and_ticks_are_whole_epochs():
    display = LossCurveDisplay({"one": [4.0], "two": [4.0, 3.0]}).plot()
    assert [line.get_marker() for line in display.lines_] == ["o", "None"]
    display.figure_.canvas.draw()
    ticks = display.ax_.get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))


def test_the_ticks_of_a_given_log_axis_are_left_alone():
    ax = plt.subplots()[1]
    ax.set_xscale("log")
    locator = ax.xaxis.get_major_locator()
    display = draw_losses(ax=ax)
    assert display.ax_.xaxis.get_major_locator() is locator


def test_line_keywords_reach_every_line():
    display = draw_losses(line_kw={"linewidth": 4, "color": "red"})
    assert display.lines_[0].get_linewidth() == 4
    assert display.lines_[0].get_color() == "red"


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"scale": "symlog"}, "scale must be 'auto', 'linear' or 'log', got 'symlog'."),
        ({"scale": "log"}, "scale='log' needs positive values, the lowest is -2."),
        ({"terms": True}, "terms=True, but there are no loss_terms."),
    ],
)
def test_options_that_cannot_be_drawn_are_refused(keywords, message):
    with pytest.raises(ValueError, match=" ") as caught:
        LossCurveDisplay({"model": [3.0, -2.0]}).plot(**keywords)
    assert str(caught.value) == message
    assert plt.get_fignums() == []


def test_estimators_without_a_loss_are_refused(iris):
    X = iris[0]
    draw = LossCurveDisplay.from_estimator
    with pytest.raises(NotFittedError, match="This MLPRegressor instance is not"):
        draw(MLPRegressor())
    with pytest.raises(NotFittedError, match="This MLPRegressor instance is not"):
        draw(make_pipeline(StandardScaler(), MLPRegressor()))
    with pytest.raises(NotFittedError, match="This GridSearchCV instance is not"):
        draw(GridSearchCV(MLPRegressor(), {"alpha": [1.0]}))
    with pytest.raises(AttributeError, match=r"^PCA has no `loss_curve_`\.$"):
        draw(PCA(2).fit(X))
    with pytest.raises(ValueError, match=r"^estimators is empty\.$"):
        LossCurveDisplay.from_estimators({})
    assert plt.get_fignums() == []
