"""Seeds, devices and precision: what keeps torch's global state untouched."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Answer one integer that every stream of random numbers of a fit starts from."""
    if random_state is None:
        # Fresh entropy: check_random_state(None) would advance numpy's global state.
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def derive_seed(seed: int, stream: str, index: int = 0) -> int:
    """Answer the seed of a named stream, so that no stream disturbs another."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(stream.encode()), index])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def make_generator(
    seed: int, stream: str, index: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Answer the generator of a named stream on a device."""
    generator = torch.Generator(device)
    generator.manual_seed(derive_seed(seed, stream, index))
    return generator


def available_devices() -> list[str]:
    """List the devices that torch can compute on here."""
    return ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]


def resolve_device(device: str) -> torch.device:
    """Turn the parameter `device` into a torch device that exists.

    Raises
    ------
    ValueError
        If the device is unknown or absent; nothing falls back silently.
    """
    available = available_devices()
    if device == "auto":
        return torch.device("cuda" if len(available) > 1 else "cpu")
    if device not in available and not (device == "cuda" and len(available) > 1):
        raise ValueError(
            f"device={device!r} is not available here; the devices are "
            f"{', '.join(map(repr, available))} and 'auto'."
        )
    return torch.device(device)


# TF32 is a setting of the process: the first evaluation turns it off, the last one
# turns it back.
_precision_lock = threading.Lock()
_evaluations: list[tuple[str, str]] = []


@contextmanager
def evaluation(device: torch.device) -> Iterator[None]:
    """Compute without gradients and, on CUDA, without TF32; restore the flags after."""
    with torch.no_grad():
        if device.type != "cuda":
            yield
            return
        matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn.conv
        with _precision_lock:
            before = (matmul.fp32_precision, convolution.fp32_precision)
            _evaluations.append(_evaluations[0] if _evaluations else before)
            matmul.fp32_precision = convolution.fp32_precision = "ieee"
        try:
            yield
        finally:
            with _precision_lock:
                before = _evaluations.pop()
                if not _evaluations:
                    matmul.fp32_precision, convolution.fp32_precision = before
