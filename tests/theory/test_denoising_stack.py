"""A stack of denoising autoencoders corrupts the clean codes below a layer: F5.

A layer's weights are tied, so what it can reach is the least expected error of a tied
map, which the covariance S of the clean codes tells: with P = (1 - nu) S and
Q = (1 - nu)^2 S + nu (1 - nu) diag(S) a map A costs tr(S) - 2 tr(A P) + tr(A Q A').
Over all maps its least value has a closed form, tr(S) - tr(P Q^-1 P'), but P Q^-1 is
symmetric only where the diagonal of S is constant, and no one can choose the rotation
in which the first layer writes its codes. So the closed form is a bound here, and the
optimum over A = W'W is found numerically, from S alone.
"""

import numpy as np
import torch
from numpy.testing import assert_allclose
from scipy.linalg import circulant
from scipy.optimize import minimize

from sklearn_ae import Autoencoder, DenoisingAutoencoder
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._layers.dense import dense_layers
from theory.claims import Claim, check_claims, gaussian_rows

NU, N_FEATURES, WIDTH = 0.3, 30, 8
SPECTRUM = 10 * 0.7 ** np.arange(N_FEATURES)
STACK = {
    "hidden_layer_sizes": (WIDTH,),
    "activation": "identity",
    "pretraining": "greedy",
    "pretraining_epochs": 60,
    "max_epochs": 0,
    "learning_rate": 1e-2,
    "learning_rate_schedule": "cosine",
    "batch_size": 200,
}


def masked(S):
    """Answer E[x x~'] and E[x~ x~'] of entries that are 0 with probability nu."""
    Q = (1 - NU) ** 2 * S + NU * (1 - NU) * np.diag(np.diag(S))
    return (1 - NU) * S, Q


def expected_error(A, S, P, Q):
    """Answer E ||x - A x~||^2."""
    return np.trace(S) - 2 * np.trace(A @ P) + np.trace(A @ Q @ A.T)


def best_tied(S, P, Q):
    """Answer the least expected error of A = W'W, and W."""

    def error(w):
        W = w.reshape(WIDTH, len(S))
        A = W.T @ W
        slope = 2 * W @ (Q @ A + A @ Q - 2 * P)
        return expected_error(A, S, P, Q), slope.ravel()

    starts = np.random.RandomState(0).normal(size=(3, WIDTH * len(S))) / len(S)
    options = {"jac": True, "method": "L-BFGS-B", "options": {"maxiter": 5000}}
    with one_thread():
        found = [minimize(error, w, tol=1e-13, **options) for w in starts]
    best = min(found, key=lambda result: result.fun)
    return best.fun, best.x.reshape(WIDTH, len(S))


def through(model, X):
    """Answer the first layer and the rows that it gets, standardised."""
    module = model._model.module
    first = dense_layers(module.encoder)[0].weight.detach().double().numpy()
    return first, (X - X.mean(axis=0)) / float(module.reconstruction.scale)


def masked_input(model, X):
    """Answer P and Q of codes whose rows, not they themselves, were masked."""
    W, rows = through(model, X)
    P, Q = masked(rows.T @ rows / len(rows))
    return W @ P @ W.T, W @ Q @ W.T


class MaskedInput(DenoisingAutoencoder):
    """Its second layer is the best one for codes of masked rows."""

    def fit(self, X, y=None):
        super().fit(X)
        W, rows = through(self, X)
        S = W @ (rows.T @ rows / len(rows)) @ W.T
        _, best = best_tied(S, *masked_input(self, X))
        layer = dense_layers(self._model.module.encoder)[1]
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(best))
        return self


def figures(model, seed):
    X = gaussian_rows(seed, 4000, SPECTRUM)
    model.fit(X)
    H = model.layer_codes(X)[0]
    S = H.T @ H / len(H)
    P, Q = masked(S)
    W = dense_layers(model._model.module.encoder)[1].weight.detach().double().numpy()
    error = expected_error(W.T @ W, S, P, Q)
    least, _ = best_tied(S, P, Q)
    of_any_map = np.trace(S) - np.trace(P @ np.linalg.solve(Q, P.T))
    of_masked_input, _ = best_tied(S, *masked_input(model, X))
    # Noise is drawn anew each epoch; the last ones hardly change the weights.
    reported = np.mean(model.pretraining_curves_[1][-10:])
    return {
        "error of the best tied map": error / least,
        "error of the best map": error / of_any_map,
        "reported error": abs(reported / least - 1),
        "shift by masked input": abs(of_masked_input / least - 1),
    }


def test_a_layer_is_trained_on_corrupted_codes(request):
    """F5: the second layer's denoising error is the least one, within 2%.

    Of masked rows it would report another, and its map would be another; without noise
    it is a third.
    """
    check_claims(
        request,
        figures,
        DenoisingAutoencoder(WIDTH, noise_level=NU, **STACK),
        [
            Claim("error of the best tied map", at_most=1.02, never_below=1 - 1e-6),
            Claim("error of the best map", never_below=1 - 1e-6),
            Claim("reported error", at_most=0.02),
            Claim("shift by masked input", at_least=0.1),
        ],
        stubs=[
            Autoencoder(WIDTH, **STACK),
            MaskedInput(WIDTH, noise_level=NU, **STACK),
            DenoisingAutoencoder(WIDTH, noise_level=NU / 2, **STACK),
        ],
    )


def test_the_closed_form_of_a_constant_diagonal():
    """H3: there the best tied map is the best of all maps, so the two agree."""
    random = np.random.RandomState(0)
    # A circulant covariance has a constant diagonal, whatever its spectrum.
    powers = 1 + random.uniform(size=WIDTH)
    spectrum = np.abs(np.fft.fft(powers)) ** 2
    S = circulant(np.fft.ifft(spectrum).real)
    assert_allclose(S, S.T, atol=1e-9)
    P, Q = masked(S)
    least, _ = best_tied(S, P, Q)
    closed = np.trace(S) - np.trace(P @ np.linalg.solve(Q, P.T))
    assert_allclose(least, closed, rtol=1e-6)
    assert abs(closed / np.trace(S) - NU) > 0.02
