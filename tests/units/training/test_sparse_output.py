"""`sparse_output`: the codes of `transform` as a CSR array."""

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from theory.claims import digits, digits_split

from sklearn_ae import SparseAutoencoder


@pytest.fixture(scope="module")
def pair():
    """Answer the same model with dense and with sparse codes."""
    model = SparseAutoencoder(100, penalty="top_k", k=5, max_epochs=3, random_state=0)
    dense = model.fit(digits())
    sparse = SparseAutoencoder(**{**dense.get_params(), "sparse_output": True})
    return dense, sparse.fit(digits())


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_codes_are_those_of_the_dense_answer(pair, dtype):
    dense, sparse = pair
    X = digits().astype(dtype)
    Z = sparse.transform(X)
    assert scipy.sparse.issparse(Z)
    assert Z.format == "csr"
    assert Z.dtype == dense.transform(X).dtype
    assert_array_equal(Z.toarray(), dense.transform(X))
    assert Z.nnz <= 5 * len(X)
    assert_array_equal(sparse.inverse_transform(Z), dense.reconstruct(X))
    assert_array_equal(sparse.score_samples(X), dense.score_samples(X))
    assert_array_equal(
        sparse.transform(scipy.sparse.csr_array(X)).toarray(), Z.toarray()
    )


def test_codes_of_one_row(pair):
    _, sparse = pair
    assert sparse.transform(digits()[:1]).shape == (1, 100)


def test_estimators_that_take_sparse_rows_go_on(pair):
    _, sparse = pair
    X_train, X_test, y_train, y_test = digits_split(0)
    pipeline = make_pipeline(sparse, LogisticRegression(max_iter=1000))
    assert pipeline.fit(X_train, y_train).score(X_test, y_test) > 0.8
    assert (
        make_pipeline(sparse, KMeans(3, n_init=1)).fit_transform(X_test).shape[1] == 3
    )


def test_only_a_slice_of_the_codes_is_dense_at_a_time(pair, monkeypatch):
    """The codes of 100,000 rows would need 40 MB."""
    _, sparse = pair
    largest = []
    make = scipy.sparse.csr_array.__init__

    def spy(self, argument, *args, **kwargs):
        if isinstance(argument, np.ndarray):
            largest.append(argument.size)
        make(self, argument, *args, **kwargs)

    monkeypatch.setattr(scipy.sparse.csr_array, "__init__", spy)
    X = np.tile(digits()[:1000].astype("f4"), (20, 1))
    assert sparse.transform(X).shape == (20_000, 100)
    assert max(largest) <= 2**19


def test_frames_of_codes_are_refused_by_scikit_learn(pair):
    """As for any transformer with sparse answers."""
    _, sparse = pair
    with pytest.raises(ValueError, match="sparse"):
        SparseAutoencoder(**sparse.get_params()).set_output(transform="pandas").fit(
            digits()
        ).transform(digits())
