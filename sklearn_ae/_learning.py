"""From rows to a fitted estimator: what fits and stacks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from sklearn.utils._param_validation import InvalidParameterError

from sklearn_ae._ambient import undisturbed
from sklearn_ae._input import Array, check_training_rows, shape_of_rows


class LearningMixin:
    """Training in three parts: rows are checked, a run is begun, a run is completed.

    A stack begins the runs of several estimators and completes them after training.
    """

    def _report(
        self, train: Callable[[Any], Self], data: dict[str, Any], n_subtasks: int
    ) -> Self:
        """Train, and tell scikit-learn's callbacks of it, where there are any."""
        if not hasattr(self, "_init_callback_context"):
            return train(None)
        context = self._init_callback_context(max_subtasks=n_subtasks)
        context.call_on_fit_task_begin(estimator=self, **data)
        train((context, data))
        context.call_on_fit_task_end(
            estimator=self, **data, reconstruction_attributes={}
        )
        return self

    def _train(
        self,
        X: Any,
        y: Any,
        continues: bool,
        one_pass: bool = False,
        classes: Any = None,
        task: Any = None,
    ) -> Self:
        if one_pass and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        rows = self._check_training_rows(X, y, continues, classes)
        run = self._begin_run(rows, continues, one_pass=one_pass, task=task)
        return self._complete_run(run.train(), continues)

    @undisturbed
    def _check_training_rows(
        self, X: Any, y: Any, continues: bool = False, classes: Any = None
    ) -> Any:
        """Answer rows as a run takes them, and what was seen of them."""
        # Here, since skorch takes longer to import than everything else together.
        from sklearn_ae._fitting import TrainingRows

        row_shape, accepted = shape_of_rows(X), self._accepted()
        X, seen = check_training_rows(self, X, reset=not continues, accepted=accepted)
        targets, labels = self._encode_targets(X, y, not continues, classes)
        return TrainingRows(X, seen | labels, row_shape, targets)

    @undisturbed
    def _begin_run(
        self, rows: Any, continues: bool = False, one_pass: bool = False, **options: Any
    ) -> Any:
        """Set up a training run, pretraining included."""
        from sklearn_ae._fitting import Run
        from sklearn_ae._pretraining import pretrain

        previous = self._model if continues else None
        start = None
        if self.pretraining is not None and previous is None:
            start = pretrain(self, rows.X, one_pass, rows.seen.get("class_count_"))
        elif not (self.max_epochs or one_pass):
            raise InvalidParameterError(
                f"The 'max_epochs' parameter of {type(self).__name__} must be at least "
                "1 where fit does not pretrain. Got 0 instead."
            )
        return Run(self, rows, previous, one_pass=one_pass, start=start, **options)

    @undisturbed
    def _complete_run(self, run: Any, continues: bool = False) -> Self:
        """Become the fitted estimator that a run has made."""
        from sklearn_ae._outcomes import fitted_attributes

        outcome, seen = run.outcome(), run.rows.seen
        if run.start is not None:
            seen = seen | {"pretraining_curves_": run.start.curves}
        if outcome.is_usable:
            derived = self._derived_unless_interrupted(outcome, run.rows.X)
            outcome.model.row_shape = run.rows.row_shape
            fitted = fitted_attributes(outcome, self if continues else None)
            self._replace_attributes(seen | fitted | derived, continues)
        if outcome.interrupt is not None:
            raise outcome.interrupt
        return self

    def _replace_attributes(self, fitted: dict[str, Any], continues: bool) -> None:
        once = ["feature_names_in_", "pretraining_curves_"]
        stale = [*self._passing_attributes, *([] if continues else once)]
        for name in stale:
            vars(self).pop(name, None)
        vars(self).update(fitted)

    def _derived_unless_interrupted(self, outcome: Any, X: Array) -> dict[str, Any]:
        try:
            return self._derived_attributes(outcome.model, X)
        except ValueError:
            # After Ctrl-C the interrupt is what the caller has to see.
            if outcome.interrupt is None:
                raise
            return {}
