"""Promises 6 and 7: answers do not depend on company, nor scores on units."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from contract.table import ROWS, answers, every_case, examples, labels, structured_rows

DATA = {
    "digits": load_digits,
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
}
SHIFTS = {
    "times 1e-4": (1e-4, 0),
    "times 1e4": (1e4, 0),
    "plus 1000 deviations": (1, 1000),
    "times 1e-4 minus 1000 deviations": (1e-4, -1000),
}


@every_case
def test_answers_are_repeatable(row, params, X, y):
    """6: bit-equal, in either precision, and from sparse rows."""
    estimator = row.make(**params).fit(X, y)
    forms = [X, X.astype("f4")]
    if row.sparse:
        forms.append(scipy.sparse.csr_array(X))
    first = [answers(estimator, form) for form in forms]
    # In another order, so that nothing is left over from the call before.
    for form, expected in reversed(list(zip(forms, first, strict=True))):
        for name, found in answers(estimator, form).items():
            np.testing.assert_array_equal(found, expected[name], err_msg=name)
    codes = row.make(**params).fit_transform(X, y)
    np.testing.assert_array_equal(codes, estimator.transform(X))


@given(st.data())
@examples(max_examples=30)
def test_any_rows_in_any_order(fitted_cases, data):
    """6: 1e-9 for float64, 1e-5 for float32, relative to the largest answer."""
    X = structured_rows()
    estimator = data.draw(st.sampled_from(fitted_cases))
    rows = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=90))
    for dtype, tolerance in (("f8", 1e-9), ("f4", 1e-5)):
        whole = answers(estimator, X.astype(dtype))
        part = answers(estimator, X[rows].astype(dtype))
        for name in ("transform", "reconstruct", "reconstruction_error"):
            atol = tolerance * max(1.0, np.abs(whole[name]).max())
            np.testing.assert_allclose(
                part[name], whole[name][rows], rtol=tolerance, atol=atol, err_msg=name
            )
        atol = tolerance * max(1.0, np.abs(whole["score_samples"]).max())
        assert abs(part["score"] - whole["score_samples"][rows].mean()) <= atol


def test_one_row_at_a_time(fitted_cases):
    """6: a batch of one is no special case, in `inverse_transform` either."""
    X = structured_rows()
    for estimator in fitted_cases:
        codes = estimator.transform(X)
        single = np.concatenate([estimator.transform(x[None]) for x in X[:9]])
        np.testing.assert_allclose(single, codes[:9], rtol=1e-9, atol=1e-9)
        back = estimator.inverse_transform(codes)
        single = np.concatenate([estimator.inverse_transform(z[None]) for z in codes])
        np.testing.assert_allclose(single, back, rtol=1e-9, atol=1e-9)


def test_slices_do_not_show(fitted_cases):
    """6: more rows than are evaluated at a time."""
    X = structured_rows()
    many = np.tile(X, (3000, 1))
    for estimator in fitted_cases[:1]:
        for name, found in answers(estimator, many).items():
            if found.ndim:
                expected = np.tile(answers(estimator, X)[name].T, 3000).T
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module", params=DATA)
def data(request):
    X, _ = DATA[request.param](return_X_y=True)
    return X


def log_density_of_the_mean(X):
    """Answer what a Gaussian likelihood of one variance scores that tells no row."""
    variance = X.var(axis=0).mean()
    return -0.5 * X.shape[1] * np.log(2 * np.pi * np.e * variance)


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.shift_scale], ids=lambda r: r.name
)
def test_shift_and_scale(row, data):
    """7: the score is that of the original units, in float64 and in float32."""
    deviation = data.std()
    n_components = min(row.learns["n_components"], 4)
    params = {**row.learns, "n_components": n_components, "random_state": 0}

    def score(X):
        return row.cls(**params).fit(X, labels(X)).score(X)

    expected = score(data)
    assert expected > (log_density_of_the_mean(data) if row.in_nats else 0.3)
    for name, (a, n_deviations) in SHIFTS.items():
        moved = a * (data + n_deviations * deviation)
        wanted = row.score_of_multiple(expected, a, data.shape[1])
        assert abs(score(moved) - wanted) < 0.01, name
    moved = (data + 1000 * deviation).astype("f4")
    # So far away float32 rounds features that vary little; densities see that.
    tolerance = 0.02 * data.shape[1] if row.in_nats else 0.01
    assert abs(score(moved) - expected) < tolerance


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.shift_scale], ids=lambda r: r.name
)
def test_units_of_what_is_learned(row, X, y):
    """7: errors and losses are in the units of X, reconstructions too."""
    plain, scaled = row.make().fit(X, y), row.make().fit(1000 * X + 5, y)
    np.testing.assert_allclose(
        scaled.reconstruct(1000 * X + 5), 1000 * plain.reconstruct(X) + 5, rtol=1e-3
    )
    np.testing.assert_allclose(
        scaled.reconstruction_error(1000 * X + 5),
        1e6 * plain.reconstruction_error(X),
        rtol=0.02,
        atol=1e6 * plain.reconstruction_error(X).mean() * 1e-3,
    )
    wanted = row.loss_of_multiple(plain.loss_curve_, 1000.0, X.shape[1])
    np.testing.assert_allclose(scaled.loss_curve_, wanted, rtol=1e-3)
