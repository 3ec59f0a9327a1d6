"""From rows to a fitted estimator: what fits and stacks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

from sklearn.utils._param_validation import InvalidParameterError

from sklearn_ae._ambient import undisturbed
from sklearn_ae._input import check_training_rows, shape_of_rows
from sklearn_ae._labels import are_other_rows
from sklearn_ae._torch import draw_seed
from sklearn_ae._warnings import warn_once


class LearningMixin:
    """Training in three parts: rows are checked, a run is begun, a run is completed.

    A stack begins the runs of several estimators and completes them after training.
    """

    # What a y of other rows than X was passed for, and how that is done.
    _on_ignored_rows: ClassVar[str] = (
        "y has the shape of X, and is ignored: the rows of X are to be rebuilt from "
        "themselves. What removes noise is a DenoisingAutoencoder fitted to clean rows "
        "as X; its `noise` makes the noisy ones."
    )

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
        course = _Course(self, rows, continues, one_pass=one_pass, task=task)
        try:
            try:
                course.take()
            except KeyboardInterrupt:
                course.settle()
                raise
        except KeyboardInterrupt:
            # A second one may come before the first has led anywhere.
            course.settle()
            raise
        return self

    @undisturbed
    def _check_training_rows(
        self, X: Any, y: Any, continues: bool = False, classes: Any = None
    ) -> Any:
        """Answer rows as a run takes them, and what was seen of them."""
        # Here, since skorch takes longer to import than everything else together.
        from sklearn_ae._fitting import TrainingRows

        given, row_shape = X, shape_of_rows(X)
        accepted = self._accepted()
        if continues:
            accepted = self._accepted_by(self._model.module)
        X, seen = check_training_rows(self, X, reset=not continues, accepted=accepted)
        if not continues and accepted.doubt is not None:
            shape = accepted.row_shape(X.shape[1], row_shape)
            doubt = None if shape is None else accepted.doubt(shape)
            if doubt is not None:
                warn_once(doubt, UserWarning)
        targets, labels = self._encode_targets(X, y, not continues, classes)
        # Chunks of a stream are much alike: what is said of the first holds for all.
        is_new = not continues or self.warm_start
        if targets is None and is_new and are_other_rows(y, X, given):
            warn_once(self._on_ignored_rows, UserWarning)
        return TrainingRows(X, seen | labels, row_shape, targets)

    @undisturbed
    def _begin_run(
        self, rows: Any, continues: bool = False, one_pass: bool = False, **options: Any
    ) -> Any:
        """Set up a training run, pretraining included."""
        start = self._make_start(continues, one_pass)
        if start is not None:
            self._pretrain(rows, start, one_pass)
        return self._set_up_run(rows, continues, one_pass, start=start, **options)

    def _make_start(self, continues: bool, one_pass: bool) -> Any:
        """Answer what gets the pretrained layers; None where there are to be none."""
        from sklearn_ae._fitting import Start

        if self.pretraining is not None and not continues:
            return Start(draw_seed(self.random_state))
        if not (self.max_epochs or one_pass):
            raise InvalidParameterError(
                f"The 'max_epochs' parameter of {type(self).__name__} must be at least "
                "1 where fit does not pretrain. Got 0 instead."
            )
        return None

    def _pretrain(self, rows: Any, start: Any, one_pass: bool) -> None:
        from sklearn_ae._pretraining import pretrain

        pretrain(self, rows.X, start, one_pass, rows.seen.get("class_count_"))

    def _set_up_run(
        self, rows: Any, continues: bool, one_pass: bool, **options: Any
    ) -> Any:
        from sklearn_ae._fitting import Run

        previous = self._model if continues else None
        return Run(self, rows, previous, one_pass=one_pass, **options)

    @undisturbed
    def _complete_run(
        self, run: Any, continues: bool = False, interrupted: bool = False
    ) -> Self:
        """Become the fitted estimator that a run has made.

        After an interrupt it may be called again: it does what is still to be done.
        """
        from sklearn_ae._outcomes import fitted_attributes

        outcome, seen = run.outcome(), run.rows.seen
        if not outcome.is_usable or vars(self).get("_model") is outcome.model:
            return self
        if run.start is not None:
            seen = seen | {"pretraining_curves_": run.start.curves}
        derived = self._derive_once(run, interrupted)
        fitted = fitted_attributes(outcome, self if continues else None)
        self._replace_attributes(seen | fitted | derived, continues)
        return self

    def _derive_once(self, run: Any, interrupted: bool) -> dict[str, Any]:
        """Compute what follows from the trained net; an interrupt leaves it out."""
        if run.derived is None:
            run.derived = {}
            try:
                run.derived = self._derived_attributes(run.model, run.rows.X)
            except Exception:
                # After Ctrl-C the interrupt is what the caller has to see.
                if not interrupted:
                    raise
        return run.derived

    def _replace_attributes(self, fitted: dict[str, Any], continues: bool) -> None:
        kinds = type(self).__mro__
        stale = {n for kind in kinds for n in vars(kind).get("_passing_attributes", ())}
        if not continues:
            stale |= {"feature_names_in_", "pretraining_curves_"}
        others = {k: v for k, v in vars(self).items() if k not in stale}
        # All at once: an interrupt leaves the old model or the new one.
        self.__dict__ = others | fitted


class _Course:
    """The course of a fit; an interrupt ends it with what has been trained by then.

    Parameters
    ----------
    estimator : BaseAutoencoder
    rows : TrainingRows
    continues : bool
        Whether the fit goes on from the estimator's model.
    one_pass : bool
    task : tuple or None
        See `Run`.
    """

    # Interrupts that may come while an earlier one is dealt with: one of them leaves
    # out what follows from the trained net.
    _PATIENCE = 3

    def __init__(
        self, estimator: Any, rows: Any, continues: bool, one_pass: bool, task: Any
    ) -> None:
        self.estimator, self.rows, self.continues = estimator, rows, continues
        self.one_pass, self.task = one_pass, task
        self.start = estimator._make_start(continues, one_pass)
        self.run: Any = None

    def take(self) -> None:
        """Train, and make the estimator a fitted one."""
        if self.start is not None:
            self.estimator._pretrain(self.rows, self.start, self.one_pass)
        self._set_up_run().train()
        self.estimator._complete_run(self.run, self.continues)

    def _set_up_run(self) -> Any:
        self.run = self.estimator._set_up_run(
            self.rows, self.continues, self.one_pass, task=self.task, start=self.start
        )
        return self.run

    def settle(self) -> None:
        """Make the estimator one of what has been trained, if anything has.

        The interrupt is what the caller has to see, whatever else comes.
        """
        for _ in range(self._PATIENCE):
            try:
                if self.run is None and not (self.start and self.start.layers):
                    return
                run = self.run or self._set_up_run()
                self.estimator._complete_run(run, self.continues, interrupted=True)
                return
            except KeyboardInterrupt:
                continue
