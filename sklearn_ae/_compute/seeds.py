"""Seeds and generators: every stream of random numbers is its own."""

from __future__ import annotations

import threading
import zlib
from abc import ABC, abstractmethod
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


class Random(ABC):
    """A part of a net that draws something for the rows of each batch.

    Attributes
    ----------
    draws_by_weights : bool
        Whether what is drawn depends on weights that are trained.
    """

    draws_by_weights = False

    @abstractmethod
    def draw(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw what is random for standardised rows `x`."""


# Torch's own generator is one for all threads.
_global_generator = threading.Lock()


@contextmanager
def own_global_seed(seed: int) -> Iterator[None]:
    """Let foreign code draw from torch's own generator, which stays as it was."""
    with _global_generator, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield
