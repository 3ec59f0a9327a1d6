"""The end of the net: what a reconstruction is, and what it costs.

It turns the decoder's last pre-activation `a` into `x_hat`, and says what that costs.
It computes in units of `scale`, where numbers are of order one whatever the units of X;
`unit` and `floor` turn a cost back into data units. What depends on a hyperparameter is
a buffer: a leading axis of such buffers, and of the rows, counts models.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from sklearn_ae._data.moments import Moments
from sklearn_ae._layers.functions import (
    ACTIVATIONS,
    RESIDUAL_LOSSES,
    binary_cross_entropy,
    binary_cross_entropy_derivative,
    multinomial,
    multinomial_derivative,
    over_features,
    over_rows,
)


class Reconstruction(nn.Module, ABC):
    """Cost of the rows `x` (standardised) given the decoder's pre-activation `a`.

    Attributes
    ----------
    magnitude : Tensor of shape () or (n_models,)
        What costs are divided by, in units of `scale`: what a residual of one `scale`
        in every feature costs, so that one learning rate serves all.
    """

    shift: Tensor
    scale: Tensor
    magnitude: Tensor

    def __init__(
        self, output_activation: str, moments: Moments, magnitude: float
    ) -> None:
        super().__init__()
        self.output_activation = output_activation
        self.register_buffer("magnitude", torch.tensor(magnitude, dtype=torch.float64))
        self.register_buffer("shift", torch.from_numpy(moments.shift.copy()))
        self.register_buffer("scale", torch.tensor(moments.scale, dtype=torch.float64))

    @property
    def unit(self) -> Tensor:
        """Factor that turns a cost into data units."""
        return self.magnitude

    @property
    def floor(self) -> Tensor:
        """Least that a row can cost, in data units; costs are what they are above."""
        return torch.zeros_like(self.magnitude)

    @property
    def output_scale(self) -> float:
        """What a change of the pre-activations is multiplied by in data units."""
        return float(self.scale)

    def to_data_units(self, x: Tensor) -> Tensor:
        """Undo the standardisation: x * scale + shift."""
        found = x * over_rows(self.scale, x)
        if x.dtype != self.shift.dtype and not self.training:
            # What the shift loses in float32 may be much in units of scale.
            found.add_(over_features(self.shift - self.shift.to(x.dtype), x))
        return found.add_(over_features(self.shift, x))

    @abstractmethod
    def mean(self, a: Tensor) -> Tensor:
        """Reconstruction `x_hat` in data units."""

    def draw(
        self, x_hat: Tensor, deviation: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Draw observations around `x_hat`.

        Its residuals have a standard deviation, where the loss does not say which.
        """
        noise = torch.empty_like(x_hat).normal_(generator=generator)
        return x_hat + noise * deviation

    @abstractmethod
    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """Cost of each row above the floor, divided by `unit`: shape (..., n_rows).

        `weights`, of the shape of `x`, multiply what each entry costs.
        """

    def _relative(self, cost: Tensor) -> Tensor:
        return cost / over_rows(self.magnitude, cost, n_axes=1)


class ExplicitReconstruction(Reconstruction):
    """One whose derivative is written out, as the fast path of dense nets needs it."""

    @abstractmethod
    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cost of each row, and its derivative by `a`, times the row's share.

        The share has the shape () or (..., n_rows, 1).
        """


class RealReconstruction(Reconstruction):
    """Of rows of any real numbers: `x_hat` is an activation of a, in data units."""

    def mean(self, a: Tensor) -> Tensor:
        return ACTIVATIONS[self.output_activation].function(self.to_data_units(a))

    def _standardized_mean(self, a: Tensor) -> Tensor:
        if self.output_activation == "identity":
            return a
        centred = self.mean(a) - over_features(self.shift, a)
        return centred / over_rows(self.scale, a)


class ResidualReconstruction(RealReconstruction, ExplicitReconstruction):
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
        one = torch.ones((), dtype=torch.float64)
        # A length in data units becomes one in units of scale.
        scaled = {key: one * value / moments.scale for key, value in lengths.items()}
        rise = RESIDUAL_LOSSES[name].function(one, 0 * one, *scaled.values())
        super().__init__(output_activation, moments, float(rise) * len(moments.mean))
        self.name, self.degree = name, degree
        self.length_names = tuple(scaled)
        for key, value in scaled.items():
            self.register_buffer(key, value)

    @property
    def unit(self) -> Tensor:
        """Factor that turns a cost into data units."""
        return self.scale**self.degree * self.magnitude

    @property
    def floor(self) -> Tensor:
        """Least that a row can cost, in data units."""
        lengths = [getattr(self, name) for name in self.length_names]
        of_an_entry = RESIDUAL_LOSSES[self.name].floor(*lengths)
        return self.scale**self.degree * of_an_entry * self.shift.shape[-1]

    def _lengths(self, x: Tensor) -> list[Tensor]:
        return [over_rows(getattr(self, name), x) for name in self.length_names]

    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        function = RESIDUAL_LOSSES[self.name].function
        cost = function(self._standardized_mean(a), x, *self._lengths(x))
        return self._relative(total(cost, weights))

    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        function, derivative, _ = RESIDUAL_LOSSES[self.name]
        x_hat, lengths = self._standardized_mean(a), self._lengths(x)
        cost = self._relative(total(function(x_hat, x, *lengths), weights))
        share = share / over_rows(self.magnitude, x)
        gradient = derivative(_entry_share(share, weights), x_hat, x, *lengths)
        if self.output_activation != "identity":
            activation = ACTIVATIONS[self.output_activation]
            argument = self.to_data_units(a)
            # The scale of `a` and the scale of the residual cancel.
            gradient = activation.derivative(
                gradient, argument, activation.function(argument)
            )
        return cost, gradient


class BernoulliReconstruction(ExplicitReconstruction):
    """Cross-entropy of data in [0, 1] given probabilities logistic(a), in nats."""

    def __init__(self, moments: Moments) -> None:
        super().__init__("logistic", moments, float(len(moments.mean)))

    @property
    def output_scale(self) -> float:
        return 1.0

    def mean(self, a: Tensor) -> Tensor:
        return ACTIVATIONS["logistic"].function(a)

    def draw(
        self, x_hat: Tensor, deviation: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        return torch.bernoulli(x_hat, generator=generator)

    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        cost = binary_cross_entropy(a, self.to_data_units(x))
        return self._relative(total(cost, weights))

    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        gradient = _entry_share(share / over_rows(self.magnitude, x), weights)
        return self(a, x, weights), binary_cross_entropy_derivative(
            gradient, a, self.to_data_units(x)
        )


class MultinomialReconstruction(ExplicitReconstruction):
    """Cross-entropy of counts or proportions given softmax(a), in nats.

    `x_hat` is what a row as long as the training rows are on average is expected to be:
    of proportions, the probabilities themselves. A code does not tell how long its row
    is, so even exact proportions leave an error where rows differ in length.
    """

    def __init__(self, moments: Moments) -> None:
        length = float(moments.mean.sum())
        # What a row of average length costs where all outcomes are taken as likely.
        chance = max(math.log(len(moments.mean)), 1.0)
        super().__init__("softmax", moments, (length or 1.0) * chance)
        self.register_buffer("length", torch.tensor(length, dtype=torch.float64))

    @property
    def output_scale(self) -> float:
        return 1.0

    def mean(self, a: Tensor) -> Tensor:
        return torch.softmax(a, -1).mul_(self.length)

    def draw(
        self, x_hat: Tensor, deviation: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Draw the counts of rows of average length; of proportions, one outcome."""
        n_draws = max(1, round(float(self.length)))
        drawn = torch.multinomial(x_hat, n_draws, True, generator=generator)
        counts = torch.zeros_like(x_hat)
        return counts.scatter_add_(-1, drawn, torch.ones_like(drawn, dtype=x_hat.dtype))

    def forward(self, a: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
        cost = multinomial(a, self.to_data_units(x))
        return self._relative(total(cost, weights))

    def with_derivative(
        self, a: Tensor, x: Tensor, share: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        target = self.to_data_units(x)
        if weights is not None:
            target = target * weights
        cost = self._relative(multinomial(a, target).sum(-1))
        share = share / over_rows(self.magnitude, x)
        return cost, multinomial_derivative(share, a, target)


def total(cost: Tensor, weights: Tensor | None) -> Tensor:
    """Sum what entries cost over features."""
    return (cost if weights is None else cost * weights).sum(-1)


def _entry_share(share: Tensor, weights: Tensor | None) -> Tensor:
    return share if weights is None else share * weights
