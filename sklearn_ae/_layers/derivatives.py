"""Where derivatives of derivatives are asked for, which faster ways do not have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Here(threading.local):
    depth = 0


_here = _Here()


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Let nets compute in this thread so that their derivatives have derivatives."""
    _here.depth += 1
    try:
        yield
    finally:
        _here.depth -= 1


def is_twice_differentiable() -> bool:
    """Whether nets are to compute that way."""
    return _here.depth > 0
