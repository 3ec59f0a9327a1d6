"""The net as a torch module: encode, decode, and the objective it is trained on."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_ae._compute.seeds import Random
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.codes import Certain, Posterior
from sklearn_ae._layers.dense import dense_layers
from sklearn_ae._layers.functions import fill_missing
from sklearn_ae._nets.base import BaseModule, checked_answer
from sklearn_ae._objective.losses import Reconstruction
from sklearn_ae._objective.noise import Corruption
from sklearn_ae._objective.penalties import Pass, Penalty


class AutoencoderModule(BaseModule):
    r"""An encoder f and a decoder g between a shift and a scale.

    .. math:: z = f((x - \text{shift}) / \text{scale}), \quad
              \hat x = g(z) \cdot \text{scale} + \text{shift}

    Parameters
    ----------
    encoder, decoder : nn.Module
        From standardised rows to codes, from codes to the output's pre-activations.
    reconstruction : Reconstruction
        What turns those into `x_hat`, and what `x_hat` costs.
    penalties : dict of str to Penalty
        Further terms of the objective by name.
    corruption : Corruption or None, default=None
        What happens to the rows that the encoder gets in training.
    may_miss : bool, default=False
        Whether NaN in rows stands for missing entries; the encoder gets 0 for them.
    row_shape : tuple of int or None, default=None
        What a row is besides a vector.
    reads_missing : bool, default=False
        Whether the encoder gets NaN for missing entries in place of 0.
    posterior : Posterior or None, default=None
        What the encoder's answer says of the code; None where it is the code.
    """

    rebuilds_rows = True
    encoder: nn.Module
    posterior: Posterior

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        reconstruction: Reconstruction,
        penalties: dict[str, Penalty],
        corruption: Corruption | None = None,
        may_miss: bool = False,
        row_shape: tuple[int, ...] | None = None,
        reads_missing: bool = False,
        posterior: Posterior | None = None,
    ) -> None:
        parts = {
            "encoder": encoder,
            "decoder": decoder,
            "reconstruction": reconstruction,
            "posterior": posterior or Certain(),
        }
        super().__init__(parts, penalties, row_shape)
        self.corruption = corruption
        self.may_miss = may_miss
        self.reads_missing = reads_missing

    def fill_missing(self, x: Tensor) -> Tensor:
        """Answer what the encoder gets of standardised rows with NaN."""
        return fill_missing(x) if self.may_miss and not self.reads_missing else x

    def encode(self, x: Tensor, n_layers: int | None = None) -> Tensor:
        """Encode rows of shape (n_rows, n_features) to (n_rows, n_components).

        With `n_layers`, by that many layers of a dense encoder.
        """
        if n_layers is None:
            return self.encode_standardized(self.standardize(x))
        h = self.fill_missing(self.standardize(x))
        for layer in dense_layers(self.encoder)[:n_layers]:
            h = layer(h)
        return h

    def encode_standardized(self, x: Tensor) -> Tensor:
        """Encode standardised rows."""
        return self.posterior.mean(self.encoder(self.fill_missing(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct rows of shape (n_rows, n_features)."""
        return self.reconstruct_standardized(self.standardize(x))

    def reconstruct_standardized(self, x: Tensor) -> Tensor:
        """Reconstruct standardised rows, in data units."""
        return self.decode(self.encode_standardized(x))

    def cost(
        self,
        z: Tensor,
        x: Tensor,
        weights: Tensor | None = None,
        classes: Tensor | None = None,
    ) -> Tensor:
        """Answer what the reconstructions of standardised rows cost, given codes.

        Parameters
        ----------
        z : Tensor of shape (..., n_rows, n_components)
        x, weights : Tensor of shape (n_rows, n_features)
        classes : Tensor of shape (n_rows,) or None, default=None
            Of the rows; nets of labelled rows look at them.

        Returns
        -------
        Tensor of shape (..., n_rows)
        """
        given = self.decoder_input(z, classes)
        a = self.decoder(given.flatten(0, -2)).unflatten(0, z.shape[:-1])
        return self.reconstruction(a, x, weights)

    def example(self, n_rows: int) -> Tensor:
        """Answer rows of zeros."""
        return torch.zeros(n_rows, len(self.inputs[0]), dtype=torch.float32)

    def _walk(self, x: Tensor, n_components: int) -> Tensor:
        n_answers = self.posterior.n_answers(n_components)
        h = checked_answer(self.encoder, x, n_answers, "encoder")
        first = x.new_zeros(2, dtype=torch.int64)
        z = self.decoder_input(self.posterior.mean(h), first)
        n_outputs = len(self.reconstruction.shift)
        checked_answer(self.decoder, z, n_outputs, "decoder")
        return z

    @property
    def objective_width(self) -> int:
        """Most values that a row becomes in the objective, all draws of its code."""
        return self.posterior.n_draws * super().objective_width

    def random_parts(self) -> dict[str, Random]:
        """Parts of the objective that have to draw for each batch, by name."""
        parts = {"corruption": self.corruption, "posterior": self.posterior}
        own = {name: part for name, part in parts.items() if isinstance(part, Random)}
        return own | super().random_parts()

    def corrupt(self, batch: Batch) -> Tensor:
        """Answer what the encoder gets of a batch in training."""
        seen = batch.x
        if self.corruption is not None:
            seen = self.corruption(seen, batch.drawn["corruption"])
        if batch.weights is None:
            return seen
        missing = torch.nan if self.reads_missing else 0.0
        return seen.masked_fill(batch.weights == 0, missing)

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Terms of the objective for a batch, divided by `unit`.

        The reconstruction is what it costs above `floor`. Each of the `random_parts`
        has drawn for the batch.
        """
        seen = self.corrupt(batch)
        h = self.encoder(seen)
        z = self.posterior(h, batch.drawn.get("posterior"))
        n_draws = z.shape[-2] // batch.x.shape[-2]
        codes = z if n_draws == 1 else z.unflatten(-2, (n_draws, -1))
        cost = self.cost(codes, batch.x, batch.weights, batch.target)
        terms = {"reconstruction": cost.mean()}
        rows = Pass(batch, seen, h, z)
        for name, penalty in self.penalties.items():
            terms[name] = penalty(self, rows)
        return terms


def split_missing(x: Tensor, has_missing: bool) -> tuple[Tensor, Tensor | None]:
    """Answer rows with 0 for NaN, and weights n_features / observed of the others."""
    if not has_missing:
        return x, None
    observed = ~x.isnan()
    n_observed = observed.sum(-1, keepdim=True)
    return fill_missing(x), observed * (x.shape[-1] / n_observed).to(x.dtype)


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


def compact_weights(module: nn.Module) -> nn.Module:
    """Put the weights of recurrent layers next to each other, as cuDNN has them."""
    for part in module.modules():
        if isinstance(part, nn.RNNBase):
            part.flatten_parameters()
    return module


def named_tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    """List all parameters and buffers of a module by name."""
    return [*module.named_parameters(), *module.named_buffers()]


def describe(module: nn.Module) -> tuple[Any, ...]:
    """List what a module is made of, all but the numbers in its parameters and buffers.

    Values are there as they are, or as their `repr` where they are no plain ones.
    """
    return tuple(
        (
            name,
            type(part),
            # Of torch's own attributes, most of which begin so, none is to be compared.
            tuple(sorted((k, _plain(v)) for k, v in vars(part).items() if k[0] != "_")),
            tuple((k, v.shape) for k, v in part.named_parameters(recurse=False)),
            tuple((k, v.shape) for k, v in part.named_buffers(recurse=False)),
        )
        for name, part in module.named_modules()
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    is_plain = value is None or isinstance(value, (bool, int, float, str, type))
    return value if is_plain else repr(value)


def shared_parameters(module: nn.Module) -> dict[str, str]:
    """Answer the further names of parameters that have several, and their first."""
    first: dict[nn.Parameter, str] = {}
    named = module.named_parameters(remove_duplicate=False)
    return {
        name: first[parameter]
        for name, parameter in named
        if first.setdefault(parameter, name) != name
    }


def share_parameters(module: nn.Module, shared: dict[str, str]) -> None:
    """Make parameters one that `shared_parameters` has found to be one."""
    for name, first in shared.items():
        owner, _, own = name.rpartition(".")
        setattr(module.get_submodule(owner), own, module.get_parameter(first))


def fill_tensors(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Copy arrays into the parameters and buffers of a module."""
    for name, tensor in named_tensors(module):
        tensor.data.copy_(torch.from_numpy(np.array(arrays[name])))
