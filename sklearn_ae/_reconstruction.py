"""The end of the net: what a reconstruction is, and what it costs.

It turns the decoder's last pre-activation `a` into `x_hat`, and says what that costs.
It computes in units of `scale`, where numbers are of order one whatever the units of X;
`unit` turns a cost back into data units.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from sklearn_ae._functional import (
    ACTIVATIONS,
    RESIDUAL_LOSSES,
    binary_cross_entropy,
    binary_cross_entropy_derivative,
    multinomial,
    multinomial_derivative,
)
from sklearn_ae._moments import Moments


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

    def __init__(self, output_activation: str, moments: Moments) -> None:
        super().__init__()
        self.output_activation = output_activation
        self.register_buffer("shift", torch.from_numpy(moments.mean.copy()))
        self.register_buffer("scale", torch.tensor(moments.scale, dtype=torch.float64))

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
    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """Cost of each row, divided by `unit`: shape (..., n_rows).

        `weights`, of the shape of `x`, multiply what each entry costs.
        """

    @abstractmethod
    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cost of each row, and its derivative by `a`, times the row's share.

        `share` has shape () or (..., n_rows, 1).
        """


class ResidualReconstruction(Reconstruction):
    """A function of the residual, summed over features: sum_j f(x_hat_j - x_j).

    Parameters
    ----------
    name : str
        Of a function of `RESIDUAL_LOSSES`.
    degree : int
        Multiplying residuals and lengths by c multiplies it by c to this power.
    lengths : dict of str to float
        Its hyperparameters, in data units.
    output_activation : str
    moments : Moments
    """

    def __init__(
        self,
        name: str,
        degree: int,
        lengths: dict[str, float],
        output_activation: str,
        moments: Moments,
    ) -> None:
        super().__init__(output_activation, moments)
        self.name = name
        self.length_names = tuple(lengths)
        for name, value in lengths.items():
            # A length in data units becomes one in units of scale.
            self.register_buffer(name, value / self.scale)
        rise = RESIDUAL_LOSSES[self.name].rise(*self._lengths())
        self.magnitude = float(rise) * len(moments.mean)
        self.unit = moments.scale**degree * self.magnitude

    def _lengths(self) -> list[Tensor]:
        return [getattr(self, name) for name in self.length_names]

    def mean(self, a: Tensor) -> Tensor:
        return ACTIVATIONS[self.output_activation].function(self.to_data_units(a))

    def _standardized_mean(self, a: Tensor) -> Tensor:
        if self.output_activation == "identity":
            return a
        return (self.mean(a) - self.shift.to(a.dtype)) / self.scale

    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        function = RESIDUAL_LOSSES[self.name].function
        cost = function(self._standardized_mean(a), x, *self._lengths())
        return _total(cost, weights) / self.magnitude

    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        function, derivative, _ = RESIDUAL_LOSSES[self.name]
        x_hat, lengths = self._standardized_mean(a), self._lengths()
        cost = _total(function(x_hat, x, *lengths), weights).div_(self.magnitude)
        gradient = derivative(
            _entry_share(share / self.magnitude, weights), x_hat, x, *lengths
        )
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

    def __init__(self, moments: Moments) -> None:
        super().__init__("logistic", moments)
        self.magnitude = self.unit = float(len(moments.mean))

    @property
    def output_scale(self) -> float:
        return 1.0

    def mean(self, a: Tensor) -> Tensor:
        return ACTIVATIONS["logistic"].function(a)

    def draw(
        self, x_hat: Tensor, deviation: Tensor, generator: torch.Generator
    ) -> Tensor:
        return torch.bernoulli(x_hat, generator=generator)

    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        cost = binary_cross_entropy(a, self.to_data_units(x))
        return _total(cost, weights) / self.magnitude

    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        gradient = _entry_share(share / self.magnitude, weights)
        return self(a, x, weights), binary_cross_entropy_derivative(
            gradient, a, self.to_data_units(x)
        )


class MultinomialReconstruction(Reconstruction):
    """Cross-entropy of counts or proportions given softmax(a), in nats.

    `x_hat` is what a row as long as the training rows are on average is expected to be:
    of proportions, the probabilities themselves. A code does not tell how long its row
    is, so even exact proportions leave an error where rows differ in length.
    """

    def __init__(self, moments: Moments) -> None:
        super().__init__("softmax", moments)
        length = float(moments.mean.sum())
        self.register_buffer("length", torch.tensor(length, dtype=torch.float64))
        # What a row of average length costs where all outcomes are taken as likely.
        chance = max(math.log(len(moments.mean)), 1.0)
        self.magnitude = self.unit = (length or 1.0) * chance

    @property
    def output_scale(self) -> float:
        return 1.0

    def mean(self, a: Tensor) -> Tensor:
        return torch.softmax(a, -1).mul_(self.length)

    def draw(
        self, x_hat: Tensor, deviation: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw the counts of rows of average length; of proportions, one outcome."""
        n_draws = max(1, round(float(self.length)))
        drawn = torch.multinomial(x_hat, n_draws, True, generator=generator)
        counts = torch.zeros_like(x_hat)
        return counts.scatter_add_(-1, drawn, torch.ones_like(drawn, dtype=x_hat.dtype))

    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        cost = multinomial(a, self.to_data_units(x))
        return _total(cost, weights) / self.magnitude

    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        target = self.to_data_units(x)
        if weights is not None:
            target = target * weights
        cost = multinomial(a, target).sum(-1) / self.magnitude
        return cost, multinomial_derivative(share / self.magnitude, a, target)


def _total(cost: Tensor, weights: Tensor | None) -> Tensor:
    return (cost if weights is None else cost * weights).sum(-1)


def _entry_share(share: Tensor, weights: Tensor | None) -> Tensor:
    return share if weights is None else share * weights
