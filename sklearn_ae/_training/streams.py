"""Streams of random numbers: a generator for each part of the objective that draws."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sklearn_ae._torch import make_generator


class Streams:
    """Draws for the random parts of an objective, each from a generator of its own.

    Parameters
    ----------
    parts : dict of str to nn.Module
        With a method `draw(x, generator)`.
    seed : int
    use : str
        What the numbers are for, so that training and validation do not share them.
    epoch : int
        Epochs that this seed has served before.
    device : torch.device
    """

    def __init__(
        self,
        parts: dict[str, nn.Module],
        seed: int,
        use: str,
        epoch: int,
        device: torch.device,
    ) -> None:
        self._parts = parts
        self._generators = {
            name: make_generator(seed, f"{name} in {use}", epoch, device)
            for name in parts
        }

    def draw(self, x: Tensor, target: Tensor | None = None) -> dict[str, Tensor]:
        """Draw for the rows of a batch, whose targets go along as they are."""
        drawn = {
            name: part.draw(x, self._generators[name])
            for name, part in self._parts.items()
        }
        return drawn if target is None else drawn | {"target": target}

    def states(self) -> dict[str, Tensor]:
        """Answer where the generators are."""
        return {name: each.get_state() for name, each in self._generators.items()}

    def restore(self, states: dict[str, Tensor]) -> None:
        """Put the generators back to where they were."""
        for name in self._generators.keys() & states.keys():
            restore_generator(self._generators[name], states[name])


def restore_generator(generator: torch.Generator, state: Tensor) -> None:
    """Put a generator back to where one has stopped, on a device of the same kind."""
    # Those of another kind of device have another kind of state.
    if state.shape == generator.get_state().shape:
        generator.set_state(state)
