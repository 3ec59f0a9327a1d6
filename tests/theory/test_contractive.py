"""Contractive autoencoders: C5, G6, G7, and the penalty itself."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sklearn_ae import Autoencoder, ContractiveAutoencoder
from sklearn_ae._data.moments import moments
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.dense import SelectiveEncoder, is_linear
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae._nets.autoencoder import set_precision
from sklearn_ae._objective import contraction
from sklearn_ae._objective.contraction import ProjectedContraction, jacobian_norm
from sklearn_ae._objective.penalties import Pass
from sklearn_ae.architectures import Dense
from theory.claims import (
    Claim,
    check_claims,
    check_identity,
    digits,
    digits_split,
    end_to_end_matrix,
    gaussian_rows,
    principal_axes,
    sse,
)

SMOOTH = sorted(set(ACTIVATIONS) - {"binary"})
SHALLOW = {"hidden_layer_sizes": (), "code_activation": "logistic"}


def jacobian_by_differences(model, X, h=1e-5):
    """Answer the mean squared norm through `transform` alone (FDJ)."""
    total = 0.0
    for step in h * np.eye(X.shape[1]):
        slope = (model.transform(X + step) - model.transform(X - step)) / (2 * h)
        total += np.square(slope).sum(axis=1).mean()
    return total


def built(n_components=4, seed=0, **params):
    """Build a float64 net for rows far from standard units."""
    X = 3 * np.random.RandomState(seed).normal(size=(9, 6)) + 2
    # Tied, so that a linear encoder is not refused.
    model = ContractiveAutoencoder(n_components, alpha=1.0, tied_weights=True, **params)
    module = set_precision(model._build_module(6, moments(X), seed), torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return module, module.standardize(torch.from_numpy(X)), torch.from_numpy(X)


def penalty_of(module, x, drawn=None):
    """Answer the penalty in data units; its own are those of the objective."""
    z = module.encoder(x)
    rows = Pass(Batch(x, drawn=drawn or {}), x, z, z)
    return module.penalties["contraction"](module, rows) * module.unit


def norm_by_differences(module, X, h=1e-5):
    with torch.no_grad():
        slopes = [
            (module.encode(X + step) - module.encode(X - step)) / (2 * h)
            for step in h * torch.eye(X.shape[1], dtype=X.dtype)
        ]
    return float(torch.stack(slopes).square().sum((0, 2)).mean())


@pytest.mark.parametrize("hidden", [(), (7, 5)], ids=["shallow", "deep"])
@pytest.mark.parametrize("name", SMOOTH)
def test_penalty_is_the_squared_norm_in_data_units(name, hidden):
    """G6: wrong without scale^2, and as the gradient of the summed code."""
    module, x, X = built(
        code_activation=name, activation=name, hidden_layer_sizes=hidden
    )
    found = float(penalty_of(module, x).detach())
    reference = norm_by_differences(module, X)
    scale = float(module.reconstruction.scale)
    ones = torch.ones(9, 4, dtype=torch.float64)
    summed = torch.func.vjp(module.encoder, x)[1](ones)[0].square().sum(-1).mean()

    def check(value):
        assert_allclose(value, reference, rtol=1e-3)

    check_identity(check, found, found * scale**2, float(summed.detach()) / scale**2)


@pytest.mark.parametrize("hidden", [(), (7, 5)], ids=["shallow", "deep"])
@pytest.mark.parametrize("name", sorted(set(SMOOTH) - {"relu", "leaky_relu"}))
def test_gradient_of_the_penalty(name, hidden):
    """G6: by differences; wrong with a frozen copy of the weights."""
    module, x, _ = built(
        code_activation=name, activation=name, hidden_layer_sizes=hidden
    )
    weight = module.encoder[0].weight
    penalty_of(module, x).backward()
    random = torch.Generator().manual_seed(1)
    direction = torch.randn(weight.shape, generator=random, dtype=weight.dtype)
    found = float((weight.grad * direction).sum())
    values = []
    with torch.no_grad():
        for h in (1e-5, -2e-5):
            weight.add_(h * direction)
            values.append(float(penalty_of(module, x)))
    reference = (values[0] - values[1]) / 2e-5

    def check(value):
        assert_allclose(value, reference, rtol=1e-4, atol=1e-9)

    check_identity(check, found, 0.0, found / 2)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_closed_form_is_the_general_path(name):
    module, x, _ = built(hidden_layer_sizes=(), code_activation=name)
    closed = jacobian_norm(module.encoder, x, module.encoder(x))
    # Of what is not known to be a dense layer it takes the general path.
    wrapped = nn.Sequential(module.encoder, nn.Identity())
    general = jacobian_norm(wrapped, x, module.encoder(x))
    assert_allclose(closed.detach(), general.detach(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["identity", "logistic", "silu"])
def test_closed_form_of_selected_codes(name, monkeypatch):
    """Those that are set to 0 do not move; no backward pass is needed for it."""
    module, x, _ = built(hidden_layer_sizes=(), code_activation=name)
    encoder = SelectiveEncoder(module.encoder, 2)
    wrapped = nn.Sequential(encoder, nn.Identity())
    general = jacobian_norm(wrapped, x, encoder(x))
    monkeypatch.delattr(contraction, "_pulled_back")
    closed = jacobian_norm(encoder, x, encoder(x))
    assert_allclose(closed.detach(), general.detach(), rtol=1e-10, atol=1e-14)


def test_projections_have_the_norm_as_their_mean():
    """Within four standard errors; Gaussian codes half as long would be off by far."""
    module, x, X = built(activation="tanh", hidden_layer_sizes=(7, 5))
    strength = float(module.penalties["contraction"].strength)
    part = ProjectedContraction(strength, 4000, 4)
    directions = part.draw(x, torch.Generator().manual_seed(0))
    module.penalties["contraction"] = part
    estimate = float(penalty_of(module, x, {"contraction": directions}).detach())
    halves = [
        float(penalty_of(module, x, {"contraction": d}).detach())
        for d in directions.split(100)
    ]
    error = np.std(halves) / np.sqrt(len(halves))
    reference = norm_by_differences(module, X)

    def check(factor):
        assert abs(factor * estimate - reference) < 4 * error

    check_identity(check, 1.0, 0.5, 1 / 4)


@pytest.mark.parametrize("n_projections", [None, 1])
@pytest.mark.parametrize("hidden", [(), (8,)], ids=["shallow", "deep"])
def test_validation_has_no_gradients(n_projections, hidden):
    X = digits()[:300]
    model = ContractiveAutoencoder(
        5,
        hidden_layer_sizes=hidden,
        code_activation="tanh",
        n_projections=n_projections,
        early_stopping=True,
        n_iter_no_change=1,
        tol=1.0,
        random_state=0,
    ).fit(X)
    assert np.isfinite(model.validation_scores_).all()
    assert model.loss_terms_["contraction"][-1] > 0


def test_no_penalty_is_the_basic_model():
    """C5: bit for bit."""
    X, same = digits()[:200], {"n_components": 9, "max_epochs": 3, "random_state": 0}
    expected = Autoencoder(**same).fit(X)
    found = ContractiveAutoencoder(**same, alpha=0.0).fit(X)
    assert_array_equal(found.transform(X), expected.transform(X))
    assert found.loss_curve_ == expected.loss_curve_


def test_contraction_of_a_tied_linear_encoder_is_decay(request):
    """G7: W'W has eigenvalues 1 - alpha / (2 s^2 scale^2), s^2 of the (1/n) covariance.

    W maps rows divided by `scale`. So it is decay (C4); twice the weight is refuted.
    """

    def figures(model, seed):
        X = gaussian_rows(seed, 2000)
        A = end_to_end_matrix(model.fit(X), 20)
        variances, axes = principal_axes(X)
        mu, scale = np.diag(axes.T @ A @ axes), np.sqrt(variances.mean())
        kept = variances > 1.0
        implied = 2 * (1 - mu[kept]) * variances[kept] * scale**2
        return {
            "bias of implied alpha": abs(implied.mean() / 2 - 1),
            "spread of implied alpha": implied.std() / implied.mean(),
        }

    linear = {
        "n_components": 10,
        "hidden_layer_sizes": (),
        "tied_weights": True,
        "optimizer": "lbfgs",
    }
    check_claims(
        request,
        figures,
        ContractiveAutoencoder(alpha=2.0, **linear),
        [
            Claim("bias of implied alpha", at_most=0.03),
            Claim("spread of implied alpha", at_most=0.03),
        ],
        stubs=[
            ContractiveAutoencoder(alpha=4.0, **linear),
            Autoencoder(**linear),
            Autoencoder(weight_decay=2.0, **linear),
        ],
    )


@pytest.mark.parametrize("architecture", ["dense", Dense()], ids=["name", "spec"])
@pytest.mark.parametrize("hidden", [{}, {"activation": "identity"}])
def test_untied_linear_encoder_is_refused(hidden, architecture):
    """G7: it would escape by a small code."""
    model = ContractiveAutoencoder(
        3,
        hidden_layer_sizes=(4,) if hidden else (),
        architecture=architecture,
        max_epochs=1,
        **hidden,
    )
    with pytest.raises(ValueError, match="tied_weights=False"):
        model.fit(digits()[:50])
    model.set_params(alpha=0.0).fit(digits()[:50])
    model.set_params(alpha=0.1, tied_weights=True).fit(digits()[:50])


@pytest.mark.parametrize("name", ["identity", "logistic"])
def test_an_untied_net_escapes_by_a_small_code(name):
    """As the docstring says: no activation of the code is in the way of it."""
    X = np.random.RandomState(0).normal(size=(9, 6))
    model = ContractiveAutoencoder(4, hidden_layer_sizes=(7,))
    module = set_precision(model._build_module(6, moments(X), 0), torch.float64)
    rows, last, reader = torch.from_numpy(X), module.encoder[-1], module.decoder[0]
    x = module.standardize(rows)
    with torch.no_grad():
        before, norm = module(rows), penalty_of(module, x)
        last.weight.mul_(1e-4)
        reader.weight.mul_(1e4)
        if name == "logistic":
            # A straight line around 0, of slope 1/4.
            last.activation = name
            reader.weight.mul_(4)
            reader.bias.sub_(reader.weight.sum(1) / 2)
        assert_allclose(module(rows), before, atol=1e-6)
        assert penalty_of(module, x) < 1e-7 * norm


def test_other_layers_are_not_taken_to_be_linear():
    """An encoder is refused for what it is known to be."""
    module, *_ = built(hidden_layer_sizes=())
    assert is_linear(module.encoder)
    assert is_linear(SelectiveEncoder(nn.Sequential(module.encoder), 2))
    assert not is_linear(nn.Sequential(module.encoder, nn.Softplus()))


def _matched_decay(target, X, X_test, params, low, high):
    """Answer the decayed twin whose error is nearest: bisection of its weight."""
    for _ in range(7):
        middle = np.sqrt(low * high)
        twin = Autoencoder(**params | {"weight_decay": middle}).fit(X)
        ratio = target / sse(twin, X_test)
        if abs(ratio - 1) < 0.03:
            break
        low, high = (middle, high) if ratio > 1 else (low, middle)
    return twin, ratio


@pytest.mark.slow
def test_contraction_saturates_units(request):
    """G7: ten points more saturated codes than decay, at the same error, tied."""

    def figures(model, seed):
        X, X_test, *_ = digits_split(seed)
        model.fit(X)
        params = {k: getattr(model, k) for k in Autoencoder().get_params()}
        twin, ratio = _matched_decay(sse(model, X_test), X, X_test, params, 1e-3, 3e-2)
        shares = [
            np.mean((Z < 0.05) | (Z > 0.95))
            for Z in (m.transform(X_test) for m in (model, twin))
        ]
        return {"gain": shares[0] - shares[1], "mismatch": abs(ratio - 1)}

    params = {"tied_weights": True, "learning_rate": 3e-3, **SHALLOW}
    check_claims(
        request,
        figures,
        ContractiveAutoencoder(100, alpha=0.03, **params),
        [Claim("gain", at_least=0.10), Claim("mismatch", at_most=0.03)],
        stubs=[Autoencoder(100, **params, weight_decay=3e-3)],
    )


@pytest.mark.slow
def test_contraction_of_images(request, load_real):
    """G6: a third of the plain Jacobian, and less than decay's at the same error."""
    mnist = load_real("mnist")
    X, X_test = (mnist[f"X_{part}"] / 255 for part in ("train", "test"))
    X, X_test = X[:5000].astype(np.float32), X_test[:1000]

    def figures(model, seed):
        params = {k: getattr(model, k) for k in Autoencoder().get_params()}
        plain, target = (
            Autoencoder(**params | {"weight_decay": 0.0}).fit(X),
            sse(model.fit(X), X_test),
        )
        twin, ratio = _matched_decay(target, X, X_test, params, 1e-4, 1e-2)
        norms = [jacobian_by_differences(m, X_test[:200]) for m in (model, plain, twin)]
        return {
            "error against plain": target / sse(plain, X_test),
            "norm against plain": norms[0] / norms[1],
            "norm against decay": norms[0] / norms[2],
            "mismatch": abs(ratio - 1),
        }

    params = {"learning_rate": 3e-3, "max_epochs": 20, **SHALLOW}
    check_claims(
        request,
        figures,
        ContractiveAutoencoder(100, alpha=0.1, **params),
        [
            Claim("error against plain", at_most=1.25),
            Claim("norm against plain", at_most=0.35),
            Claim("norm against decay", at_most=0.8),
            Claim("mismatch", at_most=0.03),
        ],
        stubs=[Autoencoder(100, weight_decay=1e-3, **params)],
    )


def test_sheet_is_followed(request):
    """G6: on a 2-D sheet in 20 dimensions two directions carry the Jacobian."""

    def figures(model, seed):
        random = np.random.RandomState(seed)
        t = random.uniform(-1, 1, (2000, 2))
        waves = 0.7 * random.normal(size=(2, 20))
        X = np.sin(t @ waves + random.uniform(0, 6, 20))
        model.fit(X)
        rows, h = X[:200], 1e-5
        J = np.stack(
            [
                (model.transform(rows + e) - model.transform(rows - e)) / (2 * h)
                for e in h * np.eye(20)
            ],
            axis=-1,
        )
        squares = np.linalg.svd(J, compute_uv=False) ** 2
        return {
            "share of two": float(squares[:, :2].sum() / squares.sum()),
            "score": model.score(X),
        }

    # Tied, as in the paper: untied ones end in other optima with some seeds.
    params = {
        "learning_rate": 1e-2,
        "learning_rate_schedule": "cosine",
        "tied_weights": True,
        **SHALLOW,
    }
    check_claims(
        request,
        figures,
        ContractiveAutoencoder(30, alpha=0.3, **params),
        [Claim("share of two", at_least=0.8), Claim("score", at_least=0.8)],
        stubs=[Autoencoder(30, **params)],
    )


def test_contraction_is_scaled_once():
    module, _, _ = built()
    strength = float(module.penalties["contraction"].strength)
    assert strength * module.unit == pytest.approx(
        1 / float(module.reconstruction.scale) ** 2
    )
