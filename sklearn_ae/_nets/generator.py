"""A net that makes rows of what it draws: a decoder alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sklearn_ae._compute.seeds import Random
from sklearn_ae._data.rows import Batch
from sklearn_ae._nets.base import BaseModule, checked_answer
from sklearn_ae._objective.losses import Reconstruction
from sklearn_ae._objective.penalties import Pass, Penalty


class NormalCodes(nn.Module, Random):
    """Standard normal codes, one for each row of a batch."""

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.n_components = n_components

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw codes."""
        z = x.new_empty(len(x), self.n_components)
        return z.normal_(generator=generator)


class GeneratorModule(BaseModule):
    r"""A decoder g that makes rows of codes drawn from a prior; there is no encoder.

    .. math:: \hat x = g(z) \cdot \text{scale} + \text{shift}, \quad z \sim p

    Its objective are its penalties, which see the rows of a batch beside those made.

    Parameters
    ----------
    codes : nn.Module
        The prior: it is `Random`, and knows its number of components.
    decoder : nn.Module
    reconstruction : Reconstruction
    penalties : dict of str to Penalty
    row_shape : tuple of int or None, default=None
    """

    codes: NormalCodes

    def __init__(
        self,
        codes: NormalCodes,
        decoder: nn.Module,
        reconstruction: Reconstruction,
        penalties: dict[str, Penalty],
        row_shape: tuple[int, ...] | None = None,
    ) -> None:
        parts = {"codes": codes, "decoder": decoder, "reconstruction": reconstruction}
        super().__init__(parts, penalties, row_shape)

    def forward(self, z: Tensor) -> Tensor:
        """Make rows of codes of shape (n_rows, n_components)."""
        return self.decode(z)

    def example(self, n_rows: int) -> Tensor:
        """Answer codes of zeros."""
        return torch.zeros(n_rows, self.codes.n_components, dtype=torch.float32)

    def _walk(self, x: Tensor, n_components: int) -> Tensor:
        checked_answer(self.decoder, x, len(self.reconstruction.shift), "decoder")
        return x

    def random_parts(self) -> dict[str, Random]:
        """Parts of the objective that have to draw for each batch, by name."""
        return {"codes": self.codes} | super().random_parts()

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Terms of the objective for a batch, divided by `unit`."""
        z = batch.drawn["codes"]
        rows = Pass(batch, batch.x, z, z, self.standardize(self.decode(z)))
        return {name: penalty(self, rows) for name, penalty in self.penalties.items()}
