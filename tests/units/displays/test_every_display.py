"""What all displays promise: figures, axes, a missing matplotlib, examples."""

from __future__ import annotations

import importlib
import inspect
import sys

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

import sklearn_ae  # noqa: E402
import sklearn_ae.displays as displays_module  # noqa: E402
from sklearn_ae.displays import (  # noqa: E402
    FilterDisplay,
    InterpolationDisplay,
    LatentManifoldDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    RegularizationPathDisplay,
)
from units.displays.drawings import (  # noqa: E402
    draw_codes,
    draw_filters,
    draw_grid,
    draw_lines,
    draw_losses,
    draw_paths,
    draw_reconstructions,
    draw_weights,
)

ON_ONE_AXES = [draw_codes, draw_grid, draw_losses, draw_paths, draw_weights]
ON_ONE_AXES += [draw_lines, draw_filters]
ALL = [*ON_ONE_AXES, draw_reconstructions]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 9), (4, 9)),
        ((1, 4, 9), (1, 4, 9)),
        ((3, 4, 9), (3, 4, 9)),
        ((2, 4, 9), (72,)),
    ],
    ids=str,
)
def test_pictures_have_the_shape_that_was_learned(shape, expected):
    """Also of rows without one; what is no picture is drawn as lines."""
    images = np.random.default_rng(0).uniform(size=(20, *shape))
    model = sklearn_ae.ConvolutionalAutoencoder(
        2, hidden_layer_sizes=(2,), max_epochs=1, random_state=0
    ).fit(images)
    for X in (images, images.reshape(20, -1)):
        displays = [
            ReconstructionDisplay.from_estimator(model, X, n_samples=2),
            InterpolationDisplay.from_estimator(model, X[:2], X[2:4], n_steps=3),
            LatentManifoldDisplay.from_estimator(model, X, grid_size=2),
            LatentTraversalDisplay.from_estimator(model, X, n_steps=2),
        ]
        assert [tuple(display.image_shape) for display in displays] == [expected] * 4


def test_sequences_are_lines_unless_steps_have_several_features():
    X = np.random.default_rng(0).uniform(size=(20, 25, 1))
    model = sklearn_ae.LSTMAutoencoder(2, max_epochs=1, random_state=0).fit(X)
    for rows in (X, X.reshape(20, -1)):
        display = ReconstructionDisplay.from_estimator(model, rows, n_samples=2)
        assert display.image_shape == (25,)
        assert display.axes_[0, 0].lines


@pytest.mark.parametrize("draw", ON_ONE_AXES)
def test_given_axes_are_used_and_no_figure_is_opened(draw):
    figure, axes = plt.subplots(1, 2)
    display = draw(ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert axes[1].has_data()
    assert not axes[0].has_data()
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("draw", ALL)
def test_a_new_figure_has_a_constrained_layout_and_is_the_only_one(draw):
    display = draw()
    assert plt.get_fignums() == [display.figure_.number]
    engine = type(display.figure_.get_layout_engine()).__name__
    assert engine == "ConstrainedLayoutEngine"


@pytest.mark.parametrize("draw", ALL)
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
        (draw_grid, "LatentManifoldDisplay.plot"),
        (draw_losses, "LossCurveDisplay.plot"),
        (draw_paths, "InterpolationDisplay.plot"),
        (draw_reconstructions, "ReconstructionDisplay.plot"),
        (
            lambda: InterpolationDisplay.from_estimator(None, None, None),
            "InterpolationDisplay.from_estimator",
        ),
        (
            lambda: LatentManifoldDisplay.from_estimator(None),
            "LatentManifoldDisplay.from_estimator",
        ),
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
        (draw_weights, "RegularizationPathDisplay.plot"),
        (draw_lines, "LatentTraversalDisplay.plot"),
        (draw_filters, "FilterDisplay.plot"),
        (
            lambda: LatentTraversalDisplay.from_estimator(None),
            "LatentTraversalDisplay.from_estimator",
        ),
        (lambda: FilterDisplay.from_estimator(None), "FilterDisplay.from_estimator"),
        (
            lambda: RegularizationPathDisplay.from_estimator(
                None, None, param_name="alpha", param_range=[1]
            ),
            "RegularizationPathDisplay.from_estimator",
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
    methods = {
        key: method
        for key, method in inspect.getmembers(display, callable)
        if not key.startswith("_")
    }
    assert {"from_estimator", "plot"} <= methods.keys()
    for documented in [display, *methods.values()]:
        assert "Parameters\n" in documented.__doc__
        assert ">>> " in documented.__doc__
