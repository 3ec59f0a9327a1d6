"""Promise 10: tensors of every kind are taken, and answers are arrays."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
import torch
from packaging.version import Version
from sklearn.base import clone

from contract.subprocesses import run_python
from contract.table import digest, every_class, is_turn
from sklearn_ae import Autoencoder, SparseAutoencoder
from sklearn_ae.displays import (
    InterpolationDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
)
from sklearn_ae.metrics import (
    continuity,
    neighborhood_preservation,
    reconstruction_r2,
)
from sklearn_ae.model_selection import BatchedGridSearchCV, regularization_path

# Name: (tensor of rows, the array that it stands for).
TENSORS = {
    "requires grad": lambda X: torch.from_numpy(X.copy()).requires_grad_(),
    "parameter": lambda X: torch.nn.Parameter(torch.from_numpy(X.copy())),
    "with a history": lambda X: torch.from_numpy(X).requires_grad_() * 1.0,
    "bfloat16": lambda X: torch.from_numpy(X).bfloat16(),
    "float16": lambda X: torch.from_numpy(X).half(),
    "float32": lambda X: torch.from_numpy(X).float(),
    "negative view": lambda X: torch._neg_view(torch.from_numpy(-X)),
    "part of complex": lambda X: torch.from_numpy(X + 1j).conj().real,
    "transposed": lambda X: torch.from_numpy(np.ascontiguousarray(X.T)).T,
    "every other": lambda X: torch.from_numpy(np.repeat(X, 2, axis=1))[:, ::2],
    "list of rows": lambda X: list(torch.from_numpy(X).requires_grad_()),
}


def plain(tensor):
    if isinstance(tensor, list):
        return np.array([plain(row) for row in tensor])
    tensor = tensor.detach().resolve_neg().resolve_conj()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.contiguous().numpy()


@every_class
@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_give_the_answers_of_arrays(row, kind, fitted_class, X, y):
    """10: in every method that takes rows, codes or labels."""
    tensor = TENSORS[kind](X)
    estimator = expected = fitted_class(row)
    # Each class is asked about every kind, and trained on every third of them.
    is_trained_on = is_turn(row, list(TENSORS).index(kind))
    if is_trained_on:
        numbers = np.unique(y, return_inverse=True)[1]
        expected = row.make().fit(plain(tensor), numbers)
        estimator = row.make().fit(tensor, torch.from_numpy(numbers))
    assert digest(estimator, tensor) == digest(expected, plain(tensor))
    codes = expected.transform(plain(tensor))
    Z = torch.from_numpy(codes).requires_grad_()
    rows = estimator.inverse_transform(Z)
    assert type(rows) is np.ndarray
    np.testing.assert_array_equal(rows, expected.inverse_transform(codes))
    if is_trained_on:
        assert type(row.make().fit_transform(tensor, y)) is np.ndarray
    if not isinstance(tensor, list):
        assert isinstance(tensor, torch.Tensor)


@every_class
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_sparse_tensors_are_sparse_rows(row, X, y):
    """10, 11: of the one layout or the other."""
    X = np.where(X > 0.5, X, 0.0)
    dense = torch.from_numpy(X)
    for tensor in (dense.to_sparse(), dense.to_sparse_csr()):
        if row.sparse:
            found = row.make().fit(tensor, y).transform(tensor)
            expected = row.make().fit(X, y).transform(X)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        else:
            with pytest.raises(TypeError, match="[Ss]parse"):
                row.make().fit(tensor, y)


@every_class
def test_numbers_stay_numbers(row):
    """10: as numpy's are arrays of no axes to the array API."""
    estimator = row.make().set_params(learning_rate=np.float64(0.5))
    assert type(estimator.learning_rate) is np.float64


def descended(cls):
    """Answer a subclass of one's own: a new method, and one that overrides another."""

    class Descended(cls):
        """Class of one's own."""

        def energy(self, z):
            """Return what may be added to a loss."""
            return (z**2).sum()

        def fit(self, X, y=None):
            """Train, and keep what came in."""
            self.seen = X
            return super().fit(X, y)

    return Descended


@every_class
def test_methods_of_ones_own_are_left_alone(row, X, y):
    """10, 26: tensors come in as they are, and in the state of the caller."""
    z = torch.ones(3, requires_grad=True)
    estimator = descended(row.cls)(**row.fast)
    estimator.energy(z).backward()
    assert z.grad.tolist() == [2.0, 2.0, 2.0]
    with torch.no_grad():
        assert not estimator.energy(z).requires_grad
    # What overrides a method is called as that one.
    assert type(estimator.fit(torch.from_numpy(X), y).seen) is np.ndarray


def test_metrics_take_tensors(X):
    """10: with gradients, and in short precision."""
    Z, estimator = X[:, :2].copy(), Autoencoder(max_epochs=1).fit(X)
    for make in (lambda a: torch.from_numpy(a).requires_grad_(), torch.from_numpy):
        for metric in (neighborhood_preservation, continuity):
            assert metric(make(X), make(Z)) == metric(X, Z)
        expected = reconstruction_r2(estimator, X)
        assert reconstruction_r2(estimator, make(X)) == pytest.approx(expected)


def test_searches_and_displays_take_tensors(X, y):
    """10: with gradients."""
    plt = pytest.importorskip("matplotlib.pyplot")
    x, numbers = torch.from_numpy(X).requires_grad_(), torch.arange(len(X)) % 3
    estimator = SparseAutoencoder(2, max_epochs=1, random_state=0)
    search = BatchedGridSearchCV(estimator, {"alpha": [0.1, 1.0]}, cv=2)
    found, expected = clone(search).fit(x).cv_results_, search.fit(X).cv_results_
    scores = "mean_test_score"
    np.testing.assert_array_equal(found[scores], expected[scores])
    path = regularization_path(estimator, x, "alpha", [0.1, 1.0])
    assert np.isfinite(path.reconstruction_error).all()
    fitted = estimator.fit(x)
    LatentSpaceDisplay.from_estimator(fitted, x, numbers)
    ReconstructionDisplay.from_estimator(fitted, x)
    InterpolationDisplay.from_estimator(fitted, x[:2], x[2:4])
    plt.close("all")


DISPATCH = """
import numpy as np, sklearn, torch
from contract.table import ROWS, digest, labels, structured_rows
from sklearn.mixture import GaussianMixture

sklearn.set_config(array_api_dispatch=True)
X = structured_rows()
for row in ROWS:
    x = torch.from_numpy(X).requires_grad_()
    estimator = row.make().fit(x, labels(X))
    sklearn.set_config(array_api_dispatch=False)
    expected = row.make().fit(X, labels(X))
    sklearn.set_config(array_api_dispatch=True)
    assert digest(estimator, x) == digest(expected, X), row.name
    Z = torch.from_numpy(expected.transform(X))
    answers = [estimator.transform(x), estimator.inverse_transform(Z)]
    answers.append(row.make().fit_transform(torch.from_numpy(X), labels(X)))
    assert all(type(answer) is np.ndarray for answer in answers), row.name
    if row.takes_density:
        drawing = row.make(**row.sampling(GaussianMixture(2, random_state=0)))
        drawn = drawing.fit(x, labels(X)).sample(5, random_state=0)
        sklearn.set_config(array_api_dispatch=False)
        again = drawing.fit(X, labels(X)).sample(5, random_state=0)
        sklearn.set_config(array_api_dispatch=True)
        assert np.array_equal(drawn, again), row.name
print("done")
"""


@pytest.mark.skipif(
    Version(scipy.__version__) < Version("1.14"),
    reason="scikit-learn dispatches with SciPy 1.14 or newer",
)
def test_array_api_dispatch(monkeypatch):
    """10: where scikit-learn hands tensors on, they are arrays here."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    assert "done" in run_python("-c", DISPATCH)
