"""What RegularizationPathDisplay draws of a path."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils import Bunch

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from sklearn_ae import SparseAutoencoder  # noqa: E402
from sklearn_ae.displays import RegularizationPathDisplay  # noqa: E402

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
