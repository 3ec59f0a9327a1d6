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
from sklearn_ae.displays._display import Display, grid_of_axes, named
from sklearn_ae.displays._drawing import (
    COLORS,
    INCHES_OF_LETTER,
    dense,
    pyplot_for,
    tick_whole_numbers,
)
from sklearn_ae.displays._pictures import as_drawn, flat_rows, resolve_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_ABOVE = "errors above"
# The least font of errors that say that they are some.
_LEAST_SIZE = 6.0


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
class ReconstructionDisplay(Display):
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
        """Draw rows of X above their reconstructions, one line for each estimator.

        Raises AttributeError if an estimator cannot reconstruct, and ValueError if a
        reconstruction has another shape than its original, `image_shape` does not
        hold a row, `n_samples` is below 1 or there is no estimator.

        Parameters
        ----------
        estimator : object, or several of them in a mapping or a list
            Fitted, with `reconstruct`, or with `transform` and `inverse_transform`.
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape)
            What the estimators take.
        name : str, default=None
            Label of the reconstructions by one; None is the name of its class.
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
        >>> display = ReconstructionDisplay.from_estimator(estimators, X, n_samples=4)
        >>> [row[0].get_ylabel() for row in display.axes_]
        ['original', 'two', 'twenty']
        >>> plt.close(display.figure_)
        """
        pyplot_for(f"{cls.__name__}.from_estimator")
        estimators = named(estimator)
        if estimators is None:
            estimators = {name or type(estimator).__name__: estimator}
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
        self.axes_, self.bounding_ax_ = grid_of_axes(
            pyplot,
            ax,
            (len(lines), len(self.originals)),
            self._figsize(),
            # Names, and the ticks of lines.
            margin=0.7 * (len(shape) == 1)
            + INCHES_OF_LETTER * max(map(len, [_ABOVE, *dict(lines)])),
        )
        self.figure_ = self.axes_[0, 0].figure
        draw = self._draw_image if len(shape) > 1 else self._draw_line
        low, high = np.nanmin(self.originals), np.nanmax(self.originals)
        for cells, (name, values) in zip(self.axes_, lines, strict=True):
            for cell, original, row in zip(cells, self.originals, values, strict=True):
                behind = None if values is self.originals else original
                picture = as_drawn(row, shape, low, high)
                draw(cell, picture, behind, low, high, artist_kw or {})
                if errors and behind is not None:
                    error = np.nanmean((row - original) ** 2)
                    # Two digits, of large numbers without an exponent.
                    cell.set_title(f"error {float(f'{error:.2g}'):g}", fontsize="small")
            cells[0].set_ylabel(name, rotation=0, ha="right", va="center")
        if errors:
            self._fit_errors()
        return self

    def _figsize(self) -> tuple[float, float]:
        n_samples, n_features = self.originals.shape
        is_image = len(resolve_shape(self.image_shape, n_features)) > 1
        width, height = (0.9, 0.9) if is_image else (1.4, 1.0)
        return 1 + width * n_samples, 0.3 + height * (1 + len(self.reconstructions))

    def _fit_errors(self) -> None:
        """Write errors so small, and so short, that each stays above its picture."""
        cells = list(self.axes_[1:].ravel())
        size = cells[0].title.get_fontsize()
        if self._share_of_errors() * size < _LEAST_SIZE:
            self._shorten_errors(cells)
        size *= min(1, 0.95 * self._share_of_errors())
        for cell in cells:
            cell.title.set_fontsize(size)

    def _shorten_errors(self, cells: Sequence[Axes]) -> None:
        """Write no more than numbers, and what they have in common in the labels."""
        errors = [float(cell.get_title().removeprefix("error ")) for cell in cells]
        exponent = int(np.floor(np.log10(np.nanmax([*errors, 0]) or 1)))
        unit = _ABOVE
        if abs(exponent) > 1:
            unit += f"\nin 1e{exponent}"
            errors = [round(error / 10**exponent, 1) for error in errors]
        for cell, error in zip(cells, errors, strict=True):
            cell.title.set_text(f"{error:g}")
        for label in (first.yaxis.label for first in self.axes_[1:, 0]):
            label.set_text(f"{label.get_text()}\n{unit}")

    def _share_of_errors(self) -> float:
        """Answer how much wider than its error the picture is where it is least so."""
        # Only then is it known how large pictures are.
        self.figure_.draw_without_rendering()
        return min(
            cell.bbox.width / cell.title.get_window_extent().width
            for cell in self.axes_[1:].ravel()
        )

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
