"""What every estimator has: `fit`, `partial_fit`, and what scikit-learn asks of it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._compute.ambient import undisturbed
from sklearn_ae._compute.seeds import derive_seed, draw_seed
from sklearn_ae._compute.warnings import warn_once
from sklearn_ae._data.checks import check_rows, check_training_rows, shape_of_rows
from sklearn_ae._data.rows import Array
from sklearn_ae._data.targets import are_other_rows
from sklearn_ae._estimators.codes import (
    CodesMixin,
    ReconstructionMixin,
    RowsMixin,
    not_computed,
)
from sklearn_ae._estimators.modules import BaseBuilder, InspectionMixin
from sklearn_ae._files.pickles import PickleMixin
from sklearn_ae._files.save import SaveMixin
from sklearn_ae._nets.fitted import Model
from sklearn_ae._priors.foreign import as_prior, fit_density
from sklearn_ae._priors.prior import draw_codes
from sklearn_ae._training.optimizers import uses_all_rows
from sklearn_ae.architectures import Architecture


class _Course:
    """The course of a fit; an interrupt ends it with what has been trained by then.

    Parameters
    ----------
    estimator : BaseNetEstimator
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


if find_spec("sklearn.callback"):
    from sklearn.callback import CallbackSupportMixin
else:

    class CallbackSupportMixin:
        """Stands in before scikit-learn 1.9, which has no callbacks to support."""


def learns_by_batch(estimator: BaseNetEstimator) -> bool:
    """Whether there are steps on batches, so that it has `partial_fit`."""
    if not uses_all_rows(estimator.optimizer):
        return True
    raise AttributeError(
        f"an epoch of optimizer={estimator.optimizer!r} takes all rows at once. Set "
        "optimizer='adam'"
    )


class BaseNetEstimator(
    BaseBuilder,
    SaveMixin,
    PickleMixin,
    InspectionMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """What every estimator has, whatever it answers; mixins say what that is.

    A variant overrides hooks, and no method. Training has three parts: rows are
    checked, a run is begun, a run is completed. Where many nets train at once, the runs
    of several estimators are begun, and completed after training.
    """

    # Fitted attributes that not every fit has: a later one without them drops them.
    # An interrupt can leave out what follows from the trained net, so it is among them.
    _passing_attributes: ClassVar[tuple[str, ...]] = ()

    # What a y of other rows than X was passed for, and how that is done.
    _on_ignored_rows: ClassVar[str] = (
        "y has the shape of X, and is ignored: the rows of X are to be rebuilt from "
        "themselves. What removes noise is a DenoisingAutoencoder fitted to clean rows "
        "as X; its `noise` makes the noisy ones."
    )

    # Hooks, beside those of `BaseBuilder`.

    def _build_net(self, model: Model, seen: dict[str, Any], **options: Any) -> Any:
        """Build the skorch net that trains a model, of rows of which this was seen."""
        from sklearn_ae._training.net import AutoencoderNet

        return AutoencoderNet(model.module, **options)

    def _encode_targets(
        self, X: Array, y: Any, reset: bool, classes: Any
    ) -> tuple[np.ndarray | None, dict[str, Any]]:
        """Answer the numbers of the rows' classes, and what was seen by attribute.

        None is for estimators whose training does not look at y; `classes` are all
        labels that may come, where somebody has said so.
        """
        return None, {}

    def _classes_of(self, n_rows: int, y: Any) -> np.ndarray | None:
        """Answer the numbers of the classes that rows are said to be of, if any."""
        return None

    def _expected_attributes(self) -> set[str]:
        """Name what a fit with these parameters has, beside what every fit has.

        Without an interrupt, that is. `residual_variance` is the model's.
        """
        return set() if self.pretraining is None else {"pretraining_curves_"}

    def _derived_attributes(self, model: Model, X: Array) -> dict[str, Any]:
        """Compute what follows from the trained net and its training rows."""
        return {}

    # Fitting.

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the autoencoder on the rows of X.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training rows, in any units: a shift and a scale are part of the net.
            Images of shape (n_samples, height, width) or (n_samples, channels, height,
            width) go to convolutional nets as they are, and sequences of shape
            (n_samples, n_steps, n_features_per_step) to recurrent ones: the shape is
            learned from X, unless the architecture says another.
        y : None or array-like of shape (n_samples,), default=None
            Labels, of estimators that are trained with labels; ignored by others, with
            a warning if it has other rows of the shape of X.

        Returns
        -------
        self : estimator
            Fitted. Ctrl-C raises `KeyboardInterrupt` and leaves it fitted too, with
            the epochs so far; before the first of them, as it was. One that comes when
            the net is trained leaves out what was still to be computed of it, such as a
            latent density.

        Raises
        ------
        ValueError
            For data or parameters that cannot be used.
        DivergenceError
            If the objective is no longer finite.
        """
        continues = bool(self.warm_start) and self.__sklearn_is_fitted__()

        def train(task: Any) -> Self:
            return self._train(X, y, continues, task=task)

        return self._report(train, {"X": X, "y": y}, self.max_epochs)

    @available_if(learns_by_batch)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train on, once through the rows of X in their order.

        Shift, scale, the shape of rows and the `v` of `score` are those of the first
        call's rows; what is computed from the trained net, such as a latent density, is
        that of the last call's. With `pretraining` the first call's rows are what the
        layers are trained on first. `max_epochs`, `tol` and the schedule play no part.
        It is not available with `optimizer="lbfgs"` or `"alternating"`, whose epochs
        take all rows at once.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Further training rows.
        y : None or array-like of shape (n_samples,), default=None
            Labels, of estimators that are trained with labels; ignored by others.

        Returns
        -------
        self : estimator
            Fitted.

        Raises
        ------
        ValueError
            With `early_stopping=True`, which needs rows that are held out throughout.
        """
        return self._train(X, y, self.__sklearn_is_fitted__(), one_pass=True)

    # The parts of a fit.

    def _report(
        self, train: Callable[[Any], Self], data: dict[str, Any], n_subtasks: int
    ) -> Self:
        """Train, and tell scikit-learn's callbacks of it, where there are any."""
        # Before scikit-learn 1.9 there are none.
        if not hasattr(self, "_init_callback_context"):
            return train(None)
        context = self._init_callback_context(max_subtasks=n_subtasks)
        context.call_on_fit_task_begin(estimator=self, **data)
        train((context, data) if self._is_watched else None)
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
            raise ValueError(
                "partial_fit does not support early_stopping=True. Set "
                "early_stopping=False, and ask score of rows that you hold out."
            )
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
        from sklearn_ae._training.run import TrainingRows

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
        is_ignored = targets is None and y is not None and is_new
        if is_ignored and are_other_rows(y, X, given):
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
        from sklearn_ae._training.run import Start

        if self.pretraining is not None and not continues:
            return Start(draw_seed(self.random_state))
        if not (self.max_epochs or one_pass):
            raise InvalidParameterError(
                f"The 'max_epochs' parameter of {type(self).__name__} must be at least "
                "1 where fit does not pretrain. Got 0 instead."
            )
        return None

    def _pretrain(self, rows: Any, start: Any, one_pass: bool) -> None:
        from sklearn_ae._training.pretraining import pretrain

        pretrain(self, rows, start, one_pass)

    def _set_up_run(
        self, rows: Any, continues: bool, one_pass: bool, **options: Any
    ) -> Any:
        from sklearn_ae._training.run import Run

        previous = self._model if continues else None
        return Run(self, rows, previous, one_pass=one_pass, **options)

    @undisturbed
    def _complete_run(
        self, run: Any, continues: bool = False, interrupted: bool = False
    ) -> Self:
        """Become the fitted estimator that a run has made.

        After an interrupt it may be called again: it does what is still to be done.
        """
        from sklearn_ae._training.run import fitted_attributes

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

    # What scikit-learn asks.

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a trained model."""
        return "_model" in vars(self)

    def __getattr__(self, name: str) -> Any:
        """Say why an attribute is not there that an interrupt has left out."""
        if self.__sklearn_is_fitted__() and name in self._expected_attributes():
            raise not_computed(name)
        try:
            # Python's own words; whoever has come here has found nothing else.
            return object.__getattribute__(self, name)
        except AttributeError as error:
            reason = error.__cause__ or self._why_absent(name)
            if not reason:
                raise
            message = f"{error}: {reason}."
            raise AttributeError(message, name=name, obj=self) from None

    def __sklearn_tags__(self) -> Tags:
        """Say what kinds of input are accepted."""
        tags = super().__sklearn_tags__()
        accepted = self._accepted()
        tags.input_tags.sparse = accepted.sparse
        # To scikit-learn it means: in any entry.
        tags.input_tags.allow_nan = accepted.missing and not accepted.check_missing
        return tags

    def _fitted_model(self) -> Model:
        check_is_fitted(self)
        return self._model

    def _fitted_rows(self, X: Any) -> tuple[Model, Array]:
        model = self._fitted_model()
        accepted = self._accepted_by(model.module)
        return model, check_rows(self, X, reset=False, accepted=accepted)


class BaseAutoencoder(CodesMixin, RowsMixin, ReconstructionMixin, BaseNetEstimator):
    """From rows to codes and back; codes are drawn from a density fitted on them."""

    _passing_attributes: ClassVar[tuple[str, ...]] = ("latent_density_",)

    def _checked_architecture(self) -> Architecture:
        architecture = super()._checked_architecture()
        if architecture.has_skips:
            raise ValueError(
                f"architecture={self.architecture!r} does not work in an autoencoder: "
                "its skips carry the row around the code."
            )
        return architecture

    def _is_generative(self) -> bool:
        return self.latent_density is not None

    def _draw_codes(
        self, n_samples: int, seed: int, classes: np.ndarray | None = None
    ) -> np.ndarray:
        density, width = as_prior(self.latent_density_), self._model.n_components
        return draw_codes(density, n_samples, width, derive_seed(seed, "codes"))[0]

    def _expected_attributes(self) -> set[str]:
        names = super()._expected_attributes()
        if self.latent_density is not None:
            names |= {"latent_density_", "residual_variance"}
        return names

    def _derived_attributes(self, model: Model, X: Array) -> dict[str, Any]:
        derived = super()._derived_attributes(model, X)
        if self.latent_density is None:
            return derived
        seed = derive_seed(model.seed, "latent density") % 2**32
        density = fit_density(self.latent_density, model.encode(X), seed)
        model.residual_variance = model.squared_residuals(X)
        return derived | {"latent_density_": density}
