"""Rows decoded on the way from one row's code to another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_consistent_length, check_scalar

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae.displays._drawing import dense
from sklearn_ae.displays._estimators import check_has, decode
from sklearn_ae.displays._pictures import MosaicDisplay, flat_rows, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Between a row and its path, in cells.
GAP = 0.3
MAX_TICKS = 6


@dataclass(eq=False, repr=False)
class InterpolationDisplay(MosaicDisplay):
    r"""Paths from row to row through the code, one line for each pair.

    A path from :math:`x_1` to :math:`x_2`, whose codes are :math:`z_1` and
    :math:`z_2`, is

    .. math:: \hat x(t) = \mathrm{decode}((1 - t) z_1 + t z_2), \quad 0 \le t \le 1

    and is drawn between the two rows themselves; for t = 0 and t = 1 it is at their
    reconstructions. Rows are drawn as images where their shape is known or their number
    of features is a square of at least 16, else as lines over the features. All have
    one scale, that of the rows at the ends.

    Parameters
    ----------
    starts, ends : ndarray of shape (n_pairs, n_features)
        The rows at t = 0 and at t = 1, in their units.
    rows : ndarray of shape (n_pairs, n_steps, n_features)
        The paths, in the same units.
    steps : ndarray of shape (n_steps,)
        Values of t.
    image_shape : tuple of int, default=None
        (height, width), with 1 or 3 channels before or after them; (n_features,) for
        lines.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    artists_ : list of three matplotlib AxesImage, or LineCollection for lines
        The starts, the paths and the ends.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_ae.displays import InterpolationDisplay
    >>> starts, ends, steps = np.zeros((1, 16)), np.ones((1, 16)), np.array([0, 0.5, 1])
    >>> rows = np.ones((1, 3, 16)) * steps[:, np.newaxis]
    >>> display = InterpolationDisplay(starts, ends, rows, steps).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['start', '0', '0.5', '1', 'end']
    >>> plt.close(display.figure_)
    """

    starts: np.ndarray
    ends: np.ndarray
    rows: np.ndarray
    steps: np.ndarray
    _: KW_ONLY
    image_shape: Sequence[int] | None = None

    @classmethod
    @with_arrays
    def from_estimator(
        cls,
        estimator: Any,
        X_start: Any,
        X_end: Any,
        *,
        n_steps: int = 9,
        image_shape: Sequence[int] | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Decode the codes between those of X_start and those of X_end, and draw them.

        Raises AttributeError if the estimator has no `transform` or no
        `inverse_transform`, and ValueError if there are not as many rows in X_start as
        in X_end, a decoded row has another number of features, `image_shape` does not
        hold a row, or `n_steps` is below 2.

        Parameters
        ----------
        estimator : object, or several of them in a mapping or a list
            Fitted, with `transform` and `inverse_transform`. Several stand side by
            side.
        X_start, X_end : array-like of shape (n_pairs, n_features) or \
                (n_pairs, *image_shape)
            Row i of one is paired with row i of the other.
        n_steps : int, default=9
            How many values of t, evenly spaced from 0 to 1; an odd number has the
            middle among them.
        image_shape : tuple of int, default=None
            As in the class; None takes it from X_start, from what the estimator decodes
            or from a square number of features.
        **plot_kw
            `ax` and `artist_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.displays import InterpolationDisplay
        >>> X = load_digits().data
        >>> pca = PCA(8).fit(X)
        >>> display = InterpolationDisplay.from_estimator(pca, X[:3], X[3:6], n_steps=5)
        >>> display.rows.shape
        (3, 5, 64)
        >>> plt.close(display.figure_)
        """

        def of(each: Any) -> Self:
            check_has(each, "transform", "inverse_transform")
            check_scalar(n_steps, "n_steps", Integral, min_val=2)
            check_consistent_length(X_start, X_end)
            steps = np.linspace(0, 1, n_steps)
            t = steps[:, np.newaxis]
            Z_start, Z_end = (
                dense(each.transform(X))[:, np.newaxis] for X in (X_start, X_end)
            )
            starts, shape = flat_rows(X_start, image_shape)
            ends, _ = flat_rows(X_end, shape)
            decoded = decode(each, (1 - t) * Z_start + t * Z_end, None)
            rows, shape = flat_rows(decoded, shape)
            if rows.shape[1] != starts.shape[1]:
                raise ValueError(
                    f"the rows that {type(each).__name__} decodes have "
                    f"{rows.shape[1]} features, those of X_start {starts.shape[1]}."
                )
            rows = rows.reshape(len(starts), n_steps, -1)
            return cls(starts, ends, rows, steps, image_shape=shape)

        return cls._draw(estimator, of, plot_kw)

    def plot(
        self, ax: Axes | None = None, *, artist_kw: Mapping[str, Any] | None = None
    ) -> Self:
        """Draw the paths, the first on top.

        Raises ValueError if `image_shape` does not hold a row.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        artist_kw : mapping, default=None
            Keywords of `imshow` for images, such as `vmin` and `vmax`, of
            `LineCollection` for lines.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> from sklearn_ae.displays import InterpolationDisplay
        >>> X = np.eye(3)
        >>> rows = np.stack([X, X / 2, 0 * X], axis=1)
        >>> display = InterpolationDisplay(X, 0 * X, rows, np.array([0, 0.5, 1])).plot()
        >>> len(display.artists_)
        3
        >>> plt.close(display.figure_)
        """
        n_pairs, n_steps, _ = self.rows.shape
        lefts = 0, 1 + GAP, n_steps + 1 + 2 * GAP
        self._open(ax)
        limits = [f(np.stack([self.starts, self.ends])) for f in (np.nanmin, np.nanmax)]
        parts = self.starts[:, np.newaxis], self.rows, self.ends[:, np.newaxis]
        self.artists_ = [
            self._fill(part[::-1], limits, artist_kw, left=left)
            for part, left in zip(parts, lefts, strict=True)
        ]
        self.ax_.set(xlim=(-0.5, lefts[-1] + 0.5), ylim=(-0.5, n_pairs - 0.5))
        cells = spread(n_steps, MAX_TICKS)
        labels = ["start", *(f"{self.steps[cell]:.2g}" for cell in cells), "end"]
        self.ax_.set_xticks([0, *(cells + lefts[1]), lefts[-1]], labels)
        self.ax_.set(xlabel="t, the share of the end in the code", yticks=[])
        self.ax_.tick_params(length=0)
        self.ax_.set_frame_on(False)
        return self

    def _size(self) -> tuple[float, float]:
        n_pairs, n_steps, _ = self.rows.shape
        return n_steps + 2 + 2 * GAP, n_pairs
