"""The net as a torch module: encode, decode, and the objective it is trained on."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_ae._losses import Reconstruction
from sklearn_ae._threads import one_thread


class AutoencoderModule(nn.Module):
    r"""An encoder f and a decoder g between a shift and a scale.

    .. math:: z = f((x - \text{shift}) / \text{scale}), \quad
              \hat x = g(z) \cdot \text{scale} + \text{shift}

    The objective is a pure function of standardised rows and of the parameters: it
    draws nothing and keeps nothing. Buffers are float64: the shift of data far from
    zero needs them, and scalars take part in the precision of what they meet.

    Parameters
    ----------
    encoder, decoder : nn.Module
        From standardised rows to codes, from codes to the output's pre-activations.
    reconstruction : Reconstruction
        What turns those into `x_hat`, and what `x_hat` costs.
    penalties : dict of str to nn.Module
        Further terms of the objective by name, functions of the module.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        reconstruction: Reconstruction,
        penalties: dict[str, nn.Module],
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.reconstruction = reconstruction
        self.penalties = nn.ModuleDict(penalties)

    def standardize(self, x: Tensor) -> Tensor:
        """Subtract the shift and divide by the scale."""
        shift = self.reconstruction.shift.to(x.dtype)
        return (x - shift).div_(self.reconstruction.scale)

    def encode(self, x: Tensor) -> Tensor:
        """Encode rows of shape (n_rows, n_features) to (n_rows, n_components)."""
        return self.encoder(self.standardize(x))

    def decode(self, z: Tensor) -> Tensor:
        """Decode codes of shape (n_rows, n_components) to (n_rows, n_features)."""
        return self.reconstruction.mean(self.decoder(z))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct rows of shape (n_rows, n_features)."""
        return self.decode(self.encode(x))

    @property
    def unit(self) -> float:
        """Factor that turns a term of the objective into data units."""
        return self.reconstruction.unit

    def objective(self, x: Tensor) -> dict[str, Tensor]:
        """Terms of the objective for standardised rows, divided by `unit`."""
        a = self.decoder(self.encoder(x))
        terms = {"reconstruction": self.reconstruction(a, x).mean(-1)}
        for name, penalty in self.penalties.items():
            terms[name] = penalty(self) / self.unit
        return terms


def copy_module(module: nn.Module) -> nn.Module:
    """Copy a module in one thread: more of them would hang in a forked child."""
    with one_thread():
        return copy.deepcopy(module)


def set_precision(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Cast the parameters of a module, in place; buffers stay float64."""
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)
    return module


def in_precision(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Answer the module itself if it computes in `dtype`, else a copy that does."""
    if next(module.parameters()).dtype == dtype:
        return module
    return set_precision(copy_module(module), dtype)


def named_tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    """List all parameters and buffers of a module by name."""
    return [*module.named_parameters(), *module.named_buffers()]


def fill_tensors(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Copy arrays into the parameters and buffers of a module."""
    for name, tensor in named_tensors(module):
        tensor.data.copy_(torch.from_numpy(np.array(arrays[name])))
