"""Recurrent nets beside PCA and dense nets: what only the order of steps tells."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from theory import Claim, MeanPredictor, check_claims

from sklearn_ae import Autoencoder, LSTMAutoencoder
from sklearn_ae.architectures import LSTM

N_STEPS, N_FEATURES, N_TRAIN = 30, 2, 4000


def sinusoids(n_rows, seed):
    """Draw waves of a frequency of their own, each feature with phase and size."""
    random = np.random.RandomState(seed)
    t = np.linspace(0, 1, N_STEPS, endpoint=False)[:, np.newaxis]
    frequency = random.uniform(1, 4, (n_rows, 1, 1))
    phase = random.uniform(0, 2 * np.pi, (n_rows, 1, N_FEATURES))
    size = random.uniform(0.5, 1.5, (n_rows, 1, N_FEATURES))
    return (size * np.sin(2 * np.pi * frequency * t + phase)).reshape(n_rows, -1)


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
        X, X_test = sinusoids(N_TRAIN, seed), sinusoids(1000, 100 + seed)
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
        X, X_test = sinusoids(N_TRAIN, seed), sinusoids(1000, 100 + seed)
        random = np.random.RandomState(seed)
        spoilt = X_test[:500].reshape(500, N_STEPS, N_FEATURES).copy()
        for row in spoilt:
            places = random.choice(N_STEPS, N_STEPS // 4, replace=False)
            row[places] = row[random.permutation(places)]
        rows = np.vstack([X_test[500:], spoilt.reshape(500, -1)])
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
