"""What a search takes of scikit-learn's private parts: all of that stands here."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from inspect import Parameter, signature
from itertools import product
from numbers import Real
from traceback import format_exc
from typing import Any, Self

import numpy as np
from joblib.logger import short_format_time
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, indexable

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae._compute.suggestions import Described
from sklearn_ae._compute.warnings import saying_once
from sklearn_ae._estimators.docstrings import merge_docstrings
from sklearn_ae.model_selection._evaluation import results_of
from sklearn_ae.model_selection._tasks import Task

# The parameter that these searches have and scikit-learn's have not.
WORKING_MEMORY = {"working_memory": [Interval(Real, 0, None, closed="neither"), None]}


def with_working_memory(init: Callable[..., None]) -> Callable[..., None]:
    """Answer the constructor of a search, with one more parameter."""

    @wraps(init)
    def __init__(
        self: Any, *args: Any, working_memory: float | None = None, **params: Any
    ) -> None:
        init(self, *args, **params)
        self.working_memory = working_memory

    known = signature(init)
    more = Parameter("working_memory", Parameter.KEYWORD_ONLY, default=None)
    __init__.__signature__ = known.replace(
        parameters=[*known.parameters.values(), more]
    )
    return __init__


class BatchedSearchMixin(Described, BaseSearchCV):
    """Fits candidates in groups; what comes before and after is scikit-learn's."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A class documents what is its own; the rest is as scikit-learn has it.
        documentation = [base.__doc__ for base in cls.__mro__[:-1]]
        cls.__doc__ = merge_docstrings(documentation, signature(cls).parameters)

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
        data = _shown(X, y, params)
        context = _begin_search(self, data)
        self._checked_cv_orig = check_cv(
            self.cv, y, classifier=is_classifier(self.estimator)
        )
        self.n_splits_ = self._checked_cv_orig.get_n_splits(
            X, y, **routed.splitter.split
        )
        scoring = Scoring(
            X=X,
            y=y,
            scorer=scorers,
            fit_params=routed.estimator.fit,
            score_params=routed.scorer.score,
            return_train_score=self.return_train_score,
            error_score=self.error_score,
            verbose=self.verbose,
            caller=self if context is not None else None,
        )
        evaluate = _Evaluation(self, scoring, routed.splitter.split)
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

    def _choose(self, evaluate: _Evaluation, refit_metric: str) -> None:
        first, results = evaluate.out[0]["test_scores"], evaluate.results
        self.multimetric_ = isinstance(first, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first)
            refit_metric = self.refit
        if not (self.refit or not self.multimetric_):
            return
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
        rows = {name: data[name] for name in "Xy" if data[name] is not None}
        part = context and context.subcontext(task_name="refit-with-best-params")
        began = time.time()
        _fit_told(partial(best.fit, **rows, **fit_params), best, self, part, data)
        self.refit_time_ = time.time() - began
        if part is not None:
            part.call_on_fit_task_end(estimator=self, **data)
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_


def _shown(X: Any, y: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Answer what callbacks may see of a task: of what `fit` is given, the weights."""
    weights = params.get("sample_weight")
    metadata = None if weights is None else {"sample_weight": weights}
    return {"X": X, "y": y, "metadata": metadata}


def _begin_search(search: BaseSearchCV, data: dict[str, Any]) -> Any:
    """Open the task of the whole search, where scikit-learn has callbacks."""
    # Before scikit-learn 1.9 there are none.
    if not hasattr(search, "_init_callback_context"):
        return None
    n_tasks = 1 + (search.refit is not False)
    context = search._init_callback_context(max_subtasks=n_tasks)
    return context.call_on_fit_task_begin(estimator=search, **data)


def _fit_told(
    fit: Callable[[], Any],
    estimator: Any,
    caller: Any,
    context: Any,
    data: dict[str, Any],
) -> None:
    """Fit an estimator, as a task of the search that its callbacks are told of."""
    if context is None:
        fit()
        return
    with context.propagate_callback_context(estimator):
        context.call_on_fit_task_begin(estimator=caller, **data)
        fit()


class _Evaluation:
    """Evaluates candidates, as often as a search asks for it.

    Attributes
    ----------
    out : list of dict
        What each evaluation came to.
    results : dict
        What `cv_results_` is going to be.
    """

    def __init__(
        self, search: BaseSearchCV, scoring: Scoring, split_params: dict[str, Any]
    ) -> None:
        self.search, self.scoring = search, scoring
        self.split_params = split_params
        self.candidates: list[dict[str, Any]] = []
        self.out: list[dict[str, Any]] = []
        self.more_results: dict[str, list[Any]] = defaultdict(list)

    def __call__(
        self,
        candidate_params: Iterable[dict[str, Any]],
        cv: Any = None,
        more_results: dict[str, Any] | None = None,
        callback_ctx: Any = None,
    ) -> dict[str, Any]:
        search, candidates = self.search, list(candidate_params)
        cv = cv or search._checked_cv_orig
        tasks = list(self._tasks(candidates, cv, callback_ctx))
        if not tasks:
            raise ValueError("There are no candidates, or no splits to fit them to.")
        if search.verbose > 0:
            print(
                f"Fitting {search.n_splits_} folds for each of {len(candidates)} "
                f"candidates, totalling {len(tasks)} fits"
            )
        out = results_of(tasks, self.scoring, search)
        _warn_or_raise_about_fit_failures(out, search.error_score)
        if callable(search.scoring):
            _insert_error_scores(out, search.error_score)
        self.candidates += candidates
        self.out += out
        for name, values in (more_results or {}).items():
            self.more_results[name].extend(values)
        self.results = search._format_results(
            self.candidates, search.n_splits_, self.out, self.more_results
        )
        return self.results

    def _tasks(
        self, candidates: list[dict[str, Any]], cv: Any, context: Any
    ) -> Iterator[Task]:
        base, n_splits = clone(self.search.estimator), self.search.n_splits_
        splits = list(cv.split(self.scoring.X, self.scoring.y, **self.split_params))
        if len(splits) != n_splits:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{n_splits} splits, got {len(splits)}"
            )
        pairs = product(enumerate(candidates, 1), enumerate(splits))
        for place, ((candidate, given), (fold, (train, test))) in enumerate(pairs):
            yield Task(
                place,
                given,
                fold,
                np.asarray(train),
                np.asarray(test),
                (f"{fold + 1}/{n_splits}", f"{candidate}/{len(candidates)}"),
                clone(base).set_params(**clone(given, safe=False)),
                context and context.subcontext("candidate-split-evaluation", place),
            )


@dataclass(eq=False, kw_only=True)
class Scoring:
    """Fits and scores tasks, as scikit-learn does.

    Attributes
    ----------
    X, y
        All rows and targets.
    scorer : callable
        Answers a score, or a dict of them.
    fit_params, score_params : dict
        What `fit` and the scorer are given beside rows.
    return_train_score, error_score, verbose
        Of the search.
    caller : BaseSearchCV or None
        The search, where callbacks are told of it.
    """

    X: Any
    y: Any
    scorer: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    return_train_score: bool
    error_score: Any
    verbose: int
    caller: BaseSearchCV | None

    def training_rows(self, task: Task) -> tuple[Any, Any]:
        """Answer a task's rows and targets for training."""
        return _safe_split(task.estimator, self.X, self.y, task.train)

    def __call__(self, task: Task) -> dict[str, Any]:
        """Fit a task's estimator and score it."""
        if self.verbose > 9:
            print(f"{self._title(task)} START {task.description}".ljust(80, "."))
        began = time.time()
        train = self.training_rows(task)
        test = _safe_split(task.estimator, self.X, self.y, task.test, task.train)
        params = _check_method_params(self.X, self.fit_params, task.train)
        data = _shown(*train, params)
        fit, error = partial(task.fit, *train, **params), None
        try:
            try:
                _fit_told(fit, task.estimator, self.caller, task.context, data)
            except Exception:
                if self.error_score == "raise":
                    raise
                error = format_exc()
            fitted = time.time()
            result = {
                "fit_error": error,
                # What was trained before took its time.
                "fit_time": fitted - began + task.seconds,
                "test_scores": self._scores(task, test, task.test, error),
                "score_time": 0.0 if error else time.time() - fitted,
            }
            if self.return_train_score:
                scores = self._scores(task, train, task.train, error)
                result["train_scores"] = scores
        finally:
            if task.context is not None:
                task.context.call_on_fit_task_end(estimator=self.caller, **data)
        if self.verbose > 1:
            self._print_end(task, result)
        task.release()
        return result

    def _scores(
        self, task: Task, rows: tuple[Any, Any], index: np.ndarray, error: str | None
    ) -> Any:
        if error is None:
            params = _check_method_params(self.X, self.score_params, index)
            return _score(task.estimator, *rows, self.scorer, params, self.error_score)
        if isinstance(self.scorer, _MultimetricScorer):
            return dict.fromkeys(self.scorer._scorers, self.error_score)
        return self.error_score

    def _title(self, task: Task) -> str:
        progress = "; ".join(task.progress[: (self.verbose > 2) + (self.verbose > 9)])
        return f"[CV {progress}]" if progress else "[CV]"

    def _print_end(self, task: Task, result: dict[str, Any]) -> None:
        said = task.description and f"{task.description};"
        if self.verbose > 2:
            said += _in_words(result["test_scores"], result.get("train_scores"))
        seconds = result["fit_time"] + result["score_time"]
        said += f" total time={short_format_time(seconds)}"
        title = f"{self._title(task)} END "
        print(title + said.rjust(80 - len(title), "."))


def _in_words(test: Any, train: Any) -> str:
    """Answer scores in the words of scikit-learn's searches."""
    if isinstance(test, dict):
        trained = {k: f"train={v:.3f}, " for k, v in (train or {}).items()}
        return "".join(
            f" {name}: ({trained.get(name, '')}test={test[name]:.3f})"
            for name in sorted(test)
        )
    if train is None:
        return f", score={test:.3f}"
    return f", score=(train={train:.3f}, test={test:.3f})"
