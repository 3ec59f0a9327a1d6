"""States that torch may be in around a call, and what is to be as before after it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils import deterministic as filling
from torch.utils._python_dispatch import TorchDispatchMode


class Doubling(TorchFunctionMode):
    """Spoils what functions of torch answer."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        is_real = isinstance(found, torch.Tensor) and found.is_floating_point()
        return 2 * found if is_real else found


class DoublingProducts(TorchDispatchMode):
    """Spoils what some operators of torch answer."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        products = {torch.ops.aten.addmm.default, torch.ops.aten.mm.default}
        return found * 2 if func in products else found


@contextmanager
def written(write, value, before):
    """Write a setting, and write what it was afterwards."""
    write(value)
    try:
        yield
    finally:
        write(before)


def default_dtype(dtype):
    return written(torch.set_default_dtype, dtype, torch.float32)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    filled, filling.fill_uninitialized_memory = filling.fill_uninitialized_memory, True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        filling.fill_uninitialized_memory = filled


@contextmanager
def flushing():
    if not torch.set_flush_denormal(True):
        pytest.skip("denormal numbers cannot be flushed here")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def autocast_on_cuda():
    def write(value):
        torch.set_autocast_enabled("cuda", value)

    # torch.autocast itself does nothing without CUDA.
    return written(write, True, False)


def coarse_saving():
    """Keep what derivatives need in half the precision."""

    def pack(x):
        return x.bfloat16() if x.is_floating_point() else x

    def unpack(x):
        return x.float() if x.is_floating_point() else x

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


STATES = {
    "autocast to bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast to float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "autocast on CUDA": autocast_on_cuda,
    "device": lambda: torch.device("meta"),
    "default device": lambda: written(torch.set_default_device, "meta", None),
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "deterministic": deterministic,
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True),
    "coarse products": lambda: written(
        torch.set_float32_matmul_precision, "medium", "highest"
    ),
    "flushing": flushing,
    "coarse saving": coarse_saving,
    "saving on the CPU": torch.autograd.graph.save_on_cpu,
    "one thread of autograd": lambda: torch.autograd.set_multithreading_enabled(False),
    "a mode of functions": Doubling,
    "a mode of operators": DoublingProducts,
}
every_state = pytest.mark.parametrize("state", STATES.values(), ids=STATES)


_EXCLUDED = ("default device", "float16", "autocast to float16")


@contextmanager
def all_at_once():
    """Enter the states, but those that exclude another one."""
    with ExitStack() as stack:
        for name in STATES:
            if name not in (*_EXCLUDED, "bfloat16"):
                stack.enter_context(STATES[name]())
        yield


@contextmanager
def all_others():
    """Enter states that `all_at_once` leaves out."""
    with ExitStack() as stack:
        for name in _EXCLUDED:
            stack.enter_context(STATES[name]())
        yield


def state_of_torch() -> dict[str, Any]:
    """Answer what the states change, without computing with torch."""
    autograd, cpu = torch.autograd, torch.backends.mkldnn
    return {
        "autocast": [torch.is_autocast_enabled(d) for d in ("cpu", "cuda")],
        "autocast's dtype": torch.get_autocast_dtype("cpu"),
        "modes": torch.overrides._get_current_function_mode_stack(),
        "modes of operators": torch._C._len_torch_dispatch_stack(),
        "default device": str(torch.get_default_device()),
        "default dtype": torch.get_default_dtype(),
        "inference": torch.is_inference_mode_enabled(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "filling": filling.fill_uninitialized_memory,
        "anomalies": torch.is_anomaly_enabled(),
        "NaN": torch.is_anomaly_check_nan_enabled(),
        "products": cpu.matmul.fp32_precision,
        "convolutions": cpu.conv.fp32_precision,
        "recurrences": cpu.rnn.fp32_precision,
        "products on CUDA": torch.backends.cuda.matmul.fp32_precision,
        "denormal": 5e-324 * float("1"),
        "saving": torch._C._autograd._top_saved_tensors_default_hooks(False),
        "threads of autograd": autograd.is_multithreading_enabled(),
    }


# Of these the process has one, so that calls in other threads may change them.
OF_THE_PROCESS = {
    *("default dtype", "deterministic", "filling", "anomalies", "NaN"),
    *("products", "convolutions", "recurrences", "products on CUDA"),
}
