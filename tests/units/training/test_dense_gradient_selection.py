"""The fast path of nets that keep the largest codes of a row, against autograd."""

import itertools

import pytest
import torch

from sklearn_ae import SparseAutoencoder
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.functions import ACTIVATIONS
from units.training.test_dense_gradient import (
    TOLERANCE,
    as_group,
    assert_close,
    build,
    by_autograd,
    by_fast_path,
    case_id,
    rows_for,
    standardised,
)


@pytest.fixture(autouse=True)
def _one_thread():
    """Nets this small have no use for a second one."""
    with one_thread():
        yield


SELECTING = [
    *({"code_activation": name} for name in ACTIVATIONS),
    *({"k": k} for k in (1, 8, 9)),
    {"hidden_layer_sizes": (6, 5)},
    {"tied_weights": True},
    {"weight_decay": 0.4},
    {"hidden_layer_sizes": (6,), "tied_weights": True, "weight_decay": 0.4},
    {"loss": "binary_cross_entropy", "alpha": 0.0},
]


def selecting(**params):
    """Answer an estimator whose penalty counts beside the reconstruction."""
    return SparseAutoencoder(
        9, penalty="top_k", **{"k": 2, "alpha": 40.0, "weight_decay": 0.0, **params}
    )


@pytest.mark.parametrize("params", SELECTING, ids=case_id)
@pytest.mark.parametrize("n_rows", [1, 3, 11])
def test_gradient_of_a_selection_is_that_of_autograd(params, n_rows):
    """With silent components, which are revived, and where all are in use."""
    estimator = selecting(**params)
    X = rows_for(estimator.loss)
    for dtype, tolerance in TOLERANCE.items():
        module = build(estimator, X, dtype)
        x = standardised(module, X[:n_rows], dtype)
        terms, gradients = by_autograd(module, Batch(x))
        if n_rows == 1 and "revival" in terms:
            assert terms["revival"] > 0
        fast_terms, fast = by_fast_path(module, Batch(x))
        assert_close(fast, gradients, tolerance)
        assert_close(fast_terms, terms, tolerance)


def test_ties_of_a_selection_are_those_of_autograd():
    """Codes that are equal, rows that are, and components that are."""
    X = rows_for("squared_error")
    alike = itertools.product((slice(None), slice(2, 7), slice(0, 2)), (0.1, 0.0))
    for equal, value in alike:
        module = build(selecting(k=3), X)
        layer = module.encoder[0][0]
        with torch.no_grad():
            layer.weight[equal] = 0.0
            layer.bias[equal] = value
        for order in (slice(None), [3] * 4, [0, 1, 1, 2, 0]):
            x = standardised(module, X[order], torch.float64)
            terms, gradients = by_autograd(module, Batch(x))
            fast_terms, fast = by_fast_path(module, Batch(x))
            assert_close(fast, gradients, 1e-10)
            assert_close(fast_terms, terms, 1e-10)


def test_group_of_selecting_models_is_each_of_them():
    """Each revives with a weight of its own."""
    X = rows_for("squared_error")[:3]
    modules = [
        build(selecting(alpha=alpha, weight_decay=0.1), X, seed=seed)
        for seed, alpha in enumerate([1.0, 40.0, 700.0])
    ]
    batched = as_group(modules)
    for part in ("revival", "weight_decay"):
        for name, _ in batched.penalties[part].named_buffers():
            parts = [getattr(m.penalties[part], name) for m in modules]
            setattr(batched.penalties[part], name, torch.stack(parts))
    x = standardised(modules[0], X, torch.float64)
    terms, gradients = by_fast_path(batched, Batch(torch.stack([x] * 3)))
    assert (terms["revival"] > 0).all()
    for i, module in enumerate(modules):
        own_terms, own = by_fast_path(module, Batch(x))
        assert_close({name: g[i] for name, g in gradients.items()}, own, 1e-10)
        assert_close({name: t[i] for name, t in terms.items()}, own_terms, 1e-10)
