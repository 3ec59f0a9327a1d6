"""What a reconstruction costs: loss specs, and the module that each of them builds.

A `Reconstruction` stands at the end of the net. It turns the decoder's last
pre-activation `a` into `x_hat`, and says what `x_hat` costs. It computes in units of
`scale`, where numbers are of order one whatever the units of X; `unit` turns a cost
back into data units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from sklearn_ae._functional import (
    ACTIVATIONS,
    RESIDUAL_LOSSES,
    binary_cross_entropy,
    binary_cross_entropy_derivative,
)


class Reconstruction(nn.Module, ABC):
    """Cost of the rows `x` (standardised) given the decoder's pre-activation `a`.

    Attributes
    ----------
    unit : float
        Factor that turns a cost into data units. Costs are divided by what a residual
        of one `scale` in every feature costs, so that one learning rate serves all.
    """

    unit: float
    shift: Tensor
    scale: Tensor

    def __init__(self, output_activation: str, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.output_activation = output_activation
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    @property
    def output_scale(self) -> float:
        """What a change of the pre-activations is multiplied by in data units."""
        return float(self.scale)

    def to_data_units(self, x: Tensor) -> Tensor:
        """Undo the standardisation: x * scale + shift."""
        return (x * self.scale).add_(self.shift.to(x.dtype))

    @abstractmethod
    def mean(self, a: Tensor) -> Tensor:
        """Reconstruction `x_hat` in data units."""

    def draw(
        self, x_hat: Tensor, deviation: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw observations around `x_hat`, with residuals of a standard deviation."""
        noise = torch.empty_like(x_hat).normal_(generator=generator)
        return x_hat + noise * deviation

    @abstractmethod
    def forward(self, a: Tensor, x: Tensor) -> Tensor:
        """Cost of each row, divided by `unit`: shape (..., n_rows)."""

    @abstractmethod
    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Cost of each row, and its derivative by `a`, times the row's share.

        `share` has shape () or (..., n_rows, 1).
        """


class ResidualReconstruction(Reconstruction):
    """A function of the residual, summed over features: sum_j f(x_hat_j - x_j)."""

    def __init__(
        self, loss: Loss, output_activation: str, shift: Tensor, scale: Tensor
    ) -> None:
        super().__init__(output_activation, shift, scale)
        self.name = loss.name
        lengths = loss.lengths()
        self.length_names = tuple(lengths)
        for name, value in lengths.items():
            # A length in data units becomes one in units of scale.
            self.register_buffer(name, value / scale)
        function = RESIDUAL_LOSSES[self.name].function
        one = function(torch.ones_like(scale), 0 * scale, *self._lengths())
        self.magnitude = float(one) * shift.shape[-1]
        self.unit = float(scale) ** loss.degree * self.magnitude

    def _lengths(self) -> list[Tensor]:
        return [getattr(self, name) for name in self.length_names]

    def mean(self, a: Tensor) -> Tensor:
        return ACTIVATIONS[self.output_activation].function(self.to_data_units(a))

    def _standardized_mean(self, a: Tensor) -> Tensor:
        if self.output_activation == "identity":
            return a
        return (self.mean(a) - self.shift.to(a.dtype)) / self.scale

    def forward(self, a: Tensor, x: Tensor) -> Tensor:
        function = RESIDUAL_LOSSES[self.name].function
        cost = function(self._standardized_mean(a), x, *self._lengths())
        return cost.sum(-1) / self.magnitude

    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor
    ) -> tuple[Tensor, Tensor]:
        function, derivative = RESIDUAL_LOSSES[self.name]
        x_hat, lengths = self._standardized_mean(a), self._lengths()
        cost = function(x_hat, x, *lengths).sum(-1).div_(self.magnitude)
        gradient = derivative(share / self.magnitude, x_hat, x, *lengths)
        if self.output_activation != "identity":
            activation = ACTIVATIONS[self.output_activation]
            argument = self.to_data_units(a)
            # The scale of `a` and the scale of the residual cancel.
            gradient = activation.derivative(
                gradient, argument, activation.function(argument)
            )
        return cost, gradient


class BernoulliReconstruction(Reconstruction):
    """Cross-entropy of data in [0, 1] given probabilities logistic(a), in nats."""

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__("logistic", shift, scale)
        self.magnitude = self.unit = float(shift.shape[-1])

    @property
    def output_scale(self) -> float:
        return 1.0

    def mean(self, a: Tensor) -> Tensor:
        return ACTIVATIONS["logistic"].function(a)

    def draw(
        self, x_hat: Tensor, deviation: Tensor, generator: torch.Generator
    ) -> Tensor:
        return torch.bernoulli(x_hat, generator=generator)

    def forward(self, a: Tensor, x: Tensor) -> Tensor:
        cost = binary_cross_entropy(a, self.to_data_units(x))
        return cost.sum(-1) / self.magnitude

    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self(a, x), binary_cross_entropy_derivative(
            share / self.magnitude, a, self.to_data_units(x)
        )


class Loss(BaseEstimator):
    """What a reconstruction costs: a spec, for the parameter `loss`.

    Attributes
    ----------
    name : str
        The name that stands for the spec at its defaults.
    degree : int
        Multiplying X by c multiplies the loss by c to this power.
    unit_interval : bool
        Whether X has to lie in [0, 1].
    """

    name: str
    degree = 2
    unit_interval = False
    _parameter_constraints = {}

    def lengths(self) -> dict[str, float]:
        """Hyperparameters that have the units of X."""
        return {}

    def check_range(self, low: float, high: float) -> None:
        """Refuse rows by their smallest and largest value; most losses take all."""

    def build(
        self, output_activation: str, shift: Tensor, scale: Tensor
    ) -> Reconstruction:
        """Build the end of the net.

        Parameters
        ----------
        output_activation : str
            A name of an activation; "auto" is the identity here.
        shift : Tensor of shape (n_features,)
        scale : Tensor of shape ()
        """
        self._validate_params()
        name = "identity" if output_activation == "auto" else output_activation
        return ResidualReconstruction(self, name, shift, scale)


class SquaredError(Loss):
    """`||x - x_hat||^2`, in squared units of X."""

    name = "squared_error"


class AbsoluteError(Loss):
    """`sum_j |x_j - x_hat_j|`, in units of X."""

    name = "absolute_error"
    degree = 1


@dataclass(eq=False, repr=False)
class Huber(Loss):
    r"""Squared error for small residuals, absolute error for large ones.

    .. math:: \sum_j r_j^2 / 2 \text{ if } |r_j| \le \delta
              \text{ else } \delta (|r_j| - \delta / 2), \quad r = x - \hat x

    Parameters
    ----------
    delta : float, default=1.0
        Where the one becomes the other, in units of X.

    References
    ----------
    P. J. Huber. Robust estimation of a location parameter. Annals of Mathematical
    Statistics 35 (1964).

    Examples
    --------
    >>> from sklearn_ae import Autoencoder, Huber
    >>> Autoencoder(loss=Huber(delta=0.5))
    Autoencoder(loss=Huber(delta=0.5))
    >>> Autoencoder(loss="huber").set_params(loss__delta=0.5)
    Autoencoder(loss=Huber(delta=0.5))
    """

    delta: float = 1.0

    name = "huber"
    _parameter_constraints = {"delta": [Interval(Real, 0, None, closed="neither")]}

    def lengths(self) -> dict[str, float]:
        """Hyperparameters that have the units of X."""
        return {"delta": self.delta}


class BinaryCrossEntropy(Loss):
    """`-sum_j x_j log x_hat_j + (1 - x_j) log(1 - x_hat_j)` in nats, X in [0, 1]."""

    name = "binary_cross_entropy"
    degree = 0
    unit_interval = True

    def build(
        self, output_activation: str, shift: Tensor, scale: Tensor
    ) -> Reconstruction:
        """Build the end of the net: probabilities from logits.

        Raises
        ------
        ValueError
            If `output_activation` is not "auto" or "logistic".
        """
        if output_activation not in ("auto", "logistic"):
            raise ValueError(
                "loss='binary_cross_entropy' needs output_activation='auto' or "
                f"'logistic', got output_activation={output_activation!r}."
            )
        return BernoulliReconstruction(shift, scale)

    def check_range(self, low: float, high: float) -> None:
        """Refuse rows that are no probabilities.

        Raises
        ------
        ValueError
            If the smallest or the largest value is outside [0, 1].
        """
        if low < 0 or high > 1:
            raise ValueError(
                f"loss={self.name!r} needs X in [0, 1], but X ranges from {low:g} to "
                f"{high:g}; scale it first, for example with MinMaxScaler(clip=True)."
            )


LOSSES = {
    spec.name: spec for spec in (SquaredError, AbsoluteError, Huber, BinaryCrossEntropy)
}
