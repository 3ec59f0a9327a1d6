"""Checks of sparsity_score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.preprocessing import KBinsDiscretizer

from sklearn_ae.metrics import sparsity_score
from units.metrics.cases import SQUARE, Codes, X, exactly


def test_sparsity_by_hand():
    codes = np.array([[0.0, -0.5, 0.1, 2.0], [0.0, 0.0, -0.1, 3.0]])
    for kind in (np.asarray, pd.DataFrame, sp.csr_array, sp.csc_matrix, sp.coo_array):
        model = Codes(encode=lambda X, kind=kind: kind(codes))
        scores = [
            sparsity_score(model, SQUARE[:2], threshold=t) for t in (0, 0.1, 0.5, 2, 9)
        ]
        assert scores == [3 / 8, 5 / 8, 6 / 8, 7 / 8, 1]
        assert type(scores[0]) is float


def test_sparsity_of_one_hot_codes():
    bins = KBinsDiscretizer(5, encode="onehot", strategy="uniform").fit(X)
    assert_allclose(sparsity_score(bins, X), 0.8, rtol=1e-12)


def test_sparsity_weighs_slices_by_their_rows():
    model = Codes(encode=lambda X: X[:, :1])
    rows = np.zeros((70_000, 64), dtype=np.float32)
    rows[:14_000] = 1
    assert_allclose(sparsity_score(model, rows), 0.8, rtol=1e-12)
    assert len(model.batches_) > 1


def test_sparsity_refuses_bad_thresholds_and_codes():
    message = "threshold must not be negative, got -1."
    with pytest.raises(ValueError, match=exactly(message)):
        sparsity_score(Codes(), SQUARE, threshold=-1)
    with pytest.raises(ValueError, match="contains NaN"):
        sparsity_score(Codes(encode=lambda X: X * np.nan), SQUARE)
