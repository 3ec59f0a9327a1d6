"""The maximum mean discrepancy that the variational autoencoder and others share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from sklearn_ae._objective.divergences import discrepancy, similarity


@pytest.mark.parametrize("widths", [(0.5, 1.0, 2.0), (0.3,)])
@pytest.mark.parametrize("unit", [None, 1.0, 3.0])
def test_kernels_have_the_widths_that_are_asked_for(widths, unit):
    one, other = np.random.default_rng(0).normal(size=(2, 6, 4))
    known = np.sqrt(2 * 4) if unit is None else unit

    def mean(a, b):
        squares = cdist(a, b) ** 2 / known**2
        return np.mean([np.exp(-squares / (2 * w**2)) for w in widths])

    expected = mean(one, one) - 2 * mean(one, other) + mean(other, other)
    pair = torch.from_numpy(one), torch.from_numpy(other)
    assert float(discrepancy(*pair, widths, unit)) == pytest.approx(expected)
    found = float(similarity(*pair, widths, known**2))
    assert found == pytest.approx(mean(one, other))
