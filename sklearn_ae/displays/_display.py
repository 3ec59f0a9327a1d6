"""What all displays of estimators share, and several of them side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae.displays._drawing import add_legend, pyplot_for, widen
from sklearn_ae.displays._estimators import last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of a figure, in inches.
_SIZE, _LARGEST = (6.4, 4.8), (14.0, 9.0)
_TITLE = 0.3
# Displays may be so much smaller, to stand in fewer lines.
_SHRINKAGE = 0.75


def named(estimators: Any) -> dict[str, Any] | None:
    """Answer several estimators by name, which a list takes from classes; else None."""
    if isinstance(estimators, Mapping):
        found = {str(name): estimator for name, estimator in estimators.items()}
    elif isinstance(estimators, (list, tuple)):
        kinds = [type(last_step(estimator)).__name__ for estimator in estimators]
        total, seen, found = Counter(kinds), Counter(), {}
        for kind, estimator in zip(kinds, estimators, strict=True):
            seen[kind] += 1
            name = f"{kind} {seen[kind]}" if total[kind] > 1 else kind
            found[name] = estimator
    else:
        return None
    if not found:
        raise ValueError("estimators is empty.")
    return found


class Display:
    """What all displays share: a figure, and several estimators side by side."""

    @classmethod
    @with_arrays
    def from_estimators(
        cls, estimators: Mapping[str, Any] | Sequence[Any], *args: Any, **keywords: Any
    ) -> Any:
        """Draw several estimators: `from_estimator`, to which they can be passed too.

        Parameters
        ----------
        estimators : mapping of str to object, or list of objects
            Each as `from_estimator` takes one. Those of a list are named after their
            classes.
        *args, **keywords
            Further arguments of `from_estimator`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA, FastICA
        >>> from sklearn_ae.displays import LatentSpaceDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> both = [PCA(2).fit(X), FastICA(2, random_state=0).fit(X)]
        >>> display = LatentSpaceDisplay.from_estimators(both, X, y)
        >>> [ax.get_title() for ax in display.axes_]
        ['PCA', 'FastICA']
        >>> plt.close(display.figure_)
        """
        pyplot_for(f"{cls.__name__}.from_estimators")
        several = named(estimators)
        if several is None:
            raise TypeError(
                "estimators must be a mapping of names to estimators, or a list of "
                f"them, got {type(estimators).__name__}; `from_estimator` takes one."
            )
        return cls.from_estimator(several, *args, **keywords)

    @classmethod
    def _draw(cls, estimator: Any, of: Callable[[Any], Any], plot_kw: Any) -> Any:
        """Draw the display `of` an estimator, or those of several side by side."""
        pyplot_for(f"{cls.__name__}.from_estimator")
        several = named(estimator)
        if several is None:
            return of(estimator).plot(**plot_kw)
        displays = {name: of(each) for name, each in several.items()}
        return SideBySide(displays).plot(**plot_kw)

    def _figsize(self) -> tuple[float, float]:
        """Answer the width and the height of a new figure, in inches."""
        return _SIZE

    def _open(self, ax: Axes | None) -> None:
        pyplot = pyplot_for(f"{type(self).__name__}.plot")
        self._is_alone = ax is None
        if ax is None:
            figsize = self._figsize()
            ax = pyplot.subplots(layout="compressed", figsize=figsize)[1]
        self.ax_, self.figure_ = ax, ax.figure

    def _add_legend(self, handles: Any, labels: Any, title: str | None = None) -> Any:
        legend = add_legend(self.ax_, handles, labels, title)
        if self._is_alone:
            widen(self.figure_, [legend])
        return legend


@dataclass(eq=False, repr=False)
class SideBySide:
    """Displays of several estimators on one figure, each under its name.

    Parameters
    ----------
    displays : mapping of str to display

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, of shape (n_displays,)
    bounding_ax_ : matplotlib Axes or None
        The Axes, if one was given, that `axes_` divide.
    figure_ : matplotlib Figure
    """

    displays: Mapping[str, Display]

    def plot(self, ax: Axes | np.ndarray | None = None, **plot_kw: Any) -> Self:
        """Draw them.

        Raises ValueError if there are not as many Axes as displays.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One Axes to divide, or one for each display; None is a new figure.
        **plot_kw
            Keywords of each display's `plot`.
        """
        n_displays = len(self.displays)
        sizes = np.array([each._figsize() for each in self.displays.values()])
        shape, figsize = _arrange(n_displays, sizes.max(axis=0))
        is_given = isinstance(ax, np.ndarray | list)
        if is_given:
            ax = np.reshape(np.asarray(ax, dtype=object), -1)
            shape = (n_displays,)
        pyplot = pyplot_for("SideBySide.plot")
        axes, self.bounding_ax_ = grid_of_axes(pyplot, ax, shape, figsize)
        for idle in axes.ravel()[n_displays:]:
            idle.remove()
        self.axes_ = axes.ravel()[:n_displays]
        self.figure_ = self.axes_[0].figure
        for cell, (name, each) in zip(self.axes_, self.displays.items(), strict=True):
            each.plot(ax=cell, **plot_kw)
            cell.set_title(name)
        if not is_given:
            self._share_legend(corner=min(shape[1], n_displays) - 1)
        if ax is None:
            widen(self.figure_, self._legends()[: shape[1]])
        return self

    def _legends(self) -> list[Any]:
        found = [cell.get_legend() for cell in self.axes_]
        return [legend for legend in found if legend is not None]

    def _share_legend(self, corner: int) -> None:
        """Keep one legend of those that all say the same, at the upper right."""
        legends = self._legends()
        texts = [[text.get_text() for text in each.get_texts()] for each in legends]
        if len(legends) == len(self.axes_) and texts == texts[:1] * len(texts):
            for legend in [*legends[:corner], *legends[corner + 1 :]]:
                legend.remove()


def _arrange(n: int, size: np.ndarray) -> tuple[tuple[int, int], np.ndarray]:
    """Answer rows and columns of `n` displays, and the size of their figure."""
    columns = np.arange(1, n + 1)
    shapes = np.stack([columns, -(-n // columns)], axis=1)
    scales = np.minimum(1, (_LARGEST / (shapes * size)).min(axis=1))
    # In as few lines as they can stand in without becoming much smaller.
    best = np.flatnonzero(scales >= _SHRINKAGE * scales.max())[-1]
    n_columns, n_rows = (int(number) for number in shapes[best])
    inches = scales[best] * shapes[best] * size
    return (n_rows, n_columns), inches + [0, _TITLE * n_rows]


def grid_of_axes(
    pyplot: Any,
    ax: Any,
    shape: tuple[int, ...],
    figsize: Sequence[float],
    margin: float = 0.0,
) -> tuple[np.ndarray, Axes | None]:
    """Answer an array of Axes: new ones, those given, or parts of one that is given.

    The last, if there is one, comes second. It keeps a margin on its left, in inches,
    unless there is a layout that sees to it.
    """
    if ax is None:
        options = {"squeeze": False, "layout": "compressed", "figsize": figsize}
        return pyplot.subplots(*shape, **options)[1], None
    if isinstance(ax, np.ndarray | list):
        axes = np.asarray(ax, dtype=object)
        if axes.shape != shape:
            raise ValueError(f"ax must have shape {shape}, got {axes.shape}.")
        return axes, None
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError("ax must be part of a grid, like those of `subplots`.")
    ax.set_axis_off()
    if not margin or ax.figure.get_layout_engine() is not None:
        return spec.subgridspec(*shape).subplots(squeeze=False), ax
    inches = ax.get_window_extent().width / ax.figure.dpi
    cell = max(inches - margin, 0.3 * inches) / shape[1]
    ratios = [inches - cell * shape[1], *[cell] * shape[1]]
    grid = spec.subgridspec(shape[0], shape[1] + 1, width_ratios=ratios)
    axes = grid.subplots(squeeze=False)
    for spare in axes[:, 0]:
        spare.remove()
    return axes[:, 1:], ax
