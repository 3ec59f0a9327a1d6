"""Promise 10: the same numbers give the same answer, however they are stored."""

from __future__ import annotations

import gc
import warnings
import weakref
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from contract.table import (
    ROWS,
    answers,
    assert_same_model,
    every_case_and,
    every_class,
    examples,
    is_turn,
    labels,
)
from sklearn_ae import Autoencoder
from sklearn_ae._data.checks import refuse_lost_digits
from sklearn_ae._data.targets import are_other_rows
from sklearn_ae.metrics import (
    make_denoising_scorer,
    neighborhood_preservation,
    reconstruction_r2,
)
from sklearn_ae.model_selection import BatchedGridSearchCV

NAMES = list("abcdef")


def mapped(X, path):
    np.save(path / "rows.npy", X)
    return np.load(path / "rows.npy", mmap_mode="r")


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def at_odd_address(X):
    """Answer X in memory that begins one number later than an array's own would."""
    room = np.empty(X.size + 1, X.dtype)[1:]
    room[:] = X.ravel()
    return room.reshape(X.shape)


def framed(X, dtype):
    return pd.DataFrame(X, columns=NAMES).astype(dtype)


# The numbers are whole, from 0 to 9, so that every type holds them.
FORMS = {
    "list": lambda X, _: X.tolist(),
    "tuple of arrays": lambda X, _: tuple(X),
    "tensor": lambda X, _: torch.from_numpy(X),
    "integer tensor": lambda X, _: torch.from_numpy(X).long(),
    "F-order": lambda X, _: np.asfortranarray(X),
    "negative strides": lambda X, _: X[::-1, ::-1].copy()[::-1, ::-1],
    "every second": lambda X, _: np.repeat(np.repeat(X, 2, 0), 2, 1)[::2, ::2],
    "at an odd address": lambda X, _: at_odd_address(X),
    "big-endian": lambda X, _: X.astype(">f8"),
    "big-endian integers": lambda X, _: X.astype(">i2"),
    "int8": lambda X, _: X.astype("i1"),
    "uint64": lambda X, _: X.astype("u8"),
    "float16": lambda X, _: X.astype("f2"),
    "long double": lambda X, _: X.astype(np.longdouble),
    "objects": lambda X, _: X.astype(object),
    "read-only": lambda X, _: read_only(X),
    "mapped": mapped,
    "mapped integers": lambda X, path: mapped(X.astype("i4"), path),
    "pandas": lambda X, _: framed(X, "f8"),
    "pandas integers": lambda X, _: framed(X, "i8"),
    "pandas nullable": lambda X, _: framed(X, "Int64"),
    "pandas arrow": lambda X, _: framed(X, "float64[pyarrow]"),
    "pandas mixed": lambda X, _: framed(X, {"a": "i8", "b": "f4", "c": "Float64"}),
    "polars": lambda X, _: pl.DataFrame(X, schema=NAMES),
    "polars integers": lambda X, _: pl.DataFrame(X.astype(int), schema=NAMES),
    "pyarrow": lambda X, _: pa.table(dict(zip(NAMES, X.T, strict=True))),
    "pyarrow integers": lambda X, _: pa.table(
        dict(zip(NAMES, X.astype(int).T, strict=True))
    ),
}
SINGLE_FORMS = {
    "tensor": lambda X, _: torch.from_numpy(X),
    "F-order": lambda X, _: np.asfortranarray(X),
    "at an odd address": lambda X, _: at_odd_address(X),
    "big-endian": lambda X, _: X.astype(">f4"),
    "read-only": lambda X, _: read_only(X),
    "mapped": mapped,
    "pandas": lambda X, _: framed(X, "f4"),
    "polars": lambda X, _: pl.DataFrame(X, schema=NAMES),
}


def whole_numbers():
    return np.random.default_rng(0).integers(0, 10, size=(40, 6)).astype(float)


@pytest.fixture
def whole():
    return whole_numbers()


def briefly(row):
    """Answer arguments with which a fit takes batches, for one epoch."""
    return {**row.by_batch, "max_epochs": 1}


@cache
def references(number):
    """Answer what a row's estimator learns of the plain array: by fit, and in parts."""
    row, X = ROWS[number], whole_numbers()
    y = labels(X)
    streamed = row.make(**briefly(row))
    if hasattr(streamed, "partial_fit"):
        streamed.partial_fit(X, y).partial_fit(X, y)
    plain, single = row.make(max_epochs=1), row.make(max_epochs=1)
    wide = row.make(6, max_epochs=1)
    single.fit(X.astype("f4") / 3, y)
    return plain.fit(X, y), streamed, single, wide.fit(X, y)


def assert_same_answers(estimator, form, expected, X):
    reference = answers(expected, X)
    for name, found in answers(estimator, form).items():
        np.testing.assert_array_equal(found, reference[name], err_msg=name)
        assert found.dtype == reference[name].dtype, name


@every_class
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_float64(row, form, whole, tmp_path):
    """10: bit-equal, with no warning (warnings are errors here)."""
    expected, streamed, *_ = references(ROWS.index(row))
    is_trained_on = is_turn(row, list(FORMS).index(form))
    form, y = FORMS[form](whole, tmp_path), labels(whole)
    # Each class is asked about every form, and trained on every third of them.
    if not is_trained_on:
        with warnings.catch_warnings():
            # Names, where it was fitted without.
            warnings.filterwarnings("ignore", "X has feature names")
            assert_same_answers(expected, form, expected, whole)
        return
    estimator = row.make(max_epochs=1).fit(form, y)
    assert_same_model(estimator, expected)
    assert_same_answers(estimator, form, expected, whole)
    if hasattr(streamed, "partial_fit"):
        one = row.make(**briefly(row)).partial_fit(form, y).partial_fit(form, y)
        assert_same_model(one, streamed)


@every_class
@pytest.mark.parametrize("form", SINGLE_FORMS)
def test_forms_of_float32(row, form, whole, tmp_path):
    """10: float32 in, float32 out."""
    single = whole.astype("f4") / 3
    form = SINGLE_FORMS[form](single, tmp_path)
    estimator = row.make(max_epochs=1).fit(form, labels(whole))
    expected = references(ROWS.index(row))[2]
    assert_same_model(estimator, expected)
    assert_same_answers(estimator, form, expected, single)
    assert estimator.transform(form).dtype == np.float32
    codes = np.asfortranarray(estimator.transform(form))
    assert estimator.inverse_transform(codes).dtype == np.float32


@every_class
def test_bool(row, whole):
    """10."""
    flags, y = whole > 4, labels(whole)
    for form in (flags, pd.DataFrame(flags), torch.from_numpy(flags), flags.tolist()):
        expected = row.make(max_epochs=1).fit(flags.astype(float), y)
        estimator = row.make(max_epochs=1).fit(form, y)
        assert_same_model(estimator, expected)
        assert_same_answers(estimator, form, expected, flags.astype(float))


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def row_and_reference(request):
    X = np.random.default_rng(0).integers(0, 10, size=(40, 6)).astype(float)
    return request.param, request.param.make().fit(X, labels(X)), X


class OwnFrame:
    """What has an array, and names of columns, but no columns by name."""

    def __init__(self, X):
        self.columns, self.shape, self._X = list("abcdef"), X.shape, X

    def __array__(self, dtype=None, copy=None):
        return np.array(self._X, dtype=dtype)

    def __len__(self):
        return len(self._X)


FRAMES = {
    "pyarrow": lambda X: pa.table(dict(zip(NAMES, X.T, strict=True))),
    "levels of names": lambda X: pd.DataFrame(
        X, columns=pd.MultiIndex.from_product([["a", "b"], [0, 1, 2]])
    ),
    "names of methods": lambda X: pd.DataFrame(
        X, columns=["columns", "itercolumns", "get_columns", "column_names", "a", "b"]
    ),
    "one's own": OwnFrame,
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frames_of_every_kind(frame, whole):
    """10: whatever scikit-learn takes is fitted and measured."""
    expected = Autoencoder(2, max_epochs=2, random_state=0).fit(whole)
    estimator = Autoencoder(2, max_epochs=2, random_state=0).fit(frame(whole))
    Z = expected.transform(whole)
    np.testing.assert_array_equal(estimator.transform(frame(whole)), Z)
    assert neighborhood_preservation(frame(whole), Z) == (
        neighborhood_preservation(whole, Z)
    )


def test_metrics_of_frames(whole):
    """10: of those that an estimator knows by the names of their columns."""
    for name in ("pandas", "polars", "pyarrow"):
        form = FORMS[name](whole, None)
        estimator = Autoencoder(2, max_epochs=2, random_state=0).fit(form)
        plain = Autoencoder(2, max_epochs=2, random_state=0).fit(whole)
        assert reconstruction_r2(estimator, form) == reconstruction_r2(plain, whole)
        scorer = make_denoising_scorer("gaussian", 0.2, random_state=0)
        assert scorer(estimator, form) == scorer(plain, whole)


def test_names_that_occur_twice(whole):
    """10: each column is looked at once, where scikit-learn lets them through."""
    large = pd.DataFrame(whole.astype("i8"), columns=list("aabbcc"))
    large.iloc[:, 2] = 2**62 + np.arange(len(whole))
    with pytest.raises(ValueError, match="Column 2 of X has integers"):
        refuse_lost_digits(large)


def test_large_integers_of_a_table(whole):
    """10: beside numbers of float64 they are told apart no more."""
    columns = dict(zip(NAMES, whole.T, strict=True))
    columns["b"] = 2**62 + np.arange(len(whole))
    with pytest.raises(ValueError, match="Column 1 of X has integers"):
        Autoencoder(2).fit(pa.table(columns))


def test_a_plan_of_a_frame_is_no_frame(whole):
    """10: what has not been computed yet is refused, with the cure."""
    lazy = pl.DataFrame(whole, schema=NAMES).lazy()
    estimator = Autoencoder(2, max_epochs=1)
    fitted = clone(estimator).fit(whole)
    for method in (estimator.fit, estimator.partial_fit, fitted.transform):
        with pytest.raises(ValueError, match=r"Expected 2D array.*pass X\.collect"):
            method(lazy)
    with pytest.raises(ValueError, match=r"pass Z\.collect"):
        fitted.inverse_transform(pl.DataFrame(whole[:, :2]).lazy())


@given(st.data())
@examples(max_examples=20)
def test_any_layout_of_any_dtype(row_and_reference, data):
    """10: any order, stride, byte order and type."""
    _, estimator, whole = row_and_reference
    kind = data.draw(st.sampled_from(["i1", "u1", "i2", "u4", "i8", "f2", "f4", "f8"]))
    swap = data.draw(st.booleans())
    X = whole.astype(np.dtype(kind).newbyteorder(">" if swap else "<"))
    plain = X.astype("f4" if kind == "f4" else "f8")
    order = data.draw(st.sampled_from("CF"))
    padding = data.draw(arrays("i8", (2, 2), elements=st.integers(0, 3)))
    room = np.zeros(np.add(X.shape, padding.sum(1)), X.dtype, order)
    inside = tuple(
        slice(before, before + n)
        for (before, _), n in zip(padding, X.shape, strict=True)
    )
    room[inside] = X
    view = room[inside]
    if data.draw(st.booleans()):
        view, plain = view[::-1], plain[::-1]
    expected = answers(estimator, np.ascontiguousarray(plain))
    for name, found in answers(estimator, view).items():
        np.testing.assert_array_equal(found, expected[name], err_msg=name)


@every_class
def test_forms_of_codes(row, whole, tmp_path):
    """10: `inverse_transform` is as tolerant."""
    estimator = references(ROWS.index(row))[3]
    expected = estimator.inverse_transform(whole)
    for name, form in FORMS.items():
        found = estimator.inverse_transform(form(whole, tmp_path))
        np.testing.assert_array_equal(found, expected, err_msg=name)


def to_single(X):
    return X.astype("f4")


def to_frame(X):
    return pd.DataFrame(X.copy())


@every_case_and("make", [np.copy, to_single, scipy.sparse.csr_array])
def test_rows_are_never_modified(row, params, make, X, y):
    """10: not in training, not in any answer."""
    if make is scipy.sparse.csr_array and not row.sparse:
        pytest.skip("takes no sparse rows")
    form, expected = make(X), make(X)
    estimator = row.make(**params).fit(form, y)
    codes = estimator.fit_transform(form, y)
    kept = codes.copy()
    answers(estimator, form)
    estimator.inverse_transform(codes)
    np.testing.assert_array_equal(codes, kept)
    if scipy.sparse.issparse(form):
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(form, part), getattr(expected, part))
    else:
        np.testing.assert_array_equal(form, expected)
        assert form.flags.writeable


@every_case_and("make", [np.copy, scipy.sparse.csr_array, to_frame])
def test_rows_are_never_kept(row, params, make, X, y):
    """10: nothing holds X or its memory once the caller has let go."""
    if make is scipy.sparse.csr_array and not row.sparse:
        pytest.skip("takes no sparse rows")
    params = {**params, "warm_start": True}
    form = make(X)
    estimator = row.make(**params)
    estimator.fit(form, y).fit(form, y)
    if hasattr(estimator, "partial_fit") and not estimator.early_stopping:
        estimator.partial_fit(form, y)
    answers(estimator, form)
    reference = weakref.ref(form)
    memory = weakref.ref(form.data) if scipy.sparse.issparse(form) else None
    del form
    if reference() is not None or (memory and memory() is not None):
        # What is only in a cycle is no longer held.
        gc.collect()
    assert reference() is None
    assert memory is None or memory() is None


@every_class
def test_answers_are_the_callers_own(row, fitted_class, X):
    """10: writing into an answer changes no later one."""
    estimator = fitted_class(row)
    expected = answers(estimator, X)
    for name, found in answers(estimator, X).items():
        assert found.flags.writeable
        assert found.flags.owndata or not np.shares_memory(found, X), name
        found[...] = -1
    for name, found in answers(estimator, X).items():
        np.testing.assert_array_equal(found, expected[name])


# Of what is trained with labels, rows are refused for them.
unsupervised = pytest.mark.parametrize(
    "row", [row for row in ROWS if not row.needs_y], ids=lambda row: row.name
)
IGNORED = "y has the shape of X, and is ignored"


def said(caught):
    return [str(w.message) for w in caught if str(w.message).startswith(IGNORED)]


@unsupervised
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_other_rows_as_y(row, method, whole):
    """A warning: y changes nothing, and may have been meant to be what is learned."""
    noisy = whole + np.random.default_rng(1).normal(size=whole.shape)
    plain = row.make(**briefly(row)).fit(noisy)
    for X, y in (
        (noisy, whole),
        (pd.DataFrame(noisy), pd.DataFrame(whole).astype("Float64")),
        (noisy, pl.DataFrame(whole)),
        (noisy.astype("f4"), whole.tolist()),
        (noisy, torch.tensor(whole, requires_grad=True)),
        (noisy, np.asfortranarray(noisy + 1e-9)),
        ((9 * noisy).astype(int), whole.astype(int)),
        *(
            [(scipy.sparse.csr_array(noisy), scipy.sparse.csc_array(whole))]
            * row.sparse
        ),
    ):
        estimator = row.make(**briefly(row))
        with pytest.warns(UserWarning, match=IGNORED) as caught:
            getattr(estimator, method)(X, y)
        assert len(said(caught)) == 1
        assert "`noise` makes" in str(caught[0].message)
        assert caught[0].filename == __file__
    if method == "fit":
        with pytest.warns(UserWarning, match=IGNORED):
            assert_same_model(row.make(**briefly(row)).fit(noisy, whole), plain)


@unsupervised
def test_y_that_is_no_other_rows(row, whole):
    """Nothing is said of labels, nor of the same rows (warnings are errors here)."""
    X, y = whole, labels(whole)
    single = X.astype("f4")
    for rows, target in (
        (X, None),
        (X, X),
        (X, X.copy()),
        (X, X.tolist()),
        (single, single.astype("f8")),
        (pd.DataFrame(X), pd.DataFrame(X)),
        (X, torch.from_numpy(X)),
        (X, y),
        (X, y.tolist()),
        (X, np.arange(len(X), dtype=float)[:, np.newaxis]),
        (X, np.eye(3)[np.arange(len(X)) % 3]),
        (X, np.random.default_rng(0).integers(0, 3, X.shape)),
        (X, np.tile(y[:, np.newaxis], (1, X.shape[1]))),
        (X[:, :1], X[:, 1:2]),
        (X, [[1, 2], [3]] * (len(X) // 2)),
        (X, X[:7]),
        *([(scipy.sparse.csr_array(X), scipy.sparse.csr_array(X))] * row.sparse),
    ):
        estimator, plain = (row.make(**briefly(row), warm_start=True) for _ in "ab")
        estimator.fit(rows, target).fit(rows, target)
        assert_same_model(estimator, plain.fit(rows).fit(rows))
    if row.missing:
        X = X.copy()
        X[3, 2] = np.nan
        for target in (X.copy(), 3 * X - 1):
            assert_same_model(row.make().fit(X, target), row.make().fit(X))


@unsupervised
def test_y_in_other_units_is_no_other_rows(row, whole):
    """What a pipeline has scaled, or cast, is what the rest of it gets as y."""
    raw = whole + np.random.default_rng(1).normal(size=whole.shape)
    raw[:, 4] = 0.1
    scaled, single = StandardScaler().fit_transform(raw), raw.astype("f4")
    for X, y in (
        (scaled, raw),
        (scaled, pd.DataFrame(raw)),
        (scaled.astype("f4"), raw),
        (StandardScaler().fit_transform(single), raw),
        (StandardScaler().fit_transform(scaled), scaled),
        (single, raw),
        (raw, single),
        (single.astype("f8"), raw),
        (MinMaxScaler().fit_transform(-raw), raw),
        (MinMaxScaler().fit_transform(whole), whole.astype(int)),
        (np.where(np.arange(6) < 3, raw, scaled), raw),
        (scaled, 1e200 * raw),
        *([(scipy.sparse.csr_array(scaled), scipy.sparse.csr_array(raw))] * row.sparse),
    ):
        estimator, plain = (row.make(**briefly(row)) for _ in "ab")
        assert_same_model(estimator.fit(X, y), plain.fit(X))
    pipeline = make_pipeline(StandardScaler(), row.make(**briefly(row))).fit(raw, raw)
    assert_same_model(pipeline[-1], row.make(**briefly(row)).fit(scaled))
    holed = np.where(raw > 9, np.nan, raw)
    filled = np.where(raw > 9, 4.5, raw)
    for X in (filled, StandardScaler().fit_transform(filled)):
        estimator, plain = (row.make(**briefly(row)) for _ in "ab")
        assert_same_model(estimator.fit(X, holed), plain.fit(X))


@unsupervised
def test_integers_as_y(row, whole):
    """They are labels, unless X has integers, too."""
    noisy = whole + np.random.default_rng(1).integers(0, 3, whole.shape)
    clean = whole.astype(int)
    row.make(**briefly(row)).fit(noisy + 0.5, clean)
    with pytest.warns(UserWarning, match=IGNORED):
        row.make(**briefly(row)).fit(noisy.astype(int), clean)


def test_other_rows_near_each_other_and_far_from_zero():
    """Neither size nor offset hides that rows differ, nor where they do."""
    random = np.random.default_rng(0)
    X = random.normal(size=(3000, 4))
    one = X.copy()
    one[1234, 2] += 1
    last = np.column_stack([X[:, :3], random.normal(size=3000)])
    for noisy, clean in (
        *((X, one), (X, last), (X[:2], 2 * X[:2] + 1)),
        (1e8 + X + random.normal(size=X.shape), 1e8 + X),
        (1e-200 * (X + random.normal(size=X.shape)), 1e-200 * X),
        (np.where(X > 1, np.nan, X), X),
        (np.where(X > 1, np.nan, X), 3 * X),
        (X + random.normal(size=X.shape), np.where(X > 1, np.nan, X)),
        (X, np.where(X > 2, np.inf, X)),
    ):
        assert are_other_rows(clean, noisy, None)
    assert not are_other_rows(1e300 * X + 1e300, X, None)


@unsupervised
def test_other_rows_as_y_of_a_stream_and_of_a_search(row, whole):
    """It is said once of all chunks, and by a batched search of all candidates."""
    noisy = whole + np.random.default_rng(1).normal(size=whole.shape)
    streamed = row.make(**briefly(row))
    with pytest.warns(UserWarning, match=IGNORED) as caught:
        streamed.partial_fit(noisy, whole).partial_fit(noisy, whole)
    assert len(said(caught)) == 1
    warm = row.make(**briefly(row), warm_start=True).fit(noisy)
    with pytest.warns(UserWarning, match=IGNORED):
        warm.fit(noisy, whole)
    pipeline = make_pipeline(StandardScaler(), row.make(**briefly(row)))
    with pytest.warns(UserWarning, match=IGNORED) as caught:
        pipeline.fit(noisy, whole)
    assert len(said(caught)) == 1
    for n_jobs in (1, 2):
        search = BatchedGridSearchCV(
            row.make(**briefly(row)), {"weight_decay": [0.0, 0.1]}, cv=2, n_jobs=n_jobs
        )
        with pytest.warns(UserWarning, match=IGNORED) as caught:
            search.fit(noisy, whole)
        # Of what trains alone, each process has to say it.
        if n_jobs == 1 or row.make(**briefly(row))._may_be_batched():
            assert len(said(caught)) == 1
