"""The benchmarks of single models measure what they say they measure."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from sklearn.decomposition import PCA

pytest.importorskip("rich")
pytest.importorskip("matplotlib")

from benchmarks.__main__ import main, make_parser
from benchmarks.common import BenchmarkError
from benchmarks.data import corpora
from benchmarks.data.datasets import load
from benchmarks.data.strokes import draw_strokes
from benchmarks.measures import choosing
from benchmarks.methods import penalties
from benchmarks.questions import denoising, documents, images, pretraining
from benchmarks.questions import regularization as regular


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Regularisation


def test_jacobian_norm_of_a_linear_encoder():
    X = np.random.default_rng(0).normal(size=(50, 6))
    # Orthonormal axes: the squared norm is the number of components.
    assert penalties.mean_jacobian_norm(PCA(3).fit(X), X) == pytest.approx(3**0.5)


def test_code_shares():
    shares = penalties.code_shares(np.array([[0.0, 0.05], [0.5, -2.0]]))
    assert shares == {"zero": 0.25, "active": 0.5}


def test_labels_are_drawn_by_class():
    y = np.repeat(np.arange(5), 40)
    drawn = regular.draw_labels(y, 20, seed=0)
    assert np.bincount(y[drawn]).tolist() == [4] * 5


def test_few_labels(tmp_path):
    options = ["--splits", "2", "--epochs", "2", "--components", "8"]
    main(["few_labels", *options, "--alphas", "0.1", "1e6", "--output", str(tmp_path)])
    rows = rows_of(tmp_path / "few_labels" / "table.csv")
    assert [row["label"][-3:] for row in rows[:3]] == ["a 0", "0.1", "+06"]
    assert rows[3]["label"] == "PCA(8)"
    accuracy = [float(row["accuracy"]) for row in rows]
    assert rows[0]["gain"] == ""
    assert float(rows[2]["gain"]) == pytest.approx(accuracy[2] - accuracy[0])
    assert accuracy[2] < accuracy[0] < accuracy[3]


def test_search(tmp_path):
    options = ["--candidates", "3", "--folds", "2", "--epochs", "2", "--repeats", "1"]
    assert main(["search", *options, "--output", str(tmp_path)]) == 0
    folder = tmp_path / "search" / "digits"
    rows = {row["search"]: row for row in rows_of(folder / "table.csv")}
    assert list(rows) == [
        "batched",
        "GridSearchCV(n_jobs=1)",
        "GridSearchCV(n_jobs=2)",
        "GridSearchCV(n_jobs=1), fast path off",
    ]
    assert float(rows["batched"]["speed_up"]) == 1
    assert len({row["best"] for row in rows.values()}) == 1
    assert all(float(row["difference"]) < 1e-4 for row in rows.values())
    counts = rows_of(folder / "candidates.csv")
    assert [row["n_candidates"] for row in counts] == ["1", "2"]


@pytest.mark.parametrize(("grows", "expected"), [(True, 1.0), (False, 0.1)])
def test_picks(grows, expected):
    family = penalties.Family("model", "alpha", (), None, grows)
    scores = {0.1: (0.89, 0.92), 0.5: (0.91, 0.95), 1.0: (0.90, 0.93), 5.0: (0, 0)}
    runs = [
        {"value": value, "accuracy_all": score, "accuracy_labelled": -value}
        | {f"score_{name}": score for name in choosing.SCORERS}
        for value, pair in scores.items()
        for score in pair
    ]
    picked = {row["scorer"]: row for row in choosing.picks(family, runs)}
    assert picked["reconstruction_r2"]["picked"] == 0.5
    assert picked["reconstruction_r2"]["inside"] == "yes"
    # 0.5 is best by 0.015, and its error is 0.014 (0.02 / sqrt 2).
    assert picked["one_standard_error of the probe"]["picked"] == 0.5
    scores[1.0] = scores[0.1] = (0.91, 0.94)
    for run in runs:
        if run["value"] in (0.1, 1.0):
            run["score_probe"] = 0.925
    picked = {row["scorer"]: row for row in choosing.picks(family, runs)}
    assert picked["one_standard_error of the probe"]["picked"] == expected
    assert picked["the pipeline, fitted on the labelled rows"]["picked"] == 0.1
    assert picked["the pipeline, fitted on the labelled rows"]["inside"] == "no"


@pytest.fixture
def small(tmp_path):
    """Four classes of 2 x 3 images."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    X = rng.normal(size=(4, 6))[y] + 0.3 * rng.normal(size=(120, 6))
    np.savez(tmp_path / "small.npz", X=X.reshape(-1, 2, 3), y=y)
    return str(tmp_path / "small.npz")


def test_regularization(tmp_path, small, monkeypatch):
    monkeypatch.setattr(regular, "N_JACOBIANS", 5)
    words = ["--dataset", small, "--families", "top_k", "--components", "8"]
    words += ["--epochs", "1", "--labels", "40", "--seeds", "1"]
    assert main(["regularization", *words, "--output", str(tmp_path)]) == 0
    folder = tmp_path / "regularization"
    rows = rows_of(folder / "table.csv")
    settings = [row["setting"] for row in rows if row["family"] == "sparse, top k"]
    assert settings == ["k 8", "k 4", "k 2"]
    # Two of eight codes at most.
    assert float(rows[-1]["zero"]) >= 0.75
    assert {path.name for path in folder.iterdir()} >= {"picks.md", "curves.png"}


def test_too_many_labels(tmp_path):
    words = ["--labels", "5000", "--output", str(tmp_path)]
    assert main(["regularization", *words]) == 2


# Denoising


def test_linear_filter_is_the_best_linear_map():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 3)) * [3.0, 1.0, 0.1] + 5
    noisy = X + rng.normal(scale=0.5, size=X.shape)
    error = np.square(X - denoising.linear_filter(X, 0.5)(noisy)).sum(axis=1).mean()
    variances = X.var(axis=0)
    expected = (variances * 0.25 / (variances + 0.25)).sum()
    assert error == pytest.approx(expected, rel=0.02)


def test_psnr():
    assert denoising.psnr(np.zeros((2, 3)), np.full((2, 3), 0.1)) == pytest.approx(20)


def test_unit_range_uses_one_number():
    split = denoising.in_unit_range(load("digits").split(0))
    assert (split.X_train.min(), split.X_train.max()) == (0, 1)
    assert split.X_train[:, 0].max() == 0


def test_denoising(tmp_path, small):
    words = ["--dataset", small, "--noise", "0.3", "--components", "4"]
    words += ["--epochs", "1", "--seeds", "1", "--output", str(tmp_path)]
    assert main(["denoising", *words]) == 0
    folder = tmp_path / "denoising"
    rows = {row["method"]: row for row in rows_of(folder / "noise.csv")}
    assert float(rows["noisy"]["psnr"]) == pytest.approx(10.46, abs=1)
    assert float(rows["best linear filter"]["over_filter"]) == 0
    names = {path.name for path in folder.iterdir()}
    assert names >= {"noise_0.3.png", "outliers.md", "noise_runs.csv"}


# Pretraining


def test_strokes_pass_through_their_ends():
    X = draw_strokes(20, seed=1)
    assert (X.shape, X.dtype) == ((20, 784), np.float32)
    assert X.min() >= 0
    assert X.max() <= 1
    points = np.random.default_rng(1).uniform(4, 23, (20, 3, 2))
    for image, (start, _, end) in zip(X.reshape(-1, 28, 28), points, strict=True):
        for down, across in (start, end):
            assert image[round(down), round(across)] > 0.7
    assert np.array_equal(X, draw_strokes(20, seed=1))


def test_pretraining(tmp_path):
    words = ["--rows", "60", "--epochs", "3", "--pretraining-epochs", "1"]
    words += ["--starts", "small", "rbm", "--every", "2", "--output", str(tmp_path)]
    assert main(["pretraining", *words]) == 0
    folder = tmp_path / "pretraining" / "curves"
    rows = {row["label"]: row for row in rows_of(folder / "table.csv")}
    assert float(rows["random, N(0, 0.01^2)"]["to_small"]) == 1
    assert float(rows["mean predictor"]["to_mean"]) == 1
    curve = rows_of(folder / "curves.csv")
    assert [row["epoch"] for row in curve] == ["0", "2", "3"] * 2
    last = rows["RBM pretraining"]
    assert float(curve[-1]["test_error"]) == float(last["test_error"])
    assert (folder / "reconstructions.png").is_file()


def test_mnist_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 784)).astype(np.uint8)
    y = np.arange(90) % 10
    path = tmp_path / "mnist.npz"
    np.savez(
        path, X_train=images[:70], X_test=images[70:], y_train=y[:70], y_test=y[70:]
    )
    options = make_parser().parse_args(
        ["pretraining", "--dataset", "mnist", "--data-home", str(tmp_path)]
    )
    options = pretraining.complete(options, pretraining.TASKS["mnist"])
    X_train, X_test = pretraining.load_rows(options)
    assert (len(X_train), len(X_test)) == (70, 20)
    np.testing.assert_allclose(X_test, images[70:] / 255, rtol=1e-6)


# Documents


@pytest.fixture
def counts(tmp_path):
    """Two topics with words of their own, in a file as Reuters has it."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    share = np.where(y[:, None] == np.arange(12) % 2, 3.0, 0.2)
    X = scipy.sparse.csr_array(rng.poisson(share))
    np.savez(
        tmp_path / "reuters.npz",
        data=X.data,
        indices=X.indices,
        indptr=X.indptr,
        shape=X.shape,
        y=y,
        train=np.arange(120) < 80,
        topics=["grain", "ship"],
    )
    return tmp_path


def test_neighbours_leave_the_row_itself_out():
    codes = np.array([[i, 1.0] for i in range(12)])
    y = np.arange(12)
    assert not documents.same_topic(codes, y, "euclidean").any()
    assert documents.same_topic(codes, y * 0, "cosine").all()


def test_reuters_of_a_file(counts):
    corpus = corpora.load_reuters(counts, 0, 12)
    assert (corpus.X_train.shape, corpus.X_test.shape) == ((80, 12), (40, 12))
    assert corpus.topics == ("grain", "ship")
    assert scipy.sparse.issparse(corpus.X_train)
    with pytest.raises(BenchmarkError, match="no reuters.npz"):
        corpora.load_reuters(counts / "none", 0, 12)
    with pytest.raises(BenchmarkError, match="--data-home"):
        corpora.load_reuters(None, 0, 12)


def test_file_without_counts(tmp_path):
    np.savez(tmp_path / "reuters.npz", X=np.zeros((3, 2)), y=np.zeros(3))
    with pytest.raises(BenchmarkError, match="lacks data, indices, indptr, shape"):
        corpora.load_reuters(tmp_path, 0, 12)


def test_newsgroups(monkeypatch):
    texts = {
        "train": ["apples pears apples", "rockets orbit", "rockets pears orbit", ""],
        "test": ["apples rockets", "nothing known"],
    }

    def fetch(*, subset, **options):
        names = ["fruit", "space"]
        target = np.array([0, 1, 1, 0])[: len(texts[subset])]
        return SimpleNamespace(data=texts[subset], target=target, target_names=names)

    monkeypatch.setattr(corpora, "fetch_20newsgroups", fetch)
    corpus = corpora.load_newsgroups(None, 0, 50)
    # A word of one document only is no column, a document without words no row.
    assert corpus.X_train.toarray().tolist() == [[0, 1, 0], [1, 0, 1], [1, 1, 1]]
    assert corpus.y_train.tolist() == [0, 1, 1]
    assert corpus.X_test.shape == (1, 3)

    def offline(**options):
        raise OSError("no route to host")

    monkeypatch.setattr(corpora, "fetch_20newsgroups", offline)
    with pytest.raises(BenchmarkError, match="no route to host"):
        corpora.load_newsgroups(None, 0, 50)


def test_documents(counts, tmp_path, monkeypatch):
    dense = []
    to_array = scipy.sparse.csr_array.toarray
    monkeypatch.setattr(
        scipy.sparse.csr_array,
        "toarray",
        lambda X, *a, **k: dense.append(X.shape[0]) or to_array(X, *a, **k),
    )
    words = ["--dataset", "reuters", "--data-home", str(counts), "--hidden", "6"]
    words += ["--components", "2", "--epochs", "2", "--batch", "16"]
    assert main(["documents", *words, "--output", str(tmp_path)]) == 0
    folder = tmp_path / "documents" / "reuters"
    rows = rows_of(folder / "table.csv")
    assert [row["label"] for row in rows] == ["TruncatedSVD"] * 5 + ["autoencoder"]
    best = rows_of(folder / "best.csv")
    found = max(float(row["nearest_cosine"]) for row in rows[:5])
    assert float(best[1]["svd"]) >= found > 0.8
    assert (folder / "map.png").is_file()


def test_synthetic_corpus():
    corpus = corpora.make_corpus(None, 0, 50)
    assert (corpus.X_train.shape, corpus.X_test.shape) == ((3000, 50), (1000, 50))
    assert corpus.X_train.sum(axis=1).min() >= 40
    assert len(corpus.topics) == 20


def test_more_components_than_words(counts, tmp_path):
    words = ["--dataset", "reuters", "--data-home", str(counts), "--components", "12"]
    assert main(["documents", *words, "--output", str(tmp_path)]) == 2


# Images


def test_nets_of_one_size():
    shape, k = (16, 16), 8
    hidden = images.same_size(shape, k, (8, 16))
    counts = {
        name: images.count_parameters(name, sizes, shape, k)
        for name, sizes in hidden.items()
    }
    assert list(hidden) == list(images.ARCHITECTURES)
    assert hidden["convolutional"] == (8, 16)
    for count in counts.values():
        assert abs(count / counts["convolutional"] - 1) <= 0.05
    net = images.make_net("residual", hidden["residual"], shape, k, max_epochs=1)
    module = net.fit(np.zeros((2, 256))).to_module()
    assert sum(p.numel() for p in module.parameters()) == counts["residual"]


def test_shifted_digits_are_whole():
    digits = load("digits")
    moved = images.shifted(digits)
    assert moved.X.shape == (1797, 256)
    assert np.allclose(moved.X.sum(axis=1), digits.X.sum(axis=1))
    assert len({tuple(np.argwhere(x)[0] // 16) for x in moved.X[:200]}) > 3


def test_images(tmp_path, small):
    words = ["--dataset", small, "--components", "2", "--channels", "4", "4"]
    words += ["--epochs", "1", "--output", str(tmp_path)]
    assert main(["images", *words]) == 2
    words = ["--components", "8", "--channels", "8", "16", "--rows", "100"]
    words += ["--epochs", "1", "--output", str(tmp_path)]
    assert main(["images", *words]) == 0
    folder = tmp_path / "images" / "shifted_digits"
    rows = rows_of(folder / "table.csv")
    assert [row["architecture"] for row in rows] == [*images.ARCHITECTURES * 2, "PCA"]
    assert float(rows[0]["ratio"]) == 1
    assert all(float(row["epochs"]) >= 1 for row in rows[:6])
    names = {path.name for path in folder.iterdir()}
    assert names >= {"curves.png", "reconstructions.png", "table.md", "runs.csv"}
