"""Warnings that point at the line which has called a public method."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# What lies between that line and the warning.
_INSIDE = ("sklearn_ae", "sklearn", "joblib", "contextlib")


def warn_caller(message: str | Warning, category: type[Warning]) -> None:
    """Warn where a public method was called, however deep the warning arises."""
    level, frame = 1, sys._getframe()
    while frame.f_back and _package_of(frame) in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package_of(frame: FrameType) -> str:
    # Code that is run by `exec` need not have a name.
    return frame.f_globals.get("__name__", "").partition(".")[0]
