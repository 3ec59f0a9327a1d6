"""Priors that are learned with the net: specs, and the densities that they build."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from sklearn_ae._compute.seeds import derive_seed, make_generator, own_global_seed
from sklearn_ae._layers.codes import Encode, Normal, standard, within_bounds
from sklearn_ae._layers.dense import FLOAT, checked_widths
from sklearn_ae._priors.prior import LatentDensity, Prior, draw_normal

# Of zuko's splines with eight bins: widths, heights and slopes.
NUMBERS_PER_SPLINE = 23
# Of pseudo-inputs that start from the same row, in standard deviations.
_JITTER = 0.05


class Mixture(LatentDensity):
    """A mixture of normal distributions, all of one weight unless it says more."""

    @abstractmethod
    def parts(self) -> Normal:
        """Answer the distributions, of shape (n_parts, n_components)."""

    def log_weights(self, parts: Normal) -> Tensor:
        """Answer the logarithms of their weights, shape (n_parts,) or ()."""
        return parts.mean.new_tensor(-math.log(len(parts.mean)))

    def log_density(self, z: Tensor) -> Tensor:
        return torch.logsumexp(self._log_shares(z), -1).to(z.dtype)

    def _log_shares(self, z: Tensor) -> Tensor:
        """Answer what the density is made of: (..., n_parts), of float64."""
        parts = self.parts()
        # By products, as (z - m)^2 of all codes and parts would be large; in float64,
        # since what they differ by may be little.
        precision = torch.exp(-parts.log_variance.double())
        centre = parts.mean.double().mean(0)
        mean, z_centred = parts.mean.double() - centre, z.double() - centre
        distance = (
            z_centred.square() @ precision.transpose(0, 1)
            - 2 * (z_centred @ (mean * precision).transpose(0, 1))
            + (mean.square() * precision).sum(-1)
        ).clamp(min=0.0)
        spread = (math.log(2 * math.pi) + parts.log_variance).sum(-1)
        return self.log_weights(parts) - 0.5 * (distance + spread)

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        parts = self.parts()
        weights = self.log_weights(parts).exp().expand(len(parts.mean))
        weights = weights.to(generator.device, torch.float64)
        drawn = torch.multinomial(weights, n_samples, True, generator=generator)
        chosen = Normal(*(each[drawn.to(each.device)] for each in parts))
        noise = draw_normal((n_samples, parts.mean.shape[-1]), generator, torch.float64)
        return chosen.at(noise.to(parts.mean))


class FreeMixture(Mixture):
    """A mixture whose means and variances are learned."""

    def _start_at(self, means: Tensor) -> None:
        self.width = len(means)
        self.means = nn.Parameter(means)
        self.log_variances = nn.Parameter(torch.zeros_like(means))

    def parts(self) -> Normal:
        return Normal(self.means, within_bounds(self.log_variances))


class ClassNormals(FreeMixture):
    """A normal distribution for each class, with the frequencies of the classes.

    Parameters
    ----------
    n_components : int
    frequencies : tuple of float
        Of the classes.
    """

    def __init__(self, n_components: int, frequencies: tuple[float, ...]) -> None:
        super().__init__()
        self.frequencies = frequencies
        # All alike: what the rows of the classes are makes them differ.
        self._start_at(torch.zeros(len(frequencies), n_components, dtype=FLOAT))

    def log_weights(self, parts: Normal) -> Tensor:
        return parts.mean.new_tensor(self.frequencies, dtype=torch.float64).log()

    def given(self, classes: Tensor | None) -> LatentDensity:
        if classes is None:
            return self
        return RowNormals(Normal(*(each[classes] for each in self.parts())))

    def log_class_probabilities(self, z: Tensor, log_frequencies: Tensor) -> Tensor:
        return torch.log_softmax(self._log_shares(z), -1)


class RowNormals(LatentDensity):
    """A normal distribution for each row."""

    def __init__(self, of_rows: Normal) -> None:
        super().__init__()
        self.of_rows = of_rows

    def log_density(self, z: Tensor) -> Tensor:
        return self.of_rows.log_density(z)

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        noise = draw_normal(self.of_rows.mean.shape, generator, torch.float64)
        return self.of_rows.at(noise.to(self.of_rows.mean))

    def divergences(self, posterior: Normal, z: Tensor) -> Tensor:
        return posterior.divergence_from(self.of_rows)


class LearnedMixture(FreeMixture):
    """A mixture whose weights are learned, too."""

    def __init__(self, n_components: int, n_modes: int, seed: int) -> None:
        super().__init__()
        generator = make_generator(seed, "initialization of the prior")
        self.logits = nn.Parameter(torch.zeros(n_modes, dtype=FLOAT))
        self._start_at(draw_normal((n_modes, n_components), generator))

    def log_weights(self, parts: Normal) -> Tensor:
        return torch.log_softmax(self.logits, -1)


class VampMixture(Mixture):
    """The mixture of the posteriors of pseudo-inputs, which are learned."""

    def __init__(self, n_features: int, n_pseudo_inputs: int, encode: Encode) -> None:
        super().__init__()
        self.width = self.n_starting_rows = n_pseudo_inputs
        self.encode = encode
        rows = torch.zeros(n_pseudo_inputs, n_features, dtype=FLOAT)
        self.pseudo_inputs = nn.Parameter(rows)

    @torch.no_grad()
    def start_from(self, rows: Tensor, generator: torch.Generator) -> None:
        """Take standardised training rows; few of them several times, not quite alike.

        What starts as a copy would stay one: both would have the same gradient.
        """
        places = torch.arange(len(self.pseudo_inputs)) % len(rows)
        noise = draw_normal(self.pseudo_inputs.shape, generator)
        noise[: len(rows)] = 0.0
        self.pseudo_inputs.copy_(rows[places] + _JITTER * noise)

    def parts(self) -> Normal:
        return self.encode(self.pseudo_inputs)

    def settled(self) -> LatentDensity:
        return SettledMixture(self.parts())


class SettledMixture(Mixture):
    """A mixture whose parts have been computed, once for all codes."""

    def __init__(self, parts: Normal) -> None:
        super().__init__()
        self._parts = parts

    def parts(self) -> Normal:
        return self._parts


class FlowDensity(LatentDensity):
    """The density of z where f(z) is standard normal, with an invertible f of zuko."""

    def __init__(self, n_components: int, flow: nn.Module) -> None:
        super().__init__()
        self.n_components, self.flow = n_components, flow
        self.width = NUMBERS_PER_SPLINE * n_components

    def log_density(self, z: Tensor) -> Tensor:
        u, log_volume = self.flow().transform.call_and_ladj(z)
        return standard(u).log_density(u) + log_volume

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        noise = draw_normal((n_samples, self.n_components), generator, torch.float64)
        return self.flow().transform.inv(noise.to(next(self.flow.parameters())))


_POSITIVE_INTEGER = Interval(Integral, 1, None, closed="left")


@dataclass(eq=False, repr=False)
class GaussianMixturePrior(Prior):
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
class VampPrior(Prior):
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
class FlowPrior(Prior):
    r"""A normalising flow: f(z) is standard normal, with a learned invertible f.

    .. math:: p(z) = N(f(z); 0, I) \, \left|\det \frac{\partial f}{\partial z}\right|

    The flow is a neural spline flow of the package zuko, which has to be installed.

    Parameters
    ----------
    n_transforms : int, default=3
        Invertible maps in a row.
    hidden_layer_sizes : tuple of int or int, default=(64, 64)
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
    hidden_layer_sizes: tuple[int, ...] | int = (64, 64)

    name = "flow"
    _parameter_constraints = {
        "n_transforms": [_POSITIVE_INTEGER],
        "hidden_layer_sizes": ["array-like", _POSITIVE_INTEGER],
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
        name = "hidden_layer_sizes"
        sizes = checked_widths(self.hidden_layer_sizes, name, type(self).__name__)
        if not find_spec("zuko"):
            raise ImportError(
                "prior='flow' needs the package zuko: pip install 'sklearn-ae[flow]'."
            )
        import zuko

        # What it makes on the way grows with the square: files are refused before it.
        shape = NUMBERS_PER_SPLINE * n_components, n_components
        torch.empty(shape, dtype=torch.bool, device="meta")
        with own_global_seed(derive_seed(seed, "initialization of the prior")):
            flow = zuko.flows.NSF(
                n_components, transforms=self.n_transforms, hidden_features=sizes
            )
        return FlowDensity(n_components, flow)
