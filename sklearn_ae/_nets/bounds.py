"""Lower bounds of log-likelihoods, in nats per row."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sklearn_ae._layers.codes import Normal
from sklearn_ae._nets.autoencoder import AutoencoderModule, split_missing
from sklearn_ae._priors.prior import LatentDensity


def evidence_bound(
    module: AutoencoderModule,
    prior: LatentDensity,
    points: Tensor,
    x: Tensor,
    classes: Tensor | None = None,
) -> Tensor:
    r"""Answer the evidence lower bound (ELBO) of rows (Jordan et al. 1999).

    .. math:: E_{q(z|x)} \log p(x|z) - KL(q(z|x) \| p(z))

    with the mean over codes at points of a standard normal distribution.
    """
    posterior, z, x, weights = _codes_of_rows(module, x, points)
    log_p = _log_likelihood(module, z, x, weights, classes).mean(0)
    return log_p - prior.given(classes).divergences(posterior, z.flatten(0, 1)).sum(-1)


def importance_bound(
    module: AutoencoderModule,
    prior: LatentDensity,
    points: Tensor,
    x: Tensor,
    classes: Tensor | None = None,
) -> Tensor:
    r"""Answer the importance-weighted bound of rows (Burda et al. 2016).

    .. math:: \log \frac{1}{L} \sum_l \frac{p(x|z_l) \, p(z_l)}{q(z_l|x)}
    """
    posterior, z, x, weights = _codes_of_rows(module, x, points)
    log_ratio = prior.given(classes).log_density(z) - posterior.log_density(z)
    log_p = _log_likelihood(module, z, x, weights, classes)
    return torch.logsumexp(log_p + log_ratio, 0) - math.log(len(points))


def _codes_of_rows(
    module: AutoencoderModule, x: Tensor, points: Tensor
) -> tuple[Normal, Tensor, Tensor, Tensor | None]:
    """Answer posteriors, codes (n_points, n_rows, k), standardised rows and weights."""
    x = module.standardize(x)
    posterior = module.posterior.of(module.encoder(module.fill_missing(x)))
    x, weights = split_missing(x, module.may_miss)
    return posterior, posterior.at(points.unsqueeze(1)), x, weights


def _log_likelihood(
    module: AutoencoderModule,
    z: Tensor,
    x: Tensor,
    weights: Tensor | None,
    classes: Tensor | None,
) -> Tensor:
    """Answer log p(x|z) in nats, shape (n_points, n_rows)."""
    reconstruction = module.reconstruction
    cost = module.cost(z, x, weights, classes)
    return -cost * reconstruction.unit - reconstruction.floor
