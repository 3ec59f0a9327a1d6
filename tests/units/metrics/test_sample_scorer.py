"""Scores of drawn rows: each by hand, and with a stub that it catches."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from sklearn_ae import Autoencoder, VariationalAutoencoder
from sklearn_ae.metrics import make_sample_scorer
from units.metrics.cases import exactly

MEASURES = ["mmd", "fidelity", "coverage", "copies"]
random = np.random.default_rng(0)
CLUSTERS = 4.0 * random.integers(0, 3, (400, 1)) + random.normal(size=(400, 3))
TRAIN, TEST = CLUSTERS[:200], CLUSTERS[200:]


class Drawn(BaseEstimator):
    """Draws by a function of the number of rows and of a state."""

    def __init__(self, draw):
        self.draw = draw

    def sample(self, n_samples=1, random_state=None):
        return self.draw(n_samples, np.random.RandomState(random_state.randint(99)))


GOOD = GaussianMixture(3, random_state=0).fit(TRAIN)
COPIES = Drawn(lambda n, state: TRAIN[state.randint(len(TRAIN), size=n)])
MEAN = Drawn(lambda n, state: np.tile(TRAIN.mean(axis=0), (n, 1)))
NOISE = Drawn(lambda n, state: state.normal(size=(n, 3), scale=9) + TRAIN.mean())
MODE = Drawn(lambda n, state: TEST[TEST.sum(axis=1) < 5][:n])


def score(measure, estimator, X=TEST, **options):
    return make_sample_scorer(measure, **options)(estimator, X)


@pytest.mark.parametrize(
    ("measure", "X", "passing", "stubs"),
    [
        ("mmd", TEST, -0.03, [MEAN, NOISE, MODE]),
        ("fidelity", TEST, 0.85, [NOISE]),
        ("coverage", TEST, 0.85, [MEAN, NOISE, MODE]),
        # Of the rows that were copied.
        ("copies", TRAIN, -0.05, [COPIES]),
    ],
)
def test_a_good_generator_passes_and_stubs_fail(measure, X, passing, stubs):
    assert score(measure, GOOD, X) > passing
    for stub in stubs:
        assert score(measure, stub, X) < passing - 0.1, stub.draw


def test_no_measure_is_enough():
    """Copies are only seen as copies, and one mode has fidelity."""
    for measure in MEASURES[:3]:
        assert score(measure, COPIES) > score(measure, GOOD) - 0.1
    assert score("copies", COPIES) == 0
    assert score("fidelity", MODE) > 0.9


MOSTLY_ONE = np.r_[np.zeros((9, 3)), TEST[:1]]


@pytest.mark.parametrize(
    ("X", "usual"), [(TEST[:20], np.median), (MOSTLY_ONE, np.mean)]
)
def test_the_discrepancy_is_that_of_the_definition(X, usual):
    """The median distance may be 0: the mean one has its place."""
    drawn, unit = TRAIN[:30], usual(pdist(X))

    def mean(squares):
        return sum(np.exp(-squares / (2 * (w * unit) ** 2)).mean() for w in (0.5, 1, 2))

    expected = mean(pdist(X) ** 2) + mean(pdist(drawn) ** 2)
    expected -= 2 * mean(cdist(drawn, X) ** 2)
    found = score("mmd", Drawn(lambda n, state: drawn), X, n_samples=30)
    assert found == pytest.approx(-expected, abs=1e-12)


def test_rows_that_are_all_the_same():
    X = np.ones((9, 3))
    same, other = (Drawn(lambda n, state, d=d: X + d) for d in (0, 1))
    assert [score(m, same, X) for m in MEASURES] == [0, 1, 1, -1]
    found = [score(m, other, X) for m in MEASURES]
    assert found[1:] == [0, 0, 0]
    assert found[0] < -1


def test_shares_of_rows_on_a_line():
    X = np.r_[np.arange(10.0), 30.0][:, None]

    def of(*drawn):
        rows = np.array(drawn)[:, None]
        return [score(m, Drawn(lambda n, state: rows), X) for m in MEASURES[1:]]

    # Rows are 1 off the next one, and the last one 21: the quantile is between.
    assert of(9 + 10.9, -11.1) == [0.5, pytest.approx(1 / 11), 0]
    # Rows 0 to 5 have it nearer than their fifth.
    assert of(2.5, 2.5) == [1, pytest.approx(6 / 11), 0]
    # Copies need not be quite equal.
    deviation = X.std()
    assert of(3 + 0.0009 * deviation, 3.0)[2] == -1
    assert of(3 + 0.0011 * deviation, 3.0)[2] == -0.5
    nothing = of(1000.0, 1000.0)
    assert nothing == [0, 0, 0]
    # No copies are not minus nothing.
    assert not np.signbit(nothing).any()


def test_few_rows_have_fewer_neighbours():
    few = np.array([[0.0], [1.0], [3.0]])
    assert score("coverage", Drawn(lambda n, state: few + 10.0), few) == 0
    # The others are at most 3, 2 and 3 off.
    drawn = Drawn(lambda n, state: np.full((n, 1), 3.0))
    assert score("coverage", drawn, few) == 1
    drawn = Drawn(lambda n, state: np.full((n, 1), 4.0))
    assert score("coverage", drawn, few) == pytest.approx(1 / 3)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1e200])
def test_units_and_origins_do_not_matter(measure, unit):
    """Nor does it where squares are more than float64 can hold."""
    drawn = GOOD.sample(200)[0]
    drawn[:20] = TEST[:20]
    expected = score(measure, Drawn(lambda n, state: drawn))
    shift = 0.0 if unit == 1e-200 else 1e4 * unit
    moved = Drawn(lambda n, state: unit * drawn + shift)
    assert score(measure, moved, unit * TEST + shift) == pytest.approx(
        expected, abs=1e-6
    )


def test_draws_that_are_far_off():
    far = Drawn(lambda n, state: np.full((n, 3), 1e300))
    found = [score(measure, far) for measure in MEASURES]
    assert found[1:] == [0, 0, 0]
    assert found[0] < score("mmd", MODE)


def test_a_discrepancy_of_many_rows_is_computed_in_parts(monkeypatch):
    expected = score("mmd", COPIES)
    monkeypatch.setattr("sklearn_ae._data.rows._SLICE_ENTRIES", 1500)
    assert score("mmd", COPIES) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("measure", MEASURES)
def test_all_that_can_draw_is_scored(measure):
    X = load_digits().data[:60]
    vae = VariationalAutoencoder(2, max_epochs=1, random_state=0)
    density = Autoencoder(2, max_epochs=1, latent_density=GaussianMixture())
    images = Autoencoder(
        2, architecture="convolutional", max_epochs=1, latent_density=KernelDensity()
    ).fit(X.reshape(-1, 8, 8))
    scorer = make_sample_scorer(measure, n_samples=20)
    for estimator in (vae.fit(X), density.fit(X), KernelDensity().fit(X)):
        assert np.isfinite(scorer(estimator, X))
    assert np.isfinite(scorer(images, X.reshape(-1, 8, 8)))


def test_the_same_seed_draws_the_same_rows():
    density = KernelDensity().fit(TRAIN)
    first, again = (
        make_sample_scorer(),
        pickle.loads(pickle.dumps(make_sample_scorer())),
    )
    assert first(density, TEST) == again(density, TEST) == first(density, TEST)
    assert first(density, TEST) != score("mmd", density, random_state=1)
    few = score("mmd", density, n_samples=10)
    assert few != first(density, TEST)


def test_a_search_chooses_by_it():
    """And tells of copies by the rows that were trained on."""
    grid = {"bandwidth": [1e-6, 0.3, 5.0]}
    scoring = {name: make_sample_scorer(name) for name in MEASURES}
    search = GridSearchCV(
        KernelDensity(), grid, scoring=scoring, refit="mmd", return_train_score=True
    ).fit(CLUSTERS)
    assert search.best_params_["bandwidth"] != 5.0
    copied = search.cv_results_["mean_train_copies"]
    assert copied[0] == -1
    assert copied[1] > -0.1


def test_what_cannot_be_scored():
    expected = f"measure must be in {MEASURES}, got 'fid'. Did you mean 'mmd'?"
    with pytest.raises(ValueError, match=exactly(expected)):
        make_sample_scorer("fid")
    for n_samples in (1, 2.5, "all"):
        expected = f"n_samples must be an int in the range [2, inf), got {n_samples!r}."
        with pytest.raises(ValueError, match=exactly(expected)):
            make_sample_scorer(n_samples=n_samples)
    with pytest.raises(AttributeError, match="sample"):
        score("mmd", PCA().fit(TRAIN))
    with pytest.raises(AttributeError, match="sample"):
        score("mmd", Autoencoder(max_epochs=1).fit(TRAIN))
    with pytest.raises(ValueError, match="two rows"):
        score("coverage", GOOD, TEST[:1])
    with pytest.raises(ValueError, match="gives rows of 3 features, X has 2"):
        score("mmd", GOOD, TEST[:, :2])
    with pytest.raises(ValueError, match="Column 0 of X has integers"):
        score("mmd", GOOD, 2**53 + TEST.astype(np.int64))
    with pytest.raises(ValueError, match="what is drawn contains NaN"):
        score("mmd", Drawn(lambda n, state: np.full((n, 3), np.nan)))
