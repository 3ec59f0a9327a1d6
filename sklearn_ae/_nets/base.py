"""What every net has: a decoder, what its answers cost, and further terms."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from sklearn_ae._compute.seeds import Random
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.dense import Layer, count_products
from sklearn_ae._objective.losses import Reconstruction
from sklearn_ae._objective.penalties import Penalty
from sklearn_ae._priors.prior import LatentDensity


class BaseModule(nn.Module, ABC):
    r"""A decoder g from codes to rows, in data units, and an objective.

    .. math:: \hat x = g(z) \cdot \text{scale} + \text{shift}

    The objective is a pure function of a batch and of the parameters: it draws nothing
    and keeps nothing. Buffers are float64: the shift of data far from zero needs them,
    and scalars take part in the precision of what they meet.

    Parameters
    ----------
    parts : dict of str to nn.Module
        With the "decoder", from codes to pre-activations of the output, and the
        "reconstruction", a `Reconstruction`.
    penalties : dict of str to Penalty
        Terms of the objective by name.
    row_shape : tuple of int or None, default=None
        What a row is besides a vector.

    Attributes
    ----------
    rebuilds_rows : bool
        Whether what it is trained to answer are the rows that it gets.
    prior : LatentDensity or None
        What codes are like before a row is seen, where that is a part of the net.
    width : int
        Most values that a row becomes on its way through the net, once `rehearse` has
        been called.
    n_products : int
        Multiplications with weights that a row takes, then.
    """

    rebuilds_rows = False
    decoder: nn.Module
    reconstruction: Reconstruction

    def __init__(
        self,
        parts: dict[str, nn.Module],
        penalties: dict[str, Penalty],
        row_shape: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.prior: LatentDensity | None = None
        self.penalties = nn.ModuleDict(penalties)
        self.row_shape = row_shape
        self.width = self.n_products = 0

    @abstractmethod
    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Terms of the objective for a batch, divided by `unit`.

        Each of the `random_parts` has drawn for the batch.
        """

    @abstractmethod
    def example(self, n_rows: int) -> Tensor:
        """Answer what `forward` may be called with: zeros."""

    @abstractmethod
    def _walk(self, x: Tensor, n_components: int) -> Tensor:
        """Send an example through all parts, and answer what the decoder has got.

        Raises
        ------
        ValueError
            If a part does not answer what it is expected to.
        """

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

    def decoder_input(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """Answer what the decoder gets for codes of rows of these classes: the codes.

        Nets of labelled rows add the classes.
        """
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Decode codes of shape (n_rows, n_components) to (n_rows, n_features)."""
        return self.reconstruction.mean(self.decoder(z))

    def rehearse(self, n_components: int) -> None:
        """Send two rows through the net, and note how wide they become.

        Raises
        ------
        ValueError
            If its parts do not answer what they are expected to answer.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        if not parameters:
            raise ValueError("The net has no parameters to train.")
        x = self.example(2).to(parameters[0])
        n_values = [x.shape[-1]]

        def note(part: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                n_inner = part.n_inner if isinstance(part, Layer) else 1
                n_values.append(n_inner * output.numel() // 2)

        hooks = [part.register_forward_hook(note) for part in self.modules()]
        was_training = self.training
        try:
            with torch.no_grad():
                self.eval()
                n_values.append(self._walk(x, n_components).shape[-1])
        finally:
            self.train(was_training)
            for hook in hooks:
                hook.remove()
        self.width, self.n_products = max(n_values), count_products(self)

    @property
    def objective_width(self) -> int:
        """Most values that a row becomes in the objective: a penalty may take more."""
        n_passes = max((p.n_passes(self) for p in self.penalties.values()), default=1)
        return max(self.width * n_passes, 1 if self.prior is None else self.prior.width)

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
        parts = self.penalties.items()
        return {name: part for name, part in parts if isinstance(part, Random)}


def checked_answer(part: nn.Module, rows: Tensor, n_expected: int, name: str) -> Tensor:
    found = part(rows)
    if isinstance(found, Tensor) and found.shape == (len(rows), n_expected):
        return found
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    raise ValueError(
        f"The {name} answers {shape} for {len(rows)} rows of {rows.shape[1]} values, "
        f"where {(len(rows), n_expected)} is expected."
    )
