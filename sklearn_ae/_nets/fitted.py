"""A trained module and what it is evaluated with: rows in, arrays out, in slices."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from sklearn_ae._compute.devices import evaluation
from sklearn_ae._compute.threads import map_slices, one_thread
from sklearn_ae._data.moments import Moments
from sklearn_ae._data.rows import (
    Array,
    compute_dtype,
    is_finite,
    read_rows,
    refuse_row,
    row_slices,
    view_rows,
)
from sklearn_ae._layers.dense import dense_layers
from sklearn_ae._nets.autoencoder import (
    AutoencoderModule,
    compact_weights,
    in_precision,
)
from sklearn_ae._priors.drawn import NormalDensity
from sklearn_ae._priors.prior import LatentDensity

_TORCH_DTYPES = {np.dtype("f4"): torch.float32, np.dtype("f8"): torch.float64}


@dataclass
class Model:
    """What a fit leaves behind.

    Attributes
    ----------
    module : AutoencoderModule
        In float32, on `device`.
    device : torch.device
    moments : Moments
        Mean and variance of the (first) training rows.
    n_components : int
        Width of the code.
    seed : int
        Where the fit's streams of random numbers start.
    n_epochs : int
        Epochs trained, which is also how far those streams have been used.
    residual_variance : ndarray of shape (n_features,) or None
        Of the training rows, where a latent density makes use of it.
    row_shape : tuple of int or None
        That of a row in the (first) X that had more than two axes; None for vectors.
    training_state : dict or None
        Of the optimizer and the generators, where a fit may continue.
    parameters : dict
        What the net was built from: those of the estimator's parameters, as they were.
    """

    module: AutoencoderModule
    device: torch.device
    moments: Moments
    n_components: int
    seed: int
    n_epochs: int
    residual_variance: np.ndarray | None = None
    row_shape: tuple[int, ...] | None = None
    training_state: dict[str, Any] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    _twins: dict[torch.dtype, AutoencoderModule] = field(default_factory=dict)

    def encode(self, X: Array) -> np.ndarray:
        """Codes of rows, shape (n_samples, n_components)."""
        return self._map(X, lambda module, x: module.encode(x))

    def layer_codes(self, X: Array) -> list[np.ndarray]:
        """Codes of each layer of a dense encoder, from the data inwards."""
        depth = len(dense_layers(self.module.encoder))
        inner = [
            self._map(X, lambda module, x, i=i: module.encode(x, n_layers=i))
            for i in range(1, depth)
        ]
        return [*inner, self.encode(X)]

    def decode(self, Z: Array, classes: np.ndarray | None = None) -> np.ndarray:
        """Rows of codes, shape (n_samples, n_features)."""
        return self._map(Z, lambda module, *z: module.decode(*z), classes=classes)

    def reconstruct(self, X: Array, classes: np.ndarray | None = None) -> np.ndarray:
        """Rows encoded and decoded, shape (n_samples, n_features)."""
        return self._map(X, lambda module, *x: module(*x), classes=classes)

    def squared_error(self, X: Array, classes: np.ndarray | None = None) -> np.ndarray:
        """Squared error of each row, summed over features, in float64."""
        return self._map(X, _squared_error, classes=classes)

    def squared_residuals(self, X: Array) -> np.ndarray:
        """Mean squared residual of each feature over the rows."""
        total, n_observed = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        for rows in row_slices(*X.shape):
            part = read_rows(X, rows, np.dtype(np.float64))
            squares = np.square(part - self.reconstruct(part))
            total += np.nansum(squares, axis=0)
            n_observed += np.isfinite(squares).sum(axis=0)
        return total / np.maximum(n_observed, 1)

    def sample(
        self,
        Z: np.ndarray,
        generator: torch.Generator,
        observation_noise: bool,
        classes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Rows drawn around the decoded codes, or the decoded codes themselves."""
        x_hat = self.decode(Z, classes)
        if not observation_noise:
            return x_hat
        residuals, deviation = self.residual_variance, None
        if residuals is not None:
            deviation = torch.from_numpy(np.sqrt(residuals))
        reconstruction = self.module.reconstruction
        with one_thread():
            return reconstruction.draw(
                torch.from_numpy(x_hat), deviation, generator
            ).numpy()

    def posteriors(self, X: Array) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the code of each row."""

        def both(module: AutoencoderModule, x: Tensor) -> Tensor:
            h = module.encoder(module.fill_missing(module.standardize(x)))
            posterior = module.posterior.of(h)
            return torch.stack([posterior.mean, posterior.deviation], 1)

        stacked = self._map(X, both)
        return stacked[:, 0].copy(), stacked[:, 1].copy()

    def divergences(self, X: Array) -> np.ndarray:
        """Mean divergence of each component over the rows, in nats.

        From a standard normal prior; else from the normal distribution that has the
        mean and the variance of the component over all rows.
        """
        means, squares, variances, logs = np.zeros((4, self.n_components))
        for rows in row_slices(X.shape[0], max(X.shape[1], self.n_components)):
            mean, deviation = (part.astype("f8") for part in self.posteriors(X[rows]))
            means += mean.sum(axis=0)
            squares += np.square(mean).sum(axis=0)
            variances += np.square(deviation).sum(axis=0)
            logs += np.log(deviation).sum(axis=0)
        totals = means, squares, variances, logs
        means, squares, variances, logs = (total / X.shape[0] for total in totals)
        if isinstance(self.module.prior, NormalDensity):
            return np.maximum(0.5 * (squares + variances - 1) - logs, 0.0)
        spread = np.maximum(squares - np.square(means), 0.0) + variances
        return np.maximum(0.5 * np.log(spread) - logs, 0.0)

    def bound(
        self,
        X: Array,
        bound: Callable[..., Tensor],
        points: Tensor,
        classes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Lower bound of each row's log-likelihood, by points shared by all rows."""
        points = points.to(self.device)

        @functools.cache
        def settled(dtype: torch.dtype) -> tuple[LatentDensity, Tensor]:
            with one_thread():
                return self._twin(dtype).prior.settled(), points.to(dtype)

        def of_rows(module: AutoencoderModule, *rows: Tensor) -> Tensor:
            return bound(module, *settled(rows[0].dtype), *rows).double()

        with evaluation(self.device):
            # Once, before threads ask for it.
            settled(_TORCH_DTYPES[compute_dtype(X)])

        width = max(self.module.width, self.module.prior.width)
        n_passes = len(points) * -(-width // self.module.width)
        return self._map(X, of_rows, n_passes, classes)

    def draw_codes(
        self,
        n_samples: int,
        generator: torch.Generator,
        classes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Codes drawn from the prior, shape (n_samples, n_components)."""
        prior = self._twin(torch.float64).prior
        with evaluation(self.device), one_thread():
            if classes is not None:
                prior = prior.given(torch.from_numpy(classes).to(self.device))
            return prior.sample(n_samples, generator).double().cpu().numpy()

    def _map(
        self,
        X: Array,
        function: Callable[..., Tensor],
        n_passes: int = 1,
        classes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Compute a function of rows, each of which passes the net `n_passes` times.

        It is called with the module, rows, and their classes if there are any.
        """
        dtype = compute_dtype(X)
        module = self._twin(_TORCH_DTYPES[dtype])
        n_rows = X.shape[0]

        def compute(rows: slice) -> np.ndarray:
            with evaluation(self.device):
                given = [torch.from_numpy(view_rows(X, rows, dtype)).to(self.device)]
                if classes is not None:
                    given.append(torch.from_numpy(classes[rows]).to(self.device))
                found = function(module, *given)
                if not is_finite(found):
                    found = self._with_large_rows(function, given, found, rows.start)
                return found.cpu().numpy()

        def store(rows: slice) -> None:
            answer[rows] = compute(rows)

        first, *others = row_slices(n_rows, module.width * n_passes)
        with one_thread():
            part = compute(first)
        if not others:
            return part
        answer = np.empty((n_rows, *part.shape[1:]), part.dtype)
        answer[first] = part
        # A GPU has threads of its own, and of sparse rows one slice is dense at a time.
        in_turn = self.device.type != "cpu" or scipy.sparse.issparse(X)
        work = float(module.n_products) * n_rows * n_passes
        map_slices(store, others, 0.0 if in_turn else work)
        return answer

    def _with_large_rows(
        self,
        function: Callable[..., Tensor],
        given: list[Tensor],
        found: Tensor,
        start: int,
    ) -> Tensor:
        """Compute rows that were too large for float32 once more, in float64.

        Raises
        ------
        ValueError
            If the answer still is more than its dtype can hold, naming the row.
        """

        def too_large() -> Tensor:
            finite = found.isfinite().reshape(len(found), -1).all(1)
            return (~finite).nonzero()[:, 0]

        where = too_large()
        if given[0].dtype != torch.float64:
            x, *others = (part[where] for part in given)
            again = function(self._twin(torch.float64), x.double(), *others)
            found = found.index_copy(0, where, again.to(found.dtype))
        for number in too_large().tolist():
            dtype = np.dtype(str(found.dtype).removeprefix("torch."))
            refuse_row(given[0][number].cpu().numpy(), start + number, dtype)
        return found

    def _twin(self, dtype: torch.dtype) -> AutoencoderModule:
        """Answer the module in one precision."""
        if dtype not in self._twins:
            with one_thread():
                module = compact_weights(in_precision(self.module, dtype)).eval()
            self._twins[dtype] = module
        return self._twins[dtype]


def _squared_error(module: AutoencoderModule, x: Tensor, *classes: Tensor) -> Tensor:
    squares = module(x, *classes).sub_(x).double().square_()
    if not module.may_miss:
        return squares.sum(-1)
    # A row that was too large for the net has no answer.
    failed = (squares.isnan() & ~x.isnan()).any(-1)
    # The mean over what was observed stands for the rest.
    return (squares.nanmean(-1) * x.shape[-1]).masked_fill_(failed, torch.nan)
