"""What SparseAutoencoder reports, and its sparse output."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from theory.claims import digits, rebuild
from torch import nn

from sklearn_ae import SparseAutoencoder
from sklearn_ae._data.moments import moments
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.dense import SelectiveEncoder
from sklearn_ae._layers.functions import ACTIVATIONS


def test_lowest_values_are_those_of_silent_units():
    """Of gelu and silu it is in between, and a unit at it is not silent."""
    a = torch.linspace(-60, 60, 1_200_001, dtype=torch.float64)
    without = []
    for name, activation in ACTIVATIONS.items():
        h = activation.function(a)
        if activation.low is None:
            without.append(name)
            assert h[0] < -0.5 or h[0] > h.min() + 0.1, name
        else:
            assert float(h[0]) == pytest.approx(activation.low, abs=1e-9), name
            assert h.min() >= h[0], name
    assert sorted(without) == ["gelu", "identity", "leaky_relu", "silu"]


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_codes_that_rest_near_zero(name):
    """They count as active away from 0, and have no mean that is a target."""
    X = digits()[:300]
    model = SparseAutoencoder(
        30, penalty="l1", code_activation=name, alpha=0.3, max_epochs=5, random_state=0
    ).fit(X)
    Z = model.transform(X)
    is_active = np.abs(Z) > 0.1
    assert model.mean_active_components_ == is_active.sum(axis=1).mean()
    assert model.dead_components_ == (~is_active).all(axis=0).sum()
    with pytest.raises(ValueError, match=f"'kl'.*code_activation='{name}'"):
        model.set_params(penalty="kl").fit(X)


@pytest.mark.parametrize("penalty", ["l1", "top_k"])
def test_penalties_ask_the_parts(penalty):
    """However they are wrapped, they know their first layer and their codes."""
    X = digits()[:50]
    model = SparseAutoencoder(90, penalty=penalty, k=2)
    module = model._build_module(X.shape[1], moments(X), 0)
    x = module.standardize(torch.from_numpy(X)).float()
    expected = module.objective(Batch(x))
    module.decoder = nn.Sequential(nn.Sequential(module.decoder), nn.Identity())
    if penalty == "top_k":
        inner = nn.Sequential(module.encoder[0], nn.Identity())
        module.encoder = SelectiveEncoder(inner, model.k)
    assert module.objective(Batch(x)) == expected
    assert len(expected) == 2


def test_report_counts_the_codes():
    X = digits()
    model = SparseAutoencoder(50, penalty="l1", alpha=0.3, random_state=0).fit(X)
    Z = model.transform(X)
    assert model.mean_active_components_ == (Z != 0).sum(axis=1).mean()
    assert model.dead_components_ == (Z == 0).all(axis=0).sum()
    assert model.unexplained_variance_ == pytest.approx(1 - model.score(X), rel=1e-6)
    assert_allclose(rebuild(model, X), model.reconstruct(X), atol=1e-9)


def test_sparse_output_is_the_same_code():
    X = digits()
    params = {"penalty": "top_k", "k": 5, "max_epochs": 2, "random_state": 0}
    dense = SparseAutoencoder(200, **params).fit(X)
    sparse = SparseAutoencoder(200, sparse_output=True, **params).fit(X)
    Z = sparse.transform(X)
    assert Z.format == "csr"
    assert Z.nnz <= 5 * len(X)
    assert Z.dtype == np.float64
    assert_allclose(Z.toarray(), dense.transform(X), atol=1e-12)
    assert_allclose(sparse.inverse_transform(Z), dense.reconstruct(X), atol=1e-9)
    assert sparse.transform(X.astype("f4")).dtype == np.float32
