"""Losses, scores, sparsity or code norms against a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae.displays._display import Display
from sklearn_ae.displays._drawing import COLORS, MARKERS
from sklearn_ae.model_selection._paths import regularization_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a path holds beside the terms of the objective, and how an axis names it.
_QUANTITIES = {
    "reconstruction_error": "mean squared error per feature",
    "sparsity": "share of codes that are 0",
    "code_norm": "mean norm of codes",
}


@dataclass(eq=False, repr=False)
class RegularizationPathDisplay(Display):
    """What becomes of an estimator along one parameter, such as a penalty's weight.

    Parameters
    ----------
    param_name : str
    param_range : array-like of shape (m,)
        Numbers, or values of any kind, which stand in their order.
    curves : mapping of str to array-like of shape (m,)
        What there is to draw by name: "loss", the terms of the objective,
        "reconstruction_error", "sparsity", "code_norm"; of a search its scores. Those
        whose names begin with another's and a colon are drawn with it. NaN is left out.
    errors : mapping of str to array-like of shape (m,), default=None
        Lengths of error bars, by the names of curves.
    best : int, default=None
        The entry of `param_range` that is to be marked.
    joined : bool, default=True
        Whether lines join the points of a curve.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    lines_ : list of matplotlib Line2D
    errorbars_ : list of matplotlib ErrorbarContainer
        Of the curves that have errors.
    best_ : matplotlib PathCollection or None
        The mark of the best.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_ae.displays import RegularizationPathDisplay
    >>> curves = {"sparsity": [0.1, 0.5, 0.9]}
    >>> display = RegularizationPathDisplay("alpha", [0.1, 1.0, 10.0], curves)
    >>> display.plot("sparsity").ax_.get_ylabel()
    'share of codes that are 0'
    >>> plt.close(display.figure_)
    """

    param_name: str
    param_range: ArrayLike
    curves: Mapping[str, ArrayLike]
    _: KW_ONLY
    errors: Mapping[str, ArrayLike] | None = None
    best: int | None = None
    joined: bool = True

    @classmethod
    @with_arrays
    def from_path(
        cls, path: Mapping[str, Any], quantity: str | None = None, **plot_kw: Any
    ) -> Self:
        """Draw what :func:`sklearn_ae.model_selection.regularization_path` answers.

        Parameters
        ----------
        path : Bunch
        quantity, **plot_kw
            As in `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_ae import SparseAutoencoder
        >>> from sklearn_ae.displays import RegularizationPathDisplay
        >>> from sklearn_ae.model_selection import regularization_path
        >>> sparse = SparseAutoencoder(8, max_epochs=5, random_state=0)
        >>> path = regularization_path(sparse, load_iris().data, "alpha", [0.1, 1, 10])
        >>> display = RegularizationPathDisplay.from_path(path)
        >>> [line.get_label() for line in display.lines_]
        ['loss', 'reconstruction', 'sparsity']
        >>> plt.close(display.figure_)
        """
        return cls._of_path(path).plot(quantity, **plot_kw)

    @classmethod
    @with_arrays
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        param_name: str | None = None,
        param_range: Iterable[float] | None = None,
        quantity: str | None = None,
        **plot_kw: Any,
    ) -> Any:
        """Draw the scores of a fitted search, or fit a path and draw it.

        Raises what :func:`sklearn_ae.model_selection.regularization_path` does,
        NotFittedError if a search is not fitted, and ValueError if it has searched
        several parameters and none is named, or not the named one.

        Parameters
        ----------
        estimator : object, or several of them in a mapping or a list
            A fitted search, of this package or scikit-learn's, whose mean scores are
            drawn with their standard deviations over the folds, and the best marked.
            Or an estimator of this package, not fitted. Several stand side by side.
        X : array-like of shape (n_samples, n_features), default=None
            What to fit the path to; a fitted search needs none.
        y : array-like of shape (n_samples,), default=None
        param_name : str, default=None
            None is the only parameter that was searched. "alpha" stands for a
            Pipeline's "step__alpha". Where others were searched, each of their
            combinations has a curve; combinations of a single value are points.
        param_range : iterable of float, default=None
            Of a path.
        quantity : str, default=None
            As in `plot`. Of a search the name of a scorer; None is the one that has
            chosen the best, or the first. Of a path None is "loss".
        **plot_kw
            `ax` and `line_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from sklearn.model_selection import GridSearchCV
        >>> from sklearn_ae import ContractiveAutoencoder
        >>> from sklearn_ae.displays import RegularizationPathDisplay
        >>> X = load_iris().data
        >>> search = GridSearchCV(PCA(), {"n_components": [1, 2, 3]}).fit(X)
        >>> display = RegularizationPathDisplay.from_estimator(search)
        >>> display.ax_.get_xlabel()
        'n_components'
        >>> plt.close(display.figure_)
        >>> display = RegularizationPathDisplay.from_estimator(
        ...     ContractiveAutoencoder(max_epochs=5, random_state=0),
        ...     X,
        ...     param_name="alpha",
        ...     param_range=[0.01, 0.1, 1.0],
        ...     quantity="code_norm",
        ... )
        >>> display.ax_.get_xscale()
        'log'
        >>> plt.close(display.figure_)
        """

        def of(each: Any) -> Self:
            if hasattr(each, "cv") and hasattr(each, "refit"):
                check_is_fitted(each, "cv_results_")
                return cls._of_search(each, param_name, quantity)
            if X is None or param_name is None or param_range is None:
                raise ValueError(
                    f"{type(each).__name__} is no search: pass X, param_name and "
                    "param_range, or a fitted search such as BatchedGridSearchCV."
                )
            path = regularization_path(each, X, param_name, param_range, y)
            return cls._of_path(path)

        return cls._draw(estimator, of, plot_kw | {"quantity": quantity})

    @classmethod
    def _of_path(cls, path: Mapping[str, Any]) -> Self:
        terms = {name: np.asarray(curve) for name, curve in path["loss_terms"].items()}
        curves = {f"loss: {name}": curve for name, curve in terms.items()}
        curves = {"loss": np.sum(list(terms.values()), axis=0)} | curves
        curves |= {name: np.asarray(path[name]) for name in _QUANTITIES}
        return cls(path["param_name"], path["param_range"], curves)

    @classmethod
    def _of_search(cls, search: Any, param_name: str | None, scorer: str | None) -> Any:
        results = search.cv_results_
        searched = _ending(results, "param_")
        param_name = _searched_name(searched, param_name)
        scorers = _ending(results, "mean_test_")
        if scorer is None:
            scorer = search.refit if search.refit in scorers else scorers[0]
        if scorer not in scorers:
            raise ValueError(f"quantity must be one of {scorers}, got {scorer!r}.")
        # A grid of several parts may leave a parameter out of some.
        column = results[f"param_{param_name}"]
        present = np.flatnonzero(~np.ma.getmaskarray(column))
        values = list(np.ma.getdata(column)[present])
        others = [f"param_{name}" for name in searched if name != param_name]
        # Of a search by halving, what the candidates were given.
        others += [key for key in ("n_resources",) if key in results]
        groups = _group(results, others, present)
        joined = len(groups) < len(values) or len(values) == 1
        if not joined:
            groups = {"": list(range(len(values)))}
        curves, errors = {}, {}
        for group, rows in groups.items():
            label = f"{scorer}: {group}" if group else scorer
            for curve, figure in ((curves, "mean"), (errors, "std")):
                curve[label] = np.full(len(values), np.nan)
                scores = results[f"{figure}_test_{scorer}"][present]
                curve[label][rows] = scores[rows]
        best = np.flatnonzero(present == getattr(search, "best_index_", -1))
        return cls(
            param_name,
            values,
            curves,
            errors=errors,
            best=int(best[0]) if len(best) else None,
            joined=joined,
        )

    def plot(
        self,
        quantity: str | None = None,
        ax: Axes | None = None,
        *,
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw a quantity against the parameter.

        Raises ValueError if there is no such quantity.

        Parameters
        ----------
        quantity : str, default=None
            "loss" (with its terms, where it has more than one), or another of `curves`.
            None is the first of them.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        line_kw : mapping, default=None
            Keywords of `ax.plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn_ae.displays import RegularizationPathDisplay
        >>> curves = {"loss": [3.0, 4.0]}
        >>> display = RegularizationPathDisplay("alpha", [0.0, 1.0], curves).plot()
        >>> len(display.lines_)
        1
        >>> plt.close(display.figure_)
        """
        drawn = self._drawn(quantity)
        self._open(ax)
        self.lines_, self.errorbars_, self.best_ = [], [], None
        x = _place(self.ax_, self.param_range)
        order = np.argsort(x, kind="stable")
        whole = next(iter(drawn)).partition(": ")[0]
        for number, (name, curve) in enumerate(drawn.items()):
            values = np.asarray(curve, dtype=float)
            kept = order[np.isfinite(values[order])]
            is_term = name != whole and whole in drawn
            style = {
                "color": COLORS[number % len(COLORS)],
                "label": name.partition(": ")[2] or name,
                "linestyle": (":" if is_term else "-") if self.joined else "none",
                "marker": MARKERS[number % len(MARKERS)],
            } | dict(line_kw or {})
            lines = self.ax_.plot(x[kept], values[kept], **style)
            self.lines_ += lines
            if name in (self.errors or {}):
                bars = np.asarray(self.errors[name], dtype=float)[kept]
                style = {"ecolor": lines[0].get_color(), "fmt": "none", "capsize": 3}
                self.errorbars_.append(
                    self.ax_.errorbar(x[kept], values[kept], bars, alpha=0.6, **style)
                )
            if self.best is not None and np.isfinite(values[self.best]):
                self._mark(x[self.best], values[self.best])
        self.ax_.set_xlabel(self.param_name)
        self.ax_.set_ylabel(self._axis_label(whole))
        handles = [*self.lines_, *filter(None, [self.best_])]
        if len(handles) > 1:
            self._add_legend(handles, [handle.get_label() for handle in handles])
        return self

    def _drawn(self, quantity: str | None) -> dict[str, ArrayLike]:
        """Choose the curves of a quantity: its own, and those that belong to it."""
        names = dict.fromkeys(name.partition(": ")[0] for name in self.curves)
        quantity = next(iter(names)) if quantity is None else quantity
        drawn = {
            name: curve
            for name, curve in self.curves.items()
            if name.partition(": ")[0] == quantity
        }
        if not drawn:
            known = ", ".join(map(repr, names))
            raise ValueError(f"quantity must be one of {known}, got {quantity!r}.")
        # A loss of a single term is that term.
        is_alone = quantity in drawn and len(drawn) == 2
        return {quantity: drawn[quantity]} if is_alone else drawn

    def _axis_label(self, quantity: str) -> str:
        if self.errors:
            return f"{quantity}, mean and deviation over folds"
        return _QUANTITIES.get(quantity, "objective")

    def _mark(self, x: float, y: float) -> None:
        value = self.param_range[self.best]
        style = {"marker": "*", "s": 220, "color": "none", "edgecolors": "black"}
        label = f"best: {self.param_name}={_short(value)}"
        self.best_ = self.ax_.scatter([x], [y], label=label, zorder=3, **style)


def _ending(results: Mapping[str, Any], beginning: str) -> list[str]:
    """List what follows a beginning in the names of a search's results."""
    return [k.removeprefix(beginning) for k in results if k.startswith(beginning)]


def _searched_name(searched: Sequence[str], param_name: str | None) -> str:
    """Answer the parameter that is meant: of a Pipeline's, the last word is enough."""
    meant = [
        name
        for name in searched
        if param_name in (None, name) or name.endswith(f"__{param_name}")
    ]
    exact = [name for name in meant if name == param_name] or meant
    if len(exact) == 1:
        return exact[0]
    raise ValueError(
        f"param_name must be one of the parameters that were searched, {searched}, "
        f"got {param_name!r}."
    )


def _group(
    results: Mapping[str, Any], keys: Sequence[str], candidates: np.ndarray
) -> dict[str, list[int]]:
    """Answer the places of the candidates of each combination of further parameters."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(candidates):
        parts = [f"{k.removeprefix('param_')}={_short(results[k][row])}" for k in keys]
        groups.setdefault(", ".join(parts), []).append(place)
    return groups


def _short(value: Any) -> str:
    return f"{value:.3g}" if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _place(ax: Axes, values: Sequence[Any]) -> np.ndarray:
    """Answer where values stand, on an axis that fits them: in order if not numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if not all(map(_is_number, values)):
        names = [str(value) for value in values]
        distinct = list(dict.fromkeys(names))
        ax.set_xticks(range(len(distinct)), distinct)
        return np.array([distinct.index(name) for name in names], dtype=float)
    x = np.asarray(values, dtype=np.float64)
    positive = x[x > 0]
    # Several orders of magnitude.
    if len(positive) and positive.max() > 10 * positive.min():
        if (x > 0).all():
            ax.set_xscale("log")
            few = positive.max() < 1000 * positive.min()
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
        elif (x >= 0).all():
            # Zero stands apart, one step to the left of the least weight.
            ax.set_xscale("symlog", linthresh=positive.min())
    return x
