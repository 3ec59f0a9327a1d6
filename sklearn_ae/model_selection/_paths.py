"""Models along a range of one parameter, trained together."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch

from sklearn_ae._compute.ambient import undisturbed, with_arrays
from sklearn_ae._data.rows import Array, row_slices
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._training.batched.runs import begin_run, train_runs


@undisturbed
@with_arrays
def regularization_path(
    estimator: BaseAutoencoder,
    X: Any,
    param_name: str,
    param_range: Iterable[Any],
    y: Any = None,
    *,
    working_memory: float | None = None,
) -> Bunch:
    r"""Fit an autoencoder for each value of one parameter, all at the same time.

    .. math:: \min_{f, g} \frac{1}{n} \sum_x \|x - g(f(x))\|^2 + \alpha_i \, \Omega,
              \quad i = 1, \dots, m

    with, of the parameter `alpha`, a net for each weight. They are trained as a group,
    see :class:`BatchedGridSearchCV`, and each is what it would be on its own.

    Parameters
    ----------
    estimator : estimator
        One of this package; it stays as it is.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Training rows.
    param_name : str
        A parameter, also one of a spec, such as "loss__delta".
    param_range : iterable of length m
        Its values.
    y : array-like of shape (n_samples,), default=None
        Labels, for estimators that are trained with labels.
    working_memory : float, default=None
        As in :class:`BatchedGridSearchCV`.

    Returns
    -------
    Bunch
        - `param_name`, and `param_range` as a list;
        - `estimators`, fitted, one per value;
        - `loss_terms`, a dict of arrays of shape (m,): the terms of the objective in
          the last epoch (or in the one that early stopping has kept);
        - `reconstruction_error`, shape (m,): mean squared error per feature of X;
        - `sparsity`, shape (m,): share of the codes of X that are 0;
        - `code_norm`, shape (m,): mean Euclidean norm of the codes of X.

    Raises
    ------
    ValueError
        For data or parameters that cannot be used.
    DivergenceError
        If one of the fits diverges.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani. Regularization paths for generalized
    linear models via coordinate descent. Journal of Statistical Software 33 (2010).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import SparseAutoencoder
    >>> from sklearn_ae.model_selection import regularization_path
    >>> X, _ = load_digits(return_X_y=True)
    >>> sparse = SparseAutoencoder(32, penalty="l1", max_epochs=10, random_state=0)
    >>> path = regularization_path(sparse, X, "alpha", [0.1, 1.0, 10.0])
    >>> bool((path.reconstruction_error[1:] > path.reconstruction_error[:-1]).all())
    True
    """
    values = _checked_values(estimator, param_name, param_range)
    members = [clone(estimator).set_params(**{param_name: value}) for value in values]
    runs = []
    for member, value in zip(members, values, strict=True):
        # A number does not change which rows are accepted.
        if not runs or not isinstance(value, Real):
            rows = member._check_training_rows(X, y)
        # One bar for each of them would be too many.
        member.verbose = 0
        runs.append(begin_run(member, rows))
    for member, attempt in zip(members, train_runs(runs, working_memory), strict=True):
        if attempt.error is not None:
            raise attempt.error
        member._complete_run(attempt.run).verbose = estimator.verbose
    codes = np.array([_code_figures(member, rows.X) for member in members])
    return Bunch(
        param_name=param_name,
        param_range=values,
        estimators=members,
        loss_terms=_last_terms(members),
        reconstruction_error=np.array(
            [member.reconstruction_error(X).mean() for member in members]
        ),
        sparsity=codes[:, 0],
        code_norm=codes[:, 1],
    )


def _last_terms(estimators: list[BaseAutoencoder]) -> dict[str, np.ndarray]:
    """Answer the terms of the epochs whose weights were kept; absent ones are 0."""
    kept = [
        min(
            member.history_,
            key=lambda row: row.get("valid_loss", -row["epoch"]),
            # Pretrained only.
            default={"terms": {}},
        )["terms"]
        for member in estimators
    ]
    names = {name: None for terms in kept for name in terms}
    return {name: np.array([t.get(name, 0.0) for t in kept]) for name in names}


def _code_figures(member: BaseAutoencoder, X: Array) -> tuple[float, float]:
    """Answer the share of codes that are 0, and the mean norm of rows' codes."""
    model, n_zeros, norms = member._fitted_model(), 0, 0.0
    for rows in row_slices(X.shape[0], max(X.shape[1], model.n_components)):
        Z = model.encode(X[rows])
        n_zeros += int((Z == 0).sum())
        norms += float(np.linalg.norm(Z, axis=1).sum())
    return n_zeros / X.shape[0] / model.n_components, norms / X.shape[0]


def _checked_values(estimator: Any, param_name: Any, param_range: Any) -> list[Any]:
    """Answer the values of a parameter; refuse what is no path."""
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            "estimator must be an autoencoder of this package, not fitted, such as "
            f"SparseAutoencoder(), got {estimator!r}."
        )
    if not isinstance(param_name, str):
        raise TypeError(f"param_name must be a name, got {param_name!r}.")
    if isinstance(param_range, str) or not isinstance(param_range, Iterable):
        raise TypeError(f"param_range must be numbers, got {param_range!r}.")
    values = list(param_range)
    if not values:
        raise ValueError("param_range is empty: pass some values of the parameter.")
    return values
