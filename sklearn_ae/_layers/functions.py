"""Activations as pure functions, each with its derivative beside it.

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
    """Make a hyperparameter of each model, if there is a group, fit the models' rows.

    Parameters
    ----------
    value : Tensor of shape () or (n_models,)
    x : Tensor of shape ([n_models,] ...)
        Whose dtype a group's values take, as those of a single model do by themselves.
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
