"""What the objective was over an epoch, in one look at the device."""

from __future__ import annotations

import torch
from torch import Tensor


class TermSums:
    """Sums of the objective's terms over the rows of an epoch, kept on the device."""

    def __init__(self) -> None:
        self.n_rows = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, terms: dict[str, Tensor], n_rows: int) -> None:
        """Add the terms of a batch, which are means over its rows."""
        for name, term in terms.items():
            if name in self._sums:
                self._sums[name].add_(term, alpha=n_rows)
            else:
                self._sums[name] = term.detach().double() * n_rows
        self.n_rows += n_rows

    def averages(self) -> dict[str, float]:
        """Answer the means over the rows."""
        values = torch.stack(list(self._sums.values())).tolist()
        pairs = zip(self._sums, values, strict=True)
        return {name: value / self.n_rows for name, value in pairs}
