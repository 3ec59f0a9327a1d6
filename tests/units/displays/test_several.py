"""Several estimators drawn by each display, and legends beside what they explain."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA, FastICA
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

import sklearn_ae.displays as displays_module  # noqa: E402
from sklearn_ae.displays import LatentSpaceDisplay, LossCurveDisplay  # noqa: E402
from units.displays.drawings import (  # noqa: E402
    cut_off,
    draw_codes,
    draw_losses,
    draw_weights,
    overlapping,
)

# What `from_estimator` takes after the estimator.
ARGUMENTS = {
    "FilterDisplay": lambda X, y: ((), {}),
    "InterpolationDisplay": lambda X, y: ((X[:3], X[3:6]), {}),
    "LatentManifoldDisplay": lambda X, y: ((X,), {"grid_size": 5}),
    "LatentSpaceDisplay": lambda X, y: ((X, y), {}),
    "LatentTraversalDisplay": lambda X, y: ((X,), {}),
    "LossCurveDisplay": lambda X, y: ((), {}),
    "ReconstructionDisplay": lambda X, y: ((X,), {"n_samples": 4}),
    "RegularizationPathDisplay": lambda X, y: ((), {}),
}
# On one Axes, or in lines below each other.
TOGETHER = ("LossCurveDisplay", "ReconstructionDisplay")


@pytest.fixture(scope="module")
def pairs(digits):
    """Two estimators for each display."""
    X = digits[0]
    networks = [
        MLPRegressor(tol=1e9, n_iter_no_change=n, random_state=0).fit(X, X)
        for n in (1, 2)
    ]
    searches = [
        GridSearchCV(PCA(), {"n_components": sizes}, cv=2).fit(X)
        for sizes in ([1, 2], [2, 4, 8])
    ]
    both = [PCA(3).fit(X), make_pipeline(StandardScaler(), PCA(2)).fit(X)]
    given = dict.fromkeys(ARGUMENTS, both)
    return given | {
        "LossCurveDisplay": networks,
        "RegularizationPathDisplay": searches,
    }


def test_every_display_is_asked():
    assert ARGUMENTS.keys() == set(displays_module.__all__)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_two_estimators_by_name_or_in_a_list(name, digits, pairs):
    kind, pair = getattr(displays_module, name), pairs[name]
    arguments, keywords = ARGUMENTS[name](*digits)
    by_name = {"the first": pair[0], "the second": pair[1]}
    display = kind.from_estimator(by_name, *arguments, **keywords)
    assert plt.get_fignums() == [display.figure_.number]
    assert cut_off(display.figure_) == []
    if name in TOGETHER:
        assert isinstance(display, kind)
    else:
        assert list(display.displays) == list(by_name)
        assert all(isinstance(each, kind) for each in display.displays.values())
        assert [ax.get_title() for ax in display.axes_] == list(by_name)
        assert all(ax.has_data() for ax in display.axes_)
        # Neither a title nor a label of one runs into the other.
        boxes = [ax.get_tightbbox() for ax in display.axes_]
        assert not overlapping(boxes)
    expected = np.asarray(display.figure_.canvas.buffer_rgba())
    again = kind.from_estimators(by_name, *arguments, **keywords)
    again.figure_.canvas.draw()
    np.testing.assert_array_equal(again.figure_.canvas.buffer_rgba(), expected)
    listed = kind.from_estimator(pair, *arguments, **keywords)
    assert listed.figure_ is not display.figure_
    plt.close("all")
    listed.plot()
    assert len(plt.get_fignums()) == 1


def test_estimators_of_a_list_are_named_after_their_classes(iris):
    X = iris[0]
    listed = [PCA(2).fit(X), FastICA(2, random_state=0).fit(X), PCA(3).fit(X)]
    display = LatentSpaceDisplay.from_estimator(listed, X)
    assert list(display.displays) == ["PCA 1", "FastICA", "PCA 2"]
    piped = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    display = LatentSpaceDisplay.from_estimator([piped, listed[1]], X)
    assert list(display.displays) == ["PCA", "FastICA"]


def test_one_axes_is_divided_and_an_array_is_filled(iris):
    X, y = iris
    estimators = [PCA(2).fit(X), FastICA(2, random_state=0).fit(X)]
    figure, axes = plt.subplots(1, 2, figsize=(12, 4))
    display = LatentSpaceDisplay.from_estimator(estimators, X, y, ax=axes)
    assert list(display.axes_) == list(axes)
    display = LatentSpaceDisplay.from_estimator(estimators, X, y, ax=list(axes))
    assert list(display.axes_) == list(axes)
    assert display.bounding_ax_ is None
    assert plt.get_fignums() == [figure.number]
    figure, axes = plt.subplots(1, 2, figsize=(12, 4))
    display.plot(ax=axes[1])
    assert display.bounding_ax_ is axes[1]
    assert display.figure_ is figure
    with pytest.raises(ValueError, match=r"ax must have shape \(2,\), got \(3,\)."):
        display.plot(ax=plt.subplots(1, 3)[1])


@pytest.mark.parametrize("n_classes", [2, 10])
def test_displays_of_the_same_classes_have_one_legend(digits, n_classes):
    X, y = digits[0][digits[1] < n_classes], digits[1][digits[1] < n_classes]
    estimators = {str(k): PCA(k).fit(X) for k in (2, 3, 4)}
    display = LatentSpaceDisplay.from_estimator(estimators, X, y)
    legends = [ax.get_legend() for ax in display.axes_]
    assert [legend is None for legend in legends] == [True, True, False]
    display.figure_.canvas.draw()
    box = legends[-1].get_window_extent()
    assert not any(box.overlaps(ax.bbox) for ax in display.axes_)
    assert cut_off(display.figure_) == []
    # It costs the last no more than the others.
    widths = [ax.bbox.width for ax in display.axes_]
    assert max(widths) < 1.02 * min(widths)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_as_many_displays_as_estimators(iris, n):
    X = iris[0]
    estimators = {f"number {k}": PCA(2).fit(X[k:]) for k in range(n)}
    display = LatentSpaceDisplay.from_estimator(estimators, X)
    assert len(display.figure_.axes) == n
    assert cut_off(display.figure_) == []
    width, height = display.figure_.get_size_inches()
    assert width < 16
    assert height < 11
    assert not overlapping([ax.get_tightbbox() for ax in display.axes_])


def test_what_cannot_be_drawn_leaves_no_figure(iris):
    X = iris[0]
    with pytest.raises(ValueError, match=r"^estimators is empty\.$"):
        LatentSpaceDisplay.from_estimator([], X)
    with pytest.raises(ValueError, match=r"^estimators is empty\.$"):
        LossCurveDisplay.from_estimator({})
    with pytest.raises(TypeError, match="got PCA; `from_estimator` takes one"):
        LatentSpaceDisplay.from_estimators(PCA(2).fit(X), X)
    draw = displays_module.InterpolationDisplay.from_estimator
    with pytest.raises(AttributeError, match=r"^MLPRegressor has no `transform`\.$"):
        draw([PCA(2).fit(X), MLPRegressor()], X[:2], X[2:4])
    assert plt.get_fignums() == []


@pytest.mark.parametrize("draw", [draw_codes, draw_losses, draw_weights])
@pytest.mark.parametrize("layout", ["new", None, "constrained", "tight"])
def test_legends_cover_nothing(draw, layout):
    """Whatever the figure's layout; drawing again moves nothing."""
    if layout == "new":
        display = draw()
    else:
        figure, (_, ax) = plt.subplots(1, 2, figsize=(8, 4), layout=layout)
        display = draw(ax=ax)
        figure.canvas.draw()
        width = ax.bbox.width
        display = draw(ax=ax)
        figure.canvas.draw()
        assert ax.bbox.width == pytest.approx(width, abs=3)
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend()
    if legend is None:
        return
    box = legend.get_window_extent()
    assert not any(box.overlaps(ax.bbox) for ax in display.figure_.axes)
    assert cut_off(display.figure_) == []
    assert display.ax_.bbox.width > 80


def test_a_legend_with_long_names_stays_in_its_figure():
    curves = {f"an estimator with a long name {k}": [3.0, 2.0] for k in range(3)}
    ax = plt.subplots(1, 2)[1][1]
    display = LossCurveDisplay(curves).plot(ax=ax)
    assert cut_off(display.figure_) == []
    box = ax.get_legend().get_window_extent()
    assert not box.overlaps(ax.bbox)
    assert ax.bbox.width > 60


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_legends_of_displays_on_one_axes_are_one(layout):
    ax = plt.subplots(layout=layout)[1]
    for name in ("one", "two", "two"):
        LossCurveDisplay({name: [3.0, 2.0]}).plot(ax=ax)
    codes = LatentSpaceDisplay.from_codes(np.eye(4), list("abab"), ax=ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["one", "two", "a", "b"]
    assert cut_off(codes.figure_) == []


def test_a_new_figure_grows_by_its_legend():
    with_legend, without = draw_codes(), LatentSpaceDisplay.from_codes(np.eye(4))
    for display in (with_legend, without):
        display.figure_.canvas.draw()
    widths = [display.ax_.bbox.width for display in (with_legend, without)]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)
