"""Checks of reconstruction_r2 and its scorer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_ae.metrics import (
    make_denoising_scorer,
    reconstruction_r2,
    sparsity_score,
)
from units.metrics.cases import SQUARE, Codes, X, exactly


@pytest.mark.parametrize("k", [1, 2, 4])
def test_r2_of_pca_is_its_explained_variance(k):
    pca = PCA(k).fit(X)
    score = reconstruction_r2(pca, X)
    assert type(score) is float
    assert_allclose(score, pca.explained_variance_ratio_.sum(), rtol=1e-12)


def test_r2_by_hand():
    # Eight entries, each wrong by 1; the squared deviations add up to 8.
    assert reconstruction_r2(Codes(decode=lambda Z: Z + 1), SQUARE) == 0.0
    assert reconstruction_r2(Codes(decode=lambda Z: Z + 0.5), SQUARE) == 0.75
    assert reconstruction_r2(Codes(decode=lambda Z: Z - 2), SQUARE) == -3.0


@settings(deadline=None, max_examples=30)
@given(
    pair=arrays(float, (2, 7, 3), elements=st.floats(-100, 100).map(lambda x: round(x)))
)
def test_r2_is_the_variance_weighted_r2_of_scikit_learn(pair):
    truth, answer = pair
    truth[0] = truth[1] + [1, 2, 3]
    expected = r2_score(truth, answer, multioutput="variance_weighted")
    score = reconstruction_r2(Codes(decode=lambda Z: answer), truth)
    assert_allclose(score, expected, rtol=1e-9, atol=1e-9)


def test_r2_measures_held_out_rows_against_their_own_mean():
    held_out = SQUARE + 100
    own_mean = Codes(decode=lambda Z: np.full((4, 2), 101.0))
    assert reconstruction_r2(own_mean, held_out) == 0
    # From the mean of SQUARE the error is 8 + 8 * 100^2, 10001 times as much.
    other_mean = Codes(decode=lambda Z: np.ones((4, 2)))
    assert reconstruction_r2(other_mean, held_out) == -10_000


def test_r2_of_a_pipeline_is_in_the_units_of_its_input():
    uneven = X * [1, 10, 100, 1000]
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(uneven)
    rebuilt = pipeline.inverse_transform(pipeline.transform(uneven))
    expected = r2_score(uneven, rebuilt, multioutput="variance_weighted")
    assert_allclose(reconstruction_r2(pipeline, uneven), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist,
        np.asfortranarray,
        sp.csr_matrix,
        sp.csc_array,
        sp.bsr_array,
        lambda rows: pd.DataFrame(rows, index=np.linspace(1, 0, len(rows))),
        lambda rows: pd.DataFrame(rows, columns=list("abcd")),
        lambda rows: pl.DataFrame(rows, schema=list("abcd")),
    ],
)
def test_scores_are_the_same_for_every_kind_of_input(convert):
    noise = make_denoising_scorer("salt_and_pepper", 0.3)
    expected = PCA(2).fit(X)
    given_as = clone(expected).fit(convert(X))
    for scorer in (reconstruction_r2, noise, sparsity_score):
        assert_allclose(scorer(given_as, convert(X)), scorer(expected, X), rtol=1e-9)


def test_r2_accepts_codes_as_frames():
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    expected = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    score = reconstruction_r2(pipeline.fit(frame), frame)
    assert_allclose(score, reconstruction_r2(expected, X), rtol=1e-12)


def test_r2_flattens_rows_with_a_shape():
    images = np.arange(24.0).reshape(3, 2, 4)
    half = Codes(encode=lambda X: X.reshape(3, 8), decode=lambda Z: Z + 1)
    expected = r2_score(
        images.reshape(3, 8), images.reshape(3, 8) + 1, multioutput="variance_weighted"
    )
    assert_allclose(reconstruction_r2(half, images), expected, rtol=1e-12)


def test_r2_of_rows_that_are_all_equal():
    # The mean of three times 0.1 is not 0.1 in floating point.
    same = np.full((3, 2), 0.1)
    assert reconstruction_r2(Codes(), same) == 1.0
    assert reconstruction_r2(Codes(decode=lambda Z: Z + 1e-3), same) == 0.0
    assert reconstruction_r2(Codes(), SQUARE[:1]) == 1.0


def test_r2_does_not_cancel_far_from_zero():
    far = SQUARE + 2.0**40
    assert reconstruction_r2(Codes(decode=lambda Z: Z + 0.5), far) == 0.75


def test_r2_goes_through_many_rows_in_slices():
    rows = np.random.default_rng(0).normal(3, 1, (70_000, 64)).astype(np.float32)
    biased = Codes(decode=lambda Z: Z + np.float32(0.5))
    score = reconstruction_r2(biased, rows)
    wide = rows.astype(np.float64)
    total = ((wide - wide.mean(axis=0)) ** 2).sum()
    error = (wide - (rows + np.float32(0.5))) ** 2
    assert_allclose(score, 1 - error.sum() / total, rtol=1e-9)
    assert len(biased.batches_) > 1
    assert sum(map(len, biased.batches_)) == 70_000
    assert biased.batches_[0].dtype == np.float32
    assert max(batch.size for batch in biased.batches_) <= 2**22


def test_r2_refuses_what_it_cannot_compare():
    with pytest.raises(ValueError, match="^Input X contains NaN"):
        reconstruction_r2(Codes(), np.where(SQUARE == 2, np.nan, SQUARE))
    with pytest.raises(ValueError, match="^Input the reconstruction contains infinity"):
        reconstruction_r2(Codes(decode=lambda Z: Z + np.inf), SQUARE)
    message = "The reconstruction gives rows of 1 features, X has 2."
    with pytest.raises(ValueError, match=exactly(message)):
        reconstruction_r2(Codes(decode=lambda Z: Z[:, :1]), SQUARE)
    with pytest.raises(ValueError, match=r"^Found array with 0 sample\(s\)"):
        reconstruction_r2(Codes(), SQUARE[:0])


def test_r2_compares_families_in_one_search():
    families = [
        PCA(1),
        PCA(3),
        TruncatedSVD(2, random_state=0),
        KernelPCA(2, kernel="rbf", fit_inverse_transform=True, alpha=1e-3),
    ]
    splits = KFold(3, shuffle=True, random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA())])
    search = GridSearchCV(
        pipeline, {"reduce": families}, scoring=reconstruction_r2, cv=splits
    ).fit(X)
    expected = np.zeros((4, 3))
    for i, family in enumerate(families):
        for j, (train, test) in enumerate(splits.split(X)):
            fitted = clone(pipeline).set_params(reduce=clone(family)).fit(X[train])
            answer = fitted.inverse_transform(fitted.transform(X[test]))
            expected[i, j] = r2_score(X[test], answer, multioutput="variance_weighted")
    assert_allclose(search.cv_results_["mean_test_score"], expected.mean(axis=1))
    assert search.best_index_ == 1


@pytest.mark.parametrize("seed", range(3))
def test_frames_score_as_arrays_to_the_last_digit(seed):
    """Columns of a frame lie one behind the other, whoever answers it."""
    X = np.random.default_rng(seed).normal(size=(300, 7))
    turned = FunctionTransformer(inverse_func=lambda Z: Z * -3, check_inverse=False)
    expected = reconstruction_r2(turned.fit(X), X)
    assert reconstruction_r2(turned, np.asfortranarray(X)) == expected
    assert reconstruction_r2(turned, pl.DataFrame(X)) == expected
