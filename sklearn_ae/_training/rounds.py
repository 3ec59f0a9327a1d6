"""What the two players of a game are shown of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sklearn_ae._data.rows import Batch
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._priors.prior import Prior


class Round(ABC):
    """Real examples, and those that a module makes while it computes its objective.

    The module knows nothing of it: what passes one of its parts is noted.

    Attributes
    ----------
    stream : str
        What its random numbers are for.
    """

    stream = "game in training"

    @abstractmethod
    def maker(self, module: AutoencoderModule) -> nn.Module:
        """Answer the part of the module whose answers are the made examples."""

    @abstractmethod
    def real(self, batch: Batch, made: Tensor, generator: torch.Generator) -> Tensor:
        """Answer real examples, as many as made ones of a batch."""

    @contextmanager
    def watch(self, module: AutoencoderModule) -> Iterator[list[Tensor]]:
        """Answer a list that gets what the module makes when it is called next."""
        made: list[Tensor] = []

        def note(part: nn.Module, inputs: object, output: Tensor) -> None:
            # A penalty may call the part once more.
            if not made:
                made.append(output)

        hook = self.maker(module).register_forward_hook(note)
        try:
            yield made
        finally:
            hook.remove()


class CodesAgainstDraws(Round):
    """Codes of the rows, and draws of a prior.

    Parameters
    ----------
    prior : Prior
    """

    stream = "prior in training"

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def maker(self, module: AutoencoderModule) -> nn.Module:
        """Answer the encoder."""
        return module.encoder

    def real(self, batch: Batch, made: Tensor, generator: torch.Generator) -> Tensor:
        """Draw codes, of the classes of the rows where there are classes."""
        if batch.target is None:
            return self.prior.draw(*made.shape, generator)
        return self.prior.draw_modes(batch.target, generator)
