"""The denoising autoencoder: it repairs rows that were corrupted."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Self

import numpy as np
import scipy.sparse
import torch
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
)
from sklearn.utils.metaestimators import available_if

from sklearn_ae._compute.suggestions import check_takes
from sklearn_ae._data.checks import shape_of_rows, with_shape
from sklearn_ae._data.frames import as_output, with_dtypes
from sklearn_ae._data.moments import Moments
from sklearn_ae._data.rows import Array, refuse_row
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._layers.dense import Stage
from sklearn_ae._objective.noise import (
    NOISES,
    Addition,
    CallableCorruption,
    Corruption,
    GaussianNoise,
    MaskingNoise,
    Noise,
)
from sklearn_ae._objective.specs import resolve_spec


def _adds_gaussian_noise(estimator: DenoisingAutoencoder) -> bool:
    noise, level = estimator.noise, estimator.noise_level
    does = level != 0 and (isinstance(noise, GaussianNoise) or noise == "gaussian")
    if estimator.__sklearn_is_fitted__():
        # The parameters may have changed since.
        does = isinstance(estimator._model.module.corruption, Addition)
    if not does:
        raise AttributeError(
            "there is one for Gaussian noise only. Set noise='gaussian' and a "
            "noise_level above 0 before fit"
        )
    return True


class DenoisingAutoencoder(BaseAutoencoder):
    r"""Autoencoder that gets corrupted rows and has to answer the clean ones.

    .. math:: \min_{f, g} \mathbb{E}_{\tilde x \sim q(\tilde x | x)}
              \frac{1}{n} \sum_x \|x - g(f(\tilde x))\|^2

    Each presentation of a row has noise of its own. `transform`, `reconstruct` and the
    scores add none: `reconstruct` removes what noise there is in X. NaN stands for a
    missing entry: the net gets the feature's training mean for it (with the loss
    "correntropy" its median), as for a masked one, and errors are taken over what was
    observed, times n_features / observed. With `architecture="lstm"` steps of NaN at
    the end of a sequence are no part of it, so only `impute` answers them.

    X are clean rows: the noisy ones are made by `noise`, and a y is ignored.

    `score` measures how rows are reconstructed as they are, so it prefers the least
    `noise_level`: choose it by :func:`sklearn_ae.metrics.make_denoising_scorer`, by
    :func:`sklearn_ae.metrics.make_probe_scorer`, or by a classifier at the end of a
    pipeline.

    Parameters
    ----------
    noise : str, noise object or callable, default="masking"
        "masking" (entries become the feature's mean, or see :class:`MaskingNoise`),
        "gaussian" (added), "salt_and_pepper" (entries become the feature's training
        minimum or maximum), or a function ``noise(X, random_state)`` of rows in data
        units and a `RandomState` that answers the corrupted rows. Codes have no such
        units: with `pretraining="greedy"` only the first layer is trained with it.
    noise_level : float, default=0.25
        Probability that an entry is hit; of "gaussian", the standard deviation in
        units of X. A function has no use for it, but at 0 there is no noise.

    See Also
    --------
    sklearn_ae.metrics.make_denoising_scorer : Scores what noise is removed.

    References
    ----------
    P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol. Stacked
    denoising autoencoders: learning useful representations in a deep network with a
    local denoising criterion. JMLR 11 (2010).

    P. Vincent. A connection between score matching and denoising autoencoders. Neural
    Computation 23 (2011).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import DenoisingAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> denoising = DenoisingAutoencoder(16, max_epochs=20, random_state=0).fit(X)
    >>> X[0, 20] = np.nan
    >>> bool(np.isnan(denoising.impute(X)).any())
    False
    """

    noise: str | Noise | Callable[..., ArrayLike] = "masking"
    noise_level: float = 0.25

    _parameter_constraints = {
        "noise": [StrOptions(set(NOISES)), Noise, callable],
        "noise_level": [Interval(Real, 0, None, closed="left")],
    }
    _may_miss = True
    _on_ignored_rows = (
        "y has the shape of X, and is ignored: X are the clean rows, and `noise` makes "
        "the noisy ones, others in each epoch. Fit to clean rows as X, and give noisy "
        "ones to reconstruct."
    )

    def _build_corruption(self, moments: Moments) -> Corruption | None:
        if not self.noise_level:
            return super()._build_corruption(moments)
        noise = resolve_spec("noise", self.noise)
        if isinstance(noise, type):
            raise InvalidParameterError(
                "The 'noise' parameter must be a name, a noise object or a function. "
                f"Got the class {noise.__name__} instead; call it to get an object."
            )
        if isinstance(noise, Noise):
            noise.check_level(self.noise_level)
            return noise.build(self.noise_level, moments, moments.shift, moments.scale)
        check_takes("noise", noise, "X", "random_state")
        shift, scale = torch.from_numpy(moments.shift.copy()), moments.scale
        return CallableCorruption(noise, shift, torch.tensor(scale).double())

    def _shallow_copy(self, stage: Stage) -> Self:
        shallow = super()._shallow_copy(stage)
        if stage.below is not None:
            noise = resolve_spec("noise", self.noise)
            if isinstance(noise, GaussianNoise):
                shallow.noise_level = self.noise_level / stage.known.scale
            elif isinstance(noise, MaskingNoise):
                # A number is one of X; what is masked of a code is 0.
                shallow.noise = "masking"
            elif not isinstance(noise, Noise):
                # A function is one of rows of X.
                shallow.noise_level = 0.0
        return shallow

    def impute(self, X: Any) -> np.ndarray:
        """Fill in missing entries.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            With NaN where an entry is missing.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            X, with the reconstruction in place of NaN. With `set_output`, rows that are
            vectors are a frame: with the columns of the training rows, and the index of
            X. Columns of a frame in which nothing is missing keep their dtype.
        """
        model, checked = self._fitted_rows(X)
        x_hat = model.reconstruct(checked)
        rows = _dense(checked)
        filled = np.where(np.isnan(rows), x_hat, rows.astype(x_hat.dtype))
        filled = as_output(self, with_shape(filled, shape_of_rows(X)), X)
        return with_dtypes(filled, X, is_filled=True)

    @available_if(_adds_gaussian_noise)
    def score_function(self, X: Any) -> np.ndarray:
        r"""Estimate the gradient of the log density of noisy rows.

        .. math:: \nabla_x \log p_\sigma(x) \approx (g(f(x)) - x) / \sigma^2

        with the density of the data convolved with the noise, N(0, sigma^2) in each
        feature: for the best denoiser it is exact (Miyasawa 1961, Vincent 2011). There
        is a score function with Gaussian noise only, and sigma is that of the fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            NaN where X is NaN. With `set_output` it is a frame where `reconstruct`
            answers one.
        """
        model, checked = self._fitted_rows(X)
        rows = _dense(checked)
        noise_level = float(model.module.corruption.level) * model.moments.scale
        x_hat = model.reconstruct(checked)
        with np.errstate(over="ignore"):
            score = (x_hat.astype(np.float64) - rows) / noise_level**2
        too_large = np.abs(score) > np.finfo(x_hat.dtype).max
        for number in np.flatnonzero(too_large.any(axis=1)):
            refuse_row(rows[number], number, x_hat.dtype)
        score = with_shape(score.astype(x_hat.dtype), shape_of_rows(X))
        return with_dtypes(as_output(self, score, X), X)


def _dense(X: Array) -> np.ndarray:
    return X.toarray() if scipy.sparse.issparse(X) else np.asarray(X)
