"""The net as a torch module: encode, decode, and the objective it is trained on."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_ae._compute.seeds import Random
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.codes import Certain, Posterior
from sklearn_ae._layers.dense import Layer, count_products, dense_layers
from sklearn_ae._layers.functions import fill_missing
from sklearn_ae._objective.noise import Corruption
from sklearn_ae._objective.outputs import Reconstruction
from sklearn_ae._objective.penalties import Pass, Penalty
from sklearn_ae._priors.learned import LatentDensity


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

    Attributes
    ----------
    prior : LatentDensity or None
        What codes are like before a row is seen, where that is a part of the net.
    width : int
        Most values that a row becomes on its way through the net, once `rehearse` has
        been called.
    """

    # Whether what it answers, and is trained to answer, are the rows that it gets.
    rebuilds_rows = True

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
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.reconstruction = reconstruction
        self.posterior = posterior or Certain()
        self.prior: LatentDensity | None = None
        self.penalties = nn.ModuleDict(penalties)
        self.corruption = corruption
        self.may_miss = may_miss
        self.row_shape = row_shape
        self.reads_missing = reads_missing
        self.width = 0

    def standardize(self, x: Tensor) -> Tensor:
        """Subtract the shift and divide by the scale."""
        shift, scale = self.inputs
        rounded = shift.to(x.dtype)
        x = x - rounded
        if x.dtype != shift.dtype:
            # Of rows far from zero the rounding may be as large as their differences.
            x.sub_((shift - rounded).to(x.dtype))
        return x.div_(scale)

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """The shift and the scale of rows."""
        return self.reconstruction.shift, self.reconstruction.scale

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

    def decoder_input(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """Answer what the decoder gets for codes of rows of these classes: the codes.

        Nets of labelled rows add the classes.
        """
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Decode codes of shape (n_rows, n_components) to (n_rows, n_features)."""
        return self.reconstruction.mean(self.decoder(z))

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

    def rehearse(self, n_components: int) -> None:
        """Send two rows through the net, and note how wide they become.

        Raises
        ------
        ValueError
            If the net does not answer what an encoder and a decoder answer.
        """
        n_features = len(self.inputs[0])
        parameters = [p for p in self.parameters() if p.requires_grad]
        if not parameters:
            raise ValueError("The net has no parameters to train.")
        x = parameters[0].new_zeros(2, n_features)
        n_values = [n_features]

        def note(part: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                n_inner = part.n_inner if isinstance(part, Layer) else 1
                n_values.append(n_inner * output.numel() // 2)

        hooks = [part.register_forward_hook(note) for part in self.modules()]
        was_training = self.training
        try:
            with torch.no_grad():
                self.eval()
                n_answers = self.posterior.n_answers(n_components)
                h = _answer(self.encoder, x, n_answers, "encoder")
                first = x.new_zeros(2, dtype=torch.int64)
                z = self.decoder_input(self.posterior.mean(h), first)
                n_values.append(z.shape[-1])
                n_outputs = len(self.reconstruction.shift)
                _answer(self.decoder, z, n_outputs, "decoder")
        finally:
            self.train(was_training)
            for hook in hooks:
                hook.remove()
        self.width = max(n_values)

    @property
    def n_products(self) -> int:
        """Multiplications with weights that a row takes."""
        return count_products(self)

    @property
    def objective_width(self) -> int:
        """Most values that a row becomes in the objective: a penalty may take more."""
        n_passes = max((p.n_passes(self) for p in self.penalties.values()), default=1)
        of_prior = 1 if self.prior is None else self.prior.width
        return self.posterior.n_draws * max(self.width * n_passes, of_prior)

    @property
    def unit(self) -> float:
        """Factor that turns a term of the objective into data units."""
        return float(self.reconstruction.unit)

    @property
    def floor(self) -> float:
        """Least that rows can cost on average, in data units."""
        return float(self.reconstruction.floor)

    @property
    def n_warmup_epochs(self) -> int:
        """Epochs until the objective is what training ends with."""
        return max((p.n_warmup_epochs for p in self.penalties.values()), default=0)

    def begin_epoch(self, epoch: int) -> None:
        """Tell the penalties how many epochs there were."""
        for penalty in self.penalties.values():
            penalty.begin_epoch(epoch)

    def random_parts(self) -> dict[str, Random]:
        """Parts of the objective that have to draw for each batch, by name."""
        parts = {"corruption": self.corruption, "posterior": self.posterior}
        parts |= dict(self.penalties.items())
        return {name: part for name, part in parts.items() if isinstance(part, Random)}

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


def _answer(part: nn.Module, rows: Tensor, n_expected: int, name: str) -> Tensor:
    found = part(rows)
    if isinstance(found, Tensor) and found.shape == (len(rows), n_expected):
        return found
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    raise ValueError(
        f"The {name} answers {shape} for {len(rows)} rows of {rows.shape[1]} values, "
        f"where {(len(rows), n_expected)} is expected."
    )


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
