"""What the conditional variational autoencoder promises besides its theory."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_ae
from sklearn_ae import (
    ConditionalVariationalAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae._compute.seeds import draw_seed
from sklearn_ae._data.rows import Batch
from sklearn_ae._files.checks import check_start

WORDS = np.array(
    "zero one two three four five six seven eight nine".split()  # noqa: SIM905
)


def small(**params):
    defaults = {"hidden_layer_sizes": (16,), "max_epochs": 5, "random_state": 0}
    return ConditionalVariationalAutoencoder(**{"n_components": 3} | defaults | params)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


@pytest.fixture(scope="module")
def model(digits):
    return small().fit(*digits)


def plain_labels(y):
    return y


def words(y):
    return WORDS[y]


def a_series(y):
    return pd.Series(WORDS[y], dtype="string")


def a_category(y):
    return pd.Series(WORDS[y], dtype="category")


def truths(y):
    return y % 2 == 0


def whole_floats(y):
    return y.astype(float)


@pytest.mark.parametrize(
    "kind", [plain_labels, words, a_series, a_category, truths, whole_floats]
)
def test_labels_of_any_kind(digits, kind):
    """Names do not matter but for the order; what is asked for are such labels."""
    X, y = digits
    given = kind(y)
    model = small().fit(X, given)
    assert_array_equal(model.classes_, np.unique(np.asarray(given)))
    assert model.class_count_.sum() == len(X)
    label = model.classes_[-1]
    assert model.sample(4, 0, y=label).shape == (4, 64)
    assert_array_equal(model.sample(4, 0, y=[label] * 4), model.sample(4, 0, y=label))
    in_order = np.searchsorted(model.classes_, np.asarray(given))
    again = small().fit(X, in_order)
    assert_array_equal(again.transform(X), model.transform(X))
    assert_array_equal(again.score_samples(X, in_order), model.score_samples(X, given))


@pytest.mark.parametrize(
    "ask",
    [
        lambda m, X: m.sample(2, y="eleven"),
        lambda m, X: m.sample(2, y=["one", "eleven"]),
        lambda m, X: m.inverse_transform(m.transform(X), "eleven"),
        lambda m, X: m.reconstruct(X, "eleven"),
        lambda m, X: m.reconstruction_error(X, "eleven"),
        lambda m, X: m.score_samples(X, "eleven"),
        lambda m, X: m.score_samples(X, ["eleven"] * len(X)),
        lambda m, X: m.log_likelihood(X, 5, "eleven"),
        lambda m, X: m.partial_fit(X, ["eleven"] * len(X)),
    ],
)
def test_an_unseen_label_is_named(digits, ask):
    X, y = digits
    model = small().fit(X, WORDS[y])
    with pytest.raises(ValueError, match=r"not seen: 'eleven'\. The classes are 'eigh"):
        ask(model, X[:10])


def test_labels_are_not_cut_to_those_that_are_known():
    """Of "abc" numpy would make "a" where all known labels have one letter."""
    X = np.random.RandomState(0).normal(size=(40, 4))
    model = small().fit(X, np.array(["a", "b"] * 20))
    with pytest.raises(ValueError, match="'abc'"):
        model.sample(y="abc")
    numbers = small().fit(X, np.array([0, 1] * 20))
    with pytest.raises(ValueError, match=r"0\.5"):
        numbers.score_samples(X[:1], [0.5])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (np.linspace(0, 1, 300), "Unknown label type"),
        (np.zeros(299), "inconsistent numbers of samples"),
        (np.eye(3)[np.arange(300) % 3], "1d array"),
        (np.array([np.nan, 1.0] * 150), "NaN"),
        (np.array([1, "a"] * 150, dtype=object), "Unknown label type"),
    ],
)
def test_what_are_no_labels_is_refused(digits, y, message):
    with pytest.raises(ValueError, match=message):
        small().fit(digits[0], y)


def test_labels_tell_how_many_rows_are_drawn(model):
    """Unless that is said; then both have to agree."""
    assert len(model.sample(y=[1, 2, 2])) == 3
    assert len(model.sample(y=np.array([1, 2]))) == 2
    assert len(model.sample(y=1)) == len(model.sample()) == 1
    assert_array_equal(
        model.sample(y=[1, 2], random_state=0), model.sample(2, 0, y=[1, 2])
    )
    with pytest.raises(
        ValueError, match=r"\[1, 3\]. Pass a label for each row, or one"
    ):
        model.sample(1, y=[1, 2, 2])
    with pytest.raises(ValueError, match="y has no labels"):
        model.sample(y=[])


def test_as_many_labels_as_rows(model, digits):
    with pytest.raises(ValueError, match=r"\[3, 2\]"):
        model.sample(3, y=[1, 2])
    with pytest.raises(ValueError, match=r"\[10, 9\]"):
        model.score_samples(digits[0][:10], np.zeros(9, int))


def test_labels_are_drawn_as_often_as_they_were_seen(digits):
    """And with `y=None`, rows are those of labels that were drawn."""
    X, y = digits
    rare = np.where(y == 3, 3, 0)
    model = small(max_epochs=20).fit(X, rare)
    share = (y == 3).mean()
    drawn = model._classes_to_draw(20000, None, 0)
    assert_allclose(drawn.mean(), share, atol=0.01)
    labels = model.classes_[model._classes_to_draw(50, None, draw_seed(7))]
    rows = model.sample(50, 7, observation_noise=False)
    assert_array_equal(rows, model.sample(50, 7, y=labels, observation_noise=False))
    assert not np.array_equal(rows, model.sample(50, 7, y=0, observation_noise=False))


def test_a_code_in_the_style_of_each_label(digits):
    """The same codes with another label: other rows, and the same without one."""
    X, y = digits
    model = small(max_epochs=40).fit(X, y)
    Z = model.transform(X[:20])
    zeros, ones = model.inverse_transform(Z, 0), model.inverse_transform(Z, 1)
    assert np.abs(zeros - ones).max() > 0.1
    frequencies = model.class_count_ / len(X)
    mean = sum(p * model.inverse_transform(Z, c) for c, p in enumerate(frequencies))
    assert_allclose(model.inverse_transform(Z), mean, atol=1e-6)
    assert_allclose(
        model.reconstruct(X[:20], y[:20]), model.inverse_transform(Z, y[:20]), atol=1e-6
    )
    error = np.square(X[:20] - model.reconstruct(X[:20], y[:20])).mean(axis=1)
    assert_allclose(model.reconstruction_error(X[:20], y[:20]), error, rtol=1e-6)


def test_right_labels_score_above_wrong_ones(digits):
    X, y = digits
    model = small(max_epochs=30).fit(X, y)
    own, wrong = model.score_samples(X, y), model.score_samples(X, (y + 1) % 10)
    assert own.mean() > model.score_samples(X).mean() > wrong.mean()
    assert model.score(X, y) == model.score(X) == model.score_samples(X).mean()


def test_searches_of_rows_that_are_sorted_by_label(digits):
    """A part that is held out may have labels that the others lack."""
    X, y = digits
    X, y = X[np.argsort(y)], np.sort(y)
    search = GridSearchCV(small(), {"n_components": [1, 2]}, cv=3, n_jobs=2)
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    pipeline = make_pipeline(StandardScaler(), small())
    assert np.isfinite(cross_val_score(pipeline, X, y, cv=3)).all()
    pipeline.fit(X, y)
    assert pipeline.score(X, y) == pipeline[-1].score(pipeline[0].transform(X))
    assert pipeline.inverse_transform(pipeline.transform(X)).shape == X.shape


def test_a_stream_that_begins_with_few_labels(digits):
    """What may come is said in the first call; frequencies are those of all calls."""
    X, y = digits
    few = y < 3
    model = small().partial_fit(X[few], y[few], classes=range(10))
    assert model.class_count_[3:].sum() == 0
    # Nothing of a label that has not come yet is drawn, or part of an average.
    assert model._classes_to_draw(1000, None, 0).max() < 3
    assert np.isfinite(model.score(X))
    assert np.isfinite(model.sample(20)).all()
    model.partial_fit(X, y).partial_fit(X, y, classes=np.arange(10)[::-1])
    assert_array_equal(
        model.class_count_, 2 * np.bincount(y) + np.bincount(y[few], minlength=10)
    )
    assert model.sample(5, y=9).shape == (5, 64)
    with pytest.raises(ValueError, match="others than in the first call"):
        model.partial_fit(X, y, classes=[1, 2])
    with pytest.raises(ValueError, match="not seen: 3"):
        small().partial_fit(X[few], y[few]).partial_fit(X, y)
    with pytest.raises(ValueError, match="early_stopping"):
        small(early_stopping=True).partial_fit(X, y)
    assert not hasattr(small(optimizer="lbfgs"), "partial_fit")


def test_labels_that_are_known_may_all_differ(digits):
    """A chunk with one row of each is no sign of a regression."""
    X, _ = digits
    model = small().partial_fit(X[:30], np.arange(30), classes=np.arange(30))
    assert model.partial_fit(X[30:60], np.arange(30)).class_count_.tolist() == [2] * 30


def test_warm_start_keeps_the_labels_of_the_first_fit(digits):
    X, y = digits
    model = small(warm_start=True).fit(X, y)
    model.fit(X[y < 5], y[y < 5])
    assert len(model.classes_) == 10
    assert model.n_iter_ == 10
    model.set_params(warm_start=False).fit(X[y < 5], y[y < 5])
    assert len(model.classes_) == 5


def test_one_label_is_no_label(digits):
    """Of rows of one class it is a variational autoencoder with one more bias."""
    X, _ = digits
    model = small().fit(X, np.zeros(len(X), int))
    assert_allclose(model.score_samples(X), model.score_samples(X, 0), rtol=1e-6)
    assert_array_equal(model.reconstruct(X), model.reconstruct(X, 0))


def test_codes_of_one_draw_serve_each_label(model):
    """Asked for another label, the same seed answers the same style."""
    Z = model._draw_codes(5, 3, np.zeros(5, int))
    assert_array_equal(Z, model._draw_codes(5, 3, np.full(5, 4)))


def test_a_prior_by_class_is_no_other_prior(digits):
    with pytest.raises(ValueError, match=r"conditional_prior=True.*prior='vamp'"):
        small(conditional_prior=True, prior="vamp").fit(*digits)


@pytest.mark.parametrize("conditional_prior", [False, True])
def test_files_keep_the_labels(digits, tmp_path, conditional_prior):
    X, y = digits
    model = small(conditional_prior=conditional_prior).fit(X, WORDS[y])
    model.save(tmp_path / "model")
    loaded = sklearn_ae.load(tmp_path / "model")
    assert_array_equal(loaded.classes_, model.classes_)
    assert_array_equal(loaded.sample(9, 1), model.sample(9, 1))
    assert_array_equal(loaded.sample(3, 1, y="six"), model.sample(3, 1, y="six"))
    assert_array_equal(loaded.score_samples(X), model.score_samples(X))


def test_the_encoder_is_that_of_a_model_without_labels(digits):
    """Before training: labels are the decoder's, and other layers start the same."""
    X, y = digits
    params = {"learning_rate": 1e-30, "max_epochs": 1}
    plain = VariationalAutoencoder(
        3, hidden_layer_sizes=(16,), random_state=0, **params
    ).fit(X)
    assert_array_equal(small(**params).fit(X, y).transform(X), plain.transform(X))


def test_torch_module_takes_classes(model, digits):
    X, y = digits
    module, x = model.to_module(), torch.from_numpy(X[:8]).float()
    classes = torch.from_numpy(y[:8])
    with torch.no_grad():
        assert_allclose(module(x, classes), model.reconstruct(X[:8], y[:8]), atol=1e-4)
        assert_allclose(module(x), model.reconstruct(X[:8]), atol=1e-4)


class SparseConditional(ConditionalVariationalAutoencoder, SparseAutoencoder):
    """Sparse codes of labelled rows."""


class ConditionalSparse(SparseAutoencoder, ConditionalVariationalAutoencoder):
    """The same in the other order."""


@pytest.mark.parametrize("cls", [SparseConditional, ConditionalSparse])
@pytest.mark.parametrize("k", [1, 3])
def test_sparse_codes_are_weighed_by_their_own_directions(digits, cls, k):
    """Not by those of the labels, which the decoder's first layer has as well."""
    X, y = digits
    model = cls(k, penalty="l1", alpha=0.1, hidden_layer_sizes=(16,), max_epochs=2)
    model.set_params(code_activation="identity", random_state=0).fit(X, y)
    module, x = model.to_module(), torch.from_numpy(X[:50]).float()
    drawn, classes = {"posterior": torch.zeros(1, 50, k)}, torch.from_numpy(y[:50])
    with torch.no_grad():
        terms = module.objective(Batch(module.standardize(x), None, classes, drawn))
        z = module.encode(x)
    first = next(p for p in module.decoder.parameters() if p.ndim == 2)
    norms = first.detach()[:, :k].norm(dim=0)
    expected = module.penalties["sparsity"].strength * (z.abs() * norms).sum(1).mean()
    assert_allclose(terms["sparsity"], expected, rtol=1e-5)


@pytest.mark.parametrize("conditional_prior", [False, True])
def test_padded_sequences_with_labels(conditional_prior):
    """The likelihood of a row is the sum over its labels, whatever is missing."""
    random = np.random.RandomState(0)
    X, y = random.normal(size=(60, 8)), np.array(["a", "b"] * 30)
    X[::3, 5:] = np.nan
    params = {"architecture": "lstm", "beta": 1e-3, "learning_rate": 0.01}
    model = small(conditional_prior=conditional_prior, **params).fit(X, y)
    if not conditional_prior:
        joint = [
            model.log_likelihood(X, 50, label) + np.log(0.5) for label in ("a", "b")
        ]
        assert_allclose(model.log_likelihood(X, 50), logsumexp(joint, 0), rtol=1e-9)
    for rows in (model.reconstruct(X), model.reconstruct(X, y)):
        assert_array_equal(np.isnan(rows), np.isnan(X))
    assert np.isfinite(model.inverse_transform(model.transform(X))).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda fitted: fitted.update(classes_=["a", "b", "c"]),
        lambda fitted: fitted.update(classes_=np.array(["a", "a", "b"])),
        lambda fitted: fitted.update(classes_=np.array(["b", "a", "c"])),
        lambda fitted: fitted.update(classes_=np.array([np.nan] * 3)),
        lambda fitted: fitted.update(classes_=np.array(["a", "b"])),
        lambda fitted: fitted.update(class_count_=np.array([1, 2, 3])),
        lambda fitted: fitted.pop("classes_"),
    ],
)
def test_files_whose_labels_are_wrong_are_refused(tmp_path, change):
    X, y = np.eye(6), np.array(["a", "b", "c"] * 2)
    model = small().fit(X, y)
    wrong = copy.deepcopy(model)
    # `save` asks what `load` asks.
    change(vars(wrong))
    with pytest.raises(ValueError, match="classes_ and class_count_"):
        wrong.save(tmp_path / "wrong")
    model.save(tmp_path / "right")
    assert_array_equal(sklearn_ae.load(tmp_path / "right").classes_, model.classes_)


@pytest.mark.parametrize(
    "count", [[-1, 2, 3], [0, 0, 0], [2**62] * 3, [1.0, 2.0, 3.0], [[1, 2, 3]]]
)
def test_counts_that_are_no_counts_are_refused(count):
    X, y = np.eye(6), np.array(["a", "b", "c"] * 2)
    model = small().fit(X, y)._model
    moments = replace(model.moments, class_count=np.array(count))
    with pytest.raises(ValueError, match="no counts"):
        check_start(None, moments, model.seed)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 1, np.nan], "classes contains NaN"),
        ([], "classes has no labels"),
        ([0.5, 1.5], "Unknown label type"),
        (np.array([0, "a"], dtype=object), "Unknown label type"),
        ([0, 1], "not seen: 2"),
    ],
)
def test_classes_that_are_none_are_refused(digits, classes, message):
    X, y = digits
    with pytest.raises(ValueError, match=message):
        small().partial_fit(X, y % 3, classes=classes)


@pytest.mark.parametrize("nothing", [None, pd.NA, float("nan")])
def test_labels_that_are_missing_are_refused(digits, nothing):
    X, y = digits
    labels = WORDS[y].astype(object)
    labels[3] = nothing
    with pytest.raises(ValueError, match=r"NaN|None|<NA>"):
        small().fit(X, labels)
