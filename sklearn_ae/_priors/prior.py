"""What a prior is: a distribution of codes, to draw from or to measure codes by."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from torch import Tensor, nn

from sklearn_ae._compute.suggestions import Suggestions
from sklearn_ae._layers.codes import Encode, Normal
from sklearn_ae._layers.dense import FLOAT


class Prior(Suggestions, BaseEstimator):
    """A distribution of codes: a spec, which a parameter `prior` is or stands for.

    One of your own needs `sample` for estimators that draw from it, `log_density` for
    those that measure codes by it, and is asked for nothing else.

    Attributes
    ----------
    name : str
        The name that stands for the spec at its defaults, if it has one.
    is_planar : bool
        Whether it has two components, no more and no fewer.
    """

    name: ClassVar[str]
    is_planar: ClassVar[bool] = False
    _parameter_constraints = {}

    def check(self, n_components: int) -> None:
        """Refuse wrong parameters, and a number of components that it does not have.

        Raises
        ------
        ValueError
        """
        self._validate_params()
        if self.is_planar and n_components != 2:
            raise ValueError(
                f"prior={self.name!r} lies in a plane and needs n_components=2, got "
                f"n_components={n_components}. An object with `sample`, such as a "
                "fitted GaussianMixture, or a function can be a prior of any width."
            )

    # Draws.

    @property
    def n_modes(self) -> int:
        """Components of a mixture that can be drawn from one by one, or 0."""
        return 0

    def sample(
        self,
        n_samples: int = 1,
        n_components: int = 2,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
        n_components : int, default=2
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        raise NotImplementedError(f"nothing is drawn yet: {self} has no draws")

    def draw(self, n: int, n_components: int, generator: torch.Generator) -> Tensor:
        """Draw `n` codes on the generator's device."""
        device = generator.device
        seed = torch.randint(2**62, (), generator=generator, device=device)
        codes, _ = draw_codes(self, n, n_components, int(seed))
        return torch.from_numpy(codes).to(device, FLOAT)

    def draw_modes(self, modes: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a code of each of the given components."""
        raise NotImplementedError(f"{self} has no components to draw from one by one")

    def quantiles(
        self, probabilities: np.ndarray, n_components: int
    ) -> np.ndarray | None:
        """Answer those of each component of the code, one column each, if known."""
        return None

    # Densities.

    def log_density(self, z: Tensor) -> Tensor:
        """Answer the log-density of codes in nats: shape (...) of (..., k)."""
        raise NotImplementedError(f"{self} has no density of its own")

    def build(
        self, n_components: int, n_features: int, encode: Encode, seed: int
    ) -> LatentDensity:
        """Build the density that is trained with the net."""
        return OwnDensity(self, n_components)


def draw_codes(
    prior: Prior, n: int, n_components: int, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw codes in random order that depend on `seed` only.

    What `sample` answers may be a tuple, as of `GaussianMixture`: codes, and the
    numbers of the components that they are of, which are answered too.

    Raises
    ------
    ValueError
        If it cannot be drawn from, or answers something else.
    """
    state = np.random.RandomState(seed % 2**32)
    try:
        answer = prior.sample(n, n_components, state)
        codes, modes = answer if isinstance(answer, tuple) else (answer, None)
        order = state.permutation(len(codes))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{prior!r} could not be drawn from: {error} A prior is an object, fitted, "
            "with sample(n_samples), or a function of n_samples and a RandomState."
        ) from error
    codes = check_array(codes, dtype=np.float64, input_name="the prior's codes")
    if codes.shape != (n, n_components):
        raise ValueError(
            f"{prior!r} answers codes of shape {codes.shape}, where "
            f"{(n, n_components)} is expected."
        )
    return codes[order], None if modes is None else np.asarray(modes)[order]


class LatentDensity(nn.Module, ABC):
    """A density of codes that is trained with the net.

    Attributes
    ----------
    width : int
        Most values that a code becomes.
    n_starting_rows : int
        Training rows that `start_from` gets before training.
    """

    width = 1
    n_starting_rows = 0

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Answer the log-density of codes in nats: shape (...) of (..., k)."""

    @abstractmethod
    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes of shape (n_samples, n_components)."""

    def start_from(self, rows: Tensor, generator: torch.Generator) -> None:
        """Take standardised training rows to start from."""

    def given(self, classes: Tensor | None) -> LatentDensity:
        """Answer the density of the codes of rows of these classes, one for each row.

        It is the same for all, unless a density knows of classes.
        """
        return self

    def log_class_probabilities(self, z: Tensor, log_frequencies: Tensor) -> Tensor:
        """Answer log p(y|z) of codes (..., k) for each class y: the last axis.

        Frequencies of the classes, unless a density knows of classes.
        """
        return log_frequencies.expand(*z.shape[:-1], -1)

    def settled(self) -> LatentDensity:
        """Answer the density as it is now, for many codes: it will not be trained."""
        return self

    def divergences(self, posterior: Normal, z: Tensor) -> Tensor:
        """Answer what adds up to the divergence of each row's posterior, in nats.

        Shape (n_rows, n_parts); here the one estimate by codes `z` that were drawn,
        of shape (n_draws * n_rows, n_components).
        """
        z = z.unflatten(0, (-1, posterior.mean.shape[-2]))
        gap = posterior.log_density(z) - self.log_density(z)
        return gap.mean(0).unsqueeze(-1)


class OwnDensity(LatentDensity):
    """What someone else has written: a prior, or an object, with `log_density`."""

    def __init__(self, density: Any, n_components: int) -> None:
        super().__init__()
        # A module's parameters are trained; what is fitted stays with this net.
        self.density, self.n_components = copy.deepcopy(density), n_components

    def log_density(self, z: Tensor) -> Tensor:
        return self._checked("log_density", self.density.log_density(z), z.shape[:-1])

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        if isinstance(self.density, Prior):
            return self.density.draw(n_samples, self.n_components, generator)
        z = self.density.sample(n_samples, generator)
        return self._checked("sample", z, (n_samples, self.n_components))

    def _checked(self, method: str, answer: Any, shape: tuple[int, ...]) -> Tensor:
        if isinstance(answer, Tensor) and answer.shape == shape:
            return answer
        found = type(answer).__name__
        if isinstance(answer, Tensor):
            found = f"a tensor of shape {tuple(answer.shape)}"
        raise ValueError(
            f"{method} of prior={self.density!r} answers {found}, where a tensor of "
            f"shape {tuple(shape)} is expected."
        )


def draw_normal(
    shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype = FLOAT
) -> Tensor:
    """Draw from N(0, 1) on the device of the generator."""
    return torch.randn(shape, dtype=dtype, device=generator.device, generator=generator)


def draw_uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw from U(0, 1) on the device of the generator."""
    return torch.rand(shape, dtype=FLOAT, device=generator.device, generator=generator)
