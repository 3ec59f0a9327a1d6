"""The variational autoencoder: codes are distributions, and rows have likelihoods."""

from __future__ import annotations

import math
from dataclasses import field
from functools import reduce
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from sklearn_ae._compute.seeds import make_generator
from sklearn_ae._compute.warnings import warn_caller
from sklearn_ae._data.frames import as_output
from sklearn_ae._data.moments import Moments, Units, objective_weight
from sklearn_ae._data.rows import Array, slice_size
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._layers.codes import (
    Encode,
    GaussianPosterior,
    drawn_points,
    spread_points,
)
from sklearn_ae._layers.dense import Stage
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._nets.bounds import evidence_bound, importance_bound
from sklearn_ae._nets.fitted import Model
from sklearn_ae._objective.divergences import Discrepancy, Divergence
from sklearn_ae._objective.likelihoods import BernoulliLikelihood, GaussianLikelihood
from sklearn_ae._objective.losses import Loss
from sklearn_ae._objective.penalties import Penalty
from sklearn_ae._objective.specs import resolve_spec
from sklearn_ae._priors.names import PRIOR_CONSTRAINTS, check_has
from sklearn_ae._priors.prior import LatentDensity

# Nats of a component, on average over the rows, from which it counts as active.
_ACTIVE = 0.02


class VariationalAutoencoder(BaseAutoencoder):
    r"""Variational autoencoder: a model of rows with likelihoods in nats.

    .. math:: \max_{f, g} \frac{1}{n} \sum_x E_{q(z|x)} \log p(x|z)
              - \beta \, KL(q(z|x) \| p(z)) - w \, MMD^2(q(z), p(z))

    The encoder answers a normal distribution q(z|x) with independent components, whose
    mean is the code; the decoder answers p(x|z). With `beta=1` the objective is the
    evidence lower bound (ELBO) of the log-likelihood log p(x).

    `score_samples` and `score` are that bound in nats, the units of `PCA.score`: higher
    is better, and with `likelihood="gaussian"` multiplying X by c lowers them by
    n_features log c. `log_likelihood` is a tighter bound.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int or int, default=(128, 64)
        Widths of the encoder's hidden layers, mirrored in the decoder: units of dense
        or recurrent layers, channels of convolutions. `()` is a shallow net.
    activation : str, default="silu"
        Activation of the hidden layers, by name as in :class:`Autoencoder`.
    learning_rate : float, default=2.5e-3
        First step size of the optimizer.
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        What rows are like given their codes: normal around the reconstruction, or
        binary with the reconstruction for probabilities (of X in [0, 1]; for values
        between, it is a cross-entropy and no density).
    noise_variance : str or float, default="learned"
        Variance of the Gaussian likelihood, in squared units of X: one for all features
        ("learned"), as in probabilistic PCA, one for each ("learned_per_feature"), as
        in factor analysis, or a number. "learned" reconstructs with less squared error,
        and of two components draws the clearer map. Take "learned_per_feature" where
        the likelihood is what counts: rows are more likely, and drawn ones vary as
        much as real ones in each feature, while codes tell most of features that can be
        told exactly. Learned variances are at least 1e-4 of the mean variance of the
        features. A number above the variances that components could explain makes all
        components collapse. A Bernoulli likelihood has none.
    beta : float, default=1.0
        Weight of the divergence from the prior. Above 1, codes tell less and their
        components separate more (beta-VAE).
    n_latent_samples : int, default=1
        Codes that are drawn for each row of a batch.
    mmd_weight : float, default=0.0
        Weight w, in nats, of the squared maximum mean discrepancy between the codes of
        a batch and the prior, by kernels as wide as standard normal codes are apart; a
        learned prior does not learn from it. InfoVAE with its alpha and lambda is
        `beta = 1 - alpha` and `mmd_weight = alpha + lambda - 1`. It is a statistic of a
        batch, not a sum over rows.
    prior : str, spec or object, default="normal"
        Distribution p(z) of the codes: "normal" (:class:`StandardNormal`), "vamp"
        (:class:`VampPrior`), "flow" (:class:`FlowPrior`), "gaussian_mixture"
        (:class:`GaussianMixturePrior`), one of these specs, or an object with
        `log_density(z)`, which answers nats of shape (...) for a tensor of codes
        (..., n_components) of any precision, and `sample(n_samples, generator)`, which
        draws a tensor of codes by a torch generator, on the generator's device. A copy
        of the object is used; if it is a torch module, its parameters are trained.
    kl_warmup_epochs : int, default=0
        Epochs in which `beta` rises from 0, against posterior collapse; each call of
        `partial_fit` counts as one. Training does not end before.
    free_bits : float, default=0.0
        Nats per component below which the divergence costs the same, against posterior
        collapse.

    Attributes
    ----------
    active_components_ : int
        Number of components whose divergence is above 0.02 nats.
    kl_per_component_ : ndarray of shape (n_components,)
        Mean divergence of the posteriors of the rows that `fit` or `partial_fit` was
        last called with, in nats: from a standard normal distribution; with another
        prior, from a normal distribution with the mean and the variance that the
        component has over all rows. It is about what the component tells of a row: near
        0 it has collapsed. Where all have, `fit` warns (`ConvergenceWarning`).
    noise_variance_ : float or ndarray of shape (n_features,)
        Variance of the Gaussian likelihood, in squared units of X.

    See Also
    --------
    Autoencoder : Codes without a distribution; sample with a `latent_density`.
    ConditionalVariationalAutoencoder : Of labelled rows.

    References
    ----------
    D. P. Kingma and M. Welling. Auto-encoding variational Bayes. ICLR (2014).

    D. J. Rezende, S. Mohamed and D. Wierstra. Stochastic backpropagation and
    approximate inference in deep generative models. ICML (2014).

    I. Higgins et al. beta-VAE: learning basic visual concepts with a constrained
    variational framework. ICLR (2017).

    S. Zhao, J. Song and S. Ermon. InfoVAE: information maximizing variational
    autoencoders. AAAI (2019).

    S. R. Bowman et al. Generating sentences from a continuous space. CoNLL (2016).

    D. P. Kingma et al. Improved variational inference with inverse autoregressive flow.
    NIPS (2016).

    J. Lucas, G. Tucker, R. Grosse and M. Norouzi. Don't blame the ELBO! A linear VAE
    perspective on posterior collapse. NeurIPS (2019).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import VariationalAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(8, max_epochs=20, random_state=0).fit(X)
    >>> images = vae.sample(5, random_state=0, observation_noise=False)
    >>> images.shape
    (5, 64)
    >>> mean, deviation = vae.encode_distribution(X)
    >>> bool((mean == vae.transform(X)).all())
    True
    >>> bool(vae.log_likelihood(X[:100]).mean() > vae.score(X[:100]))
    True
    """

    latent_density: Any = field(default=None, init=False)
    loss: str | Loss = field(default="squared_error", init=False)
    tied_weights: bool = field(default=False, init=False)
    # Chosen by `python -m benchmarks defaults --estimator variational`.
    hidden_layer_sizes: tuple[int, ...] | int = (128, 64)
    activation: str = "silu"
    learning_rate: float = 2.5e-3
    likelihood: str = "gaussian"
    noise_variance: str | float = "learned"
    beta: float = 1.0
    n_latent_samples: int = 1
    mmd_weight: float = 0.0
    prior: Any = "normal"
    kl_warmup_epochs: int = 0
    free_bits: float = 0.0

    _absent_attributes: ClassVar[tuple[str, ...]] = ("latent_density_",)
    _passing_attributes: ClassVar[tuple[str, ...]] = (
        "active_components_",
        "kl_per_component_",
        "noise_variance_",
    )
    _parameter_constraints = {
        "likelihood": [StrOptions({"gaussian", "bernoulli"})],
        "noise_variance": [
            StrOptions({"learned", "learned_per_feature"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "beta": [Interval(Real, 0, None, closed="left")],
        "n_latent_samples": [Interval(Integral, 1, None, closed="left")],
        "mmd_weight": [Interval(Real, 0, None, closed="left")],
        "prior": PRIOR_CONSTRAINTS,
        "kl_warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
    }

    # What the net is made of.

    def _loss(self) -> Loss:
        if self.likelihood == "bernoulli":
            return BernoulliLikelihood()
        return GaussianLikelihood(self.noise_variance)

    def _build_posterior(self) -> GaussianPosterior:
        return GaussianPosterior(
            self.n_components, self._resolved_code_activation(), self.n_latent_samples
        )

    def _build_module(
        self, row_shape: tuple[int, ...] | None, moments: Moments, seed: int
    ) -> AutoencoderModule:
        module = super()._build_module(row_shape, moments, seed)
        encode = Encode(module.encoder, module.posterior)
        module.prior = self._build_prior(moments, encode, seed)
        if self.mmd_weight:
            weight = objective_weight(self.mmd_weight, module.unit)
            module.penalties["discrepancy"] = Discrepancy(
                weight, module.prior, self.n_latent_samples
            )
        return module

    def _build_prior(
        self, moments: Moments, encode: Encode, seed: int
    ) -> LatentDensity:
        prior = self._spec("prior")
        check_has(prior, self, "log_density", "build")
        prior.check(self.n_components)
        return prior.build(self.n_components, len(moments.mean), encode, seed)

    def _build_penalties(self, units: Units) -> dict[str, Penalty]:
        weight = objective_weight(self.beta, units.cost)
        divergence = Divergence(weight, self.free_bits, self.kl_warmup_epochs)
        return super()._build_penalties(units) | {"divergence": divergence}

    # Pretraining: of layers that answer codes, not distributions.

    def _plain(self) -> BaseAutoencoder:
        """Answer the autoencoder that has the means for its codes."""
        plain = BaseAutoencoder()
        for name in plain.get_params(deep=False):
            setattr(plain, name, getattr(self, name))
        is_binary = self.likelihood == "bernoulli"
        plain.loss = "binary_cross_entropy" if is_binary else "squared_error"
        return plain

    def _shallow_copy(self, stage: Stage) -> BaseAutoencoder:
        shallow = self._plain()._shallow_copy(stage)
        if stage.below is None and self.likelihood == "gaussian":
            # From nats to squared units of X.
            shallow.weight_decay *= stage.known.scale**2
        return shallow

    def _check_pretraining(self) -> None:
        self._plain()._check_pretraining()

    # What follows from the trained net.

    def _expected_attributes(self) -> set[str]:
        names = {"active_components_", "kl_per_component_"}
        if self.likelihood == "gaussian":
            names.add("noise_variance_")
        return super()._expected_attributes() | names

    def _derived_attributes(self, model: Model, X: Array) -> dict[str, Any]:
        divergences = model.divergences(X)
        n_active = int((divergences > _ACTIVE).sum())
        # Of rows that do not differ there is nothing to tell.
        if not n_active and model.moments.variance and X.shape[0] > 1:
            warn_caller(
                "No component is active: the code tells nothing of a row "
                "(kl_per_component_). Lower beta or noise_variance, train for longer, "
                "or set kl_warmup_epochs or free_bits.",
                ConvergenceWarning,
            )
        derived = {"kl_per_component_": divergences, "active_components_": n_active}
        if self.likelihood == "gaussian":
            variance = model.module.reconstruction.noise_variance.cpu().numpy()
            per_feature = self.noise_variance == "learned_per_feature"
            derived["noise_variance_"] = variance if per_feature else variance.item()
        return derived

    def _is_generative(self) -> bool:
        return True

    def _draw_codes(
        self, n_samples: int, seed: int, classes: np.ndarray | None = None
    ) -> np.ndarray:
        generator = make_generator(seed, "codes")
        return self._fitted_model().draw_codes(n_samples, generator, classes)

    def _prior_quantiles(self, probabilities: np.ndarray) -> np.ndarray | None:
        prior = resolve_spec("prior", self._fitted_model().parameters["prior"])
        return prior.quantiles(probabilities, self.n_components)

    # Distributions and likelihoods.

    def encode_distribution(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Encode rows to distributions: normal, with independent components.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components)
            What `transform` answers.
        deviation : ndarray of shape (n_samples, n_components)
            Standard deviations. With `set_output` both are frames as `transform`
            answers them.
        """
        model, checked = self._fitted_rows(X)
        names = self.get_feature_names_out()
        mean, deviation = model.posteriors(checked)
        return as_output(self, mean, X, names), as_output(self, deviation, X, names)

    def score_samples(self, X: Any) -> np.ndarray:
        r"""Evidence lower bound (ELBO) of each row's log-likelihood, in nats.

        .. math:: E_{q(z|x)} \log p(x|z) - KL(q(z|x) \| p(z))

        whatever `beta` and `mmd_weight` are. The mean over codes is by points that are
        the same for all rows; with a linear decoder and `prior="normal"` it is exact.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            With `likelihood="bernoulli"` if X is not in [0, 1].
        """
        return self._evidence(X)

    def _evidence(self, X: Any, y: Any = None) -> np.ndarray:
        model, X = self._fitted_rows(X)
        self._check_range(X)
        classes = self._classes_of(X.shape[0], y)
        points = spread_points(model.n_components, model.seed)
        total = sum(
            len(some) * model.bound(X, evidence_bound, some, classes)
            for some in _held_at_a_time(model, points)
        )
        return total / len(points)

    def log_likelihood(self, X: Any, n_importance_samples: int = 500) -> np.ndarray:
        r"""Importance-weighted lower bound of each row's log-likelihood, in nats.

        .. math:: \log \frac{1}{L} \sum_{l=1}^L \frac{p(x|z_l) \, p(z_l)}{q(z_l|x)},
                  \quad z_l \sim q(z|x)

        It is the ELBO on average where L = 1, and comes nearer to log p(x) with more
        samples, which are drawn once for all rows (Burda et al. 2016).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        n_importance_samples : int, default=500
            L.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            With `likelihood="bernoulli"` if X is not in [0, 1].

        References
        ----------
        Y. Burda, R. Grosse and R. Salakhutdinov. Importance weighted autoencoders. ICLR
        (2016).
        """
        return self._importance(X, n_importance_samples)

    def _importance(
        self, X: Any, n_importance_samples: int, y: Any = None
    ) -> np.ndarray:
        model, X = self._fitted_rows(X)
        check_scalar(n_importance_samples, "n_importance_samples", Integral, min_val=1)
        self._check_range(X)
        classes = self._classes_of(X.shape[0], y)
        points = drawn_points(n_importance_samples, model.n_components, model.seed)
        parts = (
            model.bound(X, importance_bound, some, classes)
            + math.log(len(some) / len(points))
            for some in _held_at_a_time(model, points)
        )
        return reduce(np.logaddexp, parts)


def _held_at_a_time(model: Model, points: Tensor) -> tuple[Tensor, ...]:
    """Split points so that a row at all of them is no larger than a slice of rows."""
    return points.split(slice_size(model.module.width))
