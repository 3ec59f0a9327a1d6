"""Checks of pca_alignment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae.metrics import pca_alignment
from units.metrics.cases import Codes, X, exactly


class Directions(BaseEstimator):
    def __init__(self, components):
        self.components_ = np.asarray(components)


def test_pca_is_aligned_with_itself():
    angles = pca_alignment(PCA(2).fit(X), X)
    assert angles.shape == (2,)
    assert_allclose(angles, 0, atol=1e-7)


def gaussian_rows(n_samples=200):
    """Rows whose principal axes are the coordinate axes, exactly."""
    rows = np.random.default_rng(0).normal(size=(n_samples, 3))
    rows -= rows.mean(axis=0)
    return np.linalg.qr(rows)[0] * [3, 2, 1]


@pytest.mark.parametrize("angle", [1e-9, 0.3, 1.0, np.pi / 2 - 1e-9])
def test_alignment_of_a_basis_turned_by_a_known_angle(angle):
    turned = [[1, 0, 0], [0, np.cos(angle), np.sin(angle)]]
    angles = pca_alignment(Directions(turned), gaussian_rows())
    assert_allclose(angles, [angle, 0], rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.floats(0, np.pi / 2), st.floats(-3, 3), st.floats(0.1, 10))
def test_alignment_depends_on_the_span_only(angle, shear, scale):
    turned = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)]])
    mixed = np.array([[-scale, shear], [0, 1]]) @ turned
    rows = gaussian_rows()
    decoder = Codes(encode=lambda X: X[:, :2], decode=lambda Z: Z @ mixed + 7)
    for model in (Directions(mixed), Directions(mixed[::-1]), decoder):
        assert_allclose(pca_alignment(model, rows), [angle, 0], atol=1e-9)


@pytest.mark.parametrize(("factor", "shift"), [(1, 0), (1e-4, 0), (1, 1e4), (1e6, 0)])
def test_alignment_of_a_pipeline_is_measured_through_its_decoder(factor, shift):
    rows = X * factor + shift
    pipeline = make_pipeline(StandardScaler(with_std=False), PCA(2)).fit(rows)
    assert_allclose(pca_alignment(pipeline, rows), 0, atol=1e-8)
    uneven = X * [1, 1, 1, 5]
    scaled = make_pipeline(StandardScaler(), PCA(2)).fit(uneven)
    by_hand = Directions(scaled[-1].components_ * scaled[0].scale_)
    angles = pca_alignment(scaled, uneven)
    assert angles[0] > 0.1
    assert_allclose(angles, pca_alignment(by_hand, uneven), atol=1e-9)


def test_missing_directions_count_as_right_angles():
    rows = gaussian_rows() + 1000
    first = np.array([[1.0, 0, 0], [0, 0, 0]])
    dead = Codes(encode=lambda X: X[:, :2] * [1, 0], decode=lambda Z: Z @ first + 1000)
    # Two units along one direction, apart only by the rounding of their output.
    along = np.outer([1, 0.1], [1.0, 0, 0]) @ np.linalg.qr(rows[:3])[0].T
    twins = Codes(encode=lambda X: X[:, :2], decode=lambda Z: Z @ along + 1000.1)
    assert pca_alignment(twins, rows)[0] == np.pi / 2
    for model in (Directions(first), dead):
        assert_allclose(pca_alignment(model, rows), [np.pi / 2, 0], atol=1e-9)
    constant = Codes(decode=lambda Z: np.full((len(Z), 3), 2.0))
    assert_allclose(pca_alignment(constant, rows), np.full(3, np.pi / 2))


def test_alignment_of_units_that_are_silent_on_these_rows():
    silent = Codes(encode=lambda X: X[:, :2] * 0, decode=lambda Z: Z @ np.eye(2, 3))
    assert_allclose(pca_alignment(silent, gaussian_rows()), 0, atol=1e-12)


def test_a_curved_decoder_is_measured_at_the_scale_of_its_codes():
    rows = gaussian_rows() * 1e-3

    def bend(codes):
        return np.hstack([codes, codes**2, 0 * codes])

    bent = Codes(encode=lambda X: X[:, :1], decode=bend)
    assert pca_alignment(bent, rows) < 1e-3


def test_alignment_of_more_units_than_features():
    directions = np.random.default_rng(0).normal(size=(5, 3))
    angles = pca_alignment(Directions(directions), gaussian_rows())
    assert_allclose(angles, np.zeros(3), atol=1e-12)


def test_alignment_takes_frames_and_sparse_matrices():
    model = TruncatedSVD(2, random_state=0).fit(X)
    expected = pca_alignment(model, X)
    assert expected[0] > expected[1]
    for rows in (pd.DataFrame(X), sp.csr_array(X)):
        assert_allclose(pca_alignment(model, rows), expected, atol=1e-9)


def test_alignment_refuses_another_width():
    message = "The decoder gives rows of 4 features, X has 3."
    with pytest.raises(ValueError, match=exactly(message)):
        pca_alignment(PCA(2).fit(X), X[:, :3])
