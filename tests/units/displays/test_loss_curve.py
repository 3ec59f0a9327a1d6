"""Losses drawn by LossCurveDisplay."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from sklearn_ae import (  # noqa: E402
    Autoencoder,
    RobustAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae.displays import LossCurveDisplay  # noqa: E402
from units.displays.drawings import draw_losses  # noqa: E402


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


def texts_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def train_mlp(X, **parameters):
    parameters = {"hidden_layer_sizes": (4,), "random_state": 0, "tol": 1} | parameters
    return MLPRegressor(**parameters).fit(X, X)


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


def label_of(estimator, **keywords):
    return LossCurveDisplay.from_estimator(estimator, **keywords).ax_.get_ylabel()


@pytest.mark.filterwarnings("ignore:No component is active")
@pytest.mark.parametrize(
    ("make", "unit"),
    [
        (Autoencoder, "squared units of X"),
        (lambda **p: Autoencoder(loss="absolute_error", **p), "units of X"),
        (lambda **p: Autoencoder(loss="huber", **p), "squared units of X"),
        (lambda **p: Autoencoder(loss="binary_cross_entropy", **p), "nats"),
        (lambda **p: Autoencoder(loss="multinomial", **p), "nats"),
        (RobustAutoencoder, "densities, 1 / unit of X"),
        (VariationalAutoencoder, "nats"),
        (lambda **p: VariationalAutoencoder(likelihood="bernoulli", **p), "nats"),
    ],
)
def test_the_axis_says_what_the_objective_is_in(iris, make, unit):
    X = iris[0] / 10
    estimator = make(max_epochs=2, random_state=0).fit(X)
    assert label_of(estimator).startswith(f"objective per row, in {unit}")


def test_units_that_differ_are_in_the_legend(iris):
    plain, normal = (
        kind(max_epochs=2, random_state=0).fit(iris[0])
        for kind in (Autoencoder, VariationalAutoencoder)
    )
    foreign = train_mlp(iris[0])
    display = LossCurveDisplay.from_estimator([plain, normal])
    assert display.ax_.get_ylabel().startswith("objective per row, each in its own")
    first, second = texts_of(display.ax_.get_legend())
    assert "in squared units of X" in first
    assert "in nats" in second
    display = LossCurveDisplay.from_estimator([plain, plain])
    assert display.ax_.get_ylabel().startswith("objective per row, in squared units")
    assert label_of([plain, foreign]).startswith("objective per row, each in its own")
    assert label_of(foreign).startswith("objective")
    assert "row" not in label_of(foreign)


def test_what_stopped_the_training_is_said(iris):
    X = iris[0]
    cases = {
        "3 epochs, stopped by max_epochs": {"max_epochs": 3},
        "4 epochs, stopped by n_iter_no_change": {"tol": 9.0, "n_iter_no_change": 3},
    }
    for ending, params in cases.items():
        estimator = Autoencoder(random_state=0, **params).fit(X)
        display = LossCurveDisplay.from_estimator(estimator)
        assert texts_of(display.ax_.get_legend()) == [f"Autoencoder\n{ending}"]
        assert display.lines_[0].get_label() == "Autoencoder"
    streamed = Autoencoder(random_state=0).partial_fit(X)
    display = LossCurveDisplay.from_estimator(streamed)
    assert texts_of(display.ax_.get_legend()) == ["Autoencoder"]


def test_the_weights_that_early_stopping_keeps_are_marked():
    trained = Trained().fit(None)
    trained.validation_scores_ = [-13.0, -4.0, -8.0]
    held_out = LossCurveDisplay.from_estimator(trained).lines_[1]
    assert held_out.get_marker() == "o"
    assert held_out.get_markevery() == [1]


@pytest.mark.parametrize("pretraining", ["greedy", "rbm"])
def test_layers_are_pretrained_before_the_first_epoch(iris, pretraining):
    estimator = StackedAutoencoder(
        2,
        hidden_layer_sizes=(6, 4),
        activation="logistic",
        pretraining=pretraining,
        pretraining_epochs=3,
        max_epochs=2,
        random_state=0,
    ).fit(iris[0])
    display = LossCurveDisplay.from_estimator(estimator)
    whole, *layers = display.lines_
    np.testing.assert_array_equal(whole.get_xdata(), [1, 2])
    assert [line.get_label() for line in layers] == [
        f"StackedAutoencoder, layer {number}" for number in (1, 2, 3)
    ]
    epochs = np.concatenate([line.get_xdata() for line in layers])
    np.testing.assert_array_equal(epochs, np.arange(-8, 1))
    for line, curve in zip(layers, estimator.pretraining_curves_, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
    assert "pretraining" in display.ax_.get_xlabel()
    assert len({line.get_color() for line in display.lines_}) == 4
