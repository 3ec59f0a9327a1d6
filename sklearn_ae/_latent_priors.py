"""Priors: what codes are like before a row is seen. Specs, for the parameter `prior`.

A prior sees codes and an encode function, and nothing else of the net.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Integral
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, InvalidParameterError

from sklearn_ae._latent_densities import (
    NUMBERS_PER_SPLINE,
    FlowDensity,
    LatentDensity,
    LearnedMixture,
    NormalDensity,
    OwnDensity,
    VampMixture,
)
from sklearn_ae._posteriors import Encode
from sklearn_ae._torch import derive_seed, own_global_seed

_POSITIVE_INTEGER = Interval(Integral, 1, None, closed="left")


class LatentPrior(BaseEstimator, ABC):
    """A spec of a prior: what `prior` of a variational autoencoder is besides a name.

    Attributes
    ----------
    name : str
        The name that stands for the spec at its defaults.
    """

    name: str
    _parameter_constraints = {}

    @abstractmethod
    def build(
        self, n_components: int, n_features: int, encode: Encode, seed: int
    ) -> LatentDensity:
        """Build the density that is trained with the net."""


class NormalPrior(LatentPrior):
    r"""The standard normal distribution: p(z) = N(z; 0, I)."""

    name = "normal"

    def build(
        self, n_components: int, n_features: int, encode: Encode, seed: int
    ) -> LatentDensity:
        """Build the density."""
        return NormalDensity(n_components)


@dataclass(eq=False, repr=False)
class GaussianMixturePrior(LatentPrior):
    r"""A mixture of normal distributions, learned with the net.

    .. math:: p(z) = \sum_m w_m N(z; \mu_m, \operatorname{diag} \sigma^2_m)

    Parameters
    ----------
    n_modes : int, default=10
        How many there are.

    References
    ----------
    N. Dilokthanakul et al. Deep unsupervised clustering with Gaussian mixture
    variational autoencoders. arXiv 1611.02648 (2016).

    Examples
    --------
    >>> from sklearn_ae import GaussianMixturePrior, VariationalAutoencoder
    >>> VariationalAutoencoder(prior=GaussianMixturePrior(n_modes=5))
    VariationalAutoencoder(prior=GaussianMixturePrior(n_modes=5))
    >>> VariationalAutoencoder(prior="gaussian_mixture").set_params(prior__n_modes=5)
    VariationalAutoencoder(prior=GaussianMixturePrior(n_modes=5))
    """

    n_modes: int = 10

    name = "gaussian_mixture"
    _parameter_constraints = {"n_modes": [_POSITIVE_INTEGER]}

    def build(
        self, n_components: int, n_features: int, encode: Encode, seed: int
    ) -> LatentDensity:
        """Build the density."""
        return LearnedMixture(n_components, self.n_modes, seed)


@dataclass(eq=False, repr=False)
class VampPrior(LatentPrior):
    r"""The mixture of the posteriors of learned pseudo-inputs u.

    .. math:: p(z) = \frac{1}{K} \sum_k q(z | u_k)

    They are rows, and start from training rows that are drawn at random.

    Parameters
    ----------
    n_pseudo_inputs : int, default=100
        How many there are: K.

    References
    ----------
    J. M. Tomczak and M. Welling. VAE with a VampPrior. AISTATS (2018).

    Examples
    --------
    >>> from sklearn_ae import VampPrior, VariationalAutoencoder
    >>> VariationalAutoencoder(prior=VampPrior(n_pseudo_inputs=20))
    VariationalAutoencoder(prior=VampPrior(n_pseudo_inputs=20))
    """

    n_pseudo_inputs: int = 100

    name = "vamp"
    _parameter_constraints = {"n_pseudo_inputs": [_POSITIVE_INTEGER]}

    def build(
        self, n_components: int, n_features: int, encode: Encode, seed: int
    ) -> LatentDensity:
        """Build the density."""
        return VampMixture(n_features, self.n_pseudo_inputs, encode)


@dataclass(eq=False, repr=False)
class FlowPrior(LatentPrior):
    r"""A normalising flow: f(z) is standard normal, with a learned invertible f.

    .. math:: p(z) = N(f(z); 0, I) \, \left|\det \frac{\partial f}{\partial z}\right|

    The flow is a neural spline flow of the package zuko, which has to be installed.

    Parameters
    ----------
    n_transforms : int, default=3
        Invertible maps in a row.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Widths of the net that each has.

    References
    ----------
    D. J. Rezende and S. Mohamed. Variational inference with normalizing flows. ICML
    (2015).

    C. Durkan, A. Bekasov, I. Murray and G. Papamakarios. Neural spline flows. NeurIPS
    (2019).

    Examples
    --------
    >>> from sklearn_ae import FlowPrior, VariationalAutoencoder
    >>> VariationalAutoencoder(prior=FlowPrior(n_transforms=2))
    VariationalAutoencoder(prior=FlowPrior(n_transforms=2))
    """

    n_transforms: int = 3
    hidden_layer_sizes: tuple[int, ...] = (64, 64)

    name = "flow"
    _parameter_constraints = {
        "n_transforms": [_POSITIVE_INTEGER],
        "hidden_layer_sizes": ["array-like"],
    }

    def build(
        self, n_components: int, n_features: int, encode: Encode, seed: int
    ) -> LatentDensity:
        """Build the density.

        Raises
        ------
        ImportError
            If zuko is not installed.
        InvalidParameterError
            If `hidden_layer_sizes` are no positive integers.
        """
        sizes = tuple(self.hidden_layer_sizes)
        for size in sizes:
            if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
                raise InvalidParameterError(
                    "The 'hidden_layer_sizes' parameter of FlowPrior must be a "
                    f"sequence of integers of at least 1. Got {sizes!r} instead."
                )
        if not find_spec("zuko"):
            raise ImportError(
                "prior='flow' needs the package zuko: pip install 'sklearn-ae[flow]'."
            )
        import zuko

        # What it makes on the way grows with the square: files are refused before it.
        torch.empty(
            (NUMBERS_PER_SPLINE * n_components, n_components),
            dtype=torch.bool,
            device="meta",
        )
        with own_global_seed(derive_seed(seed, "initialization of the prior")):
            flow = zuko.flows.NSF(
                n_components,
                transforms=self.n_transforms,
                hidden_features=sizes,
            )
        return FlowDensity(n_components, flow)


LATENT_PRIORS = {
    spec.name: spec
    for spec in (NormalPrior, VampPrior, FlowPrior, GaussianMixturePrior)
}


def build_prior(
    prior: Any, n_components: int, n_features: int, encode: Encode, seed: int
) -> LatentDensity:
    """Build what a spec, or an object with `log_density` and `sample`, describes."""
    if not isinstance(prior, LatentPrior):
        return OwnDensity(prior, n_components)
    prior._validate_params()
    return prior.build(n_components, n_features, encode, seed)
