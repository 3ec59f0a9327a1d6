"""What a reconstruction costs: functions, ends of the net, and specs for `loss`.

The end of the net turns the decoder's last pre-activation `a` into `x_hat`, and says
what that costs. It computes in units of `scale`, where numbers are of order one
whatever the units of X; `unit` and `floor` turn a cost back into data units. What
depends on a hyperparameter is a buffer: a leading axis of such buffers, and of the
rows, counts models.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from sklearn_ae._compute.suggestions import Suggestions
from sklearn_ae._data.moments import GAUSSIAN_SHARE, Moments
from sklearn_ae._layers.functions import ACTIVATIONS, over_features, over_rows

_aten = torch.ops.aten

# Of a kernel's width, the deviation of entries below which most cost their square.
_NARROW = 1 / 3


# Functions, each with its derivative by its first argument: a vector-Jacobian product.


class ResidualLoss(NamedTuple):
    """A loss of (x_hat, x), entry by entry, and its derivative by x_hat.

    `function` is what it costs more than at r = 0, where it costs `floor`, of the
    loss's lengths: beside a floor far from 0, what there is to gain would be rounded.
    """

    function: Callable[..., Tensor]
    derivative: Callable[..., Tensor]
    floor: Callable[..., Tensor]


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


# Ends of the net.


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


# Specs.


class Loss(Suggestions, BaseEstimator):
    """What a reconstruction costs: a spec, for the parameter `loss`.

    Attributes
    ----------
    name : str
        The name that stands for the spec at its defaults.
    degree : int
        Multiplying X by c multiplies the loss by c to this power.
    bounded : bool
        Whether there are X that it refuses.
    has_units : bool
        Whether outputs are in units of X; else they are logits.
    measured_in : str
        What it is in, for readers.
    """

    name: str
    degree = 2
    bounded = False
    has_units = True
    measured_in = "squared units of X"
    # Whether it looks at the medians of the rows.
    uses_medians = False
    _parameter_constraints = {}

    def standardized(self, moments: Moments) -> Moments:
        """Answer the moments, with the shift and the scale that the net begins with.

        They are the mean and the root mean square deviation; a loss that outliers
        hardly move has others.
        """
        return moments

    def start(self, moments: Moments) -> np.ndarray | None:
        """Answer where outputs begin, in units of the scale; None is at the shift."""
        return None

    def lengths(self, moments: Moments) -> dict[str, float]:
        """Hyperparameters that have the units of X."""
        return {}

    def unit(self, moments: Moments) -> float:
        """Answer what weights of penalties are multiples of, for such rows."""
        return moments.scale**self.degree

    def of_codes(self, moments: Moments) -> Loss:
        """Answer what it is between layers, in units of the rows' scale.

        Codes are no probabilities, nor counts: it is then the squared error.
        """
        if not self.has_units:
            return SquaredError()
        spec = clone(self)
        return spec.set_params(
            **{
                name: value / moments.scale
                for name, value in self.get_params().items()
                if value != "auto"
            }
        )

    def check_range(self, low: float, high: float) -> None:
        """Refuse rows by their smallest and largest value; most losses take all."""

    def build(self, output_activation: str, moments: Moments) -> Reconstruction:
        """Build the end of the net.

        Parameters
        ----------
        output_activation : str
            A name of an activation; "auto" is the identity here.
        moments : Moments
        """
        self._validate_params()
        name = "identity" if output_activation == "auto" else output_activation
        return ResidualReconstruction(
            self.name, self.degree, self.lengths(moments), name, moments
        )


class SquaredError(Loss):
    """`||x - x_hat||^2`, in squared units of X."""

    name = "squared_error"


class AbsoluteError(Loss):
    """`sum_j |x_j - x_hat_j|`, in units of X."""

    name = "absolute_error"
    degree = 1
    measured_in = "units of X"


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

    def lengths(self, moments: Moments) -> dict[str, float]:
        """Hyperparameters that have the units of X."""
        return {"delta": self.delta}


class BinaryCrossEntropy(Loss):
    """`-sum_j x_j log x_hat_j + (1 - x_j) log(1 - x_hat_j)` in nats, X in [0, 1]."""

    name = "binary_cross_entropy"
    # The parameter that it is a value of, and the end of the net that it builds.
    parameter = "loss"
    reconstruction: type[Reconstruction] = BernoulliReconstruction
    degree = 0
    bounded = True
    has_units = False
    measured_in = "nats"

    def build(self, output_activation: str, moments: Moments) -> Reconstruction:
        """Build the end of the net: probabilities from logits.

        Raises
        ------
        ValueError
            If `output_activation` is not "auto" or "logistic".
        """
        if output_activation not in ("auto", "logistic"):
            raise ValueError(
                f"{self.parameter}={self.name!r} needs output_activation='auto' or "
                f"'logistic', got output_activation={output_activation!r}."
            )
        return self.reconstruction(moments)

    def check_range(self, low: float, high: float) -> None:
        """Refuse rows that are no probabilities.

        Raises
        ------
        ValueError
            If the smallest or the largest value is outside [0, 1].
        """
        if low < 0 or high > 1:
            raise ValueError(
                f"{self.parameter}={self.name!r} needs X in [0, 1], but X ranges from "
                f"{low:g} to {high:g}; scale it first, for example with "
                "MinMaxScaler(clip=True)."
            )


class Multinomial(Loss):
    """`-sum_j x_j log x_hat_j` in nats, for rows of counts or proportions.

    The code tells the proportions of a row and not its sum: each reconstruction sums to
    what the training rows sum to on average. So where rows differ in length even exact
    proportions have a squared error, and `score` stays below 1. Divide rows by their
    sums where only proportions count; as they are, long rows weigh more.
    """

    name = "multinomial"
    bounded = True
    has_units = False
    measured_in = "nats"

    def unit(self, moments: Moments) -> float:
        """Answer what weights of penalties are multiples of, for such rows."""
        return float(moments.mean.sum()) or 1.0

    def build(self, output_activation: str, moments: Moments) -> Reconstruction:
        """Build the end of the net: a softmax.

        Raises
        ------
        ValueError
            If `output_activation` is not "auto".
        """
        if output_activation != "auto":
            raise ValueError(
                "loss='multinomial' has a softmax output and needs "
                f"output_activation='auto', got {output_activation!r}."
            )
        return MultinomialReconstruction(moments)

    def check_range(self, low: float, high: float) -> None:
        """Refuse rows that are no counts.

        Raises
        ------
        ValueError
            If the smallest value is negative.
        """
        if low < 0:
            raise ValueError(
                f"loss={self.name!r} needs counts or proportions, but X ranges from "
                f"{low:g} to {high:g}. Pass X as it was counted, neither centred nor "
                "standardised, or set loss='squared_error'."
            )


@dataclass(eq=False, repr=False)
class Correntropy(Loss):
    r"""Minus the correntropy, which large residuals hardly change (Liu et al. 2007).

    .. math:: -\sum_j \frac{1}{\sqrt{2 \pi} \sigma}
              \exp\left(-\frac{(x_j - \hat x_j)^2}{2 \sigma^2}\right)

    Parameters
    ----------
    kernel_width : "auto" or float, default="auto"
        The deviation sigma, in units of X: residuals far above it do not count. "auto"
        is the root mean square, over features, of the median distance from the median,
        which outliers hardly move; for Gaussian data it is 0.67 of the root mean square
        deviation. Where most features have most of their entries alike, as pixels of
        little ink, it is 0.67 of the median distance of a row from the medians, divided
        by the root of the number of features; where most rows are alike, 0.67 of the
        root mean square deviation.

    Notes
    -----
    The net begins by subtracting the medians, and by dividing by 1.4826 times what
    "auto" is, whatever the width: means and mean squares follow outliers, and a net
    that starts at a mean far from all rows finds no gradient.

    References
    ----------
    W. Liu, P. P. Pokharel and J. C. Principe. Correntropy: properties and applications
    in non-Gaussian signal processing. IEEE Transactions on Signal Processing 55 (2007).

    Y. Qi, Y. Wang, X. Zheng and Z. Wu. Robust feature learning by stacked autoencoder
    with maximum correntropy criterion. ICASSP (2014).

    Examples
    --------
    >>> from sklearn_ae import Autoencoder, Correntropy
    >>> Autoencoder(loss=Correntropy(kernel_width=0.5))
    Autoencoder(loss=Correntropy(kernel_width=0.5))
    """

    kernel_width: str | float = "auto"

    name = "correntropy"
    degree = -1
    measured_in = "densities, 1 / unit of X"
    uses_medians = True
    _parameter_constraints = {
        "kernel_width": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
        ]
    }

    def width(self, moments: Moments) -> float:
        """Answer the kernel's width in units of X."""
        if self.kernel_width != "auto":
            return float(self.kernel_width)
        # With the deviation itself, spikes in a twentieth of the entries would still
        # cost half of what they cost the squared error (H12 of the theory tests).
        return moments.robust_deviation / GAUSSIAN_SHARE

    def standardized(self, moments: Moments) -> Moments:
        """Answer the moments with a shift and a scale that outliers hardly move."""
        return replace(moments, shift=moments.median, scale=moments.robust_deviation)

    def start(self, moments: Moments) -> np.ndarray | None:
        """Answer the means of features that vary far less than the kernel is wide.

        There it costs what the squared error does, which the mean makes least. Such
        features hardly change the objective, which may end before they have come there.
        """
        if moments.deviation is None:
            return None
        distance = moments.mean - moments.median
        is_narrow = moments.deviation < _NARROW * self.width(moments)
        is_near = np.abs(distance) <= moments.deviation
        return np.where(is_narrow & is_near, distance, 0.0) / moments.scale

    def lengths(self, moments: Moments) -> dict[str, float]:
        """Hyperparameters that have the units of X."""
        return {"kernel_width": self.width(moments)}


LOSSES = {
    spec.name: spec
    for spec in (
        SquaredError,
        AbsoluteError,
        Huber,
        BinaryCrossEntropy,
        Multinomial,
        Correntropy,
    )
}
