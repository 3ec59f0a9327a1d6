"""One drawing by each display."""

from __future__ import annotations

import numpy as np

from sklearn_ae.displays import (
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)


def draw_codes(**keywords):
    return LatentSpaceDisplay.from_codes(np.eye(4), [0, 0, 1, 1], **keywords)


def draw_losses(**keywords):
    return LossCurveDisplay({"model": [3.0, 2.0]}).plot(**keywords)


def draw_reconstructions(**keywords):
    return ReconstructionDisplay(np.eye(4), {"model": np.eye(4)}).plot(**keywords)
