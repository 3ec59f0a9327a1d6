"""Promise 11: sparse rows give the dense answer, one batch densified at a time."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from contract.table import (
    ROWS,
    answers,
    every_case_and,
    labels,
    sparse_rows,
    structured_rows,
    weights,
)

SPARSE_ROWS = [row for row in ROWS if row.sparse]
DENSE_ROWS = [row for row in ROWS if not row.sparse]
accepting = pytest.mark.parametrize("row", SPARSE_ROWS, ids=lambda row: row.name)

FORMATS = {
    "csr_array": scipy.sparse.csr_array,
    "csr_matrix": scipy.sparse.csr_matrix,
    "csc_array": scipy.sparse.csc_array,
    "csc_matrix": scipy.sparse.csc_matrix,
    "coo": scipy.sparse.coo_array,
}


@pytest.fixture
def counts():
    """Answer rows with many zeros, in [0, 1]."""
    rng = np.random.default_rng(0)
    return rng.random((50, 9)) * (rng.random((50, 9)) < 0.3)


def assert_same_weights(one, other):
    # Batches of their own and views of one tensor are rounded differently.
    for name, array in weights(one).items():
        np.testing.assert_allclose(
            array, weights(other)[name], rtol=1e-4, atol=1e-6, err_msg=name
        )


@every_case_and("form", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_sparse_rows_equal_dense_rows(row, params, form, counts):
    """11: in every method, or a refusal with the word in it."""
    form, y = form(counts), labels(counts)
    if not row.sparse:
        with pytest.raises(TypeError, match="[Ss]parse"):
            row.make(**params).fit(form, y)
        return
    expected, estimator = (row.make(**params).fit(x, y) for x in (counts, form))
    assert_same_weights(estimator, expected)
    reference = answers(expected, counts)
    for name, found in answers(estimator, form).items():
        np.testing.assert_allclose(
            found, reference[name], rtol=1e-4, atol=1e-5, err_msg=name
        )
    for name, found in answers(expected, form).items():
        np.testing.assert_array_equal(found, reference[name], err_msg=name)


@accepting
@pytest.mark.parametrize("kind", FORMATS)
def test_sparse_formats(row, kind, counts):
    """11: matrices and arrays, codes too."""
    form, y = FORMATS[kind](counts), labels(counts)
    expected, estimator = row.make().fit(counts, y), row.make().fit(form, y)
    assert_same_weights(estimator, expected)
    codes = expected.transform(counts)
    np.testing.assert_array_equal(expected.transform(form), codes)
    np.testing.assert_array_equal(
        expected.inverse_transform(FORMATS[kind](codes)),
        expected.inverse_transform(codes),
    )


@accepting
def test_partial_fit_and_warm_start_take_sparse_rows(row, counts):
    """11."""
    form, y = scipy.sparse.csc_array(counts), labels(counts)
    one, other = row.make(**row.by_batch), row.make(**row.by_batch)
    again, dense = row.make(warm_start=True), row.make(warm_start=True)
    for estimator, X in ((one, form), (other, counts)):
        estimator.partial_fit(X, y).partial_fit(X[:20], y[:20])
    for estimator, X in ((again, form), (dense, counts)):
        estimator.fit(X, y).fit(X, y)
    assert_same_weights(one, other)
    assert_same_weights(again, dense)


@accepting
def test_odd_sparse_rows(row, counts):
    """11: float32, integers, 64-bit indices, explicit zeros, unsorted, duplicates."""
    plain, y = scipy.sparse.csr_array(counts), labels(counts)
    long = plain.copy()
    long.indices, long.indptr = long.indices.astype("i8"), long.indptr.astype("i8")
    zeros = plain.copy()
    zeros.data[::3] = 0
    unsorted = plain[:, ::-1][:, ::-1]
    unsorted.has_sorted_indices = False
    entries = np.repeat(plain.data / 2, 2), np.repeat(plain.indices, 2)
    twice = scipy.sparse.csr_array((*entries, plain.indptr * 2), shape=plain.shape)
    for form in (long, zeros, unsorted, twice, plain.astype("f4"), plain[::-1]):
        dense = form.toarray()
        one, other = row.make().fit(form, y), row.make().fit(dense, y)
        assert_same_weights(one, other)
        np.testing.assert_array_equal(one.transform(form), one.transform(dense))
        assert one.transform(form).dtype == form.dtype
    whole = scipy.sparse.csr_array((counts * 10).astype("i4"))
    one, other = row.make().fit(whole, y), row.make().fit(whole.toarray(), y)
    assert_same_weights(one, other)
    empty = scipy.sparse.csr_array((4, 3))
    codes = row.make().fit(empty, labels(empty)).transform(empty)
    assert np.isfinite(codes).all()


@accepting
def test_one_batch_is_densified_at_a_time(row, monkeypatch):
    """11: no method ever asks for all rows, whatever optimizer it has.

    Or for as many entries: medians are those of all rows, but of some columns.
    """
    X = sparse_rows(160, 10_000, 1e-3)
    densified = []
    read = scipy.sparse.csr_array.toarray

    def spy(self, *args, **kwargs):
        densified.append(self.shape[0] * self.shape[1])
        return read(self, *args, **kwargs)

    for cls in (scipy.sparse.csr_array, scipy.sparse.csc_array):
        monkeypatch.setattr(cls, "toarray", spy)
        monkeypatch.setattr(cls, "todense", spy)
    for params in ({"max_epochs": 1}, {**row.by_batch, "max_epochs": 1}):
        row.make(**params).fit(X, labels(X)).reconstruct(X)
    assert 0 < max(densified) <= 120 * X.shape[1]


resident_memory = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory counters"
)


def peak_bytes() -> int:
    """Answer this process's largest resident size since the last reset, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(s.split()[1]) * 1024 for s in lines if s.startswith("VmHWM"))


class ResidentGrowth:
    """By how many bytes the resident size was larger than at the start."""

    def __enter__(self):
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        self._before = peak_bytes()
        return self

    def __exit__(self, *exception):
        self.n_bytes = peak_bytes() - self._before


@pytest.mark.slow
@accepting
@resident_memory
def test_memory_of_wide_sparse_rows(row):
    """11: less than the dense rows would need in float32."""
    n_rows, n_features = 700, 40_000
    X = sparse_rows(n_rows, n_features, 1e-4)
    params = {**row.by_batch, "max_epochs": 1}
    if "hidden_layer_sizes" in row.cls().get_params():
        params |= {"hidden_layer_sizes": (), "code_activation": "logistic"}
    # Once before, so that caches and thread pools are there.
    y = labels(X)
    row.make(**params).fit(X[:20], y[:20]).score(X[:20])
    with ResidentGrowth() as growth:
        row.make(**params).fit(X, y).score(X)
    assert growth.n_bytes < 4 * n_rows * n_features * 0.9


@pytest.mark.slow
@accepting
@resident_memory
def test_memory_of_sparse_codes(row):
    """11: of codes, too, a slice is dense at a time."""
    n_rows, n_components = 40_000, 512
    estimator = row.make(**{**row.by_batch, "n_components": n_components})
    X = structured_rows(300, 4)
    estimator.fit(X, labels(X))
    codes = sparse_rows(n_rows, n_components, 0.01)
    for form in (codes.tocsr(), codes.tocsc()):
        estimator.inverse_transform(form[:20])
        with ResidentGrowth() as growth:
            answer = estimator.inverse_transform(form)
        assert growth.n_bytes < 4 * n_rows * n_components
        parts = form.tocsr()[-20:].toarray()
        np.testing.assert_allclose(
            answer[-20:], estimator.inverse_transform(parts), rtol=1e-9
        )
