"""Predictions of targets that are rows: numbers, vectors, images."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from sklearn_ae._compute.ambient import Undisturbed
from sklearn_ae._data.checks import with_shape
from sklearn_ae._data.moments import Moments
from sklearn_ae._data.rows import Array
from sklearn_ae._data.targets import TargetRows, check_target_rows
from sklearn_ae._estimators.base import learns_by_batch
from sklearn_ae._nets.predictor import PredictorModule


class PredictionsMixin(Undisturbed):
    """Gives an estimator that is trained with targets `predict`."""

    _module_type = PredictorModule

    def fit(self, X: Any, y: Any) -> Self:
        """Train on rows of X and their targets.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training rows, in any units, and of any shape that the architecture takes.
        y : array-like of shape (n_samples, ...)
            Targets, in units of their own: numbers, vectors, images.

        Returns
        -------
        self : estimator
            Fitted. Ctrl-C raises `KeyboardInterrupt` and leaves it fitted too, with
            the epochs so far; before the first of them, as it was.

        Raises
        ------
        ValueError
            For data or parameters that cannot be used.
        DivergenceError
            If the objective is no longer finite.
        """
        return super().fit(X, y)

    @available_if(learns_by_batch)
    def partial_fit(self, X: Any, y: Any) -> Self:
        """Train on, once through the rows of X and their targets in their order.

        Shift, scale and the shapes of rows and targets are those of the first call.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples, ...)

        Returns
        -------
        self : estimator
            Fitted.

        Raises
        ------
        ValueError
            With `early_stopping=True`, which needs rows that are held out throughout.
        """
        return super().partial_fit(X, y)

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, ...)
            Of the shape of the training targets, and in their units.
        """
        model, X = self._fitted_rows(X)
        return with_shape(model.reconstruct(X), model.moments.target_shape)

    def _encode_targets(
        self, X: Array, y: Any, reset: bool, classes: Any
    ) -> tuple[TargetRows, dict[str, Any]]:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None."
            )
        shape = None if reset else self._model.moments.target_shape
        return check_target_rows(X, y, shape), {}

    def _build_module(
        self, row_shape: tuple[int, ...] | None, moments: Moments, seed: int
    ) -> PredictorModule:
        module = super()._build_module(row_shape, moments, seed)
        module.set_inputs(moments.shift, moments.scale)
        return module

    def _may_be_batched(self) -> bool:
        return False

    def __sklearn_tags__(self) -> Tags:
        """Say that targets are needed, and may be of several numbers."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


class RegressionMixin(PredictionsMixin, RegressorMixin):
    """Gives an estimator `predict` and `score`: targets are numbers."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        r"""Answer the share of the variance of the targets that is predicted.

        .. math:: R^2 = 1 - \sum \|y - \hat y\|^2 / \sum \|y - \bar y\|^2

        For targets of one axis it is the mean of that of each output, as in
        scikit-learn; for those of several, whose entries share a unit, that of all
        entries together.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples, ...)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        predicted, shape = self.predict(X), self._model.moments.target_shape
        y = check_target_rows(predicted, y, shape).rows
        way = "uniform_average" if len(shape) < 2 else "variance_weighted"
        found = r2_score(
            y, predicted.reshape(y.shape), sample_weight=sample_weight, multioutput=way
        )
        return float(found)
