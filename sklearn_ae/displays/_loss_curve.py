"""Objectives against epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_ae.displays._drawing import COLORS, pyplot_for, tick_whole_numbers
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


@dataclass(eq=False, repr=False)
class LossCurveDisplay:
    """Objective against epoch, for one or more trained estimators.

    The training objective is a solid line, the held-out objective is dashed, and the
    named terms, on request, are dotted.

    Parameters
    ----------
    loss_curves : mapping of str to array-like of shape (n_epochs,)
        A name for each estimator, and its training objective.
    validation_curves : mapping of str to array-like of shape (n_epochs,), default=None
        Held-out objective of the estimators that have one; lower is better.
    loss_terms : mapping of str to mapping of str to array-like, default=None
        Named terms of the objective, of the estimators that have them.

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

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, **plot_kw: Any
    ) -> Self:
        """Draw how one estimator was trained.

        Raises what `from_estimators` does.

        Parameters
        ----------
        estimator : object
            As in `from_estimators`.
        name : str, default=None
            Label of the curve; None is the name of the trained estimator's class.
        **plot_kw
            `ax`, `terms`, `scale` and `line_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> from sklearn.neural_network import MLPRegressor
        >>> from sklearn_ae.displays import LossCurveDisplay
        >>> X = np.eye(4)
        >>> network = MLPRegressor(solver="sgd", random_state=0, tol=1).fit(X, X)
        >>> display = LossCurveDisplay.from_estimator(network)
        >>> display.lines_[0].get_label()
        'MLPRegressor'
        >>> plt.close(display.figure_)
        """
        name = name or type(_trained_estimator(estimator)).__name__
        return cls.from_estimators({name: estimator}, **plot_kw)

    @classmethod
    def from_estimators(cls, estimators: Mapping[str, Any], **plot_kw: Any) -> Self:
        """Draw how several estimators were trained, on one Axes.

        `loss_curve_` is drawn for each, and `-validation_scores_` only for those that
        have `loss_terms_`: elsewhere this attribute may be another score, such as the
        R^2 of `MLPRegressor`. Raises NotFittedError if one is not fitted,
        AttributeError if it has no `loss_curve_`, ValueError if there is none.

        Parameters
        ----------
        estimators : mapping of str to object
            Fitted. A Pipeline stands for its last step, a search for its best model.
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
        >>> display = LossCurveDisplay.from_estimators({"Adam": adam, "SGD": sgd})
        >>> [line.get_label() for line in display.lines_]
        ['Adam', 'SGD']
        >>> plt.close(display.figure_)
        """
        pyplot_for(f"{cls.__name__}.from_estimators")
        if not estimators:
            raise ValueError("estimators is empty.")
        curves, validation, terms = {}, {}, {}
        for name, estimator in estimators.items():
            estimator = _trained_estimator(estimator)
            curves[name] = np.array(estimator.loss_curve_)
            if not hasattr(estimator, "loss_terms_"):
                continue
            terms[name] = {
                term: np.array(curve) for term, curve in estimator.loss_terms_.items()
            }
            if getattr(estimator, "validation_scores_", None) is not None:
                validation[name] = -np.array(estimator.validation_scores_)
        return cls(curves, validation, loss_terms=terms).plot(**plot_kw)

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
        pyplot = pyplot_for(f"{type(self).__name__}.plot")
        if terms and not self.loss_terms:
            raise ValueError("terms=True, but there are no loss_terms.")
        curves = list(self._styled_curves(terms))
        scale = _resolve_scale(scale, [values for values, _ in curves])
        self.ax_ = pyplot.subplots(layout="constrained")[1] if ax is None else ax
        self.figure_, self.lines_ = self.ax_.figure, []
        for values, style in curves:
            style["marker"] = "o" if len(values) == 1 else None
            epochs = np.arange(1, len(values) + 1)
            self.lines_ += self.ax_.plot(epochs, values, **style | dict(line_kw or {}))
        self.ax_.set_yscale(scale)
        self.ax_.set_xlabel("epoch")
        self.ax_.set_ylabel("objective" + " (log scale)" * (scale == "log"))
        tick_whole_numbers(self.ax_.xaxis)
        self.ax_.legend()
        return self

    def _styled_curves(self, terms: bool) -> Iterator[tuple[np.ndarray, dict]]:
        colors = cycle(COLORS)
        for name, curve in self.loss_curves.items():
            solid = {"label": name, "color": next(colors)}
            yield np.asarray(curve), solid
            if name in (self.validation_curves or {}):
                dashed = {"label": f"{name}, held out", "linestyle": "--"}
                yield np.asarray(self.validation_curves[name]), solid | dashed
            if terms:
                for term, values in self.loss_terms.get(name, {}).items():
                    dotted = {"label": f"{name}: {term}", "linestyle": ":"}
                    yield np.asarray(values), dotted | {"color": next(colors)}


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
