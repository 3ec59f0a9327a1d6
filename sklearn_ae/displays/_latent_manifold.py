"""Rows decoded from a grid of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from inspect import signature
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_scalar

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae._estimators.codes import RowsMixin
from sklearn_ae.displays._drawing import dense, pyplot_for
from sklearn_ae.displays._estimators import (
    check_components,
    check_has,
    last_step,
    names_of_components,
)
from sklearn_ae.displays._pictures import (
    draw_mosaic,
    flat_rows,
    mosaic_axes,
    resolve_shape,
    spread,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_TICKS = 6


def _quantiles(estimator: Any, X: Any, probabilities: np.ndarray) -> np.ndarray:
    """Answer those of X's codes, or of the prior, one column for each component."""
    if X is not None:
        check_has(estimator, "transform")
        return np.quantile(dense(estimator.transform(X)), probabilities, axis=0)
    last = last_step(estimator)
    # What is of another package has no prior that is known here.
    is_ours = isinstance(last, RowsMixin)
    values = last._prior_quantiles(probabilities) if is_ours else None
    if values is None:
        raise ValueError(
            f"{type(estimator).__name__} has no prior whose quantiles are known: pass "
            "X, and the quantiles of its codes are used."
        )
    return np.asarray(values)


@dataclass(eq=False, repr=False)
class LatentManifoldDisplay:
    r"""Rows decoded from a grid of codes, in one or two components.

    The grid is even in probability, not in the code: its n coordinates are

    .. math:: z_k = F^{-1}\left(\frac{k - 1/2}{n}\right), \quad k = 1, \dots, n

    with F the distribution function of a component under the prior, or among the codes
    of given rows. So every picture stands for as many rows as any other, and what
    follows what tells how the codes are ordered. Other components than those shown are
    at their medians.

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
        estimator : object
            Fitted, with `inverse_transform`. Its `get_feature_names_out` labels the
            axes.
        X : array-like of shape (n_samples, n_features), default=None
            Rows; the grid is at the quantiles of their codes. None is the quantiles of
            the prior, for an estimator whose prior has known ones, or a Pipeline that
            ends in one.
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
        pyplot_for(f"{cls.__name__}.from_estimator")
        check_has(estimator, "inverse_transform")
        check_scalar(grid_size, "grid_size", Integral, min_val=1)
        probabilities = (np.arange(grid_size) + 0.5) / grid_size
        quantiles = _quantiles(estimator, X, np.append(probabilities, 0.5))
        medians = quantiles[-1]
        columns = check_components(components, len(medians))
        coordinates = [quantiles[:-1, column] for column in columns]
        grids = np.meshgrid(*coordinates)
        Z = np.tile(medians, (*np.atleast_2d(grids[0]).shape, 1))
        for column, grid in zip(columns, grids, strict=True):
            Z[..., column] = grid
        given = {} if label is None else {"y": label}
        if given and "y" not in signature(estimator.inverse_transform).parameters:
            raise ValueError(
                f"{type(estimator).__name__} decodes codes without labels, so label="
                f"{label!r} cannot be drawn."
            )
        decoded = estimator.inverse_transform(Z.reshape(-1, len(medians)), **given)
        rows, image_shape = flat_rows(decoded, image_shape)
        names = names_of_components(estimator)
        if names is None:
            names = [f"component {column + 1}" for column in range(len(medians))]
        return cls(
            rows.reshape(*Z.shape[:2], -1),
            *coordinates,
            component_names=[names[column] for column in columns],
            image_shape=image_shape,
        ).plot(**plot_kw)

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
        pyplot = pyplot_for(f"{type(self).__name__}.plot")
        n_y, n_x, n_features = self.rows.shape
        shape = resolve_shape(self.image_shape, n_features)
        self.ax_ = mosaic_axes(pyplot, (n_x, n_y), shape) if ax is None else ax
        self.figure_ = self.ax_.figure
        limits = np.nanmin(self.rows), np.nanmax(self.rows)
        self.artist_ = draw_mosaic(self.ax_, self.rows, shape, limits, artist_kw)
        self.ax_.set(xlim=(-0.5, n_x - 0.5), ylim=(-0.5, n_y - 0.5), yticks=[])
        names = self.component_names or ["component 1", "component 2"]
        self.ax_.set_xlabel(names[0])
        self.ax_.set_xticks(*_ticks(self.x_codes))
        if self.y_codes is not None:
            self.ax_.set_ylabel(names[1])
            self.ax_.set_yticks(*_ticks(self.y_codes))
        return self


def _ticks(codes: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Answer the cells to label, and codes with as many decimals as tell them apart."""
    cells = spread(len(codes), MAX_TICKS)
    magnitude = np.floor(np.log10(np.ptp(codes) or 1))
    decimals = int(np.clip(2 - magnitude, 0, 6))
    return cells, [f"{codes[cell]:z.{decimals}f}" for cell in cells]
