"""Checks of make_probe_scorer."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import KBinsDiscretizer

from sklearn_ae.metrics import make_probe_scorer
from units.metrics.cases import Codes, X, Y, exactly


class Majority(ClassifierMixin, BaseEstimator):
    """Answers its most frequent label, and keeps what it was fitted on."""

    fitted = None

    def fit(self, X, y):
        type(self).fitted = (X, y)
        self.classes_, counts = np.unique(y, return_counts=True)
        self.answer_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        return np.full(len(X), self.answer_)


def test_probe_is_trained_on_a_stratified_few_and_scored_on_the_rest():
    labels = np.repeat(["a", "b"], [60, 40])
    rows = np.arange(100.0)[:, None]
    double = Codes(encode=lambda X: 2 * X)
    score = make_probe_scorer(Majority(), n_labels=20)(double, rows, labels)
    codes, seen = Majority.fitted
    assert sorted(seen) == ["a"] * 12 + ["b"] * 8
    assert list(labels[(codes[:, 0] / 2).astype(int)]) == list(seen)
    assert len(np.unique(codes)) == 20
    assert type(score) is float
    # "a" for the other 48 of "a" and 32 of "b"
    assert score == 0.6


def test_probe_does_not_score_the_rows_it_was_trained_on():
    # Labels without a rule: one neighbour knows its own rows only.
    random = np.random.default_rng(0)
    labels, rows = random.integers(0, 2, 2000), random.normal(size=(2000, 2))
    probe = make_probe_scorer(KNeighborsClassifier(1), n_labels=1500)
    assert_allclose(probe(Codes(), rows, labels), 0.5, atol=0.08)


def test_default_probe_does_not_care_about_the_scale_of_the_code():
    probe = make_probe_scorer(n_labels=60)
    scores = [probe(Codes(encode=lambda Z, a=a: a * Z), X, Y) for a in (1, 1e-6, 1e6)]
    assert scores[0] > 0.9
    assert_allclose(scores, scores[0], rtol=1e-12)


@pytest.mark.parametrize("kind", [list, pd.Series, pl.Series, np.array])
def test_probe_takes_labels_of_every_kind_and_sparse_codes(kind):
    names = load_iris().target_names[Y]
    bins = KBinsDiscretizer(
        5, encode="onehot", strategy="quantile", quantile_method="averaged_inverted_cdf"
    )
    assert sp.issparse(bins.fit_transform(X))
    score = make_probe_scorer(n_labels=60)(bins, X, kind(names.tolist()))
    assert score == make_probe_scorer(n_labels=60)(bins, X, Y)
    assert score > 0.85


def test_probe_is_repeatable_and_leaves_the_global_state():
    pca = PCA(1).fit(X)
    state = pickle.dumps(np.random.get_state())
    scores = [
        make_probe_scorer(n_labels=10, random_state=seed)(pca, X, Y)
        for seed in (0, 0, 1, 2, 3)
    ]
    assert scores[0] == scores[1]
    assert len(set(scores)) > 1
    assert pickle.dumps(np.random.get_state()) == state


@pytest.mark.parametrize(
    ("n_labels", "labels", "message"),
    [
        (
            10,
            None,
            "A probe needs the class labels y, got None. Pass them: scorer(estimator, "
            "X, y), or search.fit(X, y).",
        ),
        (10, np.zeros(150), "A probe needs at least two classes in y, got one."),
        (
            2,
            Y,
            "n_labels=2 of 150 rows with 3 classes: it must be at least 3 and leave "
            "at least 3 rows to score on.",
        ),
        (
            148,
            Y,
            "n_labels=148 of 150 rows with 3 classes: it must be at least 3 and leave "
            "at least 3 rows to score on.",
        ),
    ],
)
def test_probe_refuses_what_it_cannot_learn(n_labels, labels, message):
    with pytest.raises(ValueError, match=exactly(message)):
        make_probe_scorer(n_labels=n_labels)(PCA(2).fit(X), X, labels)


def test_probe_needs_a_label_for_each_row():
    with pytest.raises(ValueError, match=r"numbers of samples: \[150, 149\]$"):
        make_probe_scorer()(PCA(2).fit(X), X, Y[1:])


def test_probe_refuses_numbers_that_are_no_labels():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        make_probe_scorer()(PCA(2).fit(X), X, X[:, 0])
