"""The benchmarks of generative models measure what they say they measure."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

pytest.importorskip("rich")
pytest.importorskip("matplotlib")

import sklearn_ae
from benchmarks.__main__ import main
from benchmarks.common import BenchmarkError
from benchmarks.data import binary_images
from benchmarks.data.datasets import Split
from benchmarks.measures.sample_quality import Judge, mmd
from benchmarks.methods import generators
from benchmarks.questions import generative, likelihood

NET = generators.Net(2, (8,), epochs=2, batch_size=32, learning_rate=1e-2)


@pytest.fixture(scope="module")
def split():
    """Two clusters of rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(0, 0.05, size=(500, 4)) + 0.6 * rng.integers(0, 2, (500, 1))
    return Split(X[:300].astype(np.float32), X[300:].astype(np.float32), None, None)


@pytest.fixture(scope="module")
def judge(split):
    return Judge.of(split.X_train, split.X_test)


# What is measured


def test_mmd_is_that_of_the_definition(split):
    drawn, real = split.X_train[:30], split.X_test[:20]
    unit = np.median(pdist(real))

    def similarity(a, b):
        distance = np.linalg.norm(a.astype(float) - b) / unit
        return sum(np.exp(-(distance**2) / (2 * w**2)) for w in (0.5, 1, 2))

    def mean(one, other, is_same):
        pairs = [
            similarity(a, b)
            for i, a in enumerate(one)
            for j, b in enumerate(other)
            if not (is_same and i == j)
        ]
        return np.mean(pairs)

    expected = mean(real, real, True) + mean(drawn, drawn, True)
    expected -= 2 * mean(real, drawn, False)
    assert mmd(drawn, real) == pytest.approx(expected, abs=1e-6)


def test_what_each_measure_catches(split, judge):
    rng = np.random.default_rng(1)
    shape = split.X_test.shape
    mean = np.broadcast_to(split.X_train.mean(axis=0), shape)
    noise = split.X_train.mean(axis=0) + rng.normal(0, 3, shape)
    mode = split.X_test[split.X_test[:, 0] > 0.3]
    copies = split.X_train[: len(split.X_test)]
    # Real rows: nothing tells them apart.
    assert judge.fidelity(split.X_test) == pytest.approx(0.95, abs=0.01)
    assert judge.coverage(copies) > 0.9
    assert abs(judge.mmd(copies)) < 0.1 * judge.mmd(mode) < judge.mmd(mean)
    # A mode that is missing is a lack of coverage, noise one of fidelity.
    assert judge.fidelity(mode) > 0.9
    assert judge.coverage(mode) < 0.6
    assert judge.fidelity(noise) < 0.1
    assert judge.coverage(mean) < 0.1
    # Copies are copies.
    assert judge.copies(copies) == 1.0
    assert judge.copies(split.X_test) == 0.0


def test_grey_levels_become_continuous():
    levels = np.arange(17.0).repeat(100)[:, None]
    X = generative.continuous(Split(levels, levels[:5], None, None), 17, 0).X_train
    assert (np.floor(17 * X) == levels).mean() > 0.999
    assert 0 <= X.min() < X.max() < 1
    assert len(np.unique(X)) > 1600


# What is compared


def test_densities_are_drawn_from_and_scored(split):
    X = split.X_train.astype(float)
    for density in (
        GaussianMixture(2, random_state=0),
        GridSearchCV(KernelDensity(), {"bandwidth": [0.05, 0.1]}, cv=2),
    ):
        density.fit(X)
        drawn = generators.draw(density, 50, 0)
        assert drawn.shape == (50, 4)
        assert np.array_equal(drawn, generators.draw(density, 50, 0))
        expected = density.score(X) / (len(X) if hasattr(density, "cv") else 1)
        assert generators.log_likelihood(density, X) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:No component is active")
@pytest.mark.parametrize("name", ["autoencoder", "vae", "beta", "info", "vamp"])
def test_autoencoders_have_one_net(name, split):
    net = generators.GENERATORS[name].make(NET, 3)
    net.fit(split.X_train)
    assert (net.n_components, net.hidden_layer_sizes) == (2, (8,))
    assert (net.n_iter_, net.batch_size, net.random_state) == (2, 32, 3)
    decoded = generators.draw(net, 20, 0, noise=False)
    assert not np.array_equal(decoded, generators.draw(net, 20, 0))
    bound = generators.log_likelihood(net, split.X_test)
    assert (bound is None) == (name == "autoencoder")


def test_missing_packages(monkeypatch):
    monkeypatch.setattr(generators, "find_spec", lambda name: None)
    assert "flow" not in generative.choose(None)
    with pytest.raises(BenchmarkError, match="flow needs a package: pip install zuko"):
        generative.choose(["flow"])


def test_generative(tmp_path):
    names = ["diagonal", "full", "autoencoder", "vae"]
    words = ["--generators", *names, "--epochs", "2", "--rows", "300"]
    assert main(["generative", *words, "--output", str(tmp_path)]) == 0
    folder = tmp_path / "generative" / "digits"
    runs = pd.read_csv(folder / "runs.csv").set_index("generator")
    assert list(runs.index) == ["real", *names]
    assert runs.loc["diagonal", "ratio"] == 1
    assert runs.loc["full", "ratio"] < 0.5
    assert runs.loc["real", "copies"] == 1
    assert (runs.loc[names, "copies"] == 0).all()
    assert runs.loc["full", "log_likelihood"] > runs.loc["diagonal", "log_likelihood"]
    assert runs["log_likelihood"].isna()[["real", "autoencoder"]].all()
    assert runs["mean_coverage"].notna()[["autoencoder", "vae"]].all()
    assert {path.stem for path in folder.glob("*.png")} == {"drawn", "decoded"}
    assert "64-128-16, 2 epochs" in (folder / "table.md").read_text()


# Likelihoods of binary images


def test_one_draw_binarises_once():
    first, again, other = (
        binary_images.load_binary_images("digits", seed, None, None)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first.X_test, again.X_test)
    assert not np.array_equal(first.X_test, other.X_test)
    assert set(np.unique(first.X_train)) == {0, 1}
    assert (len(first.X_train), len(first.X_test)) == (1347, 450)


def test_ink_has_the_probability_of_its_grey_level():
    grey = np.tile([0.0, 64.0, 255.0], (4000, 1))
    drawn = binary_images.binarize(grey, 255, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 64 / 255, 1], atol=0.03)


@pytest.fixture
def amat(tmp_path):
    """Write the literature's files, of 50 + 10 + 20 images of 4 by 4."""
    rng = np.random.default_rng(0)
    for part, n_rows in (("train", 50), ("valid", 10), ("test", 20)):
        bits = rng.integers(0, 2, (n_rows, 16))
        bits[:, 0] = part == "valid"
        path = tmp_path / f"binarized_mnist_{part}.amat"
        np.savetxt(path, bits, fmt="%d", delimiter=" ")
    return tmp_path


def test_files_of_the_literature(amat):
    images = binary_images.load_binary_images("mnist", 0, None, amat)
    path = amat / "binarized_mnist_test.amat"
    assert np.array_equal(images.X_test, np.loadtxt(path))
    assert (images.X_train.shape, images.shape) == ((60, 16), (4, 4))
    assert list(images.X_train[:, 0]) == [0] * 50 + [1] * 10
    assert images.X_train.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 2 1\n", "more than zeros and ones"),
        ("0 1 1 1\n0 1\n", "not of one length"),
        ("", "not of one length"),
        ("0 1 1\n", r"rows of \[3, 16\] pixels"),
        (None, "there is no file"),
    ],
)
def test_unusable_files_of_the_literature(amat, text, message):
    path = amat / "binarized_mnist_train.amat"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(BenchmarkError, match=message):
        binary_images.read_amat(amat)


def test_independent_pixels(amat):
    images = binary_images.read_amat(amat)
    p = images.X_train.mean(axis=0)[1:]
    bits = images.X_test[:, 1:]
    expected = np.log(np.where(bits == 1, p, 1 - p)).sum(axis=1).mean()
    # The first pixel is never inked in test images.
    expected += np.log(1 - images.X_train[:, 0].mean())
    found = likelihood.independent_pixels(images)["log_likelihood"]
    assert found == pytest.approx(expected, rel=1e-5)


def test_likelihood(tmp_path, capsys):
    words = ["--rows", "300", "--test-rows", "50", "--epochs", "2", "--samples", "20"]
    assert main(["likelihood", *words, "--output", str(tmp_path)]) == 0
    assert "nats in training" in capsys.readouterr().err
    folder = tmp_path / "likelihood" / "digits"
    rows = pd.read_csv(folder / "table.csv").set_index("label")
    assert list(rows.index) == ["normal", "vamp", "no net: independent pixels"]
    nets = rows.loc[["normal", "vamp"]]
    assert (nets["log_likelihood"] > nets["test_bound"]).all()
    assert nets["best_epoch"].isin([1, 2]).all()
    assert rows["published"].isna().all()
    saved = sklearn_ae.load(folder / "vamp.safetensors")
    assert saved.prior.n_pseudo_inputs == 50
    assert len(pd.read_csv(folder / "curves.csv")) == 4
    assert (folder / "samples.png").stat().st_size > 0


def test_likelihood_of_files(tmp_path, amat):
    words = ["--dataset", "mnist", "--amat", amat, "--epochs", 1, "--samples", 5]
    # Without a warm-up all components collapse at once, which is warned of.
    words += ["--priors", "normal", "--warmup", 1, "--output", tmp_path]
    assert main(["likelihood", *map(str, words)]) == 0
    text = (tmp_path / "likelihood" / "mnist" / "table.md").read_text()
    assert "60 images, a sixth of them for validation, and 20 test images" in text
    assert "16-300-300-40" in text
    assert "-88.56" in text


def test_files_are_of_mnist(capsys):
    assert main(["likelihood", "--amat", "."]) == 2
    assert "--amat is for --dataset mnist" in capsys.readouterr().err
