"""29: no operation depends on torch promoting dtypes where not every torch does."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from contract.table import answers, every_case
from sklearn_ae import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from sklearn_ae._compute import ambient
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae._objective.losses import LOSSES
from sklearn_ae.model_selection import BatchedGridSearchCV

# Arithmetic and comparisons, whose promotion torch documents. What is made of others,
# as derivatives of losses and products of matrices, takes one dtype or, by release and
# device, raises.
PROMOTING = {
    *("add", "sub", "mul", "div", "pow", "where", "clamp", "maximum", "minimum"),
    *("eq", "ne", "lt", "le", "gt", "ge", "_to_copy", "copy"),
}


class OneDtype(TorchDispatchMode):
    """Refuses operations that get floating-point tensors of several dtypes."""

    n_operations = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.n_operations += 1
        tensors = [v for v in tree_leaves((args, kwargs)) if torch.is_tensor(v)]
        dtypes = {v.dtype for v in tensors if v.is_floating_point()}
        name = operation.overloadpacket.__name__.rstrip("_")
        assert len(dtypes) < 2 or name in PROMOTING, (str(operation), dtypes)
        return operation(*args, **kwargs)


@contextmanager
def watching():
    """Watch all operations, also within calls, which put modes of torch aside."""
    with pytest.MonkeyPatch.context() as patch, OneDtype() as mode:
        patch.setattr(ambient, "_disable_current_modes", nullcontext)
        yield
        assert mode.n_operations > 0


def test_mixed_dtypes_are_noticed():
    wide = torch.ones((), dtype=torch.float64)
    with watching():
        assert (torch.ones(2) * wide).dtype == torch.float32
        with pytest.raises(AssertionError, match="mse_loss_backward"):
            torch.ops.aten.mse_loss_backward(wide, torch.ones(2), torch.ones(2), 0)


@every_case
def test_fits_and_answers(row, params, X, y):
    """Of float32, and of float64, which nets answer with weights of float64."""
    with watching():
        estimator = row.make(**params).fit(X, y)
        for dtype in (np.float32, np.float64):
            answers(estimator, X.astype(dtype))
        if row.generative:
            estimator.sample(3, random_state=0)


@every_case
def test_stacks(row, params, X, y):
    """Of nets that differ in their learning rates."""
    grid = {"learning_rate": [1e-4, 1e-3], "weight_decay": [1e-3]}
    with watching():
        BatchedGridSearchCV(row.make(**params), grid, cv=2).fit(X, y)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_losses(loss, output, X):
    """By outputs of each kind, if the loss takes them, and by stacks of nets."""
    if loss in ("binary_cross_entropy", "multinomial"):
        output = "auto"
    options = {"loss": loss, "output_activation": output, "max_epochs": 1}
    estimator = Autoencoder(hidden_layer_sizes=(3,), weight_decay=0.1, **options)
    with watching():
        estimator.fit(X)
        BatchedGridSearchCV(estimator, {"learning_rate": [1e-4, 1e-3]}, cv=2).fit(X)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(likelihood, activation, X):
    """Of hidden layers and of codes, by derivatives written out and by torch's own."""
    options = {"activation": activation, "code_activation": activation, "max_epochs": 1}
    with watching():
        Autoencoder(hidden_layer_sizes=(3,), **options).fit(X)
        VariationalAutoencoder(likelihood=likelihood, **options).fit(X)


@pytest.mark.parametrize("noise", ["masking", "gaussian", "salt_and_pepper"])
@pytest.mark.parametrize("loss", LOSSES)
def test_missing_entries(noise, loss, X):
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    with watching():
        DenoisingAutoencoder(noise=noise, loss=loss, max_epochs=1).fit(X).impute(X)
