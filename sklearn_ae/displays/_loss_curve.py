"""Objectives against epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._estimators.modules import BaseBuilder
from sklearn_ae.displays._display import Display, named
from sklearn_ae.displays._drawing import (
    COLORS,
    MISSING_COLOR,
    pyplot_for,
    tick_whole_numbers,
)
from sklearn_ae.displays._estimators import last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _trained_estimator(estimator: Any) -> Any:
    """Unwrap searches and Pipelines, and check that there is a loss to draw."""
    estimator = last_step(estimator)
    if not hasattr(estimator, "loss_curve_"):
        check_is_fitted(estimator)
        raise AttributeError(f"{type(estimator).__name__} has no `loss_curve_`.")
    return estimator


def _terms(estimator: Any) -> dict[str, np.ndarray] | None:
    terms = getattr(estimator, "loss_terms_", None)
    return terms and {name: np.array(curve) for name, curve in terms.items()}


def _held_out(estimator: Any) -> np.ndarray | None:
    scores = getattr(estimator, "validation_scores_", None)
    is_objective = hasattr(estimator, "loss_terms_") and scores is not None
    return -np.array(scores) if is_objective else None


def _layers(estimator: Any) -> list[np.ndarray] | None:
    curves = getattr(estimator, "pretraining_curves_", None)
    return [np.array(curve) for curve in curves] if curves else None


def _units(estimator: Any) -> str | None:
    # What generators are trained on has none.
    is_known = "reconstruction" in (_terms(estimator) or {})
    is_own = isinstance(estimator, BaseBuilder)
    return estimator._loss().measured_in if is_known and is_own else None


def _ending(estimator: Any) -> str | None:
    """Say what stopped the training, where the last epoch's record does."""
    records = getattr(estimator, "history_", None) or [{}]
    parameter = records[-1].get("stopped_by")
    return parameter and f"{estimator.n_iter_} epochs, stopped by {parameter}"


@dataclass(eq=False, repr=False)
class LossCurveDisplay(Display):
    """Objective against epoch, for one or more trained estimators.

    The training objective is a solid line, the held-out objective is dashed, with a
    point where the weights were kept, and the named terms, on request, are dotted.
    Before the first epoch comes the pretraining, layer by layer, where there was one:
    each layer has a loss, and often units, of its own.

    Parameters
    ----------
    loss_curves : mapping of str to array-like of shape (n_epochs,)
        A name for each estimator, and its training objective.
    validation_curves : mapping of str to array-like of shape (n_epochs,), default=None
        Held-out objective of the estimators that have one; lower is better.
    loss_terms : mapping of str to mapping of str to array-like, default=None
        Named terms of the objective, of the estimators that have them.
    pretraining_curves : mapping of str to list of array-like, default=None
        Of the estimators that were pretrained, the loss of each layer.
    units : mapping of str to str, default=None
        What the objectives are in, where that is known.
    endings : mapping of str to str, default=None
        What is to be said of the end of the training, such as what stopped it.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    lines_ : list of matplotlib Line2D

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_ae.displays import LossCurveDisplay
    >>> display = LossCurveDisplay({"one": [3.0, 0.2], "two": [4.0, 0.1]}).plot()
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel(), len(display.lines_)
    ('epoch', 'objective (log scale)', 2)
    >>> plt.close(display.figure_)
    """

    loss_curves: Mapping[str, ArrayLike]
    validation_curves: Mapping[str, ArrayLike] | None = None
    _: KW_ONLY
    loss_terms: Mapping[str, Mapping[str, ArrayLike]] | None = None
    pretraining_curves: Mapping[str, Sequence[ArrayLike]] | None = None
    units: Mapping[str, str] | None = None
    endings: Mapping[str, str] | None = None

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, **plot_kw: Any
    ) -> Self:
        """Draw how one estimator was trained, or several, on one Axes.

        `loss_curve_` is drawn for each, and `-validation_scores_` only for those that
        have `loss_terms_`: elsewhere this attribute may be another score, such as the
        R^2 of `MLPRegressor`. Raises NotFittedError if one is not fitted,
        AttributeError if it has no `loss_curve_`, ValueError if there is none.

        Parameters
        ----------
        estimator : object, or several of them in a mapping or a list
            Fitted. A Pipeline stands for its last step, a search for its best model.
        name : str, default=None
            Label of the curve of one; None is the name of the trained estimator's
            class.
        **plot_kw
            `ax`, `terms`, `scale` and `line_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> from sklearn.neural_network import MLPRegressor
        >>> from sklearn_ae.displays import LossCurveDisplay
        >>> X = np.eye(4)
        >>> adam = MLPRegressor(random_state=0, tol=1).fit(X, X)
        >>> sgd = MLPRegressor(solver="sgd", random_state=0, tol=1).fit(X, X)
        >>> display = LossCurveDisplay.from_estimator({"Adam": adam, "SGD": sgd})
        >>> [line.get_label() for line in display.lines_]
        ['Adam', 'SGD']
        >>> plt.close(display.figure_)
        """
        pyplot_for(f"{cls.__name__}.from_estimator")
        several = named(estimator)
        if several is None:
            several = {name or type(last_step(estimator)).__name__: estimator}
        trained = {name: _trained_estimator(each) for name, each in several.items()}

        def gather(read: Callable[[Any], Any]) -> dict[str, Any]:
            answers = {name: read(each) for name, each in trained.items()}
            return {name: found for name, found in answers.items() if found is not None}

        return cls(
            {name: np.array(each.loss_curve_) for name, each in trained.items()},
            gather(_held_out),
            loss_terms=gather(_terms),
            pretraining_curves=gather(_layers),
            units=gather(_units),
            endings=gather(_ending),
        ).plot(**plot_kw)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        terms: bool = False,
        scale: str = "auto",
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Raises ValueError if `scale` is unknown, if it is "log" and a value is not
        positive, or if terms are asked for and there are none.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        terms : bool, default=False
            Whether to draw the named terms of the objective.
        scale : {"auto", "linear", "log"}, default="auto"
            Scale of the objective; "auto" is "log" if all values are positive and
            span more than a factor of ten.
        line_kw : mapping, default=None
            Keywords of `ax.plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn_ae.displays import LossCurveDisplay
        >>> display = LossCurveDisplay({"model": [5.0, 4.0]}, {"model": [6.0, 5.0]})
        >>> [line.get_label() for line in display.plot(scale="linear").lines_]
        ['model', 'model, held out']
        >>> plt.close(display.figure_)
        """
        if terms and not self.loss_terms:
            raise ValueError("terms=True, but there are no loss_terms.")
        curves = list(self._styled_curves(terms))
        scale = _resolve_scale(scale, [values for _, values, _ in curves])
        self._open(ax)
        self.lines_ = []
        for first, values, style in curves:
            style = {"marker": "o" if len(values) == 1 else None} | style
            epochs = np.arange(first, first + len(values))
            self.lines_ += self.ax_.plot(epochs, values, **style | dict(line_kw or {}))
        self.ax_.set_yscale(scale)
        self._label(scale)
        tick_whole_numbers(self.ax_.xaxis)
        return self

    def _label(self, scale: str) -> None:
        units, endings = self.units or {}, self.endings or {}
        found = sorted({units.get(name, "other units") for name in self.loss_curves})
        differ = len(found) > 1
        measured = "each in its own units" if differ else f"in {found[0]}"
        objective = "objective" + f" per row, {measured}" * bool(units)
        self.ax_.set_ylabel(objective + " (log scale)" * (scale == "log"))
        before = bool(self.pretraining_curves)
        self.ax_.set_xlabel("epoch" + "; up to 0 the pretraining of layers" * before)
        if before:
            self.ax_.axvline(0.5, color=MISSING_COLOR, linewidth=1, zorder=0)
        labels = []
        for line in self.lines_:
            label = line.get_label()
            unit = units.get(label) if differ else None
            further = [unit and f"in {unit}", endings.get(label)]
            labels.append("\n".join([label, *filter(None, further)]))
        self._add_legend(self.lines_, labels)

    def _styled_curves(self, terms: bool) -> Iterator[tuple[int, np.ndarray, dict]]:
        """Answer first epochs, values and styles of lines."""
        colors = cycle(COLORS)
        for name, curve in self.loss_curves.items():
            solid = {"label": name, "color": next(colors)}
            yield 1, np.asarray(curve), solid
            if name in (self.validation_curves or {}):
                values = np.asarray(self.validation_curves[name])
                dashed = {"label": f"{name}, held out", "linestyle": "--"}
                dashed |= {
                    "marker": "o",
                    "markevery": [int(np.argmin([*values, np.inf]))],
                }
                yield 1, values, solid | dashed
            if terms:
                for term, values in self.loss_terms.get(name, {}).items():
                    dotted = {"label": f"{name}: {term}", "linestyle": ":"}
                    yield 1, np.asarray(values), dotted | {"color": next(colors)}
            layers = (self.pretraining_curves or {}).get(name, [])
            first = 1 - sum(map(len, layers))
            for number, values in enumerate(layers, start=1):
                label = f"{name}, layer {number}"
                style = {"label": label, "linestyle": "-.", "color": next(colors)}
                yield first, np.asarray(values), style
                first += len(values)


def _resolve_scale(scale: str, curves: Sequence[np.ndarray]) -> str:
    if scale not in ("auto", "linear", "log"):
        raise ValueError(f"scale must be 'auto', 'linear' or 'log', got {scale!r}.")
    values = np.concatenate([np.empty(0), *curves])
    values = values[np.isfinite(values)]
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    if scale == "log" and low <= 0:
        raise ValueError(f"scale='log' needs positive values, the lowest is {low:g}.")
    if scale == "auto":
        scale = "log" if 0 < 10 * low < high else "linear"
    return scale
