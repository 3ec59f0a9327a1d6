"""Weights of a net's outer layers, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from math import isqrt
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sklearn_ae._compute.ambient import with_arrays
from sklearn_ae._estimators.modules import InspectionMixin
from sklearn_ae._layers.dense import Layer
from sklearn_ae.displays._estimators import last_step
from sklearn_ae.displays._pictures import MosaicDisplay, flat_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _weights(estimator: Any, part: str) -> tuple[np.ndarray, Sequence[int] | None]:
    """Answer weights, of shape (n_filters, n_weights), and the shape of a filter."""
    kind = type(estimator).__name__
    if not isinstance(estimator, InspectionMixin):
        if not hasattr(estimator, "components_"):
            check_is_fitted(estimator)
            raise AttributeError(
                f"{kind} is no estimator of sklearn_ae, and has no `components_`."
            )
        return np.asarray(estimator.components_, dtype=float), None
    module = estimator.to_module()
    side = getattr(module, part, None)
    weight = None if side is None else _outer_weight(side, part == "decoder")
    n_features = estimator.n_features_in_
    if weight is None or (weight.ndim == 2 and weight.shape[1] != n_features):
        raise ValueError(
            f"The {part} of {kind} has no filters: its outer layer is neither a dense "
            "layer between rows and units nor a convolution."
        )
    weights = weight.detach().double().cpu().numpy()
    if weights.ndim == 2:
        weights = weights.reshape(-1, *(module.row_shape or [n_features]))
    elif weights.shape[1] == 3:
        # Sizes of kernels may be 3 as well: channels last are never mistaken.
        weights = np.moveaxis(weights, 1, -1)
    else:
        weights = weights.reshape(-1, *weights.shape[2:])
    return flat_rows(weights, None)


_MATRICES = (
    nn.Linear,
    *(nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d),
)


def _outer_weight(part: nn.Module, is_decoder: bool) -> Tensor | None:
    """Answer the weights between rows and units, whose first axis counts units."""
    layers = [each for each in part.modules() if next(each.children(), None) is None]
    for layer in reversed(layers) if is_decoder else layers:
        if isinstance(layer, Layer):
            found = layer.output_parameters()[:1]
        elif isinstance(layer, _MATRICES):
            found = [(layer.weight, int(getattr(layer, "transposed", False)))]
        else:
            found = []
        for weight, output_axis in found:
            # Kernels of a single entry only carry maps past a block.
            if weight.ndim == 2 or weight[0, 0].numel() > 1:
                units_last = output_axis != is_decoder
                return weight.transpose(0, 1) if units_last else weight
    return None


@dataclass(eq=False, repr=False)
class FilterDisplay(MosaicDisplay):
    """What the units of a layer look for, or write: their weights as pictures.

    Of the encoder it is the first layer, whose units look for what their weights show;
    of the decoder the last, which adds up what those of its units show. Weights are
    drawn as images where the shape of rows is known or their number is a square of at
    least 16, else as lines, all to one scale that is symmetric about 0, which is grey.

    Parameters
    ----------
    rows : ndarray of shape (n_filters, n_weights)
        Weights, those of one unit in a row. Of convolutions they are kernels, one for
        each channel unless there are three.
    image_shape : tuple of int, default=None
        (height, width), with 1 or 3 channels before or after them; (n_weights,) for
        lines.
    title : str, default=None
        What is shown, such as the layer and how many filters there are.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    artist_ : matplotlib AxesImage, or LineCollection for lines

    References
    ----------
    Vincent et al., "Stacked Denoising Autoencoders", 2010, figure 5.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_ae.displays import FilterDisplay
    >>> display = FilterDisplay(np.eye(16)).plot()
    >>> display.artist_.get_clim()
    (-1.0, 1.0)
    >>> plt.close(display.figure_)
    """

    rows: np.ndarray
    _: KW_ONLY
    image_shape: Sequence[int] | None = None
    title: str | None = None

    @classmethod
    @with_arrays
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        part: str = "encoder",
        n_filters: int = 100,
        image_shape: Sequence[int] | None = None,
        **plot_kw: Any,
    ) -> Any:
        """Draw the weights of the first layer of an encoder, or the last of a decoder.

        Raises NotFittedError if the estimator is not fitted, AttributeError if it is
        neither an estimator of this package nor has `components_`, and ValueError if
        there is no such part, `n_filters` is below 1 or `image_shape` does not hold a
        filter.

        Parameters
        ----------
        estimator : object, or several of them in a mapping or a list
            Fitted, of this package, or with `components_`, such as PCA. A Pipeline
            stands for its last step, a search for its best model. Several stand side by
            side.
        X : array-like of shape (n_samples, *image_shape), default=None
            Rows whose shape filters have, if they have any; nothing else is used.
        part : {"encoder", "decoder"}, default="encoder"
            Whose weights to draw; `components_` are those of both.
        n_filters : int, default=100
            How many to draw at most; of more, those of the largest norms.
        image_shape : tuple of int, default=None
            As in the class; None is that of a kernel, of the rows of X, or of those
            that the estimator was fitted to.
        **plot_kw
            `ax` and `artist_kw` of `plot`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_ae import DenoisingAutoencoder
        >>> from sklearn_ae.displays import FilterDisplay
        >>> X = load_digits().data
        >>> shallow = DenoisingAutoencoder(30, hidden_layer_sizes=(), max_epochs=5)
        >>> display = FilterDisplay.from_estimator(shallow.fit(X))
        >>> display.rows.shape
        (30, 64)
        >>> plt.close(display.figure_)
        """

        def of(each: Any) -> Self:
            if part not in ("encoder", "decoder"):
                raise ValueError(f"part must be 'encoder' or 'decoder', got {part!r}.")
            check_scalar(n_filters, "n_filters", Integral, min_val=1)
            weights, shape = _weights(last_step(each), part)
            if X is not None and shape is None:
                shape = flat_rows(X[:1], None)[1]
            norms = np.linalg.norm(weights, axis=1)
            chosen = np.sort(np.argsort(-norms, kind="stable")[:n_filters])
            total = f" of {len(weights)}" * (len(chosen) < len(weights))
            layer = {"encoder": "first layer", "decoder": "last layer"}[part]
            return cls(
                weights[chosen],
                image_shape=image_shape or shape,
                title=f"{layer} of the {part}: {len(chosen)}{total} filters",
            )

        return cls._draw(estimator, of, plot_kw)

    def plot(
        self, ax: Axes | None = None, *, artist_kw: Mapping[str, Any] | None = None
    ) -> Self:
        """Draw the filters from left to right, the first at the top left.

        Raises ValueError if `image_shape` does not hold a filter.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        artist_kw : mapping, default=None
            Keywords of `imshow` for images, such as `cmap`, of `LineCollection` for
            lines.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> from sklearn_ae.displays import FilterDisplay
        >>> display = FilterDisplay(np.eye(16), title="sixteen pixels").plot()
        >>> display.ax_.get_xlabel()
        'sixteen pixels'
        >>> plt.close(display.figure_)
        """
        self._open(ax)
        across, up = self._size()
        cells = np.full((up * across, self.rows.shape[1]), np.nan)
        cells[: len(self.rows)] = self.rows
        limit = np.abs(self.rows).max()
        rows = cells.reshape(up, across, -1)[::-1]
        self.artist_ = self._fill(rows, (-limit, limit), artist_kw)
        self.ax_.set(xlim=(-0.5, across - 0.5), ylim=(-0.5, up - 0.5))
        self.ax_.set(xticks=[], yticks=[], xlabel=self.title or "")
        self.ax_.set_frame_on(False)
        return self

    def _size(self) -> tuple[int, int]:
        across = isqrt(len(self.rows) - 1) + 1
        return across, -(-len(self.rows) // across)
