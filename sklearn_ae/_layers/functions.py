"""Activations and losses as pure functions, each with its derivative beside it.

A derivative is a vector-Jacobian product: it takes the gradient of the objective with
respect to the result and answers the gradient with respect to the argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_aten = torch.ops.aten

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
LEAKY_SLOPE = 0.01
# Of code and output: with a third of LeCun's variance, torch's own default for dense
# layers, nets reconstruct new rows better than with his.
LINEAR_GAIN = 1 / 3


class ResidualLoss(NamedTuple):
    """A loss of (x_hat, x), entry by entry, and its derivative by x_hat.

    `function` is what it costs more than at r = 0, where it costs `floor`, of the
    loss's lengths: beside a floor far from 0, what there is to gain would be rounded.
    """

    function: Callable[..., Tensor]
    derivative: Callable[..., Tensor]
    floor: Callable[..., Tensor]


class Activation(NamedTuple):
    """A function of pre-activations `a`, its derivative, and the weights it likes.

    `derivative(gradient, a, h)` has both the argument `a` and the result `h` at hand.
    `gain` is the variance of the initial weights times the number of inputs; None
    stands for Glorot's rule. `low` is the infimum, for large negative arguments; None
    where there is none, or where it is in between, which says nothing of a silent unit.
    """

    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor, Tensor], Tensor]
    gain: float | None
    low: float | None


def fill_missing(x: Tensor) -> Tensor:
    """Answer 0 for NaN; what has become infinite stays so, and is no answer."""
    return x.nan_to_num(0.0, torch.inf, -torch.inf)


def over_rows(value: Tensor, x: Tensor, n_axes: int = 2) -> Tensor:
    """Make a hyperparameter of each model, if there is a stack, fit the models' rows.

    Parameters
    ----------
    value : Tensor of shape () or (n_models,)
    x : Tensor of shape ([n_models,] ...)
        Whose dtype a stack's values take, as those of a single model do by themselves.
    n_axes : int, default=2
        Axes of `x` besides that of the models.
    """
    if not value.ndim:
        return value
    return value.to(x.dtype).reshape(-1, *[1] * n_axes)


def over_features(value: Tensor, x: Tensor) -> Tensor:
    """Make a value of each feature, or of each model's features, fit rows.

    Parameters
    ----------
    value : Tensor of shape ([n_models,] n_features)
    x : Tensor of shape ([n_models,] n_rows, n_features)
        Whose dtype the values take.
    """
    return value.to(x.dtype).unsqueeze(-2)


def binary(a: Tensor) -> Tensor:
    """Step from 0 to 1 at 0; gradients pass as if it were the logistic function."""
    soft = torch.sigmoid(a)
    return (a > 0).to(a.dtype) + (soft - soft.detach())


def _identity(a: Tensor) -> Tensor:
    return a


def _selu_derivative(gradient: Tensor, a: Tensor, h: Tensor) -> Tensor:
    return _aten.elu_backward(gradient, SELU_ALPHA, SELU_SCALE, 1.0, True, h)


def _elu_derivative(gradient: Tensor, a: Tensor, h: Tensor) -> Tensor:
    return _aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, h)


def _leaky_relu_derivative(gradient: Tensor, a: Tensor, h: Tensor) -> Tensor:
    return _aten.leaky_relu_backward(gradient, a, LEAKY_SLOPE, False)


ACTIVATIONS = {
    "identity": Activation(
        _identity, lambda gradient, a, h: gradient, gain=LINEAR_GAIN, low=None
    ),
    "relu": Activation(
        torch.relu,
        lambda gradient, a, h: _aten.threshold_backward(gradient, h, 0),
        gain=1.0,
        low=0.0,
    ),
    "logistic": Activation(
        torch.sigmoid,
        lambda gradient, a, h: _aten.sigmoid_backward(gradient, h),
        gain=None,
        low=0.0,
    ),
    "tanh": Activation(
        torch.tanh,
        lambda gradient, a, h: _aten.tanh_backward(gradient, h),
        gain=None,
        low=-1.0,
    ),
    "selu": Activation(
        torch.selu, _selu_derivative, gain=1.0, low=-SELU_SCALE * SELU_ALPHA
    ),
    "elu": Activation(F.elu, _elu_derivative, gain=1.0, low=-1.0),
    "gelu": Activation(
        F.gelu,
        lambda gradient, a, h: _aten.gelu_backward(gradient, a),
        gain=1.0,
        low=None,
    ),
    "silu": Activation(
        F.silu,
        lambda gradient, a, h: _aten.silu_backward(gradient, a),
        gain=1.0,
        low=None,
    ),
    "leaky_relu": Activation(F.leaky_relu, _leaky_relu_derivative, gain=1.0, low=None),
    "binary": Activation(
        binary,
        lambda gradient, a, h: _aten.sigmoid_backward(gradient, torch.sigmoid(a)),
        gain=None,
        low=0.0,
    ),
}


def weight_deviation(activation: str, n_inputs: float, n_outputs: float) -> float:
    """Answer the standard deviation of initial weights before an activation.

    LeCun's rule (1998) for rectifiers, SELU and ELU (Klambauer et al. 2017), a third of
    its variance for linear units, Glorot and Bengio's (2010) for saturating units.
    """
    gain = ACTIVATIONS[activation].gain
    if gain is None:
        return math.sqrt(2.0 / (n_inputs + n_outputs))
    return math.sqrt(gain / n_inputs)


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Answer r^2 for the residual r = x_hat - x."""
    return F.mse_loss(x_hat, x, reduction="none")


def squared_error_derivative(gradient: Tensor, x_hat: Tensor, x: Tensor) -> Tensor:
    """Answer the gradient times 2 r."""
    # Torch's derivatives take one dtype, also where the gradient is a scalar.
    return _aten.mse_loss_backward(gradient.to(x_hat.dtype), x_hat, x, 0)


def absolute_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Answer |r|."""
    return F.l1_loss(x_hat, x, reduction="none")


def absolute_error_derivative(gradient: Tensor, x_hat: Tensor, x: Tensor) -> Tensor:
    """Answer the gradient times the sign of r."""
    return (x_hat - x).sign_().mul_(gradient)


def huber(x_hat: Tensor, x: Tensor, delta: Tensor) -> Tensor:
    """Answer r^2 / 2 up to |r| = delta, delta (|r| - delta / 2) beyond (Huber 1964)."""
    residual = x_hat - x
    clipped = torch.clamp(residual, -delta, delta)
    return clipped * (residual - clipped / 2)


def huber_derivative(
    gradient: Tensor, x_hat: Tensor, x: Tensor, delta: Tensor
) -> Tensor:
    """Answer the gradient times r cut at plus and minus delta."""
    return torch.clamp(x_hat - x, -delta, delta).mul_(gradient)


def correntropy(x_hat: Tensor, x: Tensor, width: Tensor) -> Tensor:
    """Answer how much lower the density is at r than at 0 (Liu et al. 2007).

    It is that of a Gaussian of deviation `width`. Of a wide one, the two densities
    differ by less than their rounding.
    """
    exponent = -0.5 * ((x_hat - x) / width).square()
    ratio = torch.exp(exponent)
    # The value of expm1, and the gradient of exp: expm1's own is rounded far away.
    ratio = torch.expm1(exponent).detach() + (ratio - ratio.detach())
    return ratio * correntropy_floor(width)


def correntropy_floor(width: Tensor) -> Tensor:
    """Answer minus the density at 0."""
    return -1 / (math.sqrt(2 * math.pi) * width)


def correntropy_derivative(
    gradient: Tensor, x_hat: Tensor, x: Tensor, width: Tensor
) -> Tensor:
    """Answer the gradient times r / width^2 times the density."""
    residual = x_hat - x
    density = torch.exp(-0.5 * (residual / width).square())
    slope = gradient * -correntropy_floor(width) / width.square()
    return density.mul_(residual).mul_(slope)


def _no_floor(*lengths: Tensor) -> Tensor:
    return torch.zeros((), dtype=torch.float64)


RESIDUAL_LOSSES = {
    "squared_error": ResidualLoss(squared_error, squared_error_derivative, _no_floor),
    "absolute_error": ResidualLoss(
        absolute_error, absolute_error_derivative, _no_floor
    ),
    "huber": ResidualLoss(huber, huber_derivative, _no_floor),
    "correntropy": ResidualLoss(correntropy, correntropy_derivative, correntropy_floor),
}


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


def binary_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-x log p - (1 - x) log(1 - p), p the logistic of the logits, in nats."""
    return F.softplus(logits) - logits * target


def binary_cross_entropy_derivative(
    gradient: Tensor, logits: Tensor, target: Tensor
) -> Tensor:
    """Answer the gradient times p - x."""
    return (torch.sigmoid(logits) - target).mul_(gradient)


def multinomial(logits: Tensor, target: Tensor) -> Tensor:
    """-x log q, q the softmax of the logits, in nats."""
    return -target * torch.log_softmax(logits, -1)


def multinomial_derivative(gradient: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    """Answer the gradient times q sum(x) - x."""
    expected = torch.softmax(logits, -1).mul_(target.sum(-1, keepdim=True))
    return expected.sub_(target).mul_(gradient)
