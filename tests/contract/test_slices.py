"""6 and 18: rows are looked at in slices, and no answer shows where they end."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from contract.table import answers, every_case, fitted_numbers

# So that the last slice is smaller than the others, whatever the width.
N_ENTRIES = 7 * 17


def everything(estimator, X):
    found = fitted_numbers(estimator) | answers(estimator, X)
    for name in ("history_", "n_iter_"):
        found.pop(name, None)
    if hasattr(estimator, "sample"):
        found["sample"] = estimator.sample(20, random_state=0)
    if hasattr(estimator, "log_likelihood"):
        found["log_likelihood"] = estimator.log_likelihood(X, 20)
    return found


@every_case
def test_a_fit_does_not_show_its_slices(row, params, X, y, monkeypatch):
    """Moments, residuals, divergences, covariances, curves: those of one slice."""
    if "latent_density" in row.cls().get_params():
        params = {**params, "latent_density": GaussianMixture(1, random_state=0)}
    whole = row.make(**params).fit(X, y)
    expected = everything(whole, X)
    draws = whole.early_stopping or whole.optimizer == "lbfgs"
    if draws and whole._model.module.random_parts():
        pytest.skip("its noise is drawn slice by slice")
    monkeypatch.setattr("sklearn_ae._data.rows._SLICE_ENTRIES", N_ENTRIES)
    found = everything(row.make(**params).fit(X, y), X)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=1e-3, atol=1e-4, err_msg=name
        )
