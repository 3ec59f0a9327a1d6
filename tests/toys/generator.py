"""A generator without an encoder: its rows have the moments of the training rows."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from sklearn_ae._data.moments import Units
from sklearn_ae._estimators.generators import BaseGenerator
from sklearn_ae._objective.divergences import discrepancy
from sklearn_ae._objective.penalties import Pass, Penalty

# Near rows count, and far ones.
WIDTHS = (0.2, 0.5, 1.0, 2.0)


class RowDiscrepancy(Penalty):
    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        return discrepancy(rows.made, rows.batch.x, WIDTHS)


class MomentMatcher(BaseGenerator):
    """Generator by the squared maximum mean discrepancy of batches."""

    loss: str = field(default="squared_error", init=False)

    def _build_penalties(self, units: Units) -> dict[str, Penalty]:
        return super()._build_penalties(units) | {"discrepancy": RowDiscrepancy()}

    def score(self, X: Any, y: Any = None) -> float:
        """Answer minus the squared discrepancy of rows and as many draws."""
        model, X = self._fitted_rows(X)
        scale = model.moments.scale
        rows = X.toarray() if scipy.sparse.issparse(X) else X
        drawn = self.sample(len(rows), random_state=0).reshape(rows.shape)
        pair = [torch.from_numpy(np.asarray(r, "f8") / scale) for r in (rows, drawn)]
        return -float(discrepancy(*pair, WIDTHS))
