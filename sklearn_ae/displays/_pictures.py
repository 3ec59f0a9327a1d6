"""Rows as images or as lines, alone or many on one Axes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import isqrt, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_ae.displays._display import Display
from sklearn_ae.displays._drawing import COLORS, MISSING_COLOR, dense

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_INCHES = (12.0, 8.0)
# Of a cell's sides, what a line fills, and the frame around it.
LINE_SHARE, FRAME_SHARE = 0.8, 0.94
LINE_HEIGHT = 0.7


def flat_rows(
    X: Any, image_shape: Sequence[int] | None
) -> tuple[np.ndarray, Sequence[int] | None]:
    """Answer rows of floats, and their shape if X has one and none was given."""
    X = dense(X)
    rows = X.reshape(len(X), -1).astype(float)
    if image_shape is None and X.ndim > 2:
        shape = X.shape[1:]
        # What is no picture is drawn as a line: many channels, one number at each step.
        is_line = len(shape) == 2 and 1 in shape
        image_shape = shape if _is_image(shape) and not is_line else rows.shape[1:]
    return rows, image_shape


def _is_image(shape: tuple[int, ...]) -> bool:
    has_channels = len(shape) == 3 and bool({1, 3} & {shape[0], shape[-1]})
    return len(shape) == 2 or has_channels


def resolve_shape(shape: Sequence[int] | None, n_features: int) -> tuple[int, ...]:
    side = isqrt(n_features)
    if shape is None:
        is_square = side >= 4 and side**2 == n_features
        return (side, side) if is_square else (n_features,)
    if prod(shape) != n_features:
        raise ValueError(
            f"image_shape={tuple(shape)} holds {prod(shape)} values, but a row has "
            f"{n_features}."
        )
    if len(shape) != 1 and not _is_image(shape):
        raise ValueError(
            "image_shape must be (height, width), with 1 or 3 channels before or after "
            f"them, or (n_features,) for a line; got {tuple(shape)}."
        )
    return tuple(shape)


def as_drawn(
    rows: np.ndarray, shape: tuple[int, ...], low: float, high: float
) -> np.ndarray:
    """Give the last axis of rows its shape, as `imshow` wants images."""
    images = rows.reshape(*rows.shape[:-1], *shape)
    if len(shape) < 3:
        return images
    if shape[-1] not in (1, 3):
        images = np.moveaxis(images, -3, -1)
    if images.shape[-1] == 1:
        return images[..., 0]
    # imshow scales one channel, but takes three as they are.
    return np.clip((images - low) / ((high - low) or 1), 0, 1)


class MosaicDisplay(Display, ABC):
    """A display of rows in the cells of one Axes.

    It has `rows`, of which the last axis is features, and their `image_shape`.
    """

    rows: np.ndarray
    image_shape: Sequence[int] | None
    # Of a cell and of what is beside the cells, in inches.
    _least_cell = 0.0

    @abstractmethod
    def _size(self) -> tuple[float, float]:
        """Answer how many cells there are, across and up."""

    def _shape(self) -> tuple[int, ...]:
        return resolve_shape(self.image_shape, self.rows.shape[-1])

    def _figsize(self) -> tuple[float, float]:
        across, up = self._size()
        up = up * _cell_height(self._shape())
        inches = min(0.9, MAX_INCHES[0] / across, MAX_INCHES[1] / up)
        inches = max(inches, self._least_cell)
        return self._margin() + inches * across, 0.8 + inches * up

    def _margin(self) -> float:
        """Answer what labels on the left take, in inches."""
        return 1.0

    def _open(self, ax: Axes | None) -> None:
        # Before there is a figure.
        self._shape()
        super()._open(ax)

    def _limits(self, given: tuple[float, float] | None) -> tuple[float, float]:
        """Answer the lowest and the highest value; lines stay in their cells."""
        if given is not None and len(self._shape()) > 1:
            return given
        return np.nanmin(self.rows), np.nanmax(self.rows)

    def _fill(self, rows: np.ndarray, limits: Any, artist_kw: Any, **place: Any) -> Any:
        return draw_mosaic(self.ax_, rows, self._shape(), limits, artist_kw, **place)


def usual_limits(rows: np.ndarray) -> tuple[float, float]:
    """Answer limits that the values of most rows keep to.

    What is decoded far from all codes would make everything else grey.
    """
    lowest, highest = np.nanmin(rows, axis=-1), np.nanmax(rows, axis=-1)
    return float(np.percentile(lowest, 20)), float(np.percentile(highest, 80))


def draw_mosaic(
    ax: Axes,
    rows: np.ndarray,
    shape: tuple[int, ...],
    limits: tuple[float, float],
    artist_kw: Mapping[str, Any] | None,
    left: float = 0.0,
) -> Any:
    """Draw rows (up, across, n_features) in cells of 1 by 1, with centres from `left`.

    The first are at the bottom. `limits` are the lowest and the highest value.
    """
    style = dict(artist_kw or {})
    if len(shape) == 1:
        return _draw_lines(ax, rows, limits, style, left)
    low, high = limits
    mosaic, (width, height) = _lay_out(as_drawn(rows, shape, low, high))
    n_rows, n_columns = rows.shape[:2]
    extent = (left - width, left + n_columns - 1 + width, -height, n_rows - 1 + height)
    common = {"cmap": "gray", "vmin": low, "vmax": high, "origin": "upper"}
    common |= {"aspect": _cell_height(shape)}
    return ax.imshow(mosaic, extent=extent, **common | style)


def _lay_out(images: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Answer one picture of all, with gaps, and half an image's sides in cells."""
    images = images[::-1]
    n_rows, n_columns, height, width, *channels = images.shape
    gap = _gap(height, width)
    cells = np.full(
        (n_rows, height + gap, n_columns, width + gap, *channels),
        # What is missing shows the background, but there is no missing colour.
        1.0 if channels else np.nan,
    )
    cells[:, :height, :, :width] = np.swapaxes(images, 1, 2)
    mosaic = cells.reshape(
        n_rows * (height + gap), n_columns * (width + gap), *channels
    )
    halves = 0.5 * width / (width + gap), 0.5 * height / (height + gap)
    return mosaic[:-gap, :-gap], halves


def _gap(height: int, width: int) -> int:
    return -(-max(height, width) // 16)


def _draw_lines(ax, rows, limits, style, left):
    from matplotlib.collections import LineCollection

    n_rows, n_columns, n_features = rows.shape
    if n_features == 1:
        # A level, since a line needs two points.
        rows, n_features = np.repeat(rows, 2, axis=-1), 2
    low, high = limits
    x = np.linspace(-0.5, 0.5, n_features) * LINE_SHARE
    y = ((rows - low) / ((high - low) or 1) - 0.5) * LINE_SHARE
    columns, heights = np.meshgrid(left + np.arange(n_columns), np.arange(n_rows))
    centers = np.stack([columns, heights], axis=-1).reshape(-1, 1, 2)
    lines = np.stack(np.broadcast_arrays(x, y), axis=-1).reshape(-1, n_features, 2)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) - 0.5
    frames = centers + FRAME_SHARE * corners
    ax.add_collection(LineCollection(frames, colors=MISSING_COLOR, linewidths=0.5))
    style = {"colors": COLORS[0], "linewidths": 1} | style
    return ax.add_collection(LineCollection(centers + lines, **style))


def _cell_height(shape: tuple[int, ...]) -> float:
    if len(shape) == 1:
        return LINE_HEIGHT
    if len(shape) == 3:
        shape = shape[:2] if shape[-1] in (1, 3) else shape[1:]
    gap = _gap(*shape)
    return (shape[0] + gap) / (shape[1] + gap)


def spread(n_cells: int, most: int) -> np.ndarray:
    """Answer which cells to label: at most so many, from end to end, symmetric."""
    n_labels = n_cells if n_cells <= most else most - (most - n_cells) % 2
    return np.linspace(0, n_cells - 1, n_labels).round().astype(int)
