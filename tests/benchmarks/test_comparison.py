"""The benchmarks load what they say they load, and write what they say they write."""

import argparse
import csv
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("rich")
pytest.importorskip("matplotlib")

from benchmarks.__main__ import COMMANDS, main, make_parser
from benchmarks.common import BenchmarkError, Column, Table, limited_threads, median_of
from benchmarks.data import datasets
from benchmarks.data.datasets import load
from benchmarks.data.tables import LabelChoice
from benchmarks.measures.quality import knn_accuracy
from benchmarks.methods import competitors
from benchmarks.methods import embeddings as methods
from benchmarks.methods.torch_nets import ConvolutionalNet, Net, RecurrentNet
from benchmarks.questions import compare, defaults, overhead, scaling
from sklearn_ae import Autoencoder, VariationalAutoencoder

N_ROWS = 80


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(N_ROWS, 6))


@pytest.fixture
def y():
    return np.arange(N_ROWS) % 4


def options(command, *words):
    return make_parser().parse_args([command, *map(str, words)])


# Data sets


def test_split_depends_on_seed_only():
    digits = load("digits")
    assert (digits.X.dtype, digits.image_shape) == (np.float32, (8, 8))
    first, again, other = (digits.split(seed) for seed in (0, 0, 1))
    assert np.array_equal(first.X_train, again.X_train)
    assert not np.array_equal(first.X_train, other.X_train)
    assert (len(first.X_train), len(first.X_test)) == (1347, 450)


def test_split_is_capped_by_class():
    split = load("digits").split(0, max_train=100, max_test=50)
    assert (len(split.X_train), len(split.X_test)) == (100, 50)
    assert set(split.y_train) == set(range(10))


def test_standardized_split_uses_training_rows():
    split = load("wine").split(0)
    np.testing.assert_allclose(split.X_train.std(axis=0), 1, rtol=1e-5)
    assert not np.allclose(split.X_test.std(axis=0), 1, rtol=1e-3)


def test_npz(tmp_path, X, y):
    np.savez(tmp_path / "own.npz", X=X, y=y)
    own = load(str(tmp_path / "own.npz"))
    assert own.name == "own"
    np.testing.assert_allclose(own.X, X, rtol=1e-6)
    assert np.array_equal(own.y, y)
    assert own.image_shape is None


def test_npz_of_images_with_its_own_test_rows(tmp_path, X, y):
    images = X.reshape(N_ROWS, 2, 3)
    path = tmp_path / "images.npz"
    np.savez(
        path, X_train=images[:60], X_test=images[60:], y_train=y[:60], y_test=y[60:]
    )
    own = load(str(path))
    split = own.split(0)
    assert own.image_shape == (2, 3)
    np.testing.assert_allclose(split.X_test, X[60:], rtol=1e-6)
    assert np.array_equal(split.y_test, y[60:])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_table(tmp_path, X, y, suffix):
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(6)])
    frame["kind"] = np.array(["a", "b", "c", "d"])[y]
    path = tmp_path / f"own.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    own = load(str(path), label=LabelChoice("kind"))
    np.testing.assert_allclose(own.X, X, rtol=1e-6)
    assert list(own.y[:5]) == ["a", "b", "c", "d", "a"]
    assert list(load(str(path)).y[:5]) == ["a", "b", "c", "d", "a"]
    with pytest.raises(BenchmarkError, match="no column 'sort'; the columns are 'x0'"):
        load(str(path), label=LabelChoice("sort"))


@pytest.mark.parametrize("place", ["mnist.npz", "mnist/mnist.npz"])
def test_data_home(tmp_path, y, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    images = np.zeros((N_ROWS, 784), dtype=np.uint8)
    np.savez(path, X_train=images, y_train=y, X_test=images[:9], y_test=y[:9])
    mnist = load("mnist", data_home=tmp_path)
    assert mnist.image_shape == (28, 28)
    assert len(mnist.split(0).X_test) == 9


@pytest.mark.parametrize(
    ("name", "fetch"),
    [
        ("fashion_mnist", "fetch_openml"),
        ("mnist", "fetch_openml"),
        ("olivetti", "fetch_olivetti_faces"),
    ],
)
def test_download(monkeypatch, tmp_path, X, y, name, fetch):
    asked = []

    def fetched(*words, return_X_y, data_home, **options):
        asked.append((words, data_home))
        return X, y

    monkeypatch.setattr(datasets, fetch, fetched)
    monkeypatch.setattr(datasets, "_check", lambda dataset: None)
    assert np.array_equal(load(name, data_home=tmp_path).y, y)
    assert asked[0][1] == tmp_path
    assert load(name).X.dtype == np.float32
    assert asked[1][1] is None


def test_failed_download_points_to_data_home(monkeypatch):
    def offline(*words, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "fetch_openml", offline)
    with pytest.raises(BenchmarkError, match=r"no route to host.*--data-home"):
        load("mnist")


def test_unknown_and_missing_data_sets(tmp_path):
    with pytest.raises(BenchmarkError, match=r"unknown data set 'digit'.*digits.*npz"):
        load("digit")
    with pytest.raises(BenchmarkError, match="there is no file"):
        load(str(tmp_path / "none.csv"))
    with pytest.raises(BenchmarkError, match="leave --label out"):
        load("digits", label=LabelChoice("y"))


def test_unusable_files(tmp_path, X):
    def saved(name, **arrays):
        np.savez(tmp_path / name, **arrays)
        return str(tmp_path / name)

    with pytest.raises(BenchmarkError, match=r"neither X nor X_train.*data, y"):
        load(saved("keys.npz", data=X, y=X))
    with pytest.raises(BenchmarkError, match="no table of numbers"):
        load(saved("strings.npz", X=X.astype(str)))
    X[3, 1] = np.nan
    with pytest.raises(BenchmarkError, match="1 of 80 rows of nan hold NaN"):
        load(saved("nan.npz", X=X))
    with pytest.raises(BenchmarkError, match="has 5 rows"):
        load(saved("few.npz", X=X[10:15]))
    with pytest.raises(BenchmarkError, match=r"80 rows, but its labels are \(7,\)"):
        load(saved("lengths.npz", X=np.zeros((80, 2)), y=np.arange(7)))
    with pytest.raises(BenchmarkError, match="labels of labels have missing values"):
        load(saved("labels.npz", X=np.zeros((80, 2)), y=X[:, 1]))
    with pytest.raises(BenchmarkError, match="names a column of a table"):
        load(saved("target.npz", X=X), label=LabelChoice("kind"))
    (tmp_path / "torn.npz").write_bytes(b"PK torn")
    with pytest.raises(BenchmarkError, match="cannot be read"):
        load(str(tmp_path / "torn.npz"))


def test_image_shape_must_fit(tmp_path, X):
    np.savez(tmp_path / "own.npz", X=X)
    words = ["--dataset", tmp_path / "own.npz", "--image-shape", "2"]
    loaded = datasets.load_from_options(options("compare", *words, 3))
    assert loaded.image_shape == (2, 3)
    with pytest.raises(BenchmarkError, match="asks for 8 features, own has 6"):
        datasets.load_from_options(options("compare", *words, 4))


# Tables and measurements


@pytest.fixture
def table():
    columns = [
        Column("name", "name"),
        Column("seconds", "fit\n(s)", ".2f"),
        Column("trust", "trust\u00ad\nworthiness", ".1f"),
        Column("likelihood", "log-\nlikelihood", "d"),
    ]
    rows = [
        {"name": "a|b", "seconds": 1 / 3, "trust": 1.0, "likelihood": -20},
        {"name": "c", "seconds": None},
    ]
    return Table("Times", columns, rows, ["One note."])


def test_table_as_markdown(table):
    assert table.to_markdown().splitlines() == [
        "## Times",
        "",
        "| name | fit (s) | trustworthiness | log-likelihood |",
        "| ---- | ------: | --------------: | -------------: |",
        "| a\\|b |    0.33 |             1.0 |            -20 |",
        "| c    |       – |               – |              – |",
        "",
        "- One note.",
    ]


def test_table_written(table, tmp_path):
    comma, markdown = table.write(tmp_path / "new", "times")
    with comma.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["seconds"]) == 1 / 3
    assert rows[1] == {"name": "c", "seconds": "", "trust": "", "likelihood": ""}
    assert markdown.read_text(encoding="utf-8") == table.to_markdown()


def test_table_shown_in_full(table, capsys):
    table.show()
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("Times", "a|b", "0.33", "One note."))


def test_comparison_fits_a_terminal_of_80_letters(monkeypatch, capsys):
    """With no name and no figure cut."""
    for name, value in {"COLUMNS": "80", "FORCE_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    figures = {column.key: 0.999 for column in compare.NEW_ROWS + compare.TRAINING_ROWS}
    figures |= {"n_components": 16, "fit_seconds": 31.77, "embed_ms": 1180.8}
    rows = [figures | {"label": name} for name in ("linear autoencoder", "t-SNE")]
    for shown in compare.make_tables(rows, "digits", []).values():
        shown.show()
    text = capsys.readouterr().out
    assert "…" not in text
    assert "1180.8" in text
    lines = [line.split() for line in text.splitlines()]
    assert (
        sum(line[-1:] == ["worthiness"] or "worthiness" in line for line in lines) == 2
    )


def test_medians_leave_out_missing_values():
    assert median_of([{"a": 1.0}, {"a": None}, {"a": 4.0}, {}], "a") == 2.5
    assert median_of([{"a": None}], "a") is None


@pytest.mark.usefixtures("two_threads")
def test_threads_are_limited_and_restored():
    import torch

    with limited_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_knn_accuracy():
    Z = np.repeat([[0.0, 0.0], [9.0, 9.0]], 10, axis=0)
    y = np.repeat(["a", "b"], 10)
    assert knn_accuracy(Z, y) == 1.0
    assert knn_accuracy(Z, y, Z[:2], y[-2:]) == 0.0
    assert knn_accuracy(Z, None) is None
    # Leave-one-out: no row is its own neighbour.
    assert knn_accuracy(np.arange(12.0)[:, None], np.arange(12) % 6) < 0.5
    assert knn_accuracy(Z, np.linspace(0, 1, 20)) is None


def test_slope_is_the_exponent():
    rows = [{"n_rows": n, "seconds": 3 * n**1.5} for n in (10, 100, 1000)]
    assert scaling.slope(rows) == pytest.approx(1.5)


def test_seconds_per_epoch_leaves_out_the_setup():
    now = [0.0]

    def fit(X, n_epochs):
        now[0] += 7.0 + 0.5 * n_epochs

    seconds = competitors.seconds_per_epoch(fit, None, (2, 10), lambda: now[0])
    assert seconds == pytest.approx(0.5)


def test_ratios_are_to_the_better_torch_loop():
    slopes = {"torch loop, a": [2.0], "torch loop, b": [4.0], "sklearn_ae": [1.0]}
    rows = overhead.rows_of_slopes(Net((6, 2), 8), 1, slopes)
    assert [row["ratio"] for row in rows] == [1.0, 2.0, 0.5]


def test_candidates_are_ranked_within_each_task():
    settings = 32, 10, 1e-3, None, "relu", None
    good, bad = (defaults.Candidate((n,), *settings) for n in (8, 4))
    scores = {good: (0.5, 0.9), bad: (0.4, 0.7), None: (0.3, 0.95)}
    runs = [
        {"dataset": f"data {task}", "n_components": 2, "candidate": candidate}
        | {"score": score[task], "r2": 0.4, "knn": 0.5, "fit_seconds": 1.0}
        for candidate, score in scores.items()
        for task in (0, 1)
    ]
    table = defaults.ranking(runs, [bad, good], good, "R2")
    rows = table.rows
    assert [row["hidden"] for row in rows] == ["8", "4", "PCA"]
    assert [row["rank"] for row in rows] == [1.0, 2.0, None]
    assert [row["mark"] for row in rows] == ["default", "", ""]
    assert rows[1]["shortfall"] == pytest.approx(0.15)
    assert rows[2]["worst_shortfall"] == pytest.approx(0.2)
    assert "noise_variance" not in [column.key for column in table.columns]


# The command line


def test_compare_is_the_default_command(monkeypatch):
    seen = []
    monkeypatch.setattr(compare, "run", seen.append)
    assert main([]) == main(["--seeds", "1"]) == main(["compare"]) == 0
    assert [arguments.seeds for arguments in seen] == [3, 1, 3]
    assert all(arguments.dataset == "digits" for arguments in seen)


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([command, "--help"])
    assert exit_info.value.code == 0
    assert "--output" in capsys.readouterr().out


def test_errors_are_shown_without_a_traceback(capsys):
    assert main(["--dataset", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: unknown data set 'nowhere'")
    assert "Traceback" not in error


def test_bad_options(capsys):
    for words in (["--seeds", "0"], ["--methods", "magic"], ["--profile", "huge"]):
        with pytest.raises(SystemExit):
            main(words)
    assert "0 is not a positive integer" in capsys.readouterr().err


def test_candidates_from_the_command_line():
    words = ["--hidden", "none", "256-128", "--batches", "auto", "8"]
    parsed = options("defaults", *words, "--schedules", "none", "cosine")
    assert parsed.hidden == [(), (256, 128)]
    assert parsed.batches == ["auto", 8]
    assert parsed.schedules == [None, "cosine"]
    candidates = defaults.candidates_of(options("defaults"))
    assert candidates[0].hidden_layer_sizes == ()
    assert {candidate.noise_variance for candidate in candidates} == {None}
    words = ["--estimator", "variational", "--rates", "0.01", "--hidden", "8"]
    candidates = defaults.candidates_of(options("defaults", *words))
    # Two activations with two variances, and the defaults.
    assert len(candidates) == 5
    assert candidates[-1] == defaults.Candidate.default_of(VariationalAutoencoder)
    with pytest.raises(BenchmarkError, match="no noise variance"):
        defaults.candidates_of(options("defaults", "--noise-variances", "learned"))
    with pytest.raises(argparse.ArgumentTypeError):
        defaults.widths("0")


def test_impossible_requests(capsys):
    assert main(["--device", "cuda:99"]) == main(["--components", "65"]) == 2
    error = capsys.readouterr().err
    assert "devices are" in error
    assert "rows of 64 features have no more than 64 components" in error


def test_missing_packages(monkeypatch):
    def absent(name):
        if name == "umap":
            raise ImportError("Numba needs NumPy 2.4 or less")
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(methods, "import_module", absent)
    with pytest.raises(BenchmarkError, match=r"UMAP \(pip install umap-learn"):
        methods.choose(["umap"])
    chosen, hints = methods.choose(None)
    assert set(chosen) == {"pca", "linear", "deep", "tsne"}
    assert hints == [
        "UMAP (pip install umap-learn; Numba needs NumPy 2.4 or less)",
        "openTSNE (pip install openTSNE)",
    ]


# From end to end


def test_competitors_train_the_same_net(monkeypatch, X):
    from sklearn_ae._training import dense_gradient

    calls, function = [], dense_gradient.DenseGradient.__call__
    monkeypatch.setattr(
        dense_gradient.DenseGradient,
        "__call__",
        lambda self, batch: calls.append(len(batch.x)) or function(self, batch),
    )
    net = Net((6, 4, 2), 32)
    for name, fit in competitors.competitors(net).items():
        calls.clear()
        fit(X.astype(np.float32), 2)
        assert calls == ([32, 32, 16] * 2 if name == "sklearn_ae" else [])


@pytest.mark.parametrize(
    "net",
    [
        ConvolutionalNet((64, 3, 5, 2), 32, side=8),
        ConvolutionalNet((49, 3, 5, 2), 32, side=7),
        RecurrentNet((12, 5, 2), 32, n_steps=6),
    ],
    ids=lambda net: net.label,
)
def test_hand_written_nets_are_ours(net):
    """With the same parameters they answer the same; other tools train them."""
    X = np.random.default_rng(0).random((40, net.widths[0]), dtype=np.float32)
    estimator = Autoencoder(
        net.widths[-1],
        architecture=net.architecture(),
        hidden_layer_sizes=net.widths[1:-1],
        max_epochs=2,
        random_state=0,
    ).fit(X)
    ours, written = estimator.to_module(), net.module()
    rows = ours.standardize(torch.from_numpy(X))
    with torch.no_grad():
        for own, other in zip(ours.parameters(), written.parameters(), strict=True):
            other.copy_(own)
        expected = ours.decoder(ours.encoder(rows))
        np.testing.assert_allclose(written(rows), expected, atol=1e-6)
    for fit in competitors.competitors(net).values():
        fit(X, 1)


def test_compare(tmp_path, X, y, capsys):
    path = tmp_path / "own.npz"
    np.savez(path, X=X, y=y)
    words = ["--dataset", path, "--methods", "pca", "linear", "--seeds", 1]
    words += ["--components", 2, "--image-shape", 2, 3, "--output", tmp_path]
    assert main([str(word) for word in words]) == 0
    assert "linear autoencoder" in capsys.readouterr().out
    folder = tmp_path / "own"
    pictures, tables = sorted(folder.glob("*.png")), sorted(folder.glob("*.md"))
    assert [p.stem for p in pictures] == ["loss_curves", "maps", "reconstructions"]
    assert [p.stem for p in tables] == ["table", "training_rows"]
    runs = pd.read_csv(folder / "runs.csv").set_index("method")
    assert runs.loc["linear", "angle"] < 1
    assert runs.loc["linear", "r2"] == pytest.approx(runs.loc["pca", "r2"], abs=1e-3)


def test_compare_with_settings_of_a_search(tmp_path, X, y, monkeypatch):
    """The best ones for the training rows, and the table says which."""
    np.savez(tmp_path / "own.npz", X=X, y=y)
    grid = {"learning_rate": [1e-9, 1e-2], "max_epochs": [15]}
    deep = dataclasses.replace(methods.METHODS["deep"], grid=grid)
    maps = dataclasses.replace(
        methods.METHODS["tsne"], grid={"perplexity": [1, 5, 999]}
    )
    monkeypatch.setitem(methods.METHODS, "deep", deep)
    monkeypatch.setitem(methods.METHODS, "tsne", maps)
    words = ["--dataset", tmp_path / "own.npz", "--methods", "pca", "deep", "tsne"]
    words += ["--components", 2, "--seeds", 1, "--tune", "--output", tmp_path]
    with limited_threads(1):
        assert main([str(word) for word in words]) == 0
    table = (tmp_path / "own" / "table.md").read_text()
    assert "deep autoencoder, 2: learning_rate=0.01, max_epochs=15." in table
    assert "t-SNE, 2: perplexity=" in table
    assert "perplexity=999" not in table
    runs = pd.read_csv(tmp_path / "own" / "runs.csv").set_index("method")
    assert runs.loc["deep", "r2"] > 0.2


def test_compare_without_transform(tmp_path, X, capsys):
    np.savez(tmp_path / "own.npz", X=X)
    words = ["--dataset", tmp_path / "own.npz", "--methods", "tsne", "--seeds", 1]
    # The spinning threads of t-SNE are slow beyond measure on a busy machine.
    with limited_threads(1):
        assert main([str(word) for word in [*words, "--output", tmp_path]]) == 0
    assert "cannot embed new rows" in capsys.readouterr().out
    runs = pd.read_csv(tmp_path / "own" / "runs.csv")
    assert runs.loc[0, ["embed_ms", "r2", "knn"]].isna().all()
    assert runs.loc[0, "trustworthiness"] > 0.6
