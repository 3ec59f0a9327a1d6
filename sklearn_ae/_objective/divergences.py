"""Penalties that hold the codes to a prior: row by row, or all of a batch together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_ae._compute.seeds import Random
from sklearn_ae._objective.penalties import Pass, Penalty
from sklearn_ae._priors.prior import LatentDensity

# Of a batch; there are as many pairs of them as their square.
_MOST_CODES = 2048
# In units of a usual distance of two rows.
KERNEL_WIDTHS = (0.5, 1.0, 2.0)


class Divergence(Penalty):
    r"""Divergence of each row's posterior from the prior (Kingma and Welling 2014).

    .. math:: \beta \sum_j \max(\lambda, \overline{KL}_j)

    with the mean of :math:`KL(q(z_j | x) \| p(z_j))` over the batch's rows (Higgins et
    al. 2017; free bits: Kingma et al. 2016). Where a prior is no product over
    components there is one divergence in place of many, and lambda counts for each.

    Parameters
    ----------
    weight : float
        beta.
    free_bits : float
        lambda, in nats per component.
    n_warmup_epochs : int
        Epochs in which beta rises from 0 (Bowman et al. 2016).
    """

    weighed_by = ("beta", "free_bits")
    weight: Tensor
    free_bits: Tensor
    warmth: Tensor

    def __init__(self, weight: float, free_bits: float, n_warmup_epochs: int) -> None:
        super().__init__(weight=weight, free_bits=free_bits, warmth=1.0)
        self.n_warmup_epochs = n_warmup_epochs

    def begin_epoch(self, epoch: int) -> None:
        """Set what share of beta counts in training, `epoch` epochs after the first."""
        share = epoch / self.n_warmup_epochs if epoch < self.n_warmup_epochs else 1.0
        self.warmth.fill_(share)

    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        """Answer the penalty of the posteriors of some rows."""
        prior = net.prior.given(rows.batch.target)
        parts = prior.divergences(net.posterior.of(rows.h), rows.z).mean(-2)
        n_in_one = rows.z.shape[-1] / parts.shape[-1]
        least = self.free_bits.to(parts.dtype) * n_in_one
        divergence = torch.maximum(parts, least).sum(-1)
        # What is held out is judged by the objective that training ends with.
        weight = self.weight * self.warmth if self.training else self.weight
        return weight * divergence


class Discrepancy(Penalty, Random):
    r"""Maximum mean discrepancy of a batch's codes from a prior (Gretton et al. 2012).

    .. math:: E k(z, z') - 2 E k(z, \tilde z) + E k(\tilde z, \tilde z')

    with codes z of the batch, as many draws of the prior, and k the mean of three
    Gaussian kernels; each mean is over all pairs, so that it is 0 at least, and defined
    for one row. It is a statistic of a batch, not a sum over rows; of a large one, 2048
    codes are looked at.
    """

    weighed_by = ("mmd_weight",)
    weight: Tensor

    def __init__(self, weight: float, prior: LatentDensity, n_draws: int) -> None:
        super().__init__(weight=weight)
        self.n_draws = n_draws
        self.draws_by_weights = any(True for _ in prior.parameters())
        # Out of torch's registry: it is a part of the net, and counted there.
        self.priors = (prior,)

    @torch.no_grad()
    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw codes of the prior, as many as the batch has."""
        (prior,) = self.priors
        n_codes = min(self.n_draws * x.shape[-2], _MOST_CODES)
        return prior.sample(n_codes, generator).to(x)

    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        """Answer the penalty of the codes of some rows."""
        step = -(-rows.z.shape[-2] // _MOST_CODES)
        codes = rows.z[..., ::step, :]
        return self.weight * discrepancy(codes, rows.batch.drawn["discrepancy"])


def discrepancy(
    one: Tensor,
    other: Tensor,
    widths: Sequence[float] = KERNEL_WIDTHS,
    unit: float | None = None,
) -> Tensor:
    """Answer the squared maximum mean discrepancy of two sets of rows.

    Parameters
    ----------
    one, other : Tensor of shape (..., n_rows, n_features)
    widths : sequence of float
        Standard deviations of the Gaussian kernels, of which the mean is taken.
    unit : float, default=None
        What widths are in units of; None is the root mean square distance of two
        standard normal rows.
    """
    square = 2.0 * one.shape[-1] if unit is None else unit**2
    within = similarity(one, one, widths, square)
    between = similarity(one, other, widths, square)
    return within - 2 * between + similarity(other, other, widths, square)


def similarity(
    one: Tensor, other: Tensor, widths: Sequence[float], square: float = 1.0
) -> Tensor:
    """Answer the mean of Gaussian kernels over all widths and pairs of rows.

    Widths are in units of the square root of `square`.
    """
    squares = one.square().sum(-1, keepdim=True) + other.square().sum(-1).unsqueeze(-2)
    distances = (squares - 2 * one @ other.mT).clamp(min=0.0) / square
    kernels = [torch.exp(-0.5 * distances / w**2) for w in widths]
    return sum(kernels).mean((-2, -1)) / len(kernels)
