"""Loss, sparsity or code norms against the weight of a penalty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae.displays._drawing import COLORS, pyplot_for
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
class RegularizationPathDisplay:
    """What becomes of an autoencoder along one parameter, such as a penalty's weight.

    Parameters
    ----------
    param_name : str
    param_range : array-like of shape (m,)
        Real numbers.
    curves : mapping of str to array-like of shape (m,)
        What there is to draw by name: "loss", the terms of the objective,
        "reconstruction_error", "sparsity", "code_norm".

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    lines_ : list of matplotlib Line2D

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

    @classmethod
    @with_arrays
    def from_path(
        cls, path: Mapping[str, Any], quantity: str = "loss", **plot_kw: Any
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
        terms = {name: np.asarray(curve) for name, curve in path["loss_terms"].items()}
        curves = {f"loss: {name}": curve for name, curve in terms.items()}
        curves |= {"loss": np.sum(list(terms.values()), axis=0)}
        curves |= {name: np.asarray(path[name]) for name in _QUANTITIES}
        display = cls(path["param_name"], path["param_range"], curves)
        return display.plot(quantity, **plot_kw)

    @classmethod
    @with_arrays
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        param_name: str,
        param_range: Iterable[float],
        quantity: str = "loss",
        **plot_kw: Any,
    ) -> Self:
        """Fit the path and draw it.

        Raises what :func:`sklearn_ae.model_selection.regularization_path` does.

        Parameters
        ----------
        estimator : estimator
            One of this package, not fitted.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
        param_name : str
        param_range : iterable of float
        quantity, **plot_kw
            As in `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_ae import ContractiveAutoencoder
        >>> from sklearn_ae.displays import RegularizationPathDisplay
        >>> display = RegularizationPathDisplay.from_estimator(
        ...     ContractiveAutoencoder(max_epochs=5, random_state=0),
        ...     load_iris().data,
        ...     param_name="alpha",
        ...     param_range=[0.01, 0.1, 1.0],
        ...     quantity="code_norm",
        ... )
        >>> display.ax_.get_xscale()
        'log'
        >>> plt.close(display.figure_)
        """
        pyplot_for(f"{cls.__name__}.from_estimator")
        path = regularization_path(estimator, X, param_name, param_range, y)
        return cls.from_path(path, quantity, **plot_kw)

    def plot(
        self,
        quantity: str = "loss",
        ax: Axes | None = None,
        *,
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw a quantity against the parameter.

        Raises ValueError if there is no such quantity.

        Parameters
        ----------
        quantity : str, default="loss"
            "loss" (with its terms, where it has more than one), or another of `curves`.
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
        pyplot = pyplot_for(f"{type(self).__name__}.plot")
        if quantity not in self.curves:
            names = ", ".join(map(repr, self.curves))
            raise ValueError(f"quantity must be one of {names}, got {quantity!r}.")
        drawn = {quantity: self.curves[quantity]}
        terms = {k: v for k, v in self.curves.items() if k.startswith(f"{quantity}: ")}
        if len(terms) > 1:
            drawn |= terms
        self.ax_ = pyplot.subplots(layout="constrained")[1] if ax is None else ax
        self.figure_, self.lines_ = self.ax_.figure, []
        x = np.asarray(self.param_range, dtype=np.float64)
        order = np.argsort(x, kind="stable")
        for i, (name, curve) in enumerate(drawn.items()):
            style = {
                "color": COLORS[i % len(COLORS)],
                "label": name.removeprefix(f"{quantity}: "),
                "linestyle": ":" if i else "-",
                "marker": "o",
            }
            values = np.asarray(curve)[order]
            self.lines_ += self.ax_.plot(
                x[order], values, **style | dict(line_kw or {})
            )
        _scale(self.ax_, x)
        self.ax_.set_xlabel(self.param_name)
        self.ax_.set_ylabel(_QUANTITIES.get(quantity, "objective"))
        if len(drawn) > 1:
            self.ax_.legend()
        return self


def _scale(ax: Axes, x: np.ndarray) -> None:
    """Choose a logarithmic axis for values of several orders of magnitude."""
    positive = x[x > 0]
    if not len(positive) or positive.max() <= 10 * positive.min():
        return
    if (x > 0).all():
        ax.set_xscale("log")
    elif (x >= 0).all():
        # Zero stands apart, one step to the left of the least weight.
        ax.set_xscale("symlog", linthresh=positive.min())
