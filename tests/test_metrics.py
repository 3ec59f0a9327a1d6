"""Metrics against hand-made cases, written-out formulas and scikit-learn's own."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.manifold import trustworthiness
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, StandardScaler

from sklearn_ae.metrics import (
    continuity,
    make_denoising_scorer,
    make_probe_scorer,
    neighborhood_preservation,
    one_standard_error,
    pca_alignment,
    reconstruction_r2,
    sparsity_score,
)

X, Y = load_iris(return_X_y=True)
NOISES = ["gaussian", "masking", "salt_and_pepper"]
SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])


class Codes(TransformerMixin, BaseEstimator):
    """Code and rebuild by two functions, keeping every batch of rows that came in."""

    def __init__(self, encode=lambda X: X, decode=lambda Z: Z):
        self.encode = encode
        self.decode = decode
        self.batches_ = []

    def transform(self, X):
        self.batches_.append(np.array(X))
        return self.encode(X)

    def inverse_transform(self, X):
        return self.decode(X)

    @property
    def seen_(self):
        return np.concatenate(self.batches_)


class Directions(BaseEstimator):
    def __init__(self, components):
        self.components_ = np.asarray(components)


def exactly(message):
    return "^" + re.escape(message) + "$"


# reconstruction_r2


@pytest.mark.parametrize("k", [1, 2, 4])
def test_r2_of_pca_is_its_explained_variance(k):
    pca = PCA(k).fit(X)
    score = reconstruction_r2(pca, X)
    assert type(score) is float
    assert_allclose(score, pca.explained_variance_ratio_.sum(), rtol=1e-12)


def test_r2_by_hand():
    # Eight entries, each wrong by 1; the squared deviations add up to 8.
    assert reconstruction_r2(Codes(decode=lambda Z: Z + 1), SQUARE) == 0.0
    assert reconstruction_r2(Codes(decode=lambda Z: Z + 0.5), SQUARE) == 0.75
    assert reconstruction_r2(Codes(decode=lambda Z: Z - 2), SQUARE) == -3.0


@settings(deadline=None, max_examples=30)
@given(
    pair=arrays(float, (2, 7, 3), elements=st.floats(-100, 100).map(lambda x: round(x)))
)
def test_r2_is_the_variance_weighted_r2_of_scikit_learn(pair):
    truth, answer = pair
    truth[0] = truth[1] + [1, 2, 3]
    expected = r2_score(truth, answer, multioutput="variance_weighted")
    score = reconstruction_r2(Codes(decode=lambda Z: answer), truth)
    assert_allclose(score, expected, rtol=1e-9, atol=1e-9)


def test_r2_measures_held_out_rows_against_their_own_mean():
    held_out = SQUARE + 100
    own_mean = Codes(decode=lambda Z: np.full((4, 2), 101.0))
    assert reconstruction_r2(own_mean, held_out) == 0
    # From the mean of SQUARE the error is 8 + 8 * 100^2, 10001 times as much.
    other_mean = Codes(decode=lambda Z: np.ones((4, 2)))
    assert reconstruction_r2(other_mean, held_out) == -10_000


def test_r2_of_a_pipeline_is_in_the_units_of_its_input():
    uneven = X * [1, 10, 100, 1000]
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(uneven)
    rebuilt = pipeline.inverse_transform(pipeline.transform(uneven))
    expected = r2_score(uneven, rebuilt, multioutput="variance_weighted")
    assert_allclose(reconstruction_r2(pipeline, uneven), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist,
        np.asfortranarray,
        sp.csr_matrix,
        sp.csc_array,
        sp.bsr_array,
        lambda rows: pd.DataFrame(rows, index=np.linspace(1, 0, len(rows))),
        lambda rows: pd.DataFrame(rows, columns=list("abcd")),
        lambda rows: pl.DataFrame(rows, schema=list("abcd")),
    ],
)
def test_scores_are_the_same_for_every_kind_of_input(convert):
    noise = make_denoising_scorer("salt_and_pepper", 0.3)
    expected = PCA(2).fit(X)
    given_as = clone(expected).fit(convert(X))
    for scorer in (reconstruction_r2, noise, sparsity_score):
        assert_allclose(scorer(given_as, convert(X)), scorer(expected, X), rtol=1e-9)


def test_r2_accepts_codes_as_frames():
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    expected = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    score = reconstruction_r2(pipeline.fit(frame), frame)
    assert_allclose(score, reconstruction_r2(expected, X), rtol=1e-12)


def test_r2_flattens_rows_with_a_shape():
    images = np.arange(24.0).reshape(3, 2, 4)
    half = Codes(encode=lambda X: X.reshape(3, 8), decode=lambda Z: Z + 1)
    expected = r2_score(
        images.reshape(3, 8), images.reshape(3, 8) + 1, multioutput="variance_weighted"
    )
    assert_allclose(reconstruction_r2(half, images), expected, rtol=1e-12)


def test_r2_of_rows_that_are_all_equal():
    # The mean of three times 0.1 is not 0.1 in floating point.
    same = np.full((3, 2), 0.1)
    assert reconstruction_r2(Codes(), same) == 1.0
    assert reconstruction_r2(Codes(decode=lambda Z: Z + 1e-3), same) == 0.0
    assert reconstruction_r2(Codes(), SQUARE[:1]) == 1.0


def test_r2_does_not_cancel_far_from_zero():
    far = SQUARE + 2.0**40
    assert reconstruction_r2(Codes(decode=lambda Z: Z + 0.5), far) == 0.75


def test_r2_goes_through_many_rows_in_slices():
    rows = np.random.default_rng(0).normal(3, 1, (70_000, 64)).astype(np.float32)
    biased = Codes(decode=lambda Z: Z + np.float32(0.5))
    score = reconstruction_r2(biased, rows)
    wide = rows.astype(np.float64)
    total = ((wide - wide.mean(axis=0)) ** 2).sum()
    error = (wide - (rows + np.float32(0.5))) ** 2
    assert_allclose(score, 1 - error.sum() / total, rtol=1e-9)
    assert len(biased.batches_) > 1
    assert sum(map(len, biased.batches_)) == 70_000
    assert biased.batches_[0].dtype == np.float32
    assert max(batch.size for batch in biased.batches_) <= 2**22


def test_r2_refuses_what_it_cannot_compare():
    with pytest.raises(ValueError, match="^Input X contains NaN"):
        reconstruction_r2(Codes(), np.where(SQUARE == 2, np.nan, SQUARE))
    with pytest.raises(ValueError, match="^Input the reconstruction contains infinity"):
        reconstruction_r2(Codes(decode=lambda Z: Z + np.inf), SQUARE)
    message = "The reconstruction gives rows of 1 features, X has 2."
    with pytest.raises(ValueError, match=exactly(message)):
        reconstruction_r2(Codes(decode=lambda Z: Z[:, :1]), SQUARE)
    with pytest.raises(ValueError, match=r"^Found array with 0 sample\(s\)"):
        reconstruction_r2(Codes(), SQUARE[:0])


def test_r2_compares_families_in_one_search():
    families = [
        PCA(1),
        PCA(3),
        TruncatedSVD(2, random_state=0),
        KernelPCA(2, kernel="rbf", fit_inverse_transform=True, alpha=1e-3),
    ]
    splits = KFold(3, shuffle=True, random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA())])
    search = GridSearchCV(
        pipeline, {"reduce": families}, scoring=reconstruction_r2, cv=splits
    ).fit(X)
    expected = np.zeros((4, 3))
    for i, family in enumerate(families):
        for j, (train, test) in enumerate(splits.split(X)):
            fitted = clone(pipeline).set_params(reduce=clone(family)).fit(X[train])
            answer = fitted.inverse_transform(fitted.transform(X[test]))
            expected[i, j] = r2_score(X[test], answer, multioutput="variance_weighted")
    assert_allclose(search.cv_results_["mean_test_score"], expected.mean(axis=1))
    assert search.best_index_ == 1


# make_denoising_scorer


@pytest.mark.parametrize("noise", NOISES)
def test_no_noise_is_plain_reconstruction(noise):
    pca = PCA(2).fit(X)
    score = make_denoising_scorer(noise, 0.0)(pca, X)
    assert type(score) is float
    assert score == reconstruction_r2(pca, X)


def test_gaussian_noise_is_in_units_of_the_overall_deviation():
    rows = np.random.default_rng(0).normal([5, -70], [3, 4], (20_000, 2))
    seen = Codes()
    score = make_denoising_scorer("gaussian", 0.5)(seen, rows)
    noise = seen.seen_ - rows
    # One deviation for both features: half of sqrt((9 + 16) / 2).
    assert_allclose(noise.std(axis=0), 0.5 * np.sqrt(12.5), rtol=0.02)
    assert_allclose(noise.mean(axis=0), 0, atol=0.05)
    assert_allclose(score, 1 - 0.5**2, atol=0.01)


@pytest.mark.parametrize("noise", NOISES[:1] + NOISES[2:])
def test_noise_means_the_same_in_all_units(noise):
    scorer = make_denoising_scorer(noise, 0.5)
    scores = [scorer(PCA(2).fit(Z), Z) for Z in (X, X * 1e-4, X * 1e4 + 1e6)]
    assert_allclose(scores, scores[0], rtol=1e-6)


def test_masking_sets_a_share_of_the_entries_to_zero():
    seen = Codes()
    rows = np.random.default_rng(0).normal(5, 1, (5000, 4))
    make_denoising_scorer("masking", 0.3)(seen, rows)
    changed = seen.seen_ != rows
    assert_allclose(changed.mean(axis=0), 0.3, atol=0.03)
    assert np.all(seen.seen_[changed] == 0)
    # All gone: the error is sum x^2 = 16, the squared deviations are 8.
    assert make_denoising_scorer("masking", 1)(Codes(), SQUARE) == -1


def test_salt_and_pepper_sets_entries_to_the_limits_of_their_feature():
    seen = Codes()
    rows = np.random.default_rng(0).normal([5, 50], 1, (5000, 2))
    make_denoising_scorer("salt_and_pepper", 0.4)(seen, rows)
    low = (seen.seen_ == rows.min(axis=0)).mean(axis=0)
    high = (seen.seen_ == rows.max(axis=0)).mean(axis=0)
    assert_allclose([low, high], 0.2, atol=0.03)
    assert_allclose((seen.seen_ == rows).mean(), 0.6, atol=0.03)


def test_denoising_prefers_the_true_rank_where_reconstruction_wants_more():
    random = np.random.default_rng(0)
    signal = random.normal(size=(300, 3)) @ random.normal(size=(3, 10))
    rows = signal + 0.01 * random.normal(size=signal.shape)
    models = [PCA(k).fit(rows) for k in range(1, 11)]
    plain = [reconstruction_r2(model, rows) for model in models]
    denoised = [make_denoising_scorer("gaussian", 0.3)(model, rows) for model in models]
    assert np.argmax(plain) == 9
    assert np.argmax(denoised) == 2


def test_own_noise_gets_its_own_copy_of_all_rows_and_a_seed():
    def swap(rows, random_state):
        assert isinstance(random_state, np.random.RandomState)
        assert rows.dtype == np.float64
        random_state.shuffle(rows)
        return rows

    seen, before = Codes(), X.copy()
    make_denoising_scorer(swap, random_state=3)(seen, X)
    assert_allclose(X, before, rtol=0)
    expected = X.copy()
    np.random.RandomState(3).shuffle(expected)
    assert_allclose(seen.seen_, expected, rtol=0)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (lambda X, r: X[:, 1:], "The noise gives rows of 3 features, X has 4."),
        (
            lambda X, r: X[1:],
            "Found input variables with inconsistent numbers of samples: [149, 150]",
        ),
    ],
)
def test_own_noise_must_keep_the_shape(noise, message):
    with pytest.raises(ValueError, match=exactly(message)):
        make_denoising_scorer(noise)(Codes(), X)


@pytest.mark.parametrize("noise", [*NOISES, lambda X, r: X + r.normal(size=X.shape)])
def test_noise_is_repeatable_and_leaves_the_global_state(noise):
    pca, before = PCA(2).fit(X), X.copy()
    state = pickle.dumps(np.random.get_state())
    first = make_denoising_scorer(noise, 0.3, random_state=1)(pca, X)
    assert make_denoising_scorer(noise, 0.3, random_state=1)(pca, X) == first
    assert make_denoising_scorer(noise, 0.3, random_state=2)(pca, X) != first
    assert pickle.dumps(np.random.get_state()) == state
    assert_allclose(X, before, rtol=0)


@pytest.mark.parametrize("noise", ["gaussian", "salt_and_pepper"])
def test_noise_does_not_depend_on_the_slices(noise):
    rows = np.random.default_rng(0).normal(3, 1, (66_000, 64))
    sliced = Codes()
    make_denoising_scorer(noise, 0.5)(sliced, rows)
    assert len(sliced.batches_) > 1
    random = np.random.RandomState(0)
    if noise == "gaussian":
        deviation = 0.5 * np.sqrt(((rows - rows.mean(axis=0)) ** 2).mean())
        expected = rows + deviation * random.standard_normal(rows.shape)
    else:
        draw = random.random_sample(rows.shape)
        low, high = rows.min(axis=0), rows.max(axis=0)
        expected = np.where(draw < 0.5, np.where(draw < 0.25, low, high), rows)
    assert_allclose(sliced.seen_, expected, rtol=0, atol=1e-12)


def test_noisy_rows_keep_the_dtype_and_the_names():
    types = []
    watch = FunctionTransformer(lambda Z: types.append(type(Z)) or Z)
    frame = pd.DataFrame(X, columns=list("abcd"))
    scorer = make_denoising_scorer("gaussian", 0.2)
    score = scorer(watch.fit(frame), frame)
    assert types[-1] is pd.DataFrame
    assert_allclose(score, scorer(Codes(), X), rtol=1e-12)
    narrow = Codes()
    scorer(narrow, X.astype(np.float32))
    assert narrow.batches_[0].dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("pink",),
            "noise must be a callable or in ['gaussian', 'masking', "
            "'salt_and_pepper'], got 'pink'.",
        ),
        (
            ("gaussian", -0.1),
            "noise_level of 'gaussian' must be in [0, inf], got -0.1.",
        ),
        (("masking", 1.5), "noise_level of 'masking' must be in [0, 1], got 1.5."),
        (
            ("salt_and_pepper", float("nan")),
            "noise_level of 'salt_and_pepper' must be in [0, 1], got nan.",
        ),
    ],
)
def test_denoising_scorer_refuses_unknown_noise(arguments, message):
    with pytest.raises(ValueError, match=exactly(message)):
        make_denoising_scorer(*arguments)


# make_probe_scorer


class Majority(ClassifierMixin, BaseEstimator):
    """Answers its most frequent label, and keeps what it was fitted on."""

    fitted = None

    def fit(self, X, y):
        type(self).fitted = (X, y)
        self.classes_, counts = np.unique(y, return_counts=True)
        self.answer_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        return np.full(len(X), self.answer_)


def test_probe_is_trained_on_a_stratified_few_and_scored_on_the_rest():
    labels = np.repeat(["a", "b"], [60, 40])
    rows = np.arange(100.0)[:, None]
    double = Codes(encode=lambda X: 2 * X)
    score = make_probe_scorer(Majority(), n_labels=20)(double, rows, labels)
    codes, seen = Majority.fitted
    assert sorted(seen) == ["a"] * 12 + ["b"] * 8
    assert list(labels[(codes[:, 0] / 2).astype(int)]) == list(seen)
    assert len(np.unique(codes)) == 20
    assert type(score) is float
    # "a" for the other 48 of "a" and 32 of "b"
    assert score == 0.6


def test_probe_does_not_score_the_rows_it_was_trained_on():
    # Labels without a rule: one neighbour knows its own rows only.
    random = np.random.default_rng(0)
    labels, rows = random.integers(0, 2, 2000), random.normal(size=(2000, 2))
    probe = make_probe_scorer(KNeighborsClassifier(1), n_labels=1500)
    assert_allclose(probe(Codes(), rows, labels), 0.5, atol=0.08)


def test_default_probe_does_not_care_about_the_scale_of_the_code():
    probe = make_probe_scorer(n_labels=60)
    scores = [probe(Codes(encode=lambda Z, a=a: a * Z), X, Y) for a in (1, 1e-6, 1e6)]
    assert scores[0] > 0.9
    assert_allclose(scores, scores[0], rtol=1e-12)


@pytest.mark.parametrize("kind", [list, pd.Series, pl.Series, np.array])
def test_probe_takes_labels_of_every_kind_and_sparse_codes(kind):
    names = load_iris().target_names[Y]
    bins = KBinsDiscretizer(
        5, encode="onehot", strategy="quantile", quantile_method="averaged_inverted_cdf"
    )
    assert sp.issparse(bins.fit_transform(X))
    score = make_probe_scorer(n_labels=60)(bins, X, kind(names.tolist()))
    assert score == make_probe_scorer(n_labels=60)(bins, X, Y)
    assert score > 0.85


def test_probe_is_repeatable_and_leaves_the_global_state():
    pca = PCA(1).fit(X)
    state = pickle.dumps(np.random.get_state())
    scores = [
        make_probe_scorer(n_labels=10, random_state=seed)(pca, X, Y)
        for seed in (0, 0, 1, 2, 3)
    ]
    assert scores[0] == scores[1]
    assert len(set(scores)) > 1
    assert pickle.dumps(np.random.get_state()) == state


@pytest.mark.parametrize(
    ("n_labels", "labels", "message"),
    [
        (10, None, "A probe needs the class labels y, got None."),
        (10, np.zeros(150), "A probe needs at least two classes in y, got one."),
        (
            2,
            Y,
            "n_labels=2 of 150 rows with 3 classes: it must be at least 3 and leave "
            "at least 3 rows to score on.",
        ),
        (
            148,
            Y,
            "n_labels=148 of 150 rows with 3 classes: it must be at least 3 and leave "
            "at least 3 rows to score on.",
        ),
    ],
)
def test_probe_refuses_what_it_cannot_learn(n_labels, labels, message):
    with pytest.raises(ValueError, match=exactly(message)):
        make_probe_scorer(n_labels=n_labels)(PCA(2).fit(X), X, labels)


def test_probe_needs_a_label_for_each_row():
    with pytest.raises(ValueError, match=r"numbers of samples: \[150, 149\]$"):
        make_probe_scorer()(PCA(2).fit(X), X, Y[1:])


def test_probe_refuses_numbers_that_are_no_labels():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        make_probe_scorer()(PCA(2).fit(X), X, X[:, 0])


# scorers in searches

SCORERS = {
    "r2": reconstruction_r2,
    "sparsity": sparsity_score,
    "noisy": make_denoising_scorer("masking", 0.2, random_state=7),
    "probe": make_probe_scorer(n_labels=15),
    "neighbours": make_probe_scorer(KNeighborsClassifier(3), n_labels=15),
}


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_survive_pickle(name):
    pca = PCA(2).fit(X)
    again = pickle.loads(pickle.dumps(SCORERS[name]))
    assert again(pca, X, Y) == SCORERS[name](pca, X, Y)


def test_scorers_say_the_same_in_two_processes():
    search = GridSearchCV(
        PCA(),
        {"n_components": [1, 3]},
        scoring=SCORERS,
        refit="r2",
        cv=KFold(2, shuffle=True, random_state=0),
    )
    one = search.fit(X, Y).cv_results_
    two = clone(search).set_params(n_jobs=2).fit(X, Y).cv_results_
    for name in SCORERS:
        means = one[f"mean_test_{name}"]
        assert np.all(np.isfinite(means))
        assert_allclose(two[f"mean_test_{name}"], means, rtol=1e-12)


# sparsity_score


def test_sparsity_by_hand():
    codes = np.array([[0.0, -0.5, 0.1, 2.0], [0.0, 0.0, -0.1, 3.0]])
    for kind in (np.asarray, pd.DataFrame, sp.csr_array, sp.csc_matrix, sp.coo_array):
        model = Codes(encode=lambda X, kind=kind: kind(codes))
        scores = [
            sparsity_score(model, SQUARE[:2], threshold=t) for t in (0, 0.1, 0.5, 2, 9)
        ]
        assert scores == [3 / 8, 5 / 8, 6 / 8, 7 / 8, 1]
        assert type(scores[0]) is float


def test_sparsity_of_one_hot_codes():
    bins = KBinsDiscretizer(5, encode="onehot", strategy="uniform").fit(X)
    assert_allclose(sparsity_score(bins, X), 0.8, rtol=1e-12)


def test_sparsity_weighs_slices_by_their_rows():
    model = Codes(encode=lambda X: X[:, :1])
    rows = np.zeros((70_000, 64), dtype=np.float32)
    rows[:14_000] = 1
    assert_allclose(sparsity_score(model, rows), 0.8, rtol=1e-12)
    assert len(model.batches_) > 1


def test_sparsity_refuses_bad_thresholds_and_codes():
    message = "threshold must not be negative, got -1."
    with pytest.raises(ValueError, match=exactly(message)):
        sparsity_score(Codes(), SQUARE, threshold=-1)
    with pytest.raises(ValueError, match="contains NaN"):
        sparsity_score(Codes(encode=lambda X: X * np.nan), SQUARE)


# one_standard_error


def results(means, deviations, metric="score", n_splits=4, **parameters):
    columns = {f"split{i}_test_{metric}": np.zeros(len(means)) for i in range(n_splits)}
    columns |= {f"param_{name}": values for name, values in parameters.items()}
    columns[f"mean_test_{metric}"] = np.array(means, dtype=float)
    columns[f"std_test_{metric}"] = np.array(deviations, dtype=float)
    return columns


def test_one_standard_error_by_hand():
    # The error is 0.2 / sqrt(4) = 0.1, from the best: 0.8 is in, 0.79 is out.
    table = results([0.5, 0.9, 0.8, 0.79], [9, 0.2, 9, 9], alpha=[0, 1, 10, 100])
    rule = one_standard_error("score", "alpha")
    table["mean_test_score"][2] += 1e-12
    assert rule(table) == 2
    assert type(rule(table)) is int
    assert one_standard_error()(table) == 2
    assert pickle.loads(pickle.dumps(rule))(table) == 2
    # More splits, a smaller error: only the best is left.
    table |= {f"split{i}_test_score": np.zeros(4) for i in range(16)}
    assert rule(table) == 1


def test_one_standard_error_counts_the_splits_of_its_own_metric():
    table = results([0.9, 0.8], [0.19, 0], metric="f1", alpha=[1, 2])
    table |= results([0.1, 0.9], [0, 0], metric="f1_test_f1", n_splits=9)
    table |= results([0.1, 0.9], [0, 0], metric="f10", n_splits=9)
    assert one_standard_error("f1", "alpha")(table) == 0
    table["std_test_f1"][0] = 0.21
    assert one_standard_error("f1", "alpha")(table) == 1


def test_one_standard_error_leaves_out_failures():
    table = results([np.nan, 0.9, np.nan], [np.nan, 0, np.nan], alpha=[1, 2, 3])
    assert one_standard_error("score", "alpha")(table) == 1


def test_one_standard_error_takes_the_better_of_equal_values():
    table = results([0.88, 0.9, 0.89], [1, 1, 1], alpha=[5.0, 1.0, 5.0], size=[1, 2, 3])
    assert one_standard_error("score", "alpha")(table) == 2


def test_one_standard_error_with_candidates_that_lack_the_parameter():
    alpha = np.ma.masked_array([1, 2, 0], mask=[False, False, True], dtype=object)
    rule = one_standard_error("score", "alpha")
    # The third has no alpha. It is the best by far, then within reach of the second.
    assert rule(results([0.5, 0.6, 0.9], [0, 0, 0.02], alpha=alpha)) == 2
    assert rule(results([0.5, 0.89, 0.9], [0, 0, 0.04], alpha=alpha)) == 1


@pytest.mark.parametrize(
    ("metric", "parameter", "message"),
    [
        ("f1", "alpha", "metric='f1' is not in cv_results_; it has ['score']."),
        (
            "score",
            "beta",
            "parameter='beta' does not name a searched parameter; the search has "
            "['alpha', 'kind'].",
        ),
        (
            "score",
            None,
            "parameter=None does not name a searched parameter; the search has "
            "['alpha', 'kind'].",
        ),
        ("score", "kind", "parameter='kind' has values that are not numbers."),
    ],
)
def test_one_standard_error_names_what_there_is(metric, parameter, message):
    table = results([0.1, 0.2], [0, 0], alpha=[1, 2], kind=["l1", "kl"])
    with pytest.raises(ValueError, match=exactly(message)):
        one_standard_error(metric, parameter)(table)


def test_one_standard_error_needs_one_success():
    table = results([np.nan, np.nan], [np.nan, np.nan], alpha=[1, 2])
    message = "No candidate has a finite mean_test_score."
    with pytest.raises(ValueError, match=exactly(message)):
        one_standard_error("score", "alpha")(table)


def test_one_standard_error_refits_a_search_over_two_metrics():
    grid = {"reduce__n_components": [1, 2, 3], "reduce__tol": [0.0, 0.1]}
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA())])
    search = GridSearchCV(
        pipeline,
        grid,
        scoring={"r2": reconstruction_r2, "noisy": make_denoising_scorer()},
        refit=one_standard_error("noisy", "reduce__tol"),
        cv=5,
    ).fit(X)
    columns = search.cv_results_
    scores = np.array([columns[f"split{i}_test_noisy"] for i in range(5)])
    best = scores.mean(axis=0).argmax()
    floor = scores[:, best].mean() - scores[:, best].std() / np.sqrt(5)
    allowed = np.flatnonzero(scores.mean(axis=0) >= floor)
    assert search.best_index_ in allowed
    assert search.best_params_ == {"reduce__n_components": 3, "reduce__tol": 0.1}
    assert reconstruction_r2(search.best_estimator_, X) > 0.9


# pca_alignment


def test_pca_is_aligned_with_itself():
    angles = pca_alignment(PCA(2).fit(X), X)
    assert angles.shape == (2,)
    assert_allclose(angles, 0, atol=1e-7)


def gaussian_rows(n_samples=200):
    """Rows whose principal axes are the coordinate axes, exactly."""
    rows = np.random.default_rng(0).normal(size=(n_samples, 3))
    rows -= rows.mean(axis=0)
    return np.linalg.qr(rows)[0] * [3, 2, 1]


@pytest.mark.parametrize("angle", [1e-9, 0.3, 1.0, np.pi / 2 - 1e-9])
def test_alignment_of_a_basis_turned_by_a_known_angle(angle):
    turned = [[1, 0, 0], [0, np.cos(angle), np.sin(angle)]]
    angles = pca_alignment(Directions(turned), gaussian_rows())
    assert_allclose(angles, [angle, 0], rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.floats(0, np.pi / 2), st.floats(-3, 3), st.floats(0.1, 10))
def test_alignment_depends_on_the_span_only(angle, shear, scale):
    turned = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)]])
    mixed = np.array([[-scale, shear], [0, 1]]) @ turned
    rows = gaussian_rows()
    decoder = Codes(encode=lambda X: X[:, :2], decode=lambda Z: Z @ mixed + 7)
    for model in (Directions(mixed), Directions(mixed[::-1]), decoder):
        assert_allclose(pca_alignment(model, rows), [angle, 0], atol=1e-9)


@pytest.mark.parametrize(("factor", "shift"), [(1, 0), (1e-4, 0), (1, 1e4), (1e6, 0)])
def test_alignment_of_a_pipeline_is_measured_through_its_decoder(factor, shift):
    rows = X * factor + shift
    pipeline = make_pipeline(StandardScaler(with_std=False), PCA(2)).fit(rows)
    assert_allclose(pca_alignment(pipeline, rows), 0, atol=1e-8)
    uneven = X * [1, 1, 1, 5]
    scaled = make_pipeline(StandardScaler(), PCA(2)).fit(uneven)
    by_hand = Directions(scaled[-1].components_ * scaled[0].scale_)
    angles = pca_alignment(scaled, uneven)
    assert angles[0] > 0.1
    assert_allclose(angles, pca_alignment(by_hand, uneven), atol=1e-9)


def test_missing_directions_count_as_right_angles():
    rows = gaussian_rows() + 1000
    first = np.array([[1.0, 0, 0], [0, 0, 0]])
    dead = Codes(encode=lambda X: X[:, :2] * [1, 0], decode=lambda Z: Z @ first + 1000)
    # Two units along one direction, apart only by the rounding of their output.
    along = np.outer([1, 0.1], [1.0, 0, 0]) @ np.linalg.qr(rows[:3])[0].T
    twins = Codes(encode=lambda X: X[:, :2], decode=lambda Z: Z @ along + 1000.1)
    assert pca_alignment(twins, rows)[0] == np.pi / 2
    for model in (Directions(first), dead):
        assert_allclose(pca_alignment(model, rows), [np.pi / 2, 0], atol=1e-9)
    constant = Codes(decode=lambda Z: np.full((len(Z), 3), 2.0))
    assert_allclose(pca_alignment(constant, rows), np.full(3, np.pi / 2))


def test_alignment_of_units_that_are_silent_on_these_rows():
    silent = Codes(encode=lambda X: X[:, :2] * 0, decode=lambda Z: Z @ np.eye(2, 3))
    assert_allclose(pca_alignment(silent, gaussian_rows()), 0, atol=1e-12)


def test_a_curved_decoder_is_measured_at_the_scale_of_its_codes():
    rows = gaussian_rows() * 1e-3

    def bend(codes):
        return np.hstack([codes, codes**2, 0 * codes])

    bent = Codes(encode=lambda X: X[:, :1], decode=bend)
    assert pca_alignment(bent, rows) < 1e-3


def test_alignment_of_more_units_than_features():
    directions = np.random.default_rng(0).normal(size=(5, 3))
    angles = pca_alignment(Directions(directions), gaussian_rows())
    assert_allclose(angles, np.zeros(3), atol=1e-12)


def test_alignment_takes_frames_and_sparse_matrices():
    model = TruncatedSVD(2, random_state=0).fit(X)
    expected = pca_alignment(model, X)
    assert expected[0] > expected[1]
    for rows in (pd.DataFrame(X), sp.csr_array(X)):
        assert_allclose(pca_alignment(model, rows), expected, atol=1e-9)


def test_alignment_refuses_another_width():
    message = "The decoder gives rows of 4 features, X has 3."
    with pytest.raises(ValueError, match=exactly(message)):
        pca_alignment(PCA(2).fit(X), X[:, :3])


# continuity, neighborhood_preservation


def order(distances):
    """For each row the others by (distance, row number), written out."""
    n = len(distances)
    return [
        sorted((j for j in range(n) if j != i), key=lambda j, i=i: (distances[i, j], j))
        for i in range(n)
    ]


def continuity_by_formula(original, embedded, k):
    n, penalty = len(original), 0
    for near, answer in zip(order(original), order(embedded), strict=True):
        penalty += sum(max(0, answer.index(j) + 1 - k) for j in near[:k])
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty


def preservation_by_formula(original, embedded, k):
    pairs = zip(order(original), order(embedded), strict=True)
    return np.mean([len(set(a[:k]) & set(b[:k])) / k for a, b in pairs])


@pytest.mark.parametrize("k", [1, 5, 12])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "cosine"])
def test_neighbour_scores_by_their_formulas(metric, k):
    random = np.random.default_rng(k)
    rows, embedded = random.normal(size=(30, 4)), random.normal(size=(30, 2))
    inside, outside = cdist(rows, rows, metric), cdist(embedded, embedded)
    options = {"n_neighbors": k, "metric": metric}
    score = continuity(rows, embedded, **options)
    assert type(score) is float
    assert_allclose(score, continuity_by_formula(inside, outside, k))
    kept = neighborhood_preservation(rows, embedded, **options)
    assert type(kept) is float
    assert_allclose(kept, preservation_by_formula(inside, outside, k))
    options = {"n_neighbors": k, "metric": "precomputed"}
    before = inside.copy()
    assert_allclose(continuity(inside, embedded, **options), score)
    assert_allclose(neighborhood_preservation(inside, embedded, **options), kept)
    assert_allclose(inside, before, rtol=0)


@settings(deadline=None, max_examples=30)
@given(
    arrays(float, (12, 2), elements=st.integers(0, 2).map(float)),
    arrays(float, (12, 1), elements=st.integers(0, 3).map(float)),
    st.integers(1, 5),
)
def test_neighbour_scores_with_ties(rows, embedded, k):
    inside, outside = cdist(rows, rows), cdist(embedded, embedded)
    expected = continuity_by_formula(inside, outside, k)
    assert_allclose(continuity(rows, embedded, n_neighbors=k), expected)
    expected = preservation_by_formula(inside, outside, k)
    assert_allclose(neighborhood_preservation(rows, embedded, n_neighbors=k), expected)


def test_neighbour_scores_by_hand():
    # The last of five on a line is folded back between the first two. The neighbours of
    # 0 and 1 fall to rank 2, that of 4 to rank 4: 1 + 1 + 3 of n k (2n - 3k - 1) / 2.
    line = np.array([[0.0], [1], [2.1], [3.3], [4.6]])
    folded = np.array([[0.0], [1], [2.1], [3.3], [0.4]])
    assert_allclose(continuity(line, folded, n_neighbors=1), 1 - 5 / 15)
    assert neighborhood_preservation(line, folded, n_neighbors=1) == 2 / 5


def test_continuity_is_trustworthiness_with_the_spaces_exchanged():
    digits = load_digits().data[:400] + np.random.default_rng(0).normal(size=(400, 64))
    embedded = PCA(2).fit_transform(digits)
    for k in (5, 50):
        expected = trustworthiness(embedded, digits, n_neighbors=k)
        assert_allclose(continuity(digits, embedded, n_neighbors=k), expected)
    assert abs(continuity(digits, embedded) - trustworthiness(digits, embedded)) > 0.05


def test_neighbour_scores_in_several_blocks():
    # 2100 rows of 2100 distances are more than one block of 32 MiB.
    rows = np.random.default_rng(0).normal(size=(2100, 3))
    embedded = rows[:, :2]
    score = continuity(rows, embedded)
    assert_allclose(score, trustworthiness(embedded, rows), rtol=1e-12)
    whole = cdist(rows, rows)
    kept = neighborhood_preservation(whole, embedded, metric="precomputed")
    assert_allclose(neighborhood_preservation(rows, embedded), kept)


@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
def test_similar_embeddings_are_perfect_and_a_collapsed_one_is_not(measure):
    random = np.random.default_rng(0)
    rows = random.normal(size=(120, 3))
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    assert measure(rows, 10 * rows @ turn + 3) == 1
    copies = np.repeat(rows[:10], 12, axis=0)[random.permutation(120)]
    assert measure(copies, copies) == 1
    chance = measure(rows, random.normal(size=(120, 2)))
    assert_allclose(measure(rows, np.zeros((120, 2))), chance, atol=0.06)
    assert chance < 0.6


def test_unrelated_embeddings_keep_neighbours_by_chance():
    random = np.random.default_rng(0)
    rows, embedded = random.normal(size=(500, 3)), random.normal(size=(500, 2))
    kept = neighborhood_preservation(rows, embedded, n_neighbors=50)
    assert_allclose(kept, 50 / 499, atol=0.01)
    assert neighborhood_preservation(rows, embedded, n_neighbors=499) == 1


@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
def test_neighbour_scores_are_the_same_for_every_kind_of_input(measure):
    expected = measure(X, X[:, :2])
    embedded = pd.DataFrame(X[:, :2], columns=list("ab"))
    for rows in (X.tolist(), pd.DataFrame(X), pl.DataFrame(X), np.asfortranarray(X)):
        assert measure(rows, embedded) == expected
    whole = np.random.default_rng(0).integers(0, 9, (40, 3)).astype(float)
    for rows in (sp.csr_array(whole), sp.csc_matrix(whole), sp.coo_array(whole)):
        assert measure(rows, whole[:, :2]) == measure(whole, whole[:, :2])
    # float32 is compared in float64, or the ties of this data would break apart.
    near = X.astype(np.float32)
    assert measure(near, near.astype(np.float64)) == 1
    binary = np.greater(X, X.mean(axis=0))
    jaccard = cdist(binary, binary, "jaccard")
    expected = measure(jaccard, X[:, :2], metric="precomputed")
    assert_allclose(measure(binary, X[:, :2], metric="jaccard"), expected)
    chebyshev = measure(X, X[:, :2], metric="chebyshev")
    own = measure(X, X[:, :2], metric=lambda a, b: np.abs(a - b).max())
    assert_allclose(own, chebyshev)


@pytest.mark.parametrize("bad", [0, -1, 2.0, 75])
def test_continuity_refuses_too_many_neighbours(bad):
    message = (
        "n_neighbors must be an integer, at least 1 and less than 75 for 150 rows; "
        f"got {bad}."
    )
    with pytest.raises(ValueError, match=exactly(message)):
        continuity(X, X, n_neighbors=bad)


def test_neighbour_scores_refuse_what_does_not_fit():
    message = (
        "n_neighbors must be an integer, at least 1 and less than 150 for 150 rows; "
        "got 150."
    )
    with pytest.raises(ValueError, match=exactly(message)):
        neighborhood_preservation(X, X, n_neighbors=150)
    with pytest.raises(ValueError, match=r"numbers of samples: \[150, 9\]$"):
        continuity(X, X[:9])
    message = "Precomputed distances must be square, got shape (150, 4)."
    with pytest.raises(ValueError, match=exactly(message)):
        continuity(X, X, metric="precomputed")
    with pytest.raises(ValueError, match="^Input X_embedded contains NaN"):
        continuity(X, np.where(X > 5, np.nan, X))
