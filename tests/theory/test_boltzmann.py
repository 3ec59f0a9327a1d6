"""Restricted Boltzmann machines against exact enumeration: F6."""

from functools import partialmethod
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import expit, logsumexp

from sklearn_ae import Autoencoder, DivergenceError
from sklearn_ae._training.boltzmann import BoltzmannMachine
from theory.claims import Claim, check_claims, check_identity
from theory.data import bars_and_stripes, binary_states

N_HIDDEN = 12


class Machine(NamedTuple):
    """Weights (n_hidden, n_visible) and biases, in units of the rows."""

    W: np.ndarray
    b: np.ndarray
    c: np.ndarray


class Boltzmann(Autoencoder):
    """One machine of binary units, unrolled; its training can be made wrong."""

    wrong: str = ""

    _parameter_constraints = {"wrong": [str]}

    def fit(self, X, y=None):
        with pytest.MonkeyPatch.context() as patch:
            if self.wrong:
                patch.setattr(BoltzmannMachine, "contrast", WRONG[self.wrong])
            return super().fit(X)


def _contrast(machine, v, *, sign=1.0, drawn=True, negative=1.0):
    """Do what `BoltzmannMachine.contrast` does, and three things that it must not."""
    h = machine.hidden_mean(v)
    uniform = torch.empty_like(h).uniform_(generator=machine.generator)
    states = (uniform < h).to(h.dtype) if drawn else h
    v_model = machine.visible_mean(states)
    h_model = machine.hidden_mean(v_model)
    n = len(v)
    direction = [
        (sign * h.mT @ v - negative * h_model.mT @ v_model) / n,
        sign * v.mean(0) - negative * v_model.mean(0),
        sign * h.mean(0) - negative * h_model.mean(0),
    ]
    return direction, (v - v_model).square().sum(-1).mean()


WRONG = {
    "sign": partialmethod(_contrast, sign=-1.0, negative=-1.0),
    "no negative phase": partialmethod(_contrast, negative=0.0),
    "means for states": partialmethod(_contrast, drawn=False),
}


def machine_of(model):
    """Read the machine from the net: its decoder is W', its encoder standardises."""
    module = model.to_module()
    reconstruction, back = module.reconstruction, module.decoder[0]
    W, c = (p.detach().double().numpy() for p in module.encoder[0].parameters())
    W = W / float(reconstruction.scale)
    c = c - W @ reconstruction.shift.numpy()
    assert_allclose(back.weight.detach().numpy(), W.T, rtol=1e-4, atol=1e-5)
    return Machine(W, back.bias.detach().double().numpy(), c)


def energies(machine, v, h):
    """Answer E(v, h) = -h'Wv - b'v - c'h of all pairs."""
    return -(v @ machine.W.T @ h.T + (v @ machine.b)[:, None] + h @ machine.c)


def train(model):
    # Batches of all patterns: the rows are the distribution itself.
    return model.fit(np.tile(bars_and_stripes(), (20, 1)))


def boltzmann(n_epochs=300, wrong=""):
    return Boltzmann(
        N_HIDDEN,
        hidden_layer_sizes=(),
        code_activation="logistic",
        loss="binary_cross_entropy",
        pretraining="rbm",
        pretraining_epochs=n_epochs,
        max_epochs=0,
        batch_size=14,
        wrong=wrong,
    )


def test_bars_and_stripes_are_fourteen():
    patterns = bars_and_stripes()
    assert patterns.shape == (14, 9)
    assert len(np.unique(patterns, axis=0)) == 14


def test_codes_are_the_conditional_probabilities():
    """F6: p(h|v) by summing exp(-E) over all 4096 states; transform is sigmoid(c+Wv).

    The wrong versions have the sign of c, or W, turned round.
    """
    model = train(boltzmann(20).set_params(random_state=0))
    machine, v = machine_of(model), bars_and_stripes()
    h = binary_states(N_HIDDEN)
    logs = -energies(machine, v, h)
    joint = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
    exact = joint @ h

    def check(signs):
        by_layer = expit(signs[0] * machine.c + v @ (signs[1] * machine.W).T)
        assert_allclose(by_layer, exact, atol=1e-5)
        assert_allclose(model.transform(v), exact, atol=1e-5)

    check_identity(check, (1, 1), (-1, 1), (1, -1))
    assert exact.std() > 0.05


def test_reconstructions_are_the_conditional_probabilities():
    """F6: the decoder answers p(v|h), in data units too."""
    model = train(boltzmann(20).set_params(random_state=0))
    machine, h = machine_of(model), binary_states(N_HIDDEN)[::97]
    v = binary_states(9)
    logs = -energies(machine, v, h).T
    exact = np.exp(logs - logsumexp(logs, axis=1, keepdims=True)) @ v
    assert_allclose(model.inverse_transform(h), exact, atol=1e-5)


def divergence(model, seed):
    """Answer KL(data || model) over all 512 visible states, in nats."""
    try:
        machine = machine_of(train(model))
    except DivergenceError:
        return {"nats from the data": np.inf}

    def log_weights(v):
        return v @ machine.b + np.logaddexp(0, v @ machine.W.T + machine.c).sum(axis=1)

    patterns = bars_and_stripes()
    log_likelihood = log_weights(patterns) - logsumexp(log_weights(binary_states(9)))
    return {"nats from the data": -np.log(len(patterns)) - log_likelihood.mean()}


def test_contrastive_divergence_learns_the_distribution(request):
    """F6: within .6 nats, where independent pixels are 3.6 nats away."""
    patterns = bars_and_stripes()
    independent = 9 * np.log(2) - np.log(len(patterns))
    assert_allclose(independent, 3.6, atol=0.01)
    check_claims(
        request,
        divergence,
        boltzmann(),
        [Claim("nats from the data", at_most=0.6, never_below=0)],
        stubs=[boltzmann(1), *(boltzmann(wrong=name) for name in WRONG)],
    )
