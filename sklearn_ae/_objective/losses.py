"""What a reconstruction costs: specs, for the parameter `loss`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_ae._data.moments import GAUSSIAN_SHARE, Moments
from sklearn_ae._objective.outputs import (
    BernoulliReconstruction,
    MultinomialReconstruction,
    Reconstruction,
    ResidualReconstruction,
)

# Of a kernel's width, the deviation of entries below which most cost their square.
_NARROW = 1 / 3


class Loss(BaseEstimator):
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
    """

    name: str
    degree = 2
    bounded = False
    has_units = True
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
        """Answer what it is between layers, in units of the rows' scale."""
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

    def of_codes(self, moments: Moments) -> Loss:
        """Answer the squared error: codes are no probabilities."""
        return SquaredError()

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

    def unit(self, moments: Moments) -> float:
        """Answer what weights of penalties are multiples of, for such rows."""
        return float(moments.mean.sum()) or 1.0

    def of_codes(self, moments: Moments) -> Loss:
        """Answer the squared error: codes are no counts."""
        return SquaredError()

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
                f"{low:g} to {high:g}."
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
