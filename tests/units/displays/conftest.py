"""Data to draw, and no figure left open."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA


@pytest.fixture(autouse=True)
def _close_figures():
    plt = pytest.importorskip("matplotlib.pyplot")
    assert plt.get_fignums() == []
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def digits_pca(digits):
    return PCA(5, random_state=0).fit(digits[0])
