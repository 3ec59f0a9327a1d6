"""What RegularizationPathDisplay draws of a path."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from sklearn_ae import ContractiveAutoencoder, SparseAutoencoder  # noqa: E402
from sklearn_ae.displays import RegularizationPathDisplay  # noqa: E402
from sklearn_ae.model_selection import (  # noqa: E402
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
)
from units.displays.drawings import cut_off, overlapping  # noqa: E402

PATH = Bunch(
    param_name="alpha",
    # Not in order.
    param_range=[1.0, 0.01, 100.0],
    loss_terms={"reconstruction": np.array([3.0, 1, 8]), "sparsity": np.ones(3)},
    reconstruction_error=np.array([0.3, 0.1, 0.8]),
    sparsity=np.array([0.5, 0.2, 0.9]),
    code_norm=np.array([2.0, 3, 1]),
)


def test_the_loss_and_its_terms_are_drawn_in_order_of_the_parameter():
    display = RegularizationPathDisplay.from_path(PATH)
    curves = {line.get_label(): line.get_ydata().tolist() for line in display.lines_}
    assert curves == {
        "loss": [2.0, 4.0, 9.0],
        "reconstruction": [1.0, 3.0, 8.0],
        "sparsity": [1.0, 1.0, 1.0],
    }
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [0.01, 1, 100])
    assert display.ax_.get_xscale() == "log"
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == (
        "alpha",
        "objective",
    )


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("sparsity", [0.2, 0.5, 0.9]),
        ("code_norm", [3, 2, 1]),
        ("reconstruction_error", [0.1, 0.3, 0.8]),
    ],
)
def test_other_quantities(quantity, expected):
    display = RegularizationPathDisplay.from_path(PATH, quantity)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_ydata(), expected)
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.0, 0.1, 10.0], "symlog"),
        ([1.0, 2.0, 3.0], "linear"),
        ([-1.0, 1, 99], "linear"),
    ],
)
def test_the_axis_fits_the_values(values, scale):
    curves = {"loss": [1.0, 2.0, 3.0]}
    display = RegularizationPathDisplay("alpha", values, curves).plot()
    assert display.ax_.get_xscale() == scale


def test_an_unknown_quantity_is_named():
    display = RegularizationPathDisplay("alpha", [1.0], {"loss": [1.0]})
    with pytest.raises(ValueError, match="must be one of 'loss', got 'depth'"):
        display.plot("depth")


def test_the_path_of_an_estimator_is_fitted_and_drawn():
    X = np.random.default_rng(0).normal(size=(40, 5))
    sparse = SparseAutoencoder(6, penalty="l1", max_epochs=3, random_state=0)
    display = RegularizationPathDisplay.from_estimator(
        sparse, X, param_name="alpha", param_range=[0.01, 1.0], line_kw={"color": "k"}
    )
    assert [line.get_label() for line in display.lines_] == [
        "loss",
        "reconstruction",
        "sparsity",
    ]
    assert {line.get_color() for line in display.lines_} == {"k"}
    loss = display.curves["loss"]
    terms = display.curves["loss: reconstruction"] + display.curves["loss: sparsity"]
    np.testing.assert_allclose(loss, terms)


draw = RegularizationPathDisplay.from_estimator
PIPELINE = Pipeline([("scale", StandardScaler()), ("pca", PCA())])


def ticks_of(display):
    display.figure_.canvas.draw()
    return [label.get_text() for label in display.ax_.get_xticklabels()]


def test_scores_of_a_search_have_their_deviations_over_folds_and_the_best(iris):
    search = GridSearchCV(PCA(), {"n_components": [3, 1, 2]}, cv=4).fit(iris[0])
    display = draw(search)
    (line,), (bars,) = display.lines_, display.errorbars_
    order, results = [1, 2, 0], search.cv_results_
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), results["mean_test_score"][order])
    ends = np.array([segment[:, 1] for segment in bars[2][0].get_segments()])
    mean, deviation = line.get_ydata(), results["std_test_score"][order]
    np.testing.assert_allclose(ends, np.stack([mean - deviation, mean + deviation], 1))
    ((x, y),) = display.best_.get_offsets()
    assert (x, y) == (search.best_params_["n_components"], search.best_score_)
    legend = display.ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "score",
        f"best: n_components={x:g}",
    ]
    assert display.ax_.get_ylabel() == "score, mean and deviation over folds"
    assert cut_off(display.figure_) == []


@pytest.mark.parametrize("kind", [BatchedGridSearchCV, BatchedRandomizedSearchCV])
def test_searches_of_this_package(iris, kind):
    net = ContractiveAutoencoder(max_epochs=2, random_state=0)
    if kind is BatchedGridSearchCV:
        search = kind(Pipeline([("ae", net)]), {"ae__alpha": [0.1, 10.0]}, cv=2)
    else:
        search = kind(
            net, {"alpha": loguniform(1e-3, 1)}, n_iter=8, cv=2, random_state=0
        )
    display = draw(search.fit(iris[0]))
    (name,) = search.best_params_
    assert display.ax_.get_xlabel() == name
    assert len(display.lines_[0].get_xdata()) == len(search.cv_results_["params"])
    assert display.ax_.get_xscale() == "log"
    ticks = [label for label in display.ax_.get_xticklabels() if label.get_visible()]
    display.figure_.canvas.draw()
    shown = [t for t in ticks if display.ax_.bbox.containsx(t.get_window_extent().x0)]
    assert not overlapping([tick.get_window_extent() for tick in shown])


def test_of_several_parameters_one_is_asked_for(iris):
    grid = {"pca__n_components": [1, 2, 3], "pca__whiten": [False, True]}
    search = GridSearchCV(PIPELINE, grid, cv=2).fit(iris[0])
    for name in (None, "alpha"):
        with pytest.raises(ValueError, match="param_name must be one of") as caught:
            draw(search, param_name=name)
        assert str(caught.value) == (
            "param_name must be one of the parameters that were searched, "
            f"['pca__n_components', 'pca__whiten'], got {name!r}."
        )
    assert plt.get_fignums() == []
    for name in ("n_components", "pca__n_components"):
        display = draw(search, param_name=name)
        assert display.ax_.get_xlabel() == "pca__n_components"
        labels = [line.get_label() for line in display.lines_]
        assert labels == ["pca__whiten=False", "pca__whiten=True"]
        assert [len(line.get_xdata()) for line in display.lines_] == [3, 3]
        assert len({line.get_color() for line in display.lines_}) == 2
    # Values that are no numbers stand in their order.
    display = draw(search, param_name="whiten")
    assert ticks_of(display) == ["False", "True"]
    assert len(display.lines_) == 3


def test_candidates_of_a_random_search_are_points(iris):
    space = {"n_components": [1, 2, 3], "tol": loguniform(1e-6, 1)}
    search = RandomizedSearchCV(PCA(), space, n_iter=7, cv=2, random_state=0)
    display = draw(search.fit(iris[0]), param_name="n_components")
    (line,) = display.lines_
    assert line.get_linestyle() == "None"
    assert len(line.get_xdata()) == 7
    np.testing.assert_allclose(
        sorted(line.get_ydata()), sorted(search.cv_results_["mean_test_score"])
    )


def test_values_of_other_kinds_failures_and_parts_of_grids(iris):
    grid = [{"n_components": [1, 2, 99]}, {"whiten": [True]}]
    search = GridSearchCV(PCA(), grid, cv=2, error_score=np.nan)
    with pytest.warns(match="."):
        search.fit(iris[0])
    display = draw(search, param_name="n_components")
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 2])
    # The best is elsewhere, or it is marked.
    assert (display.best_ is None) == ("whiten" in search.best_params_)
    search = GridSearchCV(PCA(2), {"svd_solver": ["full", "randomized"]}, cv=2)
    display = draw(search.fit(iris[0]))
    assert ticks_of(display) == ["full", "randomized"]


def test_a_scorer_of_several_and_halving(iris):
    scoring = {"a": lambda e, X, y=None: 1.0, "b": lambda e, X, y=None: -2.0}
    search = GridSearchCV(
        PCA(), {"n_components": [1, 2]}, scoring=scoring, refit="b", cv=2
    ).fit(iris[0])
    assert draw(search).lines_[0].get_ydata().tolist() == [-2, -2]
    assert draw(search, quantity="a").lines_[0].get_ydata().tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"quantity must be one of \['a', 'b'\], got"):
        draw(search, quantity="c")
    halving = HalvingGridSearchCV(
        PCA(), {"n_components": [1, 2, 3]}, cv=2, min_resources=20, random_state=0
    ).fit(iris[0])
    labels = [line.get_label() for line in draw(halving).lines_]
    resources = dict.fromkeys(halving.cv_results_["n_resources"])
    assert labels == [f"n_resources={n:.3g}" for n in resources]


def test_what_is_no_fitted_search_is_told_what_to_do(iris):
    with pytest.raises(NotFittedError, match="GridSearchCV instance is not fitted"):
        draw(GridSearchCV(PCA(), {"n_components": [1]}))
    for given in ((), (iris[0],)):
        with pytest.raises(ValueError, match="is no search") as caught:
            draw(SparseAutoencoder(), *given)
        assert str(caught.value) == (
            "SparseAutoencoder is no search: pass X, param_name and param_range, or a "
            "fitted search such as BatchedGridSearchCV."
        )
    assert plt.get_fignums() == []


@pytest.mark.parametrize("n", [2, 3, 6, 12])
@pytest.mark.parametrize("step", [2.0, 3.0, 10.0])
def test_labels_of_a_logarithmic_axis_are_apart(n, step):
    values = 1e-3 * step ** np.arange(n)
    display = RegularizationPathDisplay("alpha", values, {"loss": np.ones(n)}).plot()
    display.figure_.canvas.draw()
    shown = [
        tick.label1.get_window_extent()
        for kind in ("major", "minor")
        for tick in display.ax_.xaxis._update_ticks()
        if tick in getattr(display.ax_.xaxis, f"get_{kind}_ticks")()
        and tick.label1.get_text()
    ]
    assert shown
    assert not overlapping(shown)
