"""Penalties: terms that the objective adds to the cost of the reconstruction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.dense import first_directions
from sklearn_ae._layers.functions import over_rows

# A unit of which nothing is left has no direction; its norm is not divided by.
_SMALLEST_NORM = 1e-12


class Pass(NamedTuple):
    """A batch on its way through the net.

    Attributes
    ----------
    batch : Batch
        With the rows that are to be reconstructed.
    seen : Tensor of shape (n_rows, n_features)
        What the encoder gets.
    h : Tensor of shape (n_rows, n_answers)
        What the encoder answers: the codes, or what tells their distribution.
    z : Tensor of shape (n_draws * n_rows, n_components)
        The codes that are decoded.
    made : Tensor of shape (n_rows, n_features) or None, default=None
        Standardised rows that a generator makes of them.
    """

    batch: Batch
    seen: Tensor
    h: Tensor
    z: Tensor
    made: Tensor | None = None


@dataclass
class DenseStep:
    """What a step of the fast path shows a penalty, and where derivatives are added.

    A leading axis counts models.

    Attributes
    ----------
    codes, code_gradient : Tensor of shape (..., n_rows, n_components)
    weights, weight_gradients : list of Tensor of shape (..., n_outputs, n_inputs)
    directions, direction_gradient : Tensor of shape (..., n_components, n_outputs)
        The weights of the layer that reads the code, one direction per component.
    offered, offered_gradient : Tensor of shape (..., n_rows, n_components) or None
        Of a net that selects among its codes, those before.
    least : Tensor of shape (..., n_rows, 1) or None
        What is kept of each row at least.
    """

    codes: Tensor
    code_gradient: Tensor
    weights: list[Tensor]
    weight_gradients: list[Tensor]
    directions: Tensor
    direction_gradient: Tensor
    offered: Tensor | None = None
    offered_gradient: Tensor | None = None
    least: Tensor | None = None


class Penalty(nn.Module, ABC):
    """A term of the objective, in units of the objective (see `Units`).

    Parameters
    ----------
    **numbers : float
        Its hyperparameters: a group of nets has them as buffers of a model axis.

    Attributes
    ----------
    n_warmup_epochs : int
        Epochs until it counts as much as at the end of training.
    weighed_by : tuple of str
        Parameters of estimators that it grows with.
    """

    n_warmup_epochs = 0
    weighed_by: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, **numbers: float) -> None:
        super().__init__()
        for name, number in numbers.items():
            self.register_buffer(name, torch.tensor(number, dtype=torch.float64))

    @abstractmethod
    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        """Answer the penalty of an `AutoencoderModule` for some rows."""

    def begin_epoch(self, epoch: int) -> None:
        """Get ready for an epoch of training that `epoch` others came before."""

    def n_passes(self, net: nn.Module) -> int:
        """How many times over it holds the rows in memory."""
        return 1


class ExplicitPenalty(Penalty):
    """One whose derivative is written out, as the fast path of dense nets needs it.

    Attributes
    ----------
    reaches : {"codes", "directions", "weights"}
        Where `add_derivative` adds something: to the gradients of the codes, and of the
        layer that reads them, or of all weights.
    """

    reaches: ClassVar[Literal["codes", "directions", "weights"]]

    @abstractmethod
    def add_derivative(self, step: DenseStep) -> Tensor:
        """Add the derivative to the gradients of a step; answer the term."""


class WeightDecay(ExplicitPenalty):
    r"""`weight_decay * sum(w^2)` over all weights, never biases (Krogh and Hertz 1992).

    Tied weights are one set of weights and count once.
    """

    reaches = "weights"
    weighed_by = ("weight_decay",)
    weight: Tensor

    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        """Answer the penalty of the weights of `net`."""
        return self.weight * sum(w.square().sum() for w in weights_of(net))

    def add_derivative(self, step: DenseStep) -> Tensor:
        """Add the derivative by the weights; answer the term."""
        strength = self.weight
        for w, gradient in zip(step.weights, step.weight_gradients, strict=True):
            gradient.add_(w * over_rows(2 * strength, w))
        return strength * sum(_squared_norm(w) for w in step.weights)


# Shares of the target, and limits, beyond which the divergence goes on as a line.
_LEAST_SHARE, _MOST = 0.01, 0.99


def bernoulli_divergence(rho: Tensor, q: Tensor) -> Tensor:
    """Answer rho log(rho / q) + (1 - rho) log((1 - rho) / (1 - q)), in nats.

    It goes on as a straight line below a hundredth of rho and above .99, so that means
    outside of (0, 1), which rectifiers have, cost something finite.
    """
    inside = _clip_mean(rho, q)
    divergence = torch.xlogy(rho, rho / inside)
    divergence = divergence + torch.xlogy(1 - rho, (1 - rho) / (1 - inside))
    slope = bernoulli_divergence_derivative(torch.ones_like(rho), rho, inside)
    return divergence + slope * (q - inside)


def bernoulli_divergence_derivative(gradient: Tensor, rho: Tensor, q: Tensor) -> Tensor:
    """Answer the gradient times (1 - rho) / (1 - q) - rho / q, by q."""
    inside = _clip_mean(rho, q)
    return gradient * ((1 - rho) / (1 - inside) - rho / inside)


def _clip_mean(rho: Tensor, q: Tensor) -> Tensor:
    # Detached: outside, the line alone has a derivative.
    limit = torch.full_like(rho, _MOST).to(q.dtype)
    return q.clamp((_LEAST_SHARE * rho).to(q.dtype), limit)


class KLSparsity(ExplicitPenalty):
    r"""Divergence of the mean codes from a target (Ng 2011, Nair and Hinton 2009).

    .. math:: \alpha \sum_j \rho \log\frac{\rho}{q_j}
              + (1 - \rho) \log\frac{1 - \rho}{1 - q_j}, \quad
              q_j = \frac{\bar h_j - \text{low}}{1 - \text{low}}

    with the mean over the batch's rows, and the lowest value of the activation.
    """

    reaches = "codes"
    alpha: Tensor
    rho: Tensor

    def __init__(self, alpha: float, rho: float, low: float) -> None:
        super().__init__(alpha=alpha, rho=rho)
        self.low = low

    def _mean(self, z: Tensor) -> Tensor:
        return (z.mean(-2) - self.low) / (1 - self.low)

    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        """Answer the penalty of codes."""
        divergence = bernoulli_divergence(self.rho[..., None], self._mean(rows.z))
        return self.alpha * divergence.sum(-1)

    def add_derivative(self, step: DenseStep) -> Tensor:
        """Add the derivative by the codes; answer the term."""
        strength = self.alpha[..., None]
        rho, q = self.rho[..., None], self._mean(step.codes)
        share = 1 / ((1 - self.low) * step.codes.shape[-2])
        gradient = bernoulli_divergence_derivative(strength * share, rho, q)
        step.code_gradient.add_(gradient.unsqueeze(-2))
        return (strength * bernoulli_divergence(rho, q)).sum(-1)


class L1Sparsity(ExplicitPenalty):
    r"""Size of what each component contributes (Cunningham et al. 2023, unnormalised).

    .. math:: \alpha \sum_j |h_j| \|d_j\|

    with the directions d_j of the layer that reads the code, in data units, and the
    mean over the batch's rows. Without their norms it could be made as small as one
    likes by small codes and large directions. With them it still can where the decoder
    has more layers than that one, by small directions and large weights above them,
    unless these cost something (`WeightDecay`).

    Parameters
    ----------
    strength : float
        alpha, times what turns the directions into data units.
    """

    reaches = "directions"
    strength: Tensor

    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        """Answer the penalty of codes and of the decoder's first layer."""
        # A decoder may get more than the code, behind it.
        directions = first_directions(net.decoder)[: rows.z.shape[-1]]
        norms = directions.norm(dim=-1)
        return self.strength * (rows.z.abs().mean(-2) * norms).sum(-1)

    def add_derivative(self, step: DenseStep) -> Tensor:
        """Add the derivative by the codes and by the directions; answer the term."""
        strength = self.strength[..., None]
        cost_of_norm = strength * step.codes.abs().mean(-2)
        # Of a group, torch's own norm takes ten times as long.
        norms = step.directions.square().sum(-1).sqrt()
        by_code = (strength / step.codes.shape[-2] * norms).to(norms.dtype)
        step.code_gradient.add_(step.codes.sign() * by_code.unsqueeze(-2))
        by_norm = (cost_of_norm / norms.clamp(min=_SMALLEST_NORM)).to(norms.dtype)
        step.direction_gradient.add_(step.directions * by_norm.unsqueeze(-1))
        return (cost_of_norm * norms).sum(-1)


class Revival(ExplicitPenalty):
    r"""Draws silent components towards the rows that they come nearest to describing.

    .. math:: \alpha \, \frac{1}{n_\text{components}} \sum_{j \text{ silent}}
              \min_r (t_r - h_{rj})_+^2

    with the least code t_r that is kept of row r; silent are the components that no row
    of the batch uses. Without it only those that ever win would learn. Reconstructing
    by them what the others leave over (Gao et al. 2024) does not make them win here:
    a unit whose codes are all small stays unused.

    It is relative to the cost of answering the mean, so it means the same in all units.
    """

    reaches = "codes"
    alpha: Tensor

    def forward(self, net: nn.Module, rows: Pass) -> Tensor:
        """Answer the mean over components of their squared distance from use."""
        h = net.encoder.unselected(rows.seen)
        least = h.detach().topk(net.encoder.k, dim=-1).values[..., -1:]
        distance = (least - h).amin(-2).clamp(min=0.0).square()
        is_silent = (rows.z == 0).all(-2)
        return self.alpha * (distance * is_silent).mean(-1)

    def add_derivative(self, step: DenseStep) -> Tensor:
        """Add the derivative by the codes before the selection; answer the term."""
        gap = step.least - step.offered
        nearest = gap.amin(-2, keepdim=True)
        # Of those in use it is not positive: some row has them above its least.
        distance = nearest.clamp(min=0.0)
        # Rows that are equally near share the derivative, as by autograd.
        is_nearest = gap == nearest
        n_nearest = is_nearest.sum(-2, keepdim=True)
        strength = self.alpha[..., None, None] / gap.shape[-1]
        by_row = (2 * strength * distance / n_nearest).to(gap.dtype)
        step.offered_gradient.sub_(is_nearest * by_row)
        return self.alpha * distance.square().mean(-1).squeeze(-1)


def _squared_norm(w: Tensor) -> Tensor:
    return w.square().sum((-2, -1))


def weights_of(net: nn.Module) -> list[nn.Parameter]:
    """List the weights of encoder and decoder; what has one axis only is a bias."""
    # Generators have no encoder.
    named = dict(net.named_children())
    parts = nn.ModuleList(named[k] for k in ("encoder", "decoder") if k in named)
    return [parameter for parameter in parts.parameters() if parameter.ndim > 1]
