"""Torch's ambient state around a call, put aside until the call is over.

Under `torch.autocast`, with a default device or dtype, in inference mode and so on, the
answers are those of the same call outside, and the caller finds everything again as it
was. So each public method and function of the package computes in the state in which
torch starts.

What the user has chosen for the whole process stays in force: which of torch's
libraries compute, whether they have to be deterministic, and TF32 in training. So do
hooks of modules.

Some settings are of the whole process: the default dtype, anomaly mode, and how exact
products are on the CPU. While a call runs, other threads see torch's usual ones too.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any, ClassVar, TypeVar

import torch
from sklearn.utils.metaestimators import available_if
from torch.overrides import _pop_mode, _push_mode
from torch.utils._python_dispatch import _disable_current_modes

from sklearn_ae._compute.suggestions import check_arguments, did_you_mean
from sklearn_ae._compute.tensors import as_array, is_foreign

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Where denormal numbers are flushed, any arithmetic makes it 0.
_DENORMAL = 5e-324
_AUTOCAST_DEVICES = ("cpu", "cuda", "xpu", "mps")


# What is of the current thread.


def _is_usual_here() -> bool:
    """Whether this thread computes as torch does at the start."""
    return (
        torch.is_grad_enabled()
        and not torch.is_inference_mode_enabled()
        and not torch._C._is_any_autocast_enabled()
        and not torch._C._len_torch_function_stack()
        and not torch._C._len_torch_dispatch_stack()
        and torch._C._autograd._top_saved_tensors_default_hooks(False) is None
        and _DENORMAL * 1.0 != 0.0
    )


@contextmanager
def _usual_here() -> Iterator[None]:
    """Let this thread compute as torch does at the start."""
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                torch.set_autocast_enabled(device, False)
                stack.callback(torch.set_autocast_enabled, device, True)
        # A default device is one of the modes.
        for _ in range(torch._C._len_torch_function_stack()):
            stack.callback(_push_mode, _pop_mode())
        if torch._C._len_torch_dispatch_stack():
            stack.enter_context(_disable_current_modes())
        saving = torch._C._autograd
        while (hooks := saving._top_saved_tensors_default_hooks(False)) is not None:
            saving._pop_saved_tensors_default_hooks()
            stack.callback(saving._push_saved_tensors_default_hooks, *hooks)
        if _DENORMAL * 1.0 == 0.0:
            torch.set_flush_denormal(False)
            stack.callback(torch.set_flush_denormal, True)
        yield


# What is of the process, so that calls in other threads are to be thought of.


@dataclass(frozen=True, eq=False)
class _Setting:
    """A setting of the process: the values that it usually has, and its functions."""

    usual: tuple[Any, ...]
    read: Callable[[], Any]
    write: Callable[[Any], None]


def _read_anomalies() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _precision(operation: str) -> _Setting:
    """Answer the setting of how exact an operation on float32 is on the CPU."""
    # What `torch.backends.mkldnn` calls, which takes ten times as long.
    read = functools.partial(torch._C._get_fp32_precision_getter, "mkldnn", operation)

    def write(value: str) -> None:
        setting = getattr(torch.backends.mkldnn, operation)
        # It may have been told by a setting for several operations.
        setting.fp32_precision = "none"
        if read() != value:
            setting.fp32_precision = value

    return _Setting(("ieee", "none"), read, write)


_SETTINGS = (
    _Setting((torch.float32,), torch.get_default_dtype, torch.set_default_dtype),
    _Setting(
        ((False, True), (False, False)),
        _read_anomalies,
        lambda value: torch.autograd.set_detect_anomaly(*value),
    ),
    *map(_precision, ("matmul", "conv", "rnn")),
)

# For each call.
_READINGS = tuple((setting.read, setting.usual) for setting in _SETTINGS)

# A handler of signals may come in once more.
_lock = threading.RLock()
# That are running, one object for each.
_calls: set[object] = set()
# Values that are to come back when the last call is over.
_put_aside: dict[_Setting, Any] = {}


def _is_usual_everywhere() -> bool:
    """Whether the settings of the process are as at the start, and are to stay so."""
    return not _put_aside and all(read() in usual for read, usual in _READINGS)


@contextmanager
def _usual_everywhere() -> Iterator[None]:
    """Let the process compute as torch does at the start, until the last call ends."""
    call = object()
    # Whatever an interrupt leaves undone: what was done is undone.
    try:
        with _lock:
            _calls.add(call)
            for setting in _SETTINGS:
                value = setting.read()
                if value not in setting.usual:
                    _put_aside[setting] = value
                    setting.write(setting.usual[0])
        yield
    finally:
        with _lock:
            _calls.discard(call)
            while not _calls and _put_aside:
                setting, value = _put_aside.popitem()
                # Unless somebody has chosen something else in the meantime.
                if setting.read() in setting.usual:
                    setting.write(value)


# How calls come in.


@contextmanager
def usual_state() -> Iterator[None]:
    """Compute as torch does at the start of a program, whatever it was told since."""
    with ExitStack() as stack:
        if not _is_usual_here():
            stack.enter_context(_usual_here())
        if not _is_usual_everywhere():
            stack.enter_context(_usual_everywhere())
        yield


def undisturbed(function: _Function) -> _Function:
    """Let a function compute in `usual_state`."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        # Nearly always, and a row is encoded in a tenth of a millisecond.
        if _is_usual_here() and _is_usual_everywhere():
            return function(*args, **kwargs)
        with usual_state():
            return function(*args, **kwargs)

    return call


def with_arrays(function: _Function) -> _Function:
    """Let a function get arrays where it is called with tensors."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(map(is_foreign, args)) or any(map(is_foreign, kwargs.values())):
            args = tuple(map(as_array, args))
            kwargs = {name: as_array(value) for name, value in kwargs.items()}
        return function(*args, **kwargs)

    return call


def _is_of_the_package(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


_Conditional = type(available_if(bool)(undisturbed))


class Undisturbed:
    """Lets the public methods of its subclasses compute in `usual_state`.

    They get arrays for tensors, unless a class says that its methods take those. Of a
    class that is not the package's, these are the methods that override one of it:
    what else it has is its author's own.
    """

    _takes_tensors: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ours = [base for base in cls.__mro__ if _is_of_the_package(base)]
        for name, value in [*vars(cls).items()]:
            # A function may also be the default of a field.
            if name.startswith("_") or name in cls.__annotations__:
                continue
            if not any(hasattr(base, name) for base in ours):
                continue
            if isinstance(value, FunctionType):
                setattr(cls, name, cls._entry(value))
            elif isinstance(value, _Conditional):
                setattr(cls, name, available_if(value.check)(cls._entry(value.fn)))

    def _hint_on_argument(self, name: str, names: Collection[str]) -> str:
        """Say what is to be done about a name that is none of a method's arguments."""
        return did_you_mean(name, names)

    @classmethod
    def _entry(cls, function: _Function) -> _Function:
        inner = function if cls._takes_tensors else with_arrays(function)
        return undisturbed(_with_known_arguments(inner))


def _with_known_arguments(function: _Function) -> _Function:
    """Let a method name its object's class where it is called with wrong arguments."""

    @functools.wraps(function)
    def call(self: Undisturbed, *args: Any, **kwargs: Any) -> Any:
        called = f"{type(self).__name__}.{function.__name__}"
        check_arguments(called, function, args, kwargs, self._hint_on_argument)
        return function(self, *args, **kwargs)

    return call
