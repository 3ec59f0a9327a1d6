"""Promise 9: what is no usable X is refused, in scikit-learn's own words."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from contract.table import ROWS, answers, every_class, examples, labels, structured_rows

LEARNING = ("fit", "partial_fit", "fit_transform")
LOOKING = ("transform", "reconstruct", "reconstruction_error", "score_samples", "score")


def put(X, value):
    X = X.astype(np.result_type(X, value))
    X[3, 2] = value
    return X


def put_row(X, value):
    X = X.copy()
    X[3] = value
    return X


# Name: (X made of a good one, the message).
REFUSED = {
    "nan": (lambda X: put(X, np.nan), r"Input X contains NaN"),
    "infinity": (lambda X: put(X, np.inf), r"Input X contains infinity"),
    "minus infinity": (lambda X: put(X, -np.inf), r"Input X contains infinity"),
    "nan in float32": (
        lambda X: put(X, np.nan).astype("f4"),
        r"Input X contains NaN",
    ),
    "None": (lambda X: put(X.astype(object), None), r"contains NaN|not 'NoneType'"),
    "missing in a frame": (
        lambda X: pd.DataFrame(X).astype("Float64").mask(X > 0.9),
        r"contains NaN",
    ),
    "complex": (lambda X: X + 1j, r"Complex data not supported"),
    "strings": (lambda X: np.full(X.shape, "a"), r"bytes/strings|convert string"),
    "string column": (
        lambda X: pd.DataFrame(X).astype({0: object}).replace({0: {X[0, 0]: "b"}}),
        r"could not convert string to float",
    ),
    "one row as 1-D": (lambda X: X[0], r"Expected 2D array, got 1D array instead"),
    "scalar": (lambda X: 3.0, r"Expected 2D array, got scalar array instead"),
    "3-D": (lambda X: X[None], r"Found array with dim 3"),
    "5-D": (lambda X: X[None, None, None], r"Found array with dim 5"),
    "no row": (lambda X: X[:0], r"Found array with 0 sample\(s\)"),
    "no feature": (lambda X: X[:, :0], r"Found array with 0 feature\(s\)|has 0 feat"),
    "sparse with nan": (
        lambda X: scipy.sparse.csr_array(put(X, np.nan)),
        r"Input X contains NaN",
    ),
    "ragged": (lambda X: [[1.0, 2.0], [3.0]], r"inhomogeneous|setting an array"),
}


# What is refused where NaN is allowed, in place of single entries.
REFUSED_ANYWAY = {
    "nan": (lambda X: put_row(X, np.nan), r"Input X contains NaN only in row 3"),
    "nan in float32": (
        lambda X: put_row(X, np.nan).astype("f4"),
        r"Input X contains NaN only in row 3",
    ),
    "None": (lambda X: put_row(X.astype(object), None), r"contains NaN only in row 3"),
    "missing in a frame": (
        lambda X: pd.DataFrame(X).astype("Float64").mask(X > -1),
        r"contains NaN only in row 0",
    ),
    "sparse with nan": (
        lambda X: scipy.sparse.csr_array(put_row(X, np.nan)),
        r"Input X contains NaN only in row 3",
    ),
}


def refusal(row, kind):
    """Answer what an estimator refuses, and how."""
    if kind == "sparse with nan" and not row.sparse:
        return REFUSED[kind][0], "[Ss]parse"
    if kind == "3-D" and row.shaped:
        return REFUSED[kind][0], r"X has rows of shape \(60, 6\)"
    if kind == "5-D" and row.shaped:
        return REFUSED[kind][0], r"X has rows of shape \(1, 1, 60, 6\)"
    if row.sequences and kind in REFUSED_ANYWAY:
        return REFUSED[kind][0], "NaN that a number follows"
    return (REFUSED_ANYWAY if row.missing else {}).get(kind, REFUSED[kind])


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def fitted_row(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(fitted_row):
    X = structured_rows()
    return fitted_row.make().fit(X, labels(X)), X


@every_class
@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_training(row, kind, X, y):
    """9: and no fitted model comes of it."""
    if kind == "3-D" and row.shaped:
        pytest.skip("takes such rows")
    spoil, message = refusal(row, kind)
    for method in LEARNING:
        estimator = row.make(**row.by_batch)
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(estimator, method)(spoil(X), y)
        with pytest.raises(NotFittedError):
            estimator.transform(X)
        assert not hasattr(estimator, "n_features_in_")


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_by_a_fitted_model(fitted_row, fitted, kind):
    """9."""
    estimator, X = fitted
    spoil, message = refusal(fitted_row, kind)
    for method in LOOKING:
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(estimator, method)(spoil(X))


@pytest.mark.parametrize("width", [5, 7])
def test_wrong_width(fitted, width):
    """9."""
    estimator, _ = fitted
    expected = f"X has {width} features, but .* is expecting 6 features as input"
    for method in LOOKING:
        with pytest.raises(ValueError, match=expected):
            getattr(estimator, method)(np.ones((3, width)))


@every_class
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_renamed_columns(row, frame, X, y):
    """9: renamed, reordered or missing names are refused."""
    named = pd.DataFrame(X, columns=list("abcdef"))
    estimator = row.make(**row.by_batch).fit(frame(named.to_dict("list")), y)
    for wrong in (named.rename(columns={"a": "z"}), named[list("fedcba")]):
        for method in (*LOOKING, "partial_fit"):
            arguments = (y,) if method == "partial_fit" else ()
            with pytest.raises(ValueError, match="The feature names should match"):
                getattr(estimator, method)(frame(wrong.to_dict("list")), *arguments)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.ones((3, 3)), r"X has 3 components, but 2 are expected"),
        (np.ones(2), r"Expected 2D array, got 1D array instead"),
        (np.ones((0, 2)), r"Found array with 0 sample\(s\)"),
        (np.full((2, 2), np.nan), r"Input contains NaN"),
        (np.full((2, 2), np.inf), r"Input contains infinity"),
        (np.ones((2, 2)) * 1j, r"Complex data not supported"),
        (np.full((2, 2), "a"), r"bytes/strings|could not convert"),
    ],
)
def test_codes_that_are_none(fitted, codes, message):
    """9."""
    estimator, _ = fitted
    with pytest.raises((ValueError, TypeError), match=message):
        estimator.inverse_transform(codes)


@every_class
@pytest.mark.parametrize("value", [1e39, -1e39, 1e300, np.finfo("f8").max])
def test_what_overflows_float32_is_refused_in_training(row, value, X, y):
    """9: never turned into infinity on the way."""
    spoilt_rows = [put(X, value)]
    if row.sparse:
        spoilt_rows.append(scipy.sparse.csr_array(spoilt_rows[0]))
    for spoilt in spoilt_rows:
        for method in LEARNING:
            with pytest.raises(ValueError, match=r"too large for dtype\('float32'\)"):
                getattr(row.make(**row.by_batch), method)(spoilt, y)


def check_finite_or_refused(method, X):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answer = method(X)
    except ValueError as refusal:
        assert "too large for dtype" in str(refusal)  # noqa: PT017
        return False
    assert np.isfinite(answer).all()
    return True


@given(st.data())
@examples(max_examples=20)
def test_answers_are_finite_or_refused(fitted, data):
    """9: whatever the values, in either precision."""
    estimator, _ = fitted
    width = data.draw(st.sampled_from([32, 64]))
    finite = st.floats(allow_nan=False, allow_infinity=False, width=width)
    X = data.draw(arrays(f"f{width // 8}", (2, 6), elements=finite))
    for name in LOOKING:
        check_finite_or_refused(getattr(estimator, name), X)
    check_finite_or_refused(estimator.inverse_transform, X[:, :2])


def test_overflow_is_refused_and_large_values_are_not(fitted_row, fitted):
    """9: the same value may be too large in float32 and harmless in float64."""
    estimator, X = fitted
    for name in ("reconstruction_error", "score_samples", "transform"):
        method = getattr(estimator, name)
        assert check_finite_or_refused(method, put(X, 1e30))
        is_answered = check_finite_or_refused(
            method, np.full_like(X, np.finfo("f8").max)
        )
        # Gates saturate, so that a code may be finite for whatever it is given.
        assert not is_answered or (fitted_row.sequences and name == "transform")


@pytest.mark.parametrize("row", [r for r in ROWS if "loss" in r.cls().get_params()])
@pytest.mark.parametrize(
    ("low", "high", "said"), [(-0.5, 1, "-0.5 to 1"), (0, 255, "0 to 255")]
)
def test_cross_entropy_refuses_what_is_outside_the_unit_interval(
    row, low, high, said, X, y
):
    """9: naming the range seen and the remedy."""
    message = rf"needs X in \[0, 1\], but X ranges from {said}; .*MinMaxScaler"
    spoilt = X * (high - low) + low
    spoilt[0, 0], spoilt[1, 1] = low, high
    estimator = row.make(loss="binary_cross_entropy")
    for method in LEARNING:
        with pytest.raises(ValueError, match=message):
            getattr(estimator, method)(spoilt, y)
    estimator.fit(X, y)
    for method in ("score_samples", "score", "partial_fit"):
        forms = [spoilt, spoilt.astype("f4")]
        if row.sparse:
            forms.append(scipy.sparse.csc_array(spoilt))
        for form in forms:
            with pytest.raises(ValueError, match=message):
                getattr(estimator, method)(form)
    assert all(np.isfinite(a).all() for a in answers(estimator, X).values())


@every_class
def test_unfitted_methods(row, X):
    """9: scikit-learn's own error."""
    for method in (*LOOKING, "inverse_transform"):
        with pytest.raises(NotFittedError, match=f"This {row.name} instance is not"):
            getattr(row.make(), method)(X)
    with pytest.raises(NotFittedError):
        row.make().to_module()
    with pytest.raises(NotFittedError):
        row.make().get_feature_names_out()


@every_class
def test_nan_is_refused_where_the_tag_says_so(row):
    """9: the tag and the table agree."""
    assert get_tags(row.make()).input_tags.allow_nan == row.missing


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.missing], ids=lambda row: row.name
)
def test_missing_entries_are_accepted(row, X, y):
    """9: single ones; a column of nothing else is refused in training only."""
    gaps = put(put(X, np.nan).astype("f4"), np.nan)
    estimator = row.make(**row.stopping_early).fit(gaps, y)
    for name, answer in answers(estimator, gaps).items():
        assert np.isfinite(answer).all(), name
    empty = X.copy()
    empty[:, 4] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN only in column 4"):
        row.make().fit(empty, y)
    assert np.isfinite(estimator.reconstruct(empty)).all()
    sparse = scipy.sparse.csr_array(gaps)
    np.testing.assert_array_equal(
        estimator.transform(sparse), estimator.transform(gaps)
    )
