"""Errors at chosen lines of the package, as a debugger can place them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Instants:
    """Counts the lines of the package that run, and raises at one of them.

    Parameters
    ----------
    at : int or None, default=None
        Which line, from 1; None lets all of them run.
    error : type, default=KeyboardInterrupt
    begins : bool, default=True
        Whether it counts at once, or when `is_counting` is set.

    Attributes
    ----------
    n_lines : int
        How many lines have run.
    has_raised : bool
    """

    def __init__(
        self,
        at: int | None = None,
        error: type[BaseException] = KeyboardInterrupt,
        begins: bool = True,
    ) -> None:
        self.at, self.error, self.is_counting = at, error, begins
        self.n_lines, self.has_raised = 0, False

    def run(self, function: Callable[[], Any]) -> None:
        """Call a function; what it raises is kept from nobody."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            with settings_restored():
                function()
        finally:
            sys.settrace(before)

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        if "sklearn_ae" not in frame.f_code.co_filename:
            return None
        if event == "line" and self.is_counting:
            self.n_lines += 1
            if self.n_lines == self.at:
                self.has_raised = True
                sys.settrace(None)
                raise self.error
        return self._trace


@contextmanager
def settings_restored() -> Iterator[None]:
    """Undo what only a debugger can do: an interrupt between a `with` and its exit."""
    n_threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_grad_enabled(True)
        torch.set_num_threads(n_threads)
