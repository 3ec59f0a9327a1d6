"""One and the same net trained by other tools, and by ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from unittest import mock

import numpy as np
import torch
from skorch import NeuralNetRegressor

from benchmarks.methods.torch_nets import Net

LEARNING_RATE = 1e-3
NEVER = 10**6

Fit = Callable[[np.ndarray, int], None]


def squared_error(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Sum the squared error over the features, average it over the rows."""
    return (x_hat - x).square().sum(1).mean()


def torch_loop(net: Net, *, gather_once: bool) -> Fit:
    """Return the loop that one writes by hand, with batches sliced from one tensor.

    Parameters
    ----------
    net : Net
        What is trained.
    gather_once : bool
        Whether the shuffled rows are gathered once an epoch, or batch by batch.
    """

    def fit(X: np.ndarray, n_epochs: int) -> None:
        rows, module = torch.from_numpy(X), net.module()
        optimizer = torch.optim.Adam(module.parameters(), LEARNING_RATE, fused=True)
        for _ in range(n_epochs):
            order = torch.randperm(len(rows))
            if gather_once:
                batches = rows.index_select(0, order).split(net.batch_size)
            else:
                parts = order.split(net.batch_size)
                batches = (rows.index_select(0, part) for part in parts)
            for x in batches:
                optimizer.zero_grad()
                squared_error(module(x), x).backward()
                optimizer.step()

    return fit


def plain_skorch(net: Net) -> Fit:
    """Return skorch as it comes, with its row-by-row DataLoader."""

    def fit(X: np.ndarray, n_epochs: int) -> None:
        regressor = NeuralNetRegressor(
            net.module(),
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            lr=LEARNING_RATE,
            batch_size=net.batch_size,
            max_epochs=n_epochs,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
        )
        regressor.fit(X, X)

    return fit


def mlp_regressor(net: Net) -> Fit:
    """Return scikit-learn's MLPRegressor from X to X; its code has a ReLU too."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    def fit(X: np.ndarray, n_epochs: int) -> None:
        regressor = MLPRegressor(
            hidden_layer_sizes=net.widths[1:] + net.widths[-2:0:-1],
            alpha=0.0,
            batch_size=net.batch_size,
            learning_rate_init=LEARNING_RATE,
            max_iter=n_epochs,
            tol=0.0,
            n_iter_no_change=NEVER,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            regressor.fit(X, X)
        _check_epochs(regressor.n_iter_, n_epochs)

    return fit


def our_estimator(net: Net, *, fast_path: bool) -> Fit:
    """Return `sklearn_ae.Autoencoder`, with its hand-written gradient or autograd."""
    from sklearn_ae import Autoencoder
    from sklearn_ae._training import dense_gradient

    def fit(X: np.ndarray, n_epochs: int) -> None:
        autoencoder = Autoencoder(
            net.widths[-1],
            architecture=net.architecture(),
            hidden_layer_sizes=net.widths[1:-1],
            learning_rate=LEARNING_RATE,
            batch_size=net.batch_size,
            max_epochs=n_epochs,
            tol=0.0,
            n_iter_no_change=NEVER,
        )
        if fast_path:
            autoencoder.fit(X)
        else:
            with mock.patch.object(dense_gradient, "supports", return_value=False):
                autoencoder.fit(X)
        _check_epochs(autoencoder.n_iter_, n_epochs)

    return fit


def _check_epochs(done: int, asked: int) -> None:
    """Refuse to compare fits of different lengths."""
    if done != asked:
        raise RuntimeError(f"trained {done} epochs where {asked} were asked for")


def competitors(net: Net) -> dict[str, Fit]:
    """Return all that train this net, by their names in the table."""
    found = {
        "sklearn_ae": our_estimator(net, fast_path=True),
        "torch loop, by epoch": torch_loop(net, gather_once=True),
        "torch loop, by batch": torch_loop(net, gather_once=False),
        "plain skorch": plain_skorch(net),
    }
    if net.is_dense:
        found["sklearn_ae, autograd"] = our_estimator(net, fast_path=False)
        found["MLPRegressor"] = mlp_regressor(net)
    return found


def seconds_per_epoch(
    fit: Fit, X: np.ndarray, epochs: Sequence[int], clock: Callable[[], float]
) -> float:
    """Return the slope between a short fit and a long one: no set-up, no teardown."""
    marks = [clock()]
    for n_epochs in epochs:
        fit(X, n_epochs)
        marks.append(clock())
    short, long = np.diff(marks)
    return float((long - short) / (epochs[1] - epochs[0]))
