"""Checks of what all scorers promise in a search."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier

from sklearn_ae.metrics import (
    make_denoising_scorer,
    make_probe_scorer,
    reconstruction_r2,
    sparsity_score,
)
from units.metrics.cases import X, Y

SCORERS = {
    "r2": reconstruction_r2,
    "sparsity": sparsity_score,
    "noisy": make_denoising_scorer("masking", 0.2, random_state=7),
    "probe": make_probe_scorer(n_labels=15),
    "neighbours": make_probe_scorer(KNeighborsClassifier(3), n_labels=15),
}


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_survive_pickle(name):
    pca = PCA(2).fit(X)
    again = pickle.loads(pickle.dumps(SCORERS[name]))
    assert again(pca, X, Y) == SCORERS[name](pca, X, Y)


@pytest.mark.slow
def test_scorers_say_the_same_in_two_processes():
    search = GridSearchCV(
        PCA(),
        {"n_components": [1, 3]},
        scoring=SCORERS,
        refit="r2",
        cv=KFold(2, shuffle=True, random_state=0),
    )
    one = search.fit(X, Y).cv_results_
    two = clone(search).set_params(n_jobs=2).fit(X, Y).cv_results_
    for name in SCORERS:
        means = one[f"mean_test_{name}"]
        assert np.all(np.isfinite(means))
        assert_allclose(two[f"mean_test_{name}"], means, rtol=1e-12)
