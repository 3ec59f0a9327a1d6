"""What `sample` draws around the decoded codes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from contract.table import every_class


@every_class
@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_samples_spread_as_residuals_do(row, factor, X, y):
    """Each feature with the variance of its residuals, or that of the likelihood."""
    X = factor * X
    X[:, 0] = 3 * X[:, 0]
    estimator = row.make(**row.sampling(GaussianMixture(1, random_state=0))).fit(X, y)
    noise = estimator.sample(4000, 0) - estimator.sample(
        4000, 0, observation_noise=False
    )
    residuals = np.square(X - estimator.reconstruct(X)).mean(axis=0)
    expected = getattr(estimator, "noise_variance_", residuals)
    found = noise.var(axis=0)
    np.testing.assert_allclose(found, np.broadcast_to(expected, 6), rtol=0.12)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.08 * noise.std())
