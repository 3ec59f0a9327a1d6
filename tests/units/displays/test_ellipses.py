"""Ellipses around the codes of LatentSpaceDisplay."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from sklearn_ae.displays import LatentSpaceDisplay  # noqa: E402


class UncertainPCA(PCA):
    """Answers codes that are distributions, other than those of `transform`."""

    def encode_distribution(self, X):
        means = self.transform(X) + 1
        return means, 0.1 + np.abs(means)


@pytest.fixture(scope="module")
def uncertain(iris):
    return UncertainPCA(3).fit(iris[0])


def radii_of(ellipses):
    ellipses.figure.canvas.draw()
    transforms = ellipses.get_transforms()
    return np.c_[transforms[:, 0, 0], transforms[:, 1, 1]]


@pytest.mark.parametrize(("ellipses", "radius"), [(True, 1.0), (2, 2.0), (0.5, 0.5)])
def test_ellipses_are_so_many_standard_deviations_around_the_means(
    iris, uncertain, ellipses, radius
):
    X = iris[0]
    means, deviations = uncertain.encode_distribution(X)
    display = LatentSpaceDisplay.from_estimator(uncertain, X, ellipses=ellipses)
    np.testing.assert_array_equal(display.Z, means)
    np.testing.assert_array_equal(display.standard_deviations, deviations)
    assert display.ax_.get_xlabel() == "uncertainpca0"
    ((drawn,), (points,)) = display.ellipses_, display.scatters_
    np.testing.assert_array_equal(drawn.get_offsets(), points.get_offsets())
    np.testing.assert_array_equal(points.get_offsets(), means[:, :2])
    np.testing.assert_allclose(radii_of(drawn), radius * deviations[:, :2])


def test_ellipses_of_a_class_have_its_colour_and_components_their_radii(
    iris, uncertain
):
    X, y = iris
    means, deviations = uncertain.encode_distribution(X)
    display = LatentSpaceDisplay.from_estimator(
        uncertain, X, y, ellipses=True, components=(2, 0)
    )
    assert len(display.ellipses_) == len(display.scatters_) == 3
    drawn = zip(display.ellipses_, display.scatters_, strict=True)
    for label, (ellipses, points) in enumerate(drawn):
        np.testing.assert_array_equal(
            ellipses.get_offsets(), means[y == label][:, ::-2]
        )
        np.testing.assert_allclose(radii_of(ellipses), deviations[y == label][:, ::-2])
        color = points.get_facecolor()[0, :3]
        np.testing.assert_array_equal(ellipses.get_edgecolor()[0, :3], color)
        assert ellipses.get_zorder() < points.get_zorder()


def test_ellipses_of_numbers_have_their_colours_and_missing_ones_are_grey(iris):
    y = iris[0][:, 2] + 0.05
    y[3] = np.nan
    display = LatentSpaceDisplay.from_codes(
        iris[0], y, standard_deviations=np.ones((150, 4)), ellipses=True
    )
    display.figure_.canvas.draw()
    ((ellipses,), (points,)) = display.ellipses_, display.scatters_
    colors = points.get_facecolor()[:, :3]
    np.testing.assert_array_equal(ellipses.get_edgecolor()[:, :3], colors)
    assert display.colorbar_.mappable is points


@pytest.mark.parametrize("y", [None, [0, 1], [0.5, 1.5]])
def test_the_axes_hold_whole_ellipses_in_the_units_of_the_code(y):
    Z, deviations = np.array([[0.0, 0.0], [1.0, 30.0]]), np.array([[3.0, 50.0], [0, 0]])
    display = LatentSpaceDisplay.from_codes(
        Z, y, standard_deviations=deviations, ellipses=True, scatter_kw={"alpha": 0}
    )
    (left, right), (low, high) = display.ax_.get_xlim(), display.ax_.get_ylim()
    assert left < -3 < 3 < right
    assert low < -50 < 50 < high
    # What is painted inside the frame is the first ellipse.
    display.ellipses_[0].set(color="red", alpha=1)
    display.figure_.canvas.draw()
    red, green, *_ = np.moveaxis(np.asarray(display.figure_.canvas.buffer_rgba()), 2, 0)
    rows, columns = np.nonzero((red > 200) & (green < 100))
    pixels = np.c_[columns, len(red) - rows]
    x, y = display.ax_.transData.inverted().transform(pixels).T
    np.testing.assert_allclose([x.min(), x.max()], [-3, 3], atol=0.1)
    np.testing.assert_allclose([y.min(), y.max()], [-50, 50], atol=1)


def test_no_ellipses_are_drawn_unless_asked_for(iris, uncertain):
    display = LatentSpaceDisplay.from_estimator(uncertain, iris[0])
    np.testing.assert_array_equal(display.Z, uncertain.transform(iris[0]))
    assert display.standard_deviations is None
    assert display.ellipses_ == []
    display = LatentSpaceDisplay.from_codes(
        np.eye(3), standard_deviations=np.eye(3), ellipses=True
    )
    assert display.plot().ellipses_ == []
    assert len(display.plot(ellipses=2).ellipses_) == 1


def test_an_estimator_without_distributions_is_refused(iris):
    X = iris[0]
    with pytest.raises(AttributeError, match="PCA") as caught:
        LatentSpaceDisplay.from_estimator(PCA(2).fit(X), X, ellipses=True)
    assert str(caught.value) == (
        "PCA has no `encode_distribution`, which says how wide ellipses are."
    )
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"standard_deviations": None},
            "ellipses need standard_deviations, but there are none.",
        ),
        (
            {"standard_deviations": np.ones((4, 2))},
            "standard_deviations have shape (4, 2), but Z has (4, 4).",
        ),
        ({"standard_deviations": -np.eye(4)}, "must not be negative."),
        ({"standard_deviations": [[np.nan]]}, "standard_deviations contains NaN"),
        ({"components": 1}, "ellipses need two components."),
        ({"ellipses": -1}, "ellipses must be positive, got -1."),
        ({"ellipses": np.nan}, "ellipses must be positive, got nan."),
    ],
)
def test_ellipses_that_cannot_be_drawn_are_refused(keywords, message):
    keywords = {"standard_deviations": np.eye(4), "ellipses": True} | keywords
    with pytest.raises(ValueError, match=" ") as caught:
        LatentSpaceDisplay.from_codes(np.eye(4), **keywords)
    assert message in str(caught.value)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("y", [None, np.arange(400) % 3, np.linspace(0.1, 1, 400)])
def test_ellipses_can_be_seen(y):
    """Also those of many rows that are small beside the whole."""
    Z = np.random.RandomState(0).normal(size=(400, 2))
    deviations = np.full((400, 2), 0.04)
    drawn = LatentSpaceDisplay.from_codes(
        Z, y, standard_deviations=deviations, ellipses=True
    )
    plain = LatentSpaceDisplay.from_codes(Z, y)
    size = drawn.scatters_[0].get_sizes()[0]
    assert size < plain.scatters_[0].get_sizes()[0] / 3
    drawn.figure_.canvas.draw()
    # The points, whose radius is in points, leave most of each ellipse to be seen.
    radius = np.sqrt(size / np.pi) * drawn.figure_.dpi / 72
    unit = np.diff(drawn.ax_.transData.transform([[0, 0], [1, 1]]), axis=0)[0]
    assert radius < 0.6 * (0.04 * unit).min()
    for ellipses in drawn.ellipses_:
        assert ellipses.get_linewidth()[0] >= 1
        assert ellipses.get_edgecolor()[0, 3] >= 0.6
