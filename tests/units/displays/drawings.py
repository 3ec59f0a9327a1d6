"""One drawing by each display."""

from __future__ import annotations

import numpy as np

from sklearn_ae.displays import (
    FilterDisplay,
    InterpolationDisplay,
    LatentManifoldDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    RegularizationPathDisplay,
)


def draw_codes(**keywords):
    return LatentSpaceDisplay.from_codes(np.eye(4), [0, 0, 1, 1], **keywords)


def draw_losses(**keywords):
    return LossCurveDisplay({"model": [3.0, 2.0]}).plot(**keywords)


def draw_reconstructions(**keywords):
    return ReconstructionDisplay(np.eye(4), {"model": np.eye(4)}).plot(**keywords)


def draw_grid(**keywords):
    rows = np.arange(24.0).reshape(2, 3, 4)
    return LatentManifoldDisplay(rows, np.arange(3), np.arange(2)).plot(**keywords)


def draw_paths(**keywords):
    starts, ends, steps = np.eye(4), 1 - np.eye(4), np.array([0, 0.5, 1])
    t = steps[:, np.newaxis]
    rows = (1 - t) * starts[:, np.newaxis] + t * ends[:, np.newaxis]
    return InterpolationDisplay(starts, ends, rows, steps).plot(**keywords)


def draw_weights(**keywords):
    curves = {"loss": [3.0, 4.0], "sparsity": [0.1, 0.9]}
    return RegularizationPathDisplay("alpha", [0.1, 9.0], curves).plot(**keywords)


def draw_lines(**keywords):
    rows = np.arange(24.0).reshape(2, 3, 4)
    return LatentTraversalDisplay(rows, np.linspace(0, 1, 3)).plot(**keywords)


def draw_filters(**keywords):
    return FilterDisplay(np.eye(5)).plot(**keywords)


def overlapping(extents):
    """List the pairs of boxes that overlap."""
    return [
        (i, j)
        for i, one in enumerate(extents)
        for j, other in enumerate(extents[:i])
        if one.overlaps(other)
    ]


def cut_off(figure):
    """List the Axes that, with their texts and legends, are not within their figure."""
    figure.canvas.draw()
    bounds = figure.bbox.padded(1)
    boxes = {ax: ax.get_tightbbox() for ax in figure.axes}
    return [
        ax
        for ax, box in boxes.items()
        if not all(bounds.contains(*corner) for corner in box.corners())
    ]
