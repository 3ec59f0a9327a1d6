"""Sparse autoencoders on digits: defaults, and M3."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedShuffleSplit,
    train_test_split,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_ae import SparseAutoencoder
from theory.claims import (
    Claim,
    Identity,
    RandomProjection,
    check_claims,
    digits,
    digits_split,
)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", ["kl", "l1", "top_k"])
@pytest.mark.parametrize("scale", [1.0, 1 / 16])
def test_defaults_describe_raw_digits(request, penalty, scale):
    """At their defaults, whatever the units, codes are sparse and rows are kept."""

    def figures(model, seed):
        X = digits() * 16 * scale
        model.fit(X)
        return {
            "active share": model.mean_active_components_ / model.n_components,
            "dead share": model.dead_components_ / model.n_components,
            "unexplained": model.unexplained_variance_,
        }

    check_claims(
        request,
        figures,
        SparseAutoencoder(penalty=penalty),
        [
            Claim("active share", at_most=0.5, at_least=0.02),
            Claim("dead share", at_most=0.1),
            Claim("unexplained", at_most=0.4),
        ],
        stubs=[SparseAutoencoder(penalty="l1", alpha=0.0)],
    )


@pytest.mark.slow
def test_a_search_over_alpha_finds_a_penalty_that_helps(request):
    """With 100 labelled rows, and no others, for all the steps of the pipeline.

    Each split of the search is one choice of them. `alpha` 0 starts from the same
    weights; PCA has as many components as there are features.
    """
    alphas = [0, 0.1, 1]

    def scores(code, grid, seed):
        steps = [("scale", MinMaxScaler()), ("code", code)]
        pipeline = Pipeline([*steps, ("classify", LogisticRegression(max_iter=2000))])
        splits = StratifiedShuffleSplit(8, train_size=100, random_state=seed)
        search = GridSearchCV(pipeline, grid, cv=splits, refit=False)
        return search.fit(*load_digits(return_X_y=True)).cv_results_["mean_test_score"]

    def figures(model, seed):
        found = scores(model, {"code__alpha": alphas}, seed)
        (pca,) = scores(PCA(), {"code__n_components": [64]}, seed)
        return {
            "inside the grid": float(0 < found.argmax() < len(alphas) - 1),
            "gain over no penalty": found.max() - found[0],
            "gain over PCA": found.max() - pca,
        }

    params = {"penalty": "l1", "batch_size": 20, "tol": 0.0}
    check_claims(
        request,
        figures,
        SparseAutoencoder(256, tied_weights=True, max_epochs=400, **params),
        [
            Claim("inside the grid", at_least=1),
            Claim("gain over no penalty", at_least=0.004),
            Claim("gain over PCA", at_least=0.01),
        ],
        # Without tied weights, and hardly trained.
        stubs=[SparseAutoencoder(256, max_epochs=5, **params)],
    )


@pytest.mark.slow
def test_sparse_codes_serve_a_classifier(request):
    """M3: on 100 labels a point more than the pixels, scaled or not; ten choices."""

    def figures(model, seed):
        X_train, X_test, y_train, y_test = digits_split(seed)
        model.fit(X_train)
        gains = []
        for split in range(10):
            rows, _ = train_test_split(
                np.arange(len(y_train)),
                train_size=100,
                stratify=y_train,
                random_state=split,
            )
            scores = [
                make_pipeline(scaler, LogisticRegression(max_iter=1000))
                .fit(f(X_train[rows]), y_train[rows])
                .score(f(X_test), y_test)
                for f, scaler in (
                    (model.transform, StandardScaler()),
                    (np.array, StandardScaler()),
                    (np.array, None),
                )
            ]
            gains.append(scores[0] - max(scores[1:]))
        return {"gain in accuracy": float(np.mean(gains))}

    check_claims(
        request,
        figures,
        SparseAutoencoder(penalty="top_k"),
        [Claim("gain in accuracy", at_least=0.01)],
        stubs=[PCA(16), RandomProjection(64), Identity(64)],
    )
