"""Strokes as 28 x 28 images, the "curves" of Hinton and Salakhutdinov (2006)."""

from __future__ import annotations

import numpy as np

SIDE = 28
# Six numbers describe an image: three control points, drawn in a margin's distance.
_MARGIN, _WIDTH, _N_POINTS = 4.0, 0.9, 40
_SLICE = 500


def draw_strokes(n_rows: int, seed: int) -> np.ndarray:
    """Return strokes through three random control points, in [0, 1].

    Each stroke is a quadratic curve; a pixel's grey is exp(-d^2 / (2 w^2)) of its
    distance d from the curve.
    """
    rng = np.random.default_rng(seed)
    points = rng.uniform(_MARGIN, SIDE - 1 - _MARGIN, (n_rows, 3, 2))
    t = np.linspace(0, 1, _N_POINTS)
    weights = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1)
    curves = np.einsum("pk,nkd->npd", weights, points)
    pixels = np.arange(SIDE)
    # Separable: a pixel's distance is nearest where the product of both parts is most.
    images = np.empty((n_rows, SIDE, SIDE), dtype=np.float32)
    for start in range(0, n_rows, _SLICE):
        part = curves[start : start + _SLICE, :, :, None]
        falloff = np.exp(-np.square(part - pixels) / (2 * _WIDTH**2))
        down, across = falloff.astype(np.float32).transpose(2, 1, 0, 3)
        image = np.zeros((len(part), SIDE, SIDE), dtype=np.float32)
        for y, x in zip(down, across, strict=True):
            np.maximum(image, y[:, :, None] * x[:, None, :], out=image)
        images[start : start + _SLICE] = image
    return images.reshape(n_rows, -1)
