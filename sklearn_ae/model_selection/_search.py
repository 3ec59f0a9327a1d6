"""Searches like scikit-learn's, in which candidates train in stacks."""

from __future__ import annotations

import time
from inspect import signature
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, _fit_context, clone, is_classifier
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_method_params, indexable

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae._compute.warnings import saying_once
from sklearn_ae.model_selection._evaluation import Evaluation


class _StackingMixin(BaseSearchCV):
    """Fits candidates in stacks; what comes before and after is scikit-learn's."""

    @with_arrays
    @_fit_context(prefer_skip_nested_validation=False)
    @saying_once()
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all candidates to all folds, and the best one to all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
        **params : dict
            For `fit` of the estimator, the splitter and the scorer, as scikit-learn
            has it. With such for the estimator each candidate is fitted on its own.

        Returns
        -------
        self : object
            Fitted.
        """
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        data = {"X": X, "y": y}
        context = _begin_search(self, data)
        self._checked_cv_orig = check_cv(
            self.cv, y, classifier=is_classifier(self.estimator)
        )
        self.n_splits_ = self._checked_cv_orig.get_n_splits(
            X, y, **routed.splitter.split
        )
        evaluate = Evaluation(self, scorers, routed, data)
        # A search of one's own need not know of callbacks.
        is_told = "callback_ctx" in signature(self._run_search).parameters
        self._run_search(evaluate, **{"callback_ctx": context} if is_told else {})
        self._choose(evaluate, refit_metric)
        if self.refit:
            self._refit(data, routed.estimator.fit, context)
        is_several = isinstance(scorers, _MultimetricScorer)
        self.scorer_ = scorers._scorers if is_several else scorers
        self.cv_results_ = evaluate.results
        if context is not None:
            context.call_on_fit_task_end(estimator=self, **data)
        return self

    def _choose(self, evaluate: Evaluation, refit_metric: str) -> None:
        first = evaluate.first_scores
        self.multimetric_ = isinstance(first, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first)
            refit_metric = self.refit
        if not (self.refit or not self.multimetric_):
            return
        results = evaluate.results
        self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
        if not callable(self.refit):
            scores = results[f"mean_test_{refit_metric}"]
            self.best_score_ = scores[self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(
        self, data: dict[str, Any], fit_params: dict[str, Any], context: Any
    ) -> None:
        given = clone(self.best_params_, safe=False)
        best = clone(self.estimator).set_params(**given)
        self.best_estimator_ = best
        rows = {k: v for k, v in data.items() if k == "X" or v is not None}
        began = time.time()
        if context is None:
            best.fit(**rows, **fit_params)
        else:
            part = context.subcontext(task_name="refit-with-best-params")
            with part.propagate_callback_context(best):
                part.call_on_fit_task_begin(estimator=self, **data)
                best.fit(**rows, **fit_params)
            part.call_on_fit_task_end(estimator=self, **data)
        self.refit_time_ = time.time() - began
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_


def _begin_search(search: BaseSearchCV, data: dict[str, Any]) -> Any:
    """Open the task of the whole search, where scikit-learn has callbacks."""
    if not hasattr(search, "_init_callback_context"):
        return None
    n_tasks = 1 + (search.refit is not False)
    context = search._init_callback_context(max_subtasks=n_tasks)
    return context.call_on_fit_task_begin(estimator=search, **data)


# The parameter that these searches have and scikit-learn's have not.
_WORKING_MEMORY = {"working_memory": [Interval(Real, 0, None, closed="neither"), None]}


class BatchedGridSearchCV(_StackingMixin, GridSearchCV):
    """Grid search that trains candidates and folds together.

    Candidates that differ in numbers only (penalty weights, noise level, learning rate,
    seed and so on) become, on all folds, a stack of nets: one operation computes all of
    them. Their scores are those of :class:`sklearn.model_selection.GridSearchCV`, to
    rounding. Of a Pipeline the steps before the autoencoder are fitted once for each
    fold of a stack, those behind it once for each candidate and fold. Each net keeps
    its own early stopping and schedule; one that diverges scores `error_score`. Layers
    are pretrained net by net.

    What cannot be stacked is fitted as by scikit-learn's search: recurrent nets and
    modules of one's own, `AdversarialAutoencoder`, `optimizer="lbfgs"`, "alternating"
    (the default of `LinearAutoencoder`) or a class, callbacks that look at batches or
    keep copies of weights, scikit-learn's callbacks on the estimator itself,
    `warm_start`, and nets so large that nothing is gained.

    Parameters
    ----------
    estimator : estimator
        One of this package, or a Pipeline with one of them at any step; the first of
        them is stacked. Others are fitted as by scikit-learn's search.
    param_grid : dict or list of dict
        Values to try, by parameter.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in :class:`sklearn.model_selection.GridSearchCV`. `n_jobs` is for stacks the
        number of threads, for the rest of processes; within `joblib.parallel_config`
        for both what its backend has. `mean_fit_time` is a stack's time
        over the number of its nets.
    working_memory : float, default=None
        Most memory, in MiB, that the nets of a stack may take; None is
        ``sklearn.get_config()["working_memory"]``.

    See Also
    --------
    regularization_path : The fitted models along one weight.
    sklearn_ae.metrics.one_standard_error : For `refit`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from sklearn_ae import SparseAutoencoder
    >>> from sklearn_ae.model_selection import BatchedGridSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> sparse = SparseAutoencoder(32, penalty="l1", max_epochs=10, random_state=0)
    >>> pipeline = make_pipeline(
    ...     MinMaxScaler(), sparse, LogisticRegression(max_iter=1000)
    ... )
    >>> grid = {"sparseautoencoder__alpha": [0.01, 0.1, 1.0]}
    >>> search = BatchedGridSearchCV(pipeline, grid, cv=3).fit(X, y)
    >>> search.cv_results_["mean_test_score"].shape
    (3,)
    """

    _parameter_constraints = GridSearchCV._parameter_constraints | _WORKING_MEMORY

    def __init__(
        self,
        estimator: BaseEstimator,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        working_memory: float | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.working_memory = working_memory


class BatchedRandomizedSearchCV(_StackingMixin, RandomizedSearchCV):
    """Randomized search that trains candidates and folds together.

    It is to :class:`sklearn.model_selection.RandomizedSearchCV` what
    :class:`BatchedGridSearchCV` is to `GridSearchCV`.

    Parameters
    ----------
    estimator : estimator
        As in :class:`BatchedGridSearchCV`.
    param_distributions : dict or list of dict
        Distributions with `rvs`, or lists of values, by parameter.
    n_iter : int, default=10
        Number of candidates.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in :class:`BatchedGridSearchCV`.
    random_state : int, RandomState instance or None, default=None
        Of the candidates.
    working_memory : float, default=None
        As in :class:`BatchedGridSearchCV`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ae import DenoisingAutoencoder
    >>> from sklearn_ae.metrics import make_denoising_scorer
    >>> from sklearn_ae.model_selection import BatchedRandomizedSearchCV
    >>> search = BatchedRandomizedSearchCV(
    ...     DenoisingAutoencoder(2, noise="gaussian", max_epochs=20, random_state=0),
    ...     {"noise_level": loguniform(0.01, 1.0)},
    ...     n_iter=4,
    ...     scoring=make_denoising_scorer(),
    ...     random_state=0,
    ... )
    >>> len(search.fit(load_iris().data).cv_results_["params"])
    4
    """

    _parameter_constraints = RandomizedSearchCV._parameter_constraints | _WORKING_MEMORY

    def __init__(
        self,
        estimator: BaseEstimator,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        working_memory: float | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.working_memory = working_memory
