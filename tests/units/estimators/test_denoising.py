"""Noise specs, missing entries, and what a denoising autoencoder answers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom, chisquare
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_ae import (
    DenoisingAutoencoder,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
)
from sklearn_ae._data.moments import moments
from sklearn_ae._data.rows import Batch
from sklearn_ae._nets.autoencoder import set_precision, split_missing
from sklearn_ae._objective.noise import NOISES
from sklearn_ae._training.dense_gradient import DenseGradient, supports
from units.training.test_dense_gradient import (
    TOLERANCE,
    assert_close,
    by_autograd,
    standardised,
)

SMALL = {"hidden_layer_sizes": (8,), "random_state": 0}
# Trains nothing, so that the loss of an epoch is that of the model it leaves.
STILL = {**SMALL, "learning_rate": 1e-30, "max_epochs": 1}


def draw_rows(seed=0, n=200, d=6):
    random = np.random.RandomState(seed)
    return 3.0 * random.normal(size=(n, d)) @ random.normal(size=(d, d)) + 2


def with_gaps(X, share=0.3, seed=1):
    """Answer a copy with NaN in it; each row and each column keeps some entries."""
    gaps = np.random.RandomState(seed).uniform(size=X.shape) < share
    gaps[np.arange(len(X)), np.arange(len(X)) % X.shape[1]] = False
    return np.where(gaps, np.nan, X)


def row_errors(X, answer):
    """Answer squared errors over what was observed, scaled up to whole rows."""
    return np.array(
        [
            np.square(x - y)[~np.isnan(x)].sum() * len(x) / (~np.isnan(x)).sum()
            for x, y in zip(X, answer, strict=True)
        ]
    )


# Noise


def assert_share(n_hits, n, share):
    """Accept what is within four standard errors."""
    error = binom(n, share).std()
    assert abs(n_hits - n * share) < 4 * error


def test_gaussian_noise_has_the_deviation_asked_for():
    """H2: in units of X, whatever their spread; the mean within four errors of 0."""
    X = draw_rows(n=20000) * 100
    noise = GaussianNoise().corrupt(X, 0.7, random_state=0) - X
    assert_allclose(noise.std(axis=0), 0.7, rtol=0.02)
    assert (np.abs(noise.mean(axis=0)) < 4 * 0.7 / np.sqrt(len(X))).all()
    assert np.abs(np.corrcoef(noise.T) - np.eye(6)).max() < 0.05


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masking_noise_hits_its_share(dtype):
    """H3: hit entries are the mean or the fill, the others are bit-identical."""
    X = draw_rows(n=20000).astype(dtype)
    for noise, value in ((MaskingNoise(), X.mean(axis=0)), (MaskingNoise(fill=7), 7)):
        before = X.copy()
        noisy = noise.corrupt(X, 0.3, random_state=0)
        hit = noisy != X
        assert noisy.dtype == dtype
        assert_array_equal(X, before)
        assert_share(hit.sum(), X.size, 0.3)
        for column in hit.T:
            assert_share(column.sum(), len(X), 0.3)
        expected = np.broadcast_to(value, X.shape)
        assert_allclose(noisy[hit], expected[hit], rtol=1e-4, atol=1e-4)


def test_salt_and_pepper_are_the_ends_of_each_feature():
    """H4: each with half the probability, and the values exactly."""
    X = draw_rows(n=20000)
    low, high = X.min(axis=0), X.max(axis=0)
    noisy = SaltAndPepperNoise().corrupt(X, 0.4, random_state=0)
    inner = np.logical_and(low < X, high > X)
    counts = [((noisy == end) & inner).sum() for end in (low, high)] + [
        ((noisy == X) & inner).sum()
    ]
    assert sum(counts) == inner.sum()
    expected = np.array([0.2, 0.2, 0.6]) * inner.sum()
    assert chisquare(counts, expected).pvalue > 1e-3
    assert chisquare(counts, expected[[0, 2, 1]]).pvalue < 1e-3


@pytest.mark.parametrize("name", NOISES)
def test_corrupting_is_repeatable(name):
    X, noise = draw_rows(), NOISES[name]()
    first = noise.corrupt(X, 0.5, random_state=3)
    assert_array_equal(noise.corrupt(X, 0.5, random_state=3), first)
    assert (noise.corrupt(X, 0.5, random_state=4) != first).any()
    assert_array_equal(noise.corrupt(X, 0.0, random_state=3), X)
    with pytest.raises(InvalidParameterError, match="noise_level"):
        noise.corrupt(X, -0.1)


@pytest.mark.parametrize("name", ["masking", "salt_and_pepper"])
def test_probabilities_have_a_limit(name):
    X = draw_rows()
    with pytest.raises(InvalidParameterError, match="noise_level"):
        NOISES[name]().corrupt(X, 1.1)
    with pytest.raises(InvalidParameterError, match="noise_level"):
        DenoisingAutoencoder(noise=name, noise_level=1.1, **SMALL).fit(X)
    DenoisingAutoencoder(noise="gaussian", noise_level=1.1, **STILL).fit(X)


@pytest.mark.parametrize("fill", ["median", None, np.nan, np.inf])
def test_bad_fill_is_refused(fill):
    noise = MaskingNoise(fill=fill)
    with pytest.raises(InvalidParameterError, match="fill"):
        noise.corrupt(draw_rows(), 0.2)
    with pytest.raises(InvalidParameterError, match="fill"):
        DenoisingAutoencoder(noise=noise, **SMALL).fit(draw_rows())


def test_parameters_of_noise_are_set_through_the_estimator():
    model = DenoisingAutoencoder().set_params(noise__fill=0)
    assert model.noise.fill == 0
    assert model.get_params()["noise__fill"] == 0
    module = model._build_module(6, moments(draw_rows()), 0)
    X = draw_rows()
    known = moments(X)
    module = model._build_module(6, known, 0)
    standard = module.corruption.low * known.scale + torch.from_numpy(known.mean)
    assert_allclose(standard, 0, atol=1e-12)


# Functions as noise, and when noise is drawn


class Recorder:
    """A noise that keeps what it got and answers the rows as they came."""

    def __init__(self):
        self.calls = []

    def __call__(self, X, random_state):
        self.calls.append((X.copy(), random_state.normal()))
        return X


def test_function_gets_rows_in_data_units():
    X, noise = draw_rows(), Recorder()
    DenoisingAutoencoder(noise=noise, batch_size=50, max_epochs=2, **SMALL).fit(X)
    assert len(noise.calls) == 8
    seen = np.vstack([rows for rows, _ in noise.calls[:4]])
    assert_allclose(np.sort(seen, axis=0), np.sort(X, axis=0), rtol=1e-5, atol=1e-5)


def test_noise_is_fresh_for_each_presentation():
    X, noise = draw_rows(), Recorder()
    model = DenoisingAutoencoder(noise=noise, max_epochs=3, **SMALL).fit(X)
    draws = [draw for _, draw in noise.calls]
    assert len(set(draws)) == len(draws)
    n_calls = len(draws)
    for method in (model.transform, model.reconstruct, model.score, model.impute):
        assert_array_equal(method(X), method(X))
    assert len(noise.calls) == n_calls


def test_noise_of_validation_is_drawn_once():
    """Epochs are compared on the same noise, or chance would choose the best one."""
    X, noise = draw_rows(), Recorder()
    DenoisingAutoencoder(
        noise=noise, early_stopping=True, n_iter_no_change=3, max_epochs=9, **SMALL
    ).set_params(tol=10.0, batch_size=60).fit(X)
    held_out = [(rows, draw) for rows, draw in noise.calls if len(rows) == 20]
    assert len(held_out) == 4
    assert len({draw for _, draw in held_out}) == 1
    assert_array_equal(held_out[0][0], held_out[-1][0])


def test_score_of_validation_does_not_move_by_itself():
    model = DenoisingAutoencoder(
        early_stopping=True, max_epochs=9, n_iter_no_change=3, **SMALL
    )
    model.set_params(learning_rate=1e-30, tol=10.0).fit(draw_rows())
    assert len(set(model.validation_scores_)) == 1
    assert len(set(model.loss_curve_)) > 1


def test_bad_answer_of_a_function_is_refused():
    with pytest.raises(ValueError, match="rows of shape"):
        DenoisingAutoencoder(noise=lambda X, r: X[:, :2], **SMALL).fit(draw_rows())
    with pytest.raises(ValueError, match="NaN"):
        DenoisingAutoencoder(noise=lambda X, r: X * np.nan, **SMALL).fit(draw_rows())


# Missing entries


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_errors_and_scores_are_over_what_was_observed(dtype):
    X = with_gaps(draw_rows()).astype(dtype)
    model = DenoisingAutoencoder(3, max_epochs=3, **SMALL).fit(X)
    mean = np.nanmean(X.astype(float), axis=0)
    v = row_errors(X, np.broadcast_to(mean, X.shape)).mean()
    answer = model.reconstruct(X)
    assert answer.dtype == dtype
    assert np.isfinite(answer).all()
    assert np.isfinite(model.transform(X)).all()
    errors = row_errors(X, answer)
    assert_allclose(model.reconstruction_error(X), errors / X.shape[1], rtol=1e-4)
    assert_allclose(model.score_samples(X), 1 - errors / v, rtol=1e-4, atol=1e-5)
    assert_allclose(model.score(X), 1 - errors.mean() / v, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [64, 200])
def test_loss_is_over_what_was_observed(batch_size):
    """A row's sum is scaled by n_features / observed; a sum that is not, is refuted."""
    X = with_gaps(draw_rows())
    model = DenoisingAutoencoder(3, noise_level=0, batch_size=batch_size, **STILL)
    model.fit(X)
    assert_allclose(model.loss_, row_errors(X, model.reconstruct(X)).mean(), rtol=1e-5)
    unscaled = np.nansum(np.square(X - model.reconstruct(X)), axis=1).mean()
    assert unscaled < 0.9 * model.loss_


def test_encoder_gets_the_mean_for_a_missing_entry():
    X = with_gaps(draw_rows())
    model = DenoisingAutoencoder(3, max_epochs=3, **SMALL).fit(X)
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    assert_allclose(model.transform(X), model.transform(filled), atol=1e-5)
    assert_allclose(model.reconstruct(X), model.reconstruct(filled), atol=1e-4)


@pytest.mark.parametrize("name", [*NOISES, Recorder()])
def test_missing_entries_stay_missing_under_noise(name):
    """Whatever the noise draws for them, the encoder gets 0, and they cost nothing."""
    X = with_gaps(draw_rows())
    module = DenoisingAutoencoder(3, noise=name, noise_level=1)._build_module(
        6, moments(X, may_miss=True), 0
    )
    set_precision(module, torch.float64)
    x, weights = split_missing(standardised(module, X, torch.float64), True)
    drawn = module.corruption.draw(x, torch.Generator().manual_seed(0))
    batch = Batch(x, weights, drawn={"corruption": drawn})
    seen = module.corrupt(batch)
    assert (seen[torch.from_numpy(np.isnan(X))] == 0).all()
    terms = module.objective(batch)
    x[torch.from_numpy(np.isnan(X))] = 99.0
    other = module.objective(batch)
    assert torch.equal(terms["reconstruction"], other["reconstruction"])


def test_impute_changes_nothing_but_gaps():
    whole = draw_rows()
    X = with_gaps(whole)
    model = DenoisingAutoencoder(3, max_epochs=3, **SMALL).fit(X)
    gaps, filled = np.isnan(X), model.impute(X)
    assert_array_equal(filled[~gaps], X[~gaps])
    assert_array_equal(filled[gaps], model.reconstruct(X)[gaps])
    assert_array_equal(model.impute(whole), whole)
    assert model.impute(X.astype(np.float32)).dtype == np.float32
    assert_allclose(model.impute(whole.astype(int)), whole.astype(int))


def test_rows_and_columns_of_nothing_are_refused():
    X = draw_rows()
    empty_row, empty_column = X.copy(), X.copy()
    empty_row[3], empty_column[:, 2] = np.nan, np.nan
    model = DenoisingAutoencoder(3, **STILL).fit(X)
    for method in (model.fit, model.transform, model.score, model.impute):
        with pytest.raises(ValueError, match="NaN only in row 3"):
            method(empty_row)
    with pytest.raises(ValueError, match="NaN only in column 2"):
        DenoisingAutoencoder(3, **STILL).fit(empty_column)
    assert np.isfinite(model.impute(empty_column)).all()
    model.partial_fit(empty_column)
    assert np.isfinite(model.score(X))


def test_a_column_may_begin_with_gaps():
    """One that is empty in the first slice of a pass over the rows."""
    X = np.random.RandomState(0).normal(size=(6, 2**18))
    X[:3, 5] = np.nan
    known = moments(X, may_miss=True)
    assert_allclose(known.mean[5], X[3:, 5].mean())
    assert_allclose([known.low[5], known.high[5]], [X[3:, 5].min(), X[3:, 5].max()])


# Score function


def test_score_function_is_the_residual_over_the_variance():
    X = draw_rows()
    model = DenoisingAutoencoder(
        3, noise="gaussian", noise_level=0.5, max_epochs=2, **SMALL
    ).fit(X)
    expected = (model.reconstruct(X) - X) / 0.25
    assert_allclose(model.score_function(X), expected)
    gaps = with_gaps(X)
    assert_array_equal(np.isnan(model.score_function(gaps)), np.isnan(gaps))
    model.set_params(noise=GaussianNoise())
    assert hasattr(model, "score_function")
    for other in ({"noise_level": 0}, {"noise": "masking"}, {"noise": MaskingNoise()}):
        assert not hasattr(DenoisingAutoencoder(**other), "score_function")


def test_score_function_is_of_the_noise_that_was_fitted():
    X = draw_rows()
    model = DenoisingAutoencoder(
        3, noise="gaussian", noise_level=0.5, max_epochs=2, **SMALL
    ).fit(X)
    expected = model.score_function(X)
    for later in ({"noise_level": 2.0}, {"noise_level": 0}, {"noise": "masking"}):
        assert_array_equal(model.set_params(**later).score_function(X), expected)
    model.fit(X).set_params(noise="gaussian")
    assert not hasattr(model, "score_function")


# The fast path


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("missing", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize("loss", ["squared_error", "correntropy", "huber"])
def test_fast_path_is_autograd_with_noise_and_gaps(noise, missing, loss):
    X = with_gaps(draw_rows(n=11)) if missing else draw_rows(n=11)
    for tied in (False, True):
        estimator = DenoisingAutoencoder(
            3, noise=noise, noise_level=0.4, loss=loss, tied_weights=tied, **SMALL
        )
        for dtype, tolerance in TOLERANCE.items():
            module = estimator._build_module(6, moments(X, may_miss=True), 0)
            set_precision(module, dtype)
            for parameter in module.parameters():
                parameter.grad = torch.full_like(parameter, 7.0)
            x, weights = standardised(module, X, dtype), None
            if missing:
                x, weights = split_missing(x, True)
            generator = torch.Generator().manual_seed(0)
            drawn = {"corruption": module.corruption.draw(x, generator)}
            assert supports(module)
            batch = Batch(x, weights, drawn=drawn)
            assert not torch.equal(module.corrupt(batch), x)
            expected = by_autograd(module, batch)
            terms = DenseGradient(module)(batch)
            assert_close(terms, expected[0], tolerance)
            fast = {name: p.grad for name, p in module.named_parameters()}
            assert_close(fast, expected[1], tolerance)


def test_a_class_is_no_noise():
    with pytest.raises(InvalidParameterError, match="class MaskingNoise.*call it"):
        DenoisingAutoencoder(noise=MaskingNoise).fit(np.eye(3))
