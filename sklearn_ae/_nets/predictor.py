"""A net that answers something else than the rows that it gets."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sklearn_ae._nets.autoencoder import AutoencoderModule


class PredictorModule(AutoencoderModule):
    r"""From rows x through a code to targets y, each with a shift and a scale.

    .. math:: z = f((x - \text{shift}_x) / \text{scale}_x), \quad
              \hat y = g(z) \cdot \text{scale}_y + \text{shift}_y

    The shift and the scale of the reconstruction are those of the targets.
    """

    rebuilds_rows = False
    input_shift: Tensor
    input_scale: Tensor

    def set_inputs(self, shift: np.ndarray, scale: float) -> None:
        """Set what rows are standardised by."""
        self.register_buffer("input_shift", torch.from_numpy(shift.copy()))
        scale = torch.tensor(scale, dtype=torch.float64)
        self.register_buffer("input_scale", scale)

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """The shift and the scale of rows."""
        return self.input_shift, self.input_scale

    def cost(
        self,
        z: Tensor,
        x: Tensor,
        weights: Tensor | None = None,
        target: Tensor | None = None,
    ) -> Tensor:
        """Answer what predictions cost, given codes and standardised targets."""
        return super().cost(z, target)
