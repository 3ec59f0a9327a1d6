"""Warnings that point at the line which has called a public method."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

# What lies between that line and the warning.
_INSIDE = ("sklearn_ae", "sklearn", "joblib", "contextlib")
# What a search has said so far.
_SAID: ContextVar[set[str] | None] = ContextVar("said", default=None)


def warn_caller(message: str | Warning, category: type[Warning]) -> None:
    """Warn where a public method was called, however deep the warning arises."""
    level, frame = 1, sys._getframe()
    while frame.f_back and _package_of(frame) in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def warn_once(message: str, category: type[Warning]) -> None:
    """Warn as `warn_caller`, but of many fits in a `saying_once` once."""
    said = _SAID.get()
    if said is not None:
        if message in said:
            return
        said.add(message)
    warn_caller(message, category)


@contextmanager
def saying_once(said: set[str] | None = None) -> Iterator[None]:
    """Let what is said to `warn_once` be said once; `said` is what was said before."""
    token = _SAID.set(set() if said is None else said)
    try:
        yield
    finally:
        _SAID.reset(token)


def said_so_far() -> set[str] | None:
    """Answer what other threads of a `saying_once` have to know."""
    return _SAID.get()


def _package_of(frame: FrameType) -> str:
    # Code that is run by `exec` need not have a name.
    return frame.f_globals.get("__name__", "").partition(".")[0]
