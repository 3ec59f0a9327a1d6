"""Rows decoded from a grid of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_scalar

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae.displays._estimators import (
    check_components,
    check_has,
    decode,
    name_components,
    quantiles_of_codes,
)
from sklearn_ae.displays._pictures import (
    MosaicDisplay,
    flat_rows,
    spread,
    usual_limits,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_TICKS = 6


@dataclass(eq=False, repr=False)
class LatentManifoldDisplay(MosaicDisplay):
    r"""Rows decoded from a grid of codes, in one or two components.

    The grid is even in probability, not in the code: its n coordinates are

    .. math:: z_k = F^{-1}(p_k), \quad k = 1, \dots, n

    with F the distribution function of a component. Among the codes of given rows the
    p_k go from .01 to .99, so that the grid has the range of the codes, but for the
    outermost; under the prior they are (k - 1/2) / n. So every picture stands for as
    many rows as any other, and what follows what tells how the codes are ordered. Other
    components than those shown are at their medians.

    Rows are drawn as images where their shape is known or their number of features is
    a square of at least 16, else as lines over the features, all to one scale.

    Parameters
    ----------
    rows : ndarray of shape (n_y, n_x, n_features)
        Decoded codes, in the units of the training rows. The first are drawn at the
        bottom left.
    x_codes : ndarray of shape (n_x,)
        The codes' values of the component that goes from left to right.
    y_codes : ndarray of shape (n_y,), default=None
        Those of the component that goes from the bottom to the top; None is a strip
        for one component.
    component_names : sequence of one or two str, default=None
        Axis labels; None is "component 1" and "component 2".
    image_shape : tuple of int, default=None
        (height, width), with 1 or 3 channels before or after them; (n_features,) for
        lines.
    limits : tuple of two floats, default=None
        The lowest and the highest value that images show; None is those of the rows.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    artist_ : matplotlib AxesImage, or LineCollection for lines

    References
    ----------
    Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, figure 4.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_ae.displays import LatentManifoldDisplay
    >>> rows = np.arange(96.0).reshape(2, 3, 16)
    >>> display = LatentManifoldDisplay(rows, np.arange(3), np.arange(2)).plot()
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('component 1', 'component 2')
    >>> plt.close(display.figure_)
    """

    rows: np.ndarray
    x_codes: np.ndarray
    y_codes: np.ndarray | None = None
    _: KW_ONLY
    component_names: Sequence[str] | None = None
    image_shape: Sequence[int] | None = None
    limits: tuple[float, float] | None = None

    @classmethod
    @with_arrays
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        grid_size: int = 20,
        components: int | Sequence[int] | None = None,
        label: Any = None,
        image_shape: Sequence[int] | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Decode a grid of codes and draw it.

        Raises AttributeError if the estimator has no `inverse_transform`, or has no
        `transform` where X is given, and ValueError if it has no prior with known
        quantiles and there is no X, if the code has no such components, `image_shape`
        does not hold a row, or `grid_size` is below 1.

        Parameters
        ----------
        estimator : object, or several of them in a mapping or a list
            Fitted, with `inverse_transform`. Its `get_feature_names_out` labels the
            axes. Several stand side by side.
        X : array-like of shape (n_samples, n_features), default=None
            Rows; the grid is at the quantiles of their codes, and has their range. None
            is the quantiles of the prior, for an estimator whose prior has known ones,
            or a Pipeline that ends in one; codes of rows may well go further.
        grid_size : int, default=20
            How many codes to decode along each component.
        components : int or sequence of one or two int, default=None
            Components of the code to show, counted from 0; None is the first two, or
            the only one.
        label : object, default=None
            Label of the decoded rows, of an estimator of labelled rows such as
            :class:`~sklearn_ae.ConditionalVariationalAutoencoder`.
        image_shape : tuple of int, default=None
            As in the class; None takes it from the decoded rows or from a square
            number of features.
        **plot_kw
            `ax` and `artist_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.displays import LatentManifoldDisplay
        >>> X = load_digits().data
        >>> pca = PCA(2).fit(X)
        >>> display = LatentManifoldDisplay.from_estimator(pca, X, grid_size=5)
        >>> display.rows.shape, display.ax_.get_ylabel()
        ((5, 5, 64), 'pca1')
        >>> plt.close(display.figure_)
        """

        def of(each: Any) -> Self:
            check_has(each, "inverse_transform")
            check_scalar(grid_size, "grid_size", Integral, min_val=1)
            _, quantiles, medians = quantiles_of_codes(each, X, grid_size)
            columns = check_components(components, len(medians))
            coordinates = [quantiles[:, column] for column in columns]
            grids = np.meshgrid(*coordinates)
            Z = np.tile(medians, (*np.atleast_2d(grids[0]).shape, 1))
            for column, grid in zip(columns, grids, strict=True):
                Z[..., column] = grid
            rows, shape = flat_rows(decode(each, Z, label), image_shape)
            names = name_components(each, len(medians))
            return cls(
                rows.reshape(*Z.shape[:2], -1),
                *coordinates,
                component_names=[names[column] for column in columns],
                image_shape=shape,
                limits=usual_limits(rows),
            )

        return cls._draw(estimator, of, plot_kw)

    def plot(
        self, ax: Axes | None = None, *, artist_kw: Mapping[str, Any] | None = None
    ) -> Self:
        """Draw the decoded grid.

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
        >>> from sklearn_ae.displays import LatentManifoldDisplay
        >>> display = LatentManifoldDisplay(np.ones((1, 3, 16)), np.array([-1, 0, 1]))
        >>> [label.get_text() for label in display.plot().ax_.get_xticklabels()]
        ['-1.00', '0.00', '1.00']
        >>> plt.close(display.figure_)
        """
        n_y, n_x, _ = self.rows.shape
        self._open(ax)
        self.artist_ = self._fill(self.rows, self._limits(self.limits), artist_kw)
        self.ax_.set(xlim=(-0.5, n_x - 0.5), ylim=(-0.5, n_y - 0.5), yticks=[])
        names = self.component_names or ["component 1", "component 2"]
        self.ax_.set_xlabel(names[0])
        self.ax_.set_xticks(*_ticks(self.x_codes))
        if self.y_codes is not None:
            self.ax_.set_ylabel(names[1])
            self.ax_.set_yticks(*_ticks(self.y_codes))
        return self

    def _size(self) -> tuple[float, float]:
        n_y, n_x, _ = self.rows.shape
        return n_x, n_y


def _ticks(codes: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Answer the cells to label, and codes with as many decimals as tell them apart."""
    cells = spread(len(codes), MAX_TICKS)
    magnitude = np.floor(np.log10(np.ptp(codes) or 1))
    decimals = int(np.clip(2 - magnitude, 0, 6))
    return cells, [f"{codes[cell]:z.{decimals}f}" for cell in cells]
