"""Rows decoded along each component of a code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_scalar

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae.displays._drawing import INCHES_OF_LETTER
from sklearn_ae.displays._estimators import (
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

MAX_TICKS = 5


@dataclass(eq=False, repr=False)
class LatentTraversalDisplay(MosaicDisplay):
    """What each component of a code does to a row: one line for each of them.

    Along a line one component goes through the quantiles of its codes, while all others
    stay at their medians, so that a line of equal pictures is a component that does
    nothing. Rows are drawn as images where their shape is known or their number of
    features is a square of at least 16, else as lines over the features, all to one
    scale.

    Parameters
    ----------
    rows : ndarray of shape (n_components, n_steps, n_features)
        Decoded codes, in the units of the training rows.
    probabilities : ndarray of shape (n_steps,)
        Of the quantiles, from 0 to 1.
    component_names : sequence of n_components str, default=None
        Labels of the lines; None is "component 1", "component 2" and so on.
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
    Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained
    Variational Framework", 2017.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_ae.displays import LatentTraversalDisplay
    >>> rows = np.arange(96.0).reshape(2, 3, 16)
    >>> display = LatentTraversalDisplay(rows, np.array([0, 0.5, 1])).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['0 %', '50 %', '100 %']
    >>> plt.close(display.figure_)
    """

    rows: np.ndarray
    probabilities: np.ndarray
    _: KW_ONLY
    component_names: Sequence[str] | None = None
    image_shape: Sequence[int] | None = None
    limits: tuple[float, float] | None = None

    # So that each of many lines has room for its name.
    _least_cell = 0.3

    @classmethod
    @with_arrays
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        n_steps: int = 9,
        components: Sequence[int] | None = None,
        label: Any = None,
        image_shape: Sequence[int] | None = None,
        **plot_kw: Any,
    ) -> Any:
        """Decode codes along each component, and draw them.

        Raises AttributeError if the estimator has no `inverse_transform`, or has no
        `transform` where X is given, and ValueError if it has no prior with known
        quantiles and there is no X, if the code has no such components, `image_shape`
        does not hold a row, or `n_steps` is below 2.

        Parameters
        ----------
        estimator : object, or several of them in a mapping or a list
            Fitted, with `inverse_transform`. Its `get_feature_names_out` labels the
            lines. Several stand side by side.
        X : array-like of shape (n_samples, n_features), default=None
            Rows, of whose codes the quantiles are; None is those of the prior, for an
            estimator whose prior has known ones, or a Pipeline that ends in one.
        n_steps : int, default=9
            How many codes to decode along each component; an odd number has the median
            among them.
        components : sequence of int, default=None
            Components of the code to show, counted from 0; None is all.
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
        >>> from sklearn_ae.displays import LatentTraversalDisplay
        >>> X = load_digits().data
        >>> display = LatentTraversalDisplay.from_estimator(PCA(4).fit(X), X)
        >>> display.rows.shape
        (4, 9, 64)
        >>> plt.close(display.figure_)
        """

        def of(each: Any) -> Self:
            check_has(each, "inverse_transform")
            check_scalar(n_steps, "n_steps", Integral, min_val=2)
            probabilities, quantiles, medians = quantiles_of_codes(each, X, n_steps)
            width = len(medians)
            columns = list(range(width)) if components is None else list(components)
            if not columns or not set(columns) <= set(range(width)):
                raise ValueError(
                    f"components={components!r} must name columns of the code, which "
                    f"has {width} component(s), counted from 0."
                )
            Z = np.tile(medians, (len(columns), n_steps, 1))
            for line, column in enumerate(columns):
                Z[line, :, column] = quantiles[:, column]
            rows, shape = flat_rows(decode(each, Z, label), image_shape)
            names = name_components(each, width)
            return cls(
                rows.reshape(*Z.shape[:2], -1),
                probabilities,
                component_names=[names[column] for column in columns],
                image_shape=shape,
                limits=usual_limits(rows),
            )

        return cls._draw(estimator, of, plot_kw)

    def plot(
        self, ax: Axes | None = None, *, artist_kw: Mapping[str, Any] | None = None
    ) -> Self:
        """Draw the lines, the first component on top.

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
        >>> from sklearn_ae.displays import LatentTraversalDisplay
        >>> display = LatentTraversalDisplay(np.ones((2, 3, 16)), np.linspace(0, 1, 3))
        >>> [label.get_text() for label in display.plot().ax_.get_yticklabels()]
        ['component 2', 'component 1']
        >>> plt.close(display.figure_)
        """
        n_components, n_steps, _ = self.rows.shape
        self._open(ax)
        limits = self._limits(self.limits)
        self.artist_ = self._fill(self.rows[::-1], limits, artist_kw)
        self.ax_.set(xlim=(-0.5, n_steps - 0.5), ylim=(-0.5, n_components - 0.5))
        self.ax_.set_yticks(range(n_components), self._names()[::-1])
        cells = spread(n_steps, MAX_TICKS)
        labels = [f"{round(100 * self.probabilities[cell], 1):g} %" for cell in cells]
        self.ax_.set_xticks(cells, labels)
        self.ax_.set_xlabel("quantile of the component")
        self.ax_.tick_params(length=0)
        self.ax_.set_frame_on(False)
        return self

    def _names(self) -> list[str]:
        lines = range(len(self.rows))
        return list(self.component_names or [f"component {n + 1}" for n in lines])

    def _size(self) -> tuple[float, float]:
        n_components, n_steps, _ = self.rows.shape
        return n_steps, n_components

    def _margin(self) -> float:
        return 0.3 + INCHES_OF_LETTER * max(map(len, self._names()))
