"""Recurrent nets beside PCA and dense nets: what only the order of steps tells."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from benchmarks.data.waves import N_FEATURES, N_STEPS, disorder, draw_waves
from sklearn_ae import Autoencoder, LSTMAutoencoder
from sklearn_ae.architectures import LSTM
from theory.claims import Claim, MeanPredictor, check_claims

N_TRAIN = 4000


def waves(seed):
    """Draw waves to train on, and others."""
    return [
        draw_waves(n, np.random.default_rng(key))
        for n, key in ((N_TRAIN, seed), (1000, 100 + seed))
    ]


def recurrent(**params):
    defaults = {
        "architecture": LSTM(N_STEPS),
        "learning_rate": 3e-3,
        "learning_rate_schedule": "cosine",
        "batch_size": 64,
        "max_epochs": 20,
    }
    return LSTMAutoencoder(8, **(defaults | params))


@pytest.mark.slow
def test_sinusoids(request):
    """Eight codes explain .97 of waves that they have not seen; PCA(8) at most .70."""

    def figures(model, seed):
        X, X_test = waves(seed)
        model.fit(X)
        rebuilt = model.inverse_transform(model.transform(X_test))
        error = np.square(X_test - rebuilt).sum()
        pca = PCA(8, random_state=0).fit(X)
        by_pca = np.square(X_test - pca.inverse_transform(pca.transform(X_test))).sum()
        total = np.square(X_test - X_test.mean(axis=0)).sum()
        return {"explained": 1 - error / total, "by PCA": 1 - by_pca / total}

    check_claims(
        request,
        figures,
        recurrent(),
        [Claim("explained", at_least=0.97), Claim("by PCA", never_above=0.70)],
        stubs=[MeanPredictor(), PCA(8)],
    )


class StepByStep(Autoencoder):
    """A dense net of single steps: it knows no order."""

    def fit(self, X, y=None):
        return super().fit(X.reshape(-1, N_FEATURES))

    def reconstruction_error(self, X):
        errors = super().reconstruction_error(X.reshape(-1, N_FEATURES))
        return errors.reshape(len(X), -1).mean(axis=1)


@pytest.mark.slow
def test_order(request):
    """AUC of waves of which a quarter of the steps have changed places."""

    def figures(model, seed):
        X, X_test = waves(seed)
        spoilt = disorder(X_test[:500], np.random.default_rng(seed))
        rows = np.vstack([X_test[500:], spoilt])
        is_spoilt = np.repeat([False, True], 500)
        errors = model.fit(X).reconstruction_error(rows)
        return {"AUC": roc_auc_score(is_spoilt, errors)}

    check_claims(
        request,
        figures,
        recurrent(),
        [Claim("AUC", at_least=0.95)],
        stubs=[StepByStep(1, hidden_layer_sizes=(16,), max_epochs=5)],
    )
