"""Rows above their reconstructions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state, check_scalar
from sklearn.utils.validation import _num_samples

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae.displays._drawing import (
    COLORS,
    dense,
    pyplot_for,
    tick_whole_numbers,
)
from sklearn_ae.displays._pictures import as_drawn, flat_rows, resolve_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _reconstruct(estimator: Any, X: Any) -> np.ndarray:
    if hasattr(estimator, "reconstruct"):
        return dense(estimator.reconstruct(X))
    if hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform"):
        return dense(estimator.inverse_transform(estimator.transform(X)))
    raise AttributeError(
        f"{type(estimator).__name__} has neither `reconstruct` nor both `transform` "
        "and `inverse_transform`."
    )


def _learned_shape(
    estimators: Iterable[Any], X: Any, n_features: int
) -> Sequence[int] | None:
    """Answer the shape of the rows that one of them decodes, if they have any."""
    first = _safe_indexing(X, np.arange(1))
    for estimator in estimators:
        if hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform"):
            decoded = dense(estimator.inverse_transform(estimator.transform(first)))
            rows, shape = flat_rows(decoded, None)
            if shape is not None and rows.shape[1] == n_features:
                return shape
    return None


@dataclass(eq=False, repr=False)
class ReconstructionDisplay:
    """Rows of X above their reconstructions by one or more estimators.

    Rows are drawn as images where their shape is known or their number of features is
    a square of at least 16, else as lines over the features. The whole figure has one
    scale, that of the originals; behind the line of a reconstruction is its original.

    Parameters
    ----------
    originals : ndarray of shape (n_samples, n_features)
        The rows of X, in its units.
    reconstructions : mapping of str to ndarray of shape (n_samples, n_features)
        A name for each estimator, and its answer.
    image_shape : tuple of int, default=None
        (height, width), with 1 or 3 channels before or after them; (n_features,) for
        lines.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, of shape (1 + n_estimators, n_samples)
    bounding_ax_ : matplotlib Axes or None
        The Axes, if one was given, that `axes_` divide.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae.displays import ReconstructionDisplay
    >>> X = load_digits().data[:5]
    >>> display = ReconstructionDisplay(X, {"rounded": 4 * (X // 4)}).plot()
    >>> display.axes_.shape, display.axes_[1, 0].get_ylabel()
    ((2, 5), 'rounded')
    >>> plt.close(display.figure_)
    """

    originals: np.ndarray
    reconstructions: Mapping[str, np.ndarray]
    _: KW_ONLY
    image_shape: Sequence[int] | None = None

    @classmethod
    @with_arrays
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        name: str | None = None,
        n_samples: int = 10,
        image_shape: Sequence[int] | None = None,
        random_state: int | np.random.RandomState | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw rows of X above their reconstructions by one estimator.

        Raises what `from_estimators` does.

        Parameters
        ----------
        estimator : object
            Fitted, with `reconstruct`, or with `transform` and `inverse_transform`.
        X : array-like of shape (n_samples, n_features)
            What the estimator takes.
        name : str, default=None
            Label of the reconstructions; None is the name of the class.
        n_samples, image_shape, random_state
            As in `from_estimators`.
        **plot_kw
            `ax`, `errors` and `artist_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.displays import ReconstructionDisplay
        >>> X = load_digits().data
        >>> display = ReconstructionDisplay.from_estimator(PCA(8).fit(X), X)
        >>> display.axes_.shape
        (2, 10)
        >>> plt.close(display.figure_)
        """
        return cls.from_estimators(
            {name or type(estimator).__name__: estimator},
            X,
            n_samples=n_samples,
            image_shape=image_shape,
            random_state=random_state,
            **plot_kw,
        )

    @classmethod
    @with_arrays
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        *,
        n_samples: int = 10,
        image_shape: Sequence[int] | None = None,
        random_state: int | np.random.RandomState | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw rows of X above their reconstructions, one line for each estimator.

        Raises AttributeError if an estimator cannot reconstruct, and ValueError if a
        reconstruction has another shape than its original, `image_shape` does not
        hold a row, `n_samples` is below 1 or there is no estimator.

        Parameters
        ----------
        estimators : mapping of str to object
            Fitted, with `reconstruct`, or with `transform` and `inverse_transform`.
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape)
            What the estimators take.
        n_samples : int, default=10
            How many rows to draw, if X has so many.
        image_shape : tuple of int, default=None
            As in the class; None takes it from X, from what an estimator decodes or
            from a square number of features.
        random_state : int or RandomState, default=None
            Chooses the rows. None is the first rows, so that the picture repeats.
        **plot_kw
            `ax`, `errors` and `artist_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.displays import ReconstructionDisplay
        >>> X = load_digits().data
        >>> estimators = {"two": PCA(2).fit(X), "twenty": PCA(20).fit(X)}
        >>> display = ReconstructionDisplay.from_estimators(estimators, X, n_samples=4)
        >>> [row[0].get_ylabel() for row in display.axes_]
        ['original', 'two', 'twenty']
        >>> plt.close(display.figure_)
        """
        pyplot_for(f"{cls.__name__}.from_estimators")
        if not estimators:
            raise ValueError("estimators is empty.")
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        total = _num_samples(X)
        rows = np.arange(min(n_samples, total))
        if random_state is not None:
            rows = check_random_state(random_state).permutation(total)[:n_samples]
        sample = _safe_indexing(X, rows)
        originals, image_shape = flat_rows(sample, image_shape)
        if image_shape is None:
            n_features = originals.shape[1]
            image_shape = _learned_shape(estimators.values(), sample, n_features)
        reconstructions = {}
        for name, estimator in estimators.items():
            answer = _reconstruct(estimator, sample).reshape(len(rows), -1)
            if answer.shape != originals.shape:
                raise ValueError(
                    f"the reconstructions by {name} have shape {answer.shape}, their "
                    f"originals {originals.shape}."
                )
            reconstructions[name] = answer.astype(float)
        return cls(originals, reconstructions, image_shape=image_shape).plot(**plot_kw)

    def plot(
        self,
        ax: Axes | np.ndarray | None = None,
        *,
        errors: bool = False,
        artist_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the originals, and below them their reconstructions.

        Raises ValueError if `image_shape` does not hold a row, or if there are not as
        many Axes as pictures.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One Axes to divide, or an array like `axes_`; None is a new figure.
        errors : bool, default=False
            Whether to write above a reconstruction its mean squared error per feature,
            in squared units of X; entries that are missing in the original are left
            out.
        artist_kw : mapping, default=None
            Keywords of `imshow` for images, of `plot` for lines.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> from sklearn_ae.displays import ReconstructionDisplay
        >>> X = np.eye(3)
        >>> display = ReconstructionDisplay(X, {"zero": 0 * X}).plot(errors=True)
        >>> display.axes_[1, 0].get_title()
        'error 0.33'
        >>> plt.close(display.figure_)
        """
        pyplot = pyplot_for(f"{type(self).__name__}.plot")
        shape = resolve_shape(self.image_shape, self.originals.shape[1])
        lines = [("original", self.originals), *self.reconstructions.items()]
        self._make_axes(pyplot, ax, len(lines), shape)
        draw = self._draw_image if len(shape) > 1 else self._draw_line
        low, high = np.nanmin(self.originals), np.nanmax(self.originals)
        for cells, (name, values) in zip(self.axes_, lines, strict=True):
            for cell, original, row in zip(cells, self.originals, values, strict=True):
                behind = None if values is self.originals else original
                picture = as_drawn(row, shape, low, high)
                draw(cell, picture, behind, low, high, artist_kw or {})
                if errors and behind is not None:
                    error = np.nanmean((row - original) ** 2)
                    cell.set_title(f"error {error:.2g}", fontsize="small")
            cells[0].set_ylabel(name, rotation=0, ha="right", va="center")
        return self

    def _make_axes(self, pyplot, ax, n_lines, shape):
        size = (n_lines, len(self.originals))
        self.bounding_ax_ = None
        if ax is None:
            width, height = (0.9, 0.9) if len(shape) > 1 else (1.4, 1.0)
            self.axes_ = pyplot.subplots(
                *size,
                squeeze=False,
                layout="constrained",
                figsize=(1 + width * size[1], 0.3 + height * size[0]),
            )[1]
        elif isinstance(ax, np.ndarray | list):
            self.axes_ = np.asarray(ax, dtype=object)
            if self.axes_.shape != size:
                raise ValueError(f"ax must have shape {size}, got {self.axes_.shape}.")
        else:
            self.bounding_ax_ = ax
            ax.set_axis_off()
            spec = ax.get_subplotspec()
            if spec is None:
                raise ValueError("ax must be part of a grid, like those of `subplots`.")
            self.axes_ = spec.subgridspec(*size).subplots(squeeze=False)
        self.figure_ = self.axes_[0, 0].figure

    def _draw_image(self, cell, image, behind, low, high, artist_kw):
        style = {"cmap": "gray", "vmin": low, "vmax": high} | dict(artist_kw)
        cell.imshow(image, **style)
        cell.set(xticks=[], yticks=[])

    def _draw_line(self, cell, line, behind, low, high, artist_kw):
        margin = 0.1 * ((high - low) or 1)
        if behind is not None:
            cell.plot(behind, color="#a0a0a0", linewidth=1)
        cell.plot(line, **{"color": COLORS[0]} | dict(artist_kw))
        cell.set_ylim(low - margin, high + margin)
        is_first, is_last = cell in self.axes_[:, 0], cell in self.axes_[-1]
        cell.tick_params(labelleft=is_first, labelbottom=is_last)
        tick_whole_numbers(cell.xaxis)
        if is_last:
            cell.set_xlabel("feature")
