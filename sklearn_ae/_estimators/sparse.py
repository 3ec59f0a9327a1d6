"""The sparse autoencoder: few components describe each row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
)
from torch import nn

from sklearn_ae._data.moments import Moments, Units, objective_weight
from sklearn_ae._data.rows import Array, row_slices
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._layers.dense import SelectiveEncoder, dense_layers
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._nets.fitted import Model
from sklearn_ae._objective.penalties import KLSparsity, L1Sparsity, Penalty, Revival

# What of `alpha` draws silent components: much more of it costs reconstruction.
_REVIVAL_SHARE = 1 / 16
_CODE_ACTIVATIONS = {"kl": "logistic", "l1": "relu", "top_k": "identity"}
_REACHING_ZERO = {"relu", "binary"}
# Those that are near 0 at rest, and have their lowest value somewhere else.
_NEAR_ZERO = {"gelu", "silu"}
# Where a code counts as active that never reaches its low value, or 0: on the way to 1.
_ACTIVE = 0.1


class SparseAutoencoder(BaseAutoencoder):
    r"""Autoencoder with more components than it uses for any one row.

    .. math:: \min_{f, g} \frac{1}{n} \sum_x \|x - g(f(x))\|^2 + \alpha \, \Omega

    where the penalty is, for codes h = f(x) and a mean over rows,

    - "kl": :math:`\sum_j \text{KL}(\rho \| q_j)`, with the mean code of each component
      put between the lowest value of its activation and 1,
      :math:`q_j = (\bar h_j - \text{low}) / (1 - \text{low})`. Activations that do not
      rise from a lowest value (identity, leaky_relu, gelu, silu) are refused. It is a
      statistic of a batch, not a sum over rows. Above q = 0.99 and below a hundredth of
      `rho` it goes on as a straight line;
    - "l1": :math:`\sum_j |h_j| \|d_j\|`, with the directions :math:`d_j` in which the
      layer that reads the code moves its output. The norms keep the codes from being
      scaled down for nothing where that layer is the whole decoder. With
      `hidden_layer_sizes` it can have small directions, which later layers make up for
      at no cost to this penalty: use `hidden_layer_sizes=()`, or a `weight_decay`;
    - "top_k": none on the codes in use, but only the `k` largest of a row are kept.
      Components that no row of a batch uses are drawn, with weight
      :math:`\alpha / 16` times the variance of X, towards the row that they come
      nearest to describing.

    Hidden layers have no penalty, and with `pretraining="greedy"` none before either.

    `score` leaves the penalty out, so it always prefers the least `alpha`: choose it
    by :func:`sklearn_ae.metrics.make_probe_scorer`, by
    :func:`sklearn_ae.metrics.make_denoising_scorer`, or by a classifier at the end of
    a pipeline.

    Parameters
    ----------
    n_components : int, default=128
        Number of components of the code; more than there are features is usual.
    hidden_layer_sizes : tuple of int or int, default=()
        Widths of the encoder's hidden layers, mirrored in the decoder; `()` is a
        shallow net.
    code_activation : str, default="auto"
        Activation of the code. "auto" is logistic for "kl", relu for "l1" and identity
        for "top_k", where exactly `k` codes of a row are not 0. (After a relu there are
        fewer where fewer are positive, and components can fall silent for good.)
    penalty : {"kl", "l1", "top_k"}, default="kl"
        What makes the code sparse.
    alpha : float, default=1.0
        Weight of the penalty, in the units of the loss (for "l1" over units of X; for
        "top_k" it has none). Of "kl" and "l1" the same weight does more to rows in
        small units: the mean code of "kl" is at `rho` where `alpha` is about the
        variance of X, and far beyond that rows are no longer reconstructed.
    rho : float, default=0.05
        Target of the mean code with "kl", between 0 and 1.
    k : int, default=10
        Number of components that describe a row, with "top_k".
    sparse_output : bool, default=False
        Whether `transform` answers a scipy CSR array.

    Attributes
    ----------
    dead_components_ : int
        Number of components that are active for none of the training rows.
    mean_active_components_ : float
        Mean number of components that are active for a training row: not 0, or, where
        the activation never reaches its lowest value, a tenth of the way from it to 1;
        of gelu and silu, which are near 0 at rest, farther than 0.1 from 0.
    unexplained_variance_ : float
        Mean squared error of the training rows as a share of their variance.

    See Also
    --------
    sklearn_ae.metrics.sparsity_score : Share of the codes that are 0.

    References
    ----------
    A. Ng. Sparse autoencoder. CS294A lecture notes, Stanford (2011).

    V. Nair and G. E. Hinton. 3D object recognition with deep belief nets. NIPS (2009).

    A. Makhzani and B. Frey. k-sparse autoencoders. ICLR (2014).

    H. Cunningham, A. Ewart, L. Riggs, R. Huben and L. Sharkey. Sparse autoencoders
    find highly interpretable features in language models. ICLR (2024).

    L. Gao et al. Scaling and evaluating sparse autoencoders. ICLR (2025).

    T. Conerly et al. Dictionary learning optimization techniques. Transformer Circuits
    Thread (2025).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import SparseAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> sparse = SparseAutoencoder(100, penalty="top_k", k=5, random_state=0).fit(X)
    >>> Z = sparse.transform(X)
    >>> bool(((Z != 0).sum(axis=1) == 5).all())
    True
    """

    n_components: int = 128
    hidden_layer_sizes: tuple[int, ...] | int = ()
    code_activation: str = "auto"
    penalty: str = "kl"
    alpha: float = 1.0
    rho: float = 0.05
    k: int = 10
    sparse_output: bool = False

    _passing_attributes = (
        "dead_components_",
        "mean_active_components_",
        "unexplained_variance_",
    )
    _parameter_constraints = {
        "code_activation": [StrOptions({"auto", *ACTIVATIONS})],
        "penalty": [StrOptions({"kl", "l1", "top_k"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "rho": [Interval(Real, 0, 1, closed="neither")],
        "k": [Interval(Integral, 1, None, closed="left")],
        "sparse_output": ["boolean"],
    }

    def _resolved_code_activation(self) -> str:
        if self.code_activation != "auto":
            return self.code_activation
        return _CODE_ACTIVATIONS[self.penalty]

    def _is_sparse(self) -> bool:
        """Whether its code is to be sparse: hidden layers, in pretraining, are not."""
        return self._stage is None or self._stage.is_code

    def _selects(self) -> bool:
        """Whether some codes are set to 0: with all of them it is the plain net."""
        is_fewer = self.k < self.n_components
        return self.penalty == "top_k" and is_fewer and self._is_sparse()

    def _build_module(
        self, row_shape: tuple[int, ...] | None, moments: Moments, seed: int
    ) -> AutoencoderModule:
        """Build the net, whose code passes through the selection."""
        if not self._is_sparse():
            return super()._build_module(row_shape, moments, seed)
        if self.penalty == "top_k" and self.k > self.n_components:
            raise InvalidParameterError(
                f"The 'k' parameter of {type(self).__name__} must be at most "
                f"n_components={self.n_components}. Got {self.k!r} instead."
            )
        module = super()._build_module(row_shape, moments, seed)
        if self._selects():
            module.encoder = SelectiveEncoder(module.encoder, self.k)
        elif self.penalty == "kl":
            # With alpha=0 too: in a search, only the penalty tells candidates apart.
            self._start_at_target(module)
        return module

    def _start_at_target(self, module: AutoencoderModule) -> None:
        """Set the biases of a logistic code to where its mean is near `rho`.

        From one half it would be on its way there for most of the training.
        """
        layers = dense_layers(module.encoder)
        if layers and layers[-1].activation == "logistic":
            nn.init.constant_(layers[-1].bias, math.log(self.rho / (1 - self.rho)))

    def _build_penalties(self, units: Units) -> dict[str, Penalty]:
        penalties = super()._build_penalties(units)
        if not (self.alpha and self._is_sparse()):
            return penalties
        if self.penalty == "l1":
            strength = objective_weight(self.alpha, units.cost / units.output)
            return penalties | {"sparsity": L1Sparsity(strength=strength)}
        if self.penalty == "kl":
            alpha, low = objective_weight(self.alpha, units.cost), self._code_low()
            return penalties | {"sparsity": KLSparsity(alpha, self.rho, low)}
        if self._selects():
            revival = Revival(alpha=self.alpha * _REVIVAL_SHARE)
            return penalties | {"revival": revival}
        return penalties

    def _code_low(self) -> float:
        name = self._resolved_code_activation()
        low = ACTIVATIONS[name].low
        if low is None:
            raise ValueError(
                f"penalty='kl' does not work with code_activation={name!r}: it needs "
                "an activation that rises from a lowest value, such as 'logistic' or "
                "'relu'."
            )
        return low

    def _expected_attributes(self) -> set[str]:
        return super()._expected_attributes() | {*SparseAutoencoder._passing_attributes}

    def _derived_attributes(self, model: Model, X: Array) -> dict[str, Any]:
        """Count what is active in the codes of the training rows."""
        n_active, error = np.zeros(model.n_components, dtype=np.int64), 0.0
        for rows in _slices(model, X):
            n_active += self._is_active(model.encode(X[rows])).sum(axis=0)
            error += float(model.squared_error(X[rows]).sum())
        n_samples, variance = X.shape[0], model.moments.variance or 1.0
        return super()._derived_attributes(model, X) | {
            "dead_components_": int((n_active == 0).sum()),
            "mean_active_components_": float(n_active.sum() / n_samples),
            "unexplained_variance_": error / n_samples / variance,
        }

    def _is_active(self, codes: np.ndarray) -> np.ndarray:
        name = self._resolved_code_activation()
        low = ACTIVATIONS[name].low
        if self._selects() or name in _REACHING_ZERO:
            return codes != 0
        if name in _NEAR_ZERO:
            return np.abs(codes) > _ACTIVE
        if low is None:
            return codes != 0
        return codes > low + _ACTIVE * (1 - low)

    def transform(self, X: Any) -> np.ndarray | scipy.sparse.csr_array:
        """Encode rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray or CSR array of shape (n_samples, n_components)
            Codes; float32 for float32 rows, else float64. With `sparse_output` no more
            than a slice of them is dense at a time.
        """
        if not self.sparse_output:
            return super().transform(X)
        model, X = self._fitted_rows(X)
        parts = [
            scipy.sparse.csr_array(model.encode(X[rows])) for rows in _slices(model, X)
        ]
        return scipy.sparse.vstack(parts, format="csr")


def _slices(model: Model, X: Array) -> Iterator[slice]:
    """Yield slices of rows of which the codes, too, are of moderate size."""
    return row_slices(X.shape[0], max(X.shape[1], model.n_components))
