"""skorch callbacks that look at a fit from outside, or disturb it."""

from __future__ import annotations

from collections.abc import Callable

from skorch.callbacks import Callback


def watching(**events: Callable) -> Callback:
    """Answer a callback that calls functions of the net, by name of the event.

    The functions are methods of its class and no parameters: a copy calls the same.
    """

    def method(function):
        return lambda self, net, *args, **kwargs: function(net, **kwargs)

    methods = {event: method(function) for event, function in events.items()}
    return type("Watcher", (Callback,), methods)()


def interrupting(event: str, n: int, log: list | None = None) -> Callback:
    """Answer a callback that presses Ctrl-C when an event comes for the n-th time."""
    log = [] if log is None else log

    def count(net, **kwargs):
        log.append(len(log))
        if len(log) == n:
            raise KeyboardInterrupt

    return watching(**{event: count})
