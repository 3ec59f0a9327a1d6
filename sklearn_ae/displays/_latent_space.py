"""Scatter plots of codes and embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
)

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae._data.checks import names_of_columns
from sklearn_ae.displays._display import Display
from sklearn_ae.displays._drawing import COLORS, dense, pyplot_for
from sklearn_ae.displays._estimators import check_components, names_of_components
from sklearn_ae.displays._scatter import (
    check_deviations,
    draw_ellipses,
    read_target,
    scatter,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Size of a point in the middle of an ellipse.
_DOT = 4


@dataclass(eq=False, repr=False)
class LatentSpaceDisplay(Display):
    r"""Scatter plot of two components of a code, coloured by a target.

    Up to 20 classes (text, booleans, whole numbers) have a colour, a marker and a
    legend; other numbers have a colorbar; rows whose target is missing are grey. One
    component alone is drawn as a histogram, as a strip for each class, or against the
    numbers of the target.

    Where codes are distributions, normal with independent components, an ellipse
    around each point is the region within `ellipses` standard deviations r:

    .. math:: \sum_j (z_j - \mu_j)^2 / \sigma_j^2 \le r^2

    Parameters
    ----------
    Z : {ndarray, sparse matrix} of shape (n_samples, n_components)
        Codes, in the units of the estimator that made them.
    y : array-like of shape (n_samples,), default=None
        A class or a number for each row.
    component_names : sequence of n_components str, default=None
        Axis labels; None is "component 1", "component 2" and so on.
    target_name : str, default=None
        Title of the legend, or label of the colorbar.
    standard_deviations : ndarray of shape (n_samples, n_components), default=None
        Of the codes, of which Z are the means.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    scatters_ : list of matplotlib PathCollection
        The points, one artist a class; rows without a target are the last.
    ellipses_ : list of matplotlib EllipseCollection
        One for each of `scatters_`, if ellipses were asked for.
    colorbar_ : matplotlib Colorbar or None

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.displays import LatentSpaceDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = LatentSpaceDisplay(PCA(2).fit_transform(X), y).plot()
    >>> len(display.scatters_), display.ax_.get_xlabel()
    (10, 'component 1')
    >>> plt.close(display.figure_)
    """

    Z: Any
    y: ArrayLike | None = None
    _: KW_ONLY
    component_names: Sequence[str] | None = None
    target_name: str | None = None
    standard_deviations: np.ndarray | None = None

    @classmethod
    @with_arrays
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        ellipses: float = False,
        **plot_kw: Any,
    ) -> Self:
        """Draw the codes of X.

        Raises AttributeError if the estimator has no `transform`, or no
        `encode_distribution` where ellipses are asked for, and ValueError as
        `from_codes` does.

        Parameters
        ----------
        estimator : object, or several of them in a mapping or a list
            Fitted, with `transform`. Its `get_feature_names_out` labels the axes.
            Several stand side by side.
        X : array-like of shape (n_samples, n_features)
            What `transform` takes.
        y : array-like of shape (n_samples,), default=None
            A class or a number for each row. The name of a Series is shown.
        ellipses : float or bool, default=False
            As in `plot`. The estimator's `encode_distribution(X)` then answers the
            means, which are drawn, and the standard deviations of the codes.
        **plot_kw
            `ax`, `components` and `scatter_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from sklearn_ae.displays import LatentSpaceDisplay
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> display = LatentSpaceDisplay.from_estimator(PCA(3).fit(X), X, y)
        >>> display.ax_.get_ylabel(), display.target_name
        ('pca1', 'target')
        >>> plt.close(display.figure_)
        """
        if ellipses:
            plot_kw |= {"ellipses": ellipses}

        def of(each: Any) -> Self:
            Z, deviations = cls._codes_of(each, X, bool(ellipses))
            names = None if hasattr(Z, "columns") else names_of_components(each)
            return cls._of_codes(Z, y, names, deviations)

        return cls._draw(estimator, of, plot_kw)

    @classmethod
    def _codes_of(cls, estimator: Any, X: Any, with_deviations: bool) -> Any:
        """Answer codes, and their standard deviations if they are asked for."""
        if not hasattr(estimator, "transform"):
            raise AttributeError(
                f"{type(estimator).__name__} has no `transform`: pass its embedding "
                f"to {cls.__name__}.from_codes."
            )
        if not with_deviations:
            return estimator.transform(X), None
        if not hasattr(estimator, "encode_distribution"):
            raise AttributeError(
                f"{type(estimator).__name__} has no `encode_distribution`, which "
                "says how wide ellipses are."
            )
        return estimator.encode_distribution(X)

    @classmethod
    @with_arrays
    def from_codes(
        cls,
        Z: Any,
        y: ArrayLike | None = None,
        *,
        component_names: Sequence[str] | None = None,
        standard_deviations: ArrayLike | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw codes, or an embedding, that were computed before.

        Raises ValueError if Z is not a finite 2-D array, if y has another length or is
        infinite, if there is not one name a component, if the standard deviations have
        another shape than Z or are negative, and as `plot` does.

        Parameters
        ----------
        Z : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes. The columns of a frame label the axes.
        y : array-like of shape (n_samples,), default=None
            A class or a number for each row. The name of a Series is shown.
        component_names : sequence of n_components str, default=None
            Axis labels.
        standard_deviations : array-like of shape (n_samples, n_components), \
                default=None
            Of the codes, of which Z are the means, for `ellipses`.
        **plot_kw
            `ax`, `components`, `ellipses` and `scatter_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn_ae.displays import LatentSpaceDisplay
        >>> Z = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
        >>> display = LatentSpaceDisplay.from_codes(Z, ["cat", "dog", "cat"])
        >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
        ['cat', 'dog']
        >>> plt.close(display.figure_)
        """
        pyplot_for(f"{cls.__name__}.from_codes")
        display = cls._of_codes(Z, y, component_names, standard_deviations)
        return display.plot(**plot_kw)

    @classmethod
    def _of_codes(
        cls, Z: Any, y: Any, component_names: Any, standard_deviations: Any
    ) -> Self:
        if component_names is None and hasattr(Z, "columns"):
            component_names = [str(name) for name in names_of_columns(Z)]
        Z = check_array(Z, accept_sparse="csc", input_name="Z")
        if component_names is not None and len(component_names) != Z.shape[1]:
            raise ValueError(
                f"Z has {Z.shape[1]} component(s), but there are "
                f"{len(component_names)} component_names."
            )
        if standard_deviations is not None:
            standard_deviations = check_deviations(standard_deviations, Z.shape)
        target_name = None
        if y is not None:
            named = hasattr(y, "columns")
            target_name = names_of_columns(y)[0] if named else getattr(y, "name", None)
            y = column_or_1d(y)
            check_consistent_length(Z, y)
            assert_all_finite(y, allow_nan=True, input_name="y")
        return cls(
            Z,
            y,
            component_names=component_names,
            target_name=target_name,
            standard_deviations=standard_deviations,
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        components: int | Sequence[int] | None = None,
        ellipses: float = False,
        scatter_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw one component, or two.

        Raises ValueError if Z has no such components, y has more than 20 classes, or
        ellipses are asked for without standard deviations, for one component or with a
        radius that is not positive.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        components : int or sequence of one or two int, default=None
            Columns of Z, counted from 0; None is the first two, or the only one.
        ellipses : float or bool, default=False
            Radius of the ellipse around each point, in standard deviations; True is 1.
        scatter_kw : mapping, default=None
            Keywords of `ax.scatter`, such as `s`, `alpha` and `cmap`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> from sklearn_ae.displays import LatentSpaceDisplay
        >>> display = LatentSpaceDisplay(np.eye(4)).plot(components=(2, 3))
        >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
        ('component 3', 'component 4')
        >>> plt.close(display.figure_)
        """
        columns = check_components(components, self.Z.shape[1])
        values, classes = (None, None) if self.y is None else read_target(self.y)
        if ellipses:
            self._check_ellipses(columns, ellipses)
        self._open(ax)
        self.scatters_, self.ellipses_, self.colorbar_ = [], [], None
        names = self.component_names
        if names is None:
            names = [f"component {column + 1}" for column in range(self.Z.shape[1])]
        self.ax_.set_xlabel(names[columns[0]])
        x, *second = [dense(self.Z[:, [column]]).ravel() for column in columns]
        if second:
            self.ax_.set_ylabel(names[columns[1]])
            # Beside large points ellipses would not be seen.
            style = {"s": _DOT} if ellipses else {}
            style |= dict(scatter_kw or {})
            self.scatters_ = scatter(self.ax_, x, *second, values, classes, style)
            if ellipses:
                self._add_ellipses(columns, values, classes, ellipses)
            if values is not None:
                self._add_key(classes)
        elif values is None:
            self.ax_.hist(x, bins=int(np.clip(len(x) ** 0.5, 5, 50)), color=COLORS[0])
            self.ax_.set_ylabel("number of rows")
        else:
            heights = self._strip(values, classes)
            self.scatters_ = scatter(self.ax_, x, heights, values, classes, scatter_kw)
        return self

    def _add_key(self, classes):
        if classes is None:
            label = self.target_name or "target"
            points = self.scatters_[0]
            self.colorbar_ = self.figure_.colorbar(points, ax=self.ax_, label=label)
            return
        labels = [scatter.get_label() for scatter in self.scatters_]
        legend = self._add_legend(self.scatters_, labels, self.target_name)
        for handle in legend.legend_handles[-len(labels) :]:
            handle.set(sizes=[36], alpha=1)

    def _check_ellipses(self, columns, radius):
        if self.standard_deviations is None:
            raise ValueError("ellipses need standard_deviations, but there are none.")
        if len(columns) < 2:
            raise ValueError("ellipses need two components.")
        if not radius > 0:
            raise ValueError(f"ellipses must be positive, got {radius!r}.")

    def _add_ellipses(self, columns, values, classes, radius):
        radii = radius * self.standard_deviations[:, columns]
        groups = [slice(None)]
        if classes is not None:
            groups = [values == number for number in np.unique(values)]
        self.ellipses_ = [
            draw_ellipses(self.ax_, scatter, radii[rows])
            for scatter, rows in zip(self.scatters_, groups, strict=True)
        ]

    def _strip(self, values, classes):
        self.ax_.set_ylabel(self.target_name or "target")
        if classes is None:
            return values
        ticks = np.unique(values)
        self.ax_.set_yticks(ticks, [[*classes, "missing"][tick] for tick in ticks])
        # A fixed seed: the jitter only spreads the points, and the picture repeats.
        return values + np.random.RandomState(0).uniform(-0.3, 0.3, len(values))
