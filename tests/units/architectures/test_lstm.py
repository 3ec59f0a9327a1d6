"""Recurrent nets: their loop, sequences of different length, their derivatives."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.utils import get_tags
from skorch.callbacks import EpochScoring
from torch.func import functional_call

from sklearn_ae import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    LSTMAutoencoder,
)
from sklearn_ae._compute.devices import evaluation
from sklearn_ae._objective.contraction import jacobian_norm
from sklearn_ae.architectures import LSTM
from sklearn_ae.architectures._lstm import Recurrence

N_STEPS, N_INPUTS = 6, 2


def waves(n_rows=80, seed=0):
    """Draw sequences of two features."""
    random = np.random.RandomState(seed)
    t = np.linspace(0, 6, N_STEPS)[:, np.newaxis]
    X = np.sin(t + random.uniform(0, 6, (n_rows, 1, N_INPUTS)))
    return X + 0.1 * random.normal(size=X.shape)


def shortened(X, seed=0):
    """Answer sequences of which most have ended before the last step."""
    X = X.copy()
    lengths = np.random.RandomState(seed).randint(2, N_STEPS + 1, len(X))
    # Every step is seen in some sequence.
    lengths[0] = N_STEPS
    for row, length in zip(X, lengths, strict=True):
        row[length:] = np.nan
    return X


def built(n_steps=N_STEPS, seed=0, **params):
    """Build the two parts of a net, in float64, with biases that are not 0."""
    spec = LSTM(n_steps, **params)
    parts = spec.build(
        n_steps * N_INPUTS,
        3,
        hidden_layer_sizes=(5, 4),
        activation="relu",
        code_activation="tanh",
        tied_weights=False,
        initialization="auto",
        seed=seed,
    )
    generator = torch.Generator().manual_seed(seed)
    for part in parts:
        part.double()
        for parameter in part.parameters():
            if parameter.ndim == 1:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.data.add_(0.3 * noise)
    return parts


SPECS = {
    "plain": {},
    "bidirectional": {"bidirectional": True},
    "autoregressive": {"autoregressive": True},
}


@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
)
def test_the_loop_is_torch_s(device):
    """To 1e-6, with the same weights, and so are its derivatives."""
    layer = Recurrence(3, 5, 7).to(device)
    layer.initialize(0.5, 0, "encoder", 0)
    x = torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0)).to(device)
    x.requires_grad_()

    def norm(x, *weights):
        answers = functional_call(layer, dict(zip(names, weights, strict=True)), (x,))
        return answers.square().sum(), answers

    names, inputs = zip(*layer.named_parameters(), strict=True)
    inputs, found = (x, *inputs), []
    # Torch's own has fewer digits on CUDA otherwise.
    with evaluation(torch.device(device)), torch.enable_grad():
        squares, answers = norm(*inputs)
        found.append((answers, *torch.autograd.grad(squares, inputs)))
        of_all = torch.func.grad(norm, tuple(range(len(inputs))), has_aux=True)
        slopes, answers = of_all(*inputs)
        found.append((answers, *slopes))
    for one, other in zip(*found, strict=True):
        scale = float(one.detach().abs().max())
        assert_allclose(
            one.detach().cpu(), other.detach().cpu(), rtol=1e-5, atol=1e-6 * scale
        )


def test_states_are_kept_at_first():
    """What passes through the steps is neither stretched nor soon forgotten."""
    layer = Recurrence(3, 5, 7)
    layer.initialize("auto", 0, "encoder", 0)
    for gate in layer.lstm.weight_hh_l0.detach().chunk(4):
        assert_allclose(gate @ gate.mT, np.eye(5), atol=1e-5)
    biases = (layer.lstm.bias_ih_l0 + layer.lstm.bias_hh_l0).detach().chunk(4)
    assert [float(bias.unique()) for bias in biases] == [0, 1, 0, 0]
    layer = Recurrence(100, 80, 7)
    layer.initialize(0.3, 0, "encoder", 0)
    for weight in (layer.lstm.weight_ih_l0, layer.lstm.weight_hh_l0):
        assert float(weight.detach().std()) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("params", SPECS.values(), ids=SPECS)
def test_padded_sequences_have_the_codes_of_unpadded_ones(params):
    """To 1e-6, whatever the padding is as long as."""
    encoder, _ = built(**params)
    x = torch.from_numpy(waves(8)).flatten(1)
    for length in range(1, N_STEPS + 1):
        shorter, _ = built(length, **params)
        shorter.load_state_dict(encoder.state_dict())
        n_values = length * N_INPUTS
        padded = x.clone()
        padded[:, n_values:] = torch.nan
        with torch.no_grad():
            expected = shorter(x[:, :n_values])
            assert_allclose(encoder(padded), expected, atol=1e-9)
            if length < N_STEPS:
                assert float((encoder(x) - expected).abs().max()) > 1e-3


@pytest.mark.parametrize("params", SPECS.values(), ids=SPECS)
def test_jacobians_of_sequences(params):
    """By finite differences; the steps that are missing have no derivative."""
    encoder, _ = built(**params)
    x = torch.from_numpy(waves(3)).flatten(1)
    x[1, 6:] = torch.nan
    with torch.no_grad():
        found = jacobian_norm(encoder, x, encoder(x))
        expected = torch.zeros(3, dtype=torch.float64)
        for j in range(x.shape[1]):
            step = torch.zeros_like(x)
            step[:, j] = 1e-5
            slope = (encoder(x + step) - encoder(x - step)) / 2e-5
            expected += slope.square().sum(-1)
    assert_allclose(found, expected, rtol=1e-6)
    assert found.min() > 1e-4


def test_contraction_shrinks_the_jacobian_of_a_recurrent_encoder():
    X = waves().reshape(80, -1)
    norms = []
    for alpha in (0.0, 1.0):
        model = ContractiveAutoencoder(
            2,
            alpha=alpha,
            n_projections=1,
            architecture=LSTM(N_STEPS),
            hidden_layer_sizes=(8,),
            max_epochs=40,
            learning_rate=0.01,
            random_state=0,
        ).fit(X)
        encoder = model.to_module().encoder
        x = torch.from_numpy((X - X.mean(0)) / X.std()).float()
        with torch.no_grad():
            norms.append(float(jacobian_norm(encoder, x, encoder(x)).mean()))
    assert norms[1] < norms[0] / 2


def test_what_is_missing_costs_nothing():
    """The objective is that of the steps that are there, per feature of a row."""
    X = shortened(waves()).reshape(80, -1)
    model = LSTMAutoencoder(
        2, architecture=LSTM(N_STEPS), max_epochs=2, random_state=0
    ).fit(X)
    residuals = np.square(model.inverse_transform(model.transform(X)) - X)
    expected = np.nanmean(residuals, axis=1)
    assert_allclose(model.reconstruction_error(X), expected, rtol=1e-9)
    assert np.isnan(X).mean() > 0.2
    found = model.reconstruct(X)
    assert np.array_equal(np.isnan(found), np.isnan(X))
    assert np.isfinite(model.inverse_transform(model.transform(X))).all()
    # To scikit-learn that would mean: in any entry.
    assert not get_tags(model).input_tags.allow_nan


def test_callbacks_see_what_is_missing():
    """What skorch's callbacks ask the net for is what `transform` leads to."""
    X, seen = shortened(waves()).reshape(80, -1), []
    scoring = EpochScoring(
        lambda net, rows, y: seen.append(net.predict(rows)) or 0.0,
        name="kept",
        on_train=True,
        use_caching=False,
    )
    model = LSTMAutoencoder(
        2,
        architecture=LSTM(N_STEPS),
        max_epochs=2,
        callbacks=[scoring],
        random_state=0,
    ).fit(X)
    rebuilt = model.inverse_transform(model.transform(X))
    assert_allclose(seen[-1], rebuilt, atol=1e-5)


def test_sequences_keep_their_shape():
    X = shortened(waves())
    spec = LSTM(N_STEPS)
    params = {"architecture": spec, "max_epochs": 2, "random_state": 0}
    shaped = LSTMAutoencoder(2, **params).fit(X)
    flat = LSTMAutoencoder(2, **params).fit(X.reshape(80, -1))
    assert_allclose(shaped.transform(X), flat.transform(X), rtol=0)
    assert shaped.reconstruct(X).shape == X.shape
    assert shaped.inverse_transform(shaped.transform(X)).shape == X.shape
    with pytest.raises(ValueError, match=r"rows of shape \(4, 3\), but \(6, 2\)"):
        shaped.transform(X.reshape(80, 4, 3))


def spoilt(row, entry, value=np.nan):
    X = waves().reshape(80, -1)
    X[row, entry] = value
    return X


@pytest.mark.parametrize(
    ("X", "says"),
    [
        (spoilt(3, 4), "NaN that a number follows"),
        (spoilt(3, 11), "only whole steps"),
        (spoilt(3, slice(0, 10)), "NaN that a number follows"),
        (spoilt(3, slice(None)), "NaN only in row 3"),
        (spoilt(slice(None), slice(10, None)), "NaN only in column 10"),
        (spoilt(3, 4, np.inf), "infinity"),
    ],
)
def test_what_no_sequence_looks_like(X, says):
    model = LSTMAutoencoder(2, architecture=LSTM(N_STEPS), max_epochs=1)
    with pytest.raises(ValueError, match=says):
        model.fit(X)
    if "column" not in says:
        model.fit(waves().reshape(80, -1))
        with pytest.raises(ValueError, match=says):
            model.transform(X)


def test_steps_that_do_not_divide_a_row():
    model = LSTMAutoencoder(architecture=LSTM(5), max_epochs=1)
    with pytest.raises(ValueError, match="n_steps=5 does not divide the 12 features"):
        model.fit(waves().reshape(80, -1))


def test_each_step_is_one_feature_unless_told():
    X = waves().reshape(80, -1)
    model = Autoencoder(architecture="lstm", hidden_layer_sizes=(3,), max_epochs=1)
    layer = model.fit(X).to_module().encoder.layers[0][0]
    assert layer.lstm.input_size == 1
    shallow = model.set_params(hidden_layer_sizes=(), n_components=4).fit(X)
    assert shallow.to_module().encoder.layers[0][0].n_units == 4


def test_noise_leaves_the_padding_alone():
    X = shortened(waves()).reshape(80, -1)
    model = DenoisingAutoencoder(
        2, noise="gaussian", architecture=LSTM(N_STEPS), max_epochs=3, random_state=0
    ).fit(X)
    assert np.isfinite(model.loss_)
    assert np.array_equal(np.isnan(model.reconstruct(X)), np.isnan(X))
    assert np.isfinite(model.impute(X)).all()


def with_gaps(X):
    """Answer sequences with gaps of features and of steps, some of which end early."""
    X = shortened(X)
    X[0, 2, 1] = X[1, 0] = X[2, 1:3] = np.nan
    X[3] = waves()[3]
    X[3, -1, 0] = np.nan
    X[4] = waves()[4]
    X[4, 4:], X[4, 1] = np.nan, np.nan
    return X


@pytest.mark.parametrize("params", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("noise", ["masking", "gaussian"])
def test_gaps_inside_sequences_are_missing_entries(params, noise):
    """They are answered and filled; what is after the end is only filled."""
    X = with_gaps(waves())
    missing, is_over = np.isnan(X), LSTM().ended(X)
    assert is_over.sum() < missing.sum()
    assert is_over[4].sum() == 4
    model = DenoisingAutoencoder(
        2,
        noise=noise,
        architecture=LSTM(**params),
        hidden_layer_sizes=(8,),
        max_epochs=3,
        random_state=0,
    ).fit(X)
    assert get_tags(model).input_tags.allow_nan
    assert np.isfinite(model.loss_curve_).all()
    for rows in (X, X.reshape(len(X), -1)):
        found, over = model.reconstruct(rows), is_over.reshape(rows.shape)
        assert np.isnan(found[over]).all()
        assert np.isfinite(found[~over]).all()
        filled, gaps = model.impute(rows), missing.reshape(rows.shape)
        assert np.array_equal(filled[~gaps], rows[~gaps])
        assert_allclose(filled[gaps & ~over], found[gaps & ~over])
        assert np.isfinite(filled).all()
        assert np.isfinite(model.score_samples(rows)).all()
    partial = DenoisingAutoencoder(2, architecture="lstm", random_state=0)
    assert np.isfinite(partial.partial_fit(X).partial_fit(X).reconstruct(X[:1])).all()


def test_a_gap_is_read_as_the_mean():
    """As elsewhere; the code is that of the row with the mean in its place."""
    X = waves()
    model = DenoisingAutoencoder(
        2, architecture="lstm", hidden_layer_sizes=(8,), max_epochs=3, random_state=0
    ).fit(X)
    gap, mean = X[:1].copy(), X[:1].copy()
    gap[0, 2], mean[0, 2] = np.nan, X[:, 2].mean(axis=0)
    gap[0, 4, 1], mean[0, 4, 1] = np.nan, X[:, 4, 1].mean()
    assert_allclose(model.transform(gap), model.transform(mean), rtol=1e-6)
    ended = X[:1].copy()
    ended[0, 4:] = np.nan
    assert np.abs(model.transform(ended) - model.transform(mean)).max() > 1e-4


def test_what_denoising_refuses_of_sequences():
    model = DenoisingAutoencoder(2, architecture="lstm", max_epochs=1)
    for spoil, says in (
        (np.s_[3], "NaN only in row 3"),
        (np.s_[:, 2, 1], "NaN only in column 5"),
    ):
        X = waves()
        X[spoil] = np.nan
        with pytest.raises(ValueError, match=says):
            model.fit(X)
    X = waves()
    X[3, 2, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.fit(X)
    X[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="DenoisingAutoencoder takes NaN in between"):
        LSTMAutoencoder(2, max_epochs=1).fit(X)
