"""Noise that the encoder sees and the target does not: specs, and what they build.

A `Corruption` works on the rows that the encoder gets. What is random is drawn first
and handed in, so that corrupting is a pure function and a group of models can share it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from torch import Tensor, nn

from sklearn_ae._compute.ambient import Undisturbed, undisturbed
from sklearn_ae._compute.seeds import Random, draw_seed, make_generator
from sklearn_ae._compute.suggestions import Suggestions
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.moments import Moments, moments
from sklearn_ae._layers.functions import over_features, over_rows


class Corruption(nn.Module, Random):
    """Noise on rows of shape (..., n_rows, n_features); a leading axis counts models.

    Attributes
    ----------
    level : Tensor of shape () or (n_models,)
        How much of it there is.
    """

    level: Tensor

    def __init__(self, level: float) -> None:
        super().__init__()
        self.register_buffer("level", torch.tensor(level, dtype=torch.float64))

    def _level(self, x: Tensor) -> Tensor:
        return over_rows(self.level, x)

    @abstractmethod
    def forward(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Corrupt rows by what was drawn for them."""


class _Replacement(Corruption):
    """Entries become one of two values, each with probability `level` / 2."""

    low: Tensor
    high: Tensor

    def __init__(self, level: float, low: Tensor, high: Tensor) -> None:
        super().__init__(level)
        self.register_buffer("low", low)
        # Of its own: of a tensor that is two buffers, only one has a name to save.
        self.register_buffer("high", high.clone())

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw from the uniform distribution."""
        return torch.empty_like(x).uniform_(generator=generator)

    def forward(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Replace entries."""
        level = self._level(x)
        low, high = (over_features(end, x) for end in (self.low, self.high))
        ends = torch.where(drawn < level / 2, low, high)
        return torch.where(drawn < level, ends, x)


class Addition(Corruption):
    """Gaussian noise of standard deviation `level` is added."""

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw from the normal distribution."""
        return torch.empty_like(x).normal_(generator=generator)

    def forward(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Add noise."""
        return x + drawn * self._level(x)


class CallableCorruption(Corruption):
    """What a function answers for rows in data units.

    Parameters
    ----------
    function : callable
        Of rows and a `RandomState`, answers rows of the same shape.
    shift : Tensor of shape (n_features,)
    scale : Tensor of shape ()
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        function: Callable[[np.ndarray, np.random.RandomState], ArrayLike],
        shift: Tensor,
        scale: Tensor,
    ) -> None:
        super().__init__(0.0)
        self.function = function
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Answer the corrupted rows: what is random is the function's own."""
        seed = torch.randint(2**31, (), generator=generator, device=x.device)
        rows = (x.double() * self.scale + self.shift).cpu().numpy()
        noisy = self.function(rows, np.random.RandomState(int(seed)))
        try:
            noisy = check_array(noisy, dtype=np.float64, input_name="X with noise")
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"noise={self.function!r} has to answer the rows that it gets, with "
                f"noise, but its answer is refused: {error}"
            ) from error
        if noisy.shape != tuple(x.shape):
            raise ValueError(
                f"The noise answers rows of shape {noisy.shape} where rows of shape "
                f"{tuple(x.shape)} went in: it has to answer all of them."
            )
        answer = torch.from_numpy(noisy).to(x.device)
        return ((answer - self.shift) / self.scale).to(x.dtype)

    def forward(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Answer what was drawn."""
        return drawn


class Noise(Suggestions, Undisturbed, BaseEstimator, ABC):
    """What rows are corrupted with: a spec, for the parameter `noise`.

    Attributes
    ----------
    name : str
        The name that stands for the spec at its defaults.
    level_limit : float or None
        The largest `noise_level`.
    """

    name: str
    level_limit: float | None = 1.0
    _parameter_constraints = {}

    @classmethod
    def _hint_on_parameter(cls, name: str, names: Collection[str]) -> str:
        hint = super()._hint_on_parameter(name, names)
        return f"{hint} How much noise there is tells the estimator's noise_level."

    def corrupt(
        self,
        X: ArrayLike,
        noise_level: float,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Corrupt rows as training does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        noise_level : float
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Entries that are not hit are bit-equal to those of X.
        """
        X = check_array(X, dtype=[np.float64, np.float32])
        known = moments(X, with_medians=False)
        return self.corrupter(noise_level, known, random_state)(X)

    def corrupter(
        self,
        noise_level: float,
        known: Moments,
        random_state: int | np.random.RandomState | None = None,
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Answer a function that corrupts rows in data units, slice after slice.

        Parameters
        ----------
        noise_level : float
        known : Moments
            Of all the rows: what masks and limits are taken from.
        random_state : int, RandomState instance or None, default=None
        """
        self.check_level(noise_level)
        corruption = self.build(noise_level, known, np.zeros(len(known.mean)), 1.0)
        generator = make_generator(draw_seed(random_state), "corruption")

        @undisturbed
        def corrupt(rows: np.ndarray) -> np.ndarray:
            x = torch.from_numpy(np.array(rows, order="C"))
            with one_thread():
                return corruption(x, corruption.draw(x, generator)).numpy()

        return corrupt

    def check_level(self, level: float) -> None:
        """Refuse a level that this noise does not have.

        Raises
        ------
        ValueError
        """
        limit = math.inf if self.level_limit is None else self.level_limit
        if not 0 <= level <= limit:
            raise InvalidParameterError(
                f"The 'noise_level' parameter must be in [0, {limit:g}] with "
                f"noise={self.name!r}. Got {level!r} instead."
            )

    @abstractmethod
    def build(
        self, level: float, known: Moments, shift: np.ndarray, scale: float
    ) -> Corruption:
        """Build the corruption of rows (x - shift) / scale."""


@dataclass(eq=False, repr=False)
class MaskingNoise(Noise):
    r"""Entries are masked with probability `noise_level` (Vincent et al. 2008).

    .. math:: \tilde x_j = \mu_j \text{ with probability } \nu, \text{ else } x_j

    Parameters
    ----------
    fill : "mean" or float, default="mean"
        What a masked entry becomes: the feature's training mean (with the loss
        "correntropy" its median), which is 0 for centred data and what the net gets for
        a missing entry, or a number, in units of X.

    References
    ----------
    P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol. Extracting and composing
    robust features with denoising autoencoders. ICML (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ae import MaskingNoise
    >>> MaskingNoise(fill=0).corrupt(np.ones((2, 4)), 0.5, random_state=0)
    array([[1., 1., 0., 0.],
           [0., 1., 1., 0.]])
    """

    fill: str | float = "mean"

    name = "masking"
    _parameter_constraints = {
        "fill": [StrOptions({"mean"}), Interval(Real, None, None, closed="neither")]
    }

    def build(
        self, level: float, known: Moments, shift: np.ndarray, scale: float
    ) -> Corruption:
        """Build the corruption of rows (x - shift) / scale."""
        self._validate_params()
        fill = known.shift if self.fill == "mean" else self.fill
        value = torch.from_numpy((fill - shift) / scale)
        return _Replacement(level, value, value)


class GaussianNoise(Noise):
    r"""Gaussian noise is added, of standard deviation `noise_level` in units of X.

    .. math:: \tilde x = x + \sigma \varepsilon, \quad \varepsilon \sim N(0, I)

    References
    ----------
    P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol. Stacked
    denoising autoencoders. JMLR 11 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ae import GaussianNoise
    >>> noisy = GaussianNoise().corrupt(np.zeros((1000, 9)), 0.3, random_state=0)
    >>> float(noisy.std().round(2))
    0.3
    """

    name = "gaussian"
    level_limit = None

    def build(
        self, level: float, known: Moments, shift: np.ndarray, scale: float
    ) -> Corruption:
        """Build the corruption of rows (x - shift) / scale."""
        return Addition(level / scale)


class SaltAndPepperNoise(Noise):
    r"""Entries become the feature's training minimum or maximum.

    .. math:: \tilde x_j = \min_j \text{ or } \max_j
              \text{ with probability } \nu / 2 \text{ each, else } x_j

    References
    ----------
    P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol. Stacked
    denoising autoencoders. JMLR 11 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ae import SaltAndPepperNoise
    >>> X = np.array([[0.0, 5.0], [1.0, 6.0], [2.0, 7.0]])
    >>> SaltAndPepperNoise().corrupt(X, 1.0, random_state=0)
    array([[2., 7.],
           [0., 5.],
           [0., 7.]])
    """

    name = "salt_and_pepper"

    def build(
        self, level: float, known: Moments, shift: np.ndarray, scale: float
    ) -> Corruption:
        """Build the corruption of rows (x - shift) / scale."""
        low, high = (
            torch.from_numpy((end - shift) / scale) for end in (known.low, known.high)
        )
        return _Replacement(level, low, high)


NOISES = {spec.name: spec for spec in (MaskingNoise, GaussianNoise, SaltAndPepperNoise)}
