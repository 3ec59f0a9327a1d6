"""The benchmark of sequences measures what it says it measures."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("rich")
pytest.importorskip("matplotlib")

from benchmarks.__main__ import main
from benchmarks.common import BenchmarkError
from benchmarks.data import anomalies, waves
from benchmarks.data.datasets import Dataset
from benchmarks.methods import nets
from benchmarks.questions import sequences

N_ROWS = 200


@pytest.fixture
def labelled():
    """Sequences of 12 numbers; those that are no "sound" are larger."""
    rng = np.random.default_rng(0)
    y = np.where(np.arange(N_ROWS) % 4 > 0, "sound", "odd")
    X = rng.normal(size=(N_ROWS, 12)) * np.where(y == "odd", 3, 1)[:, None]
    return Dataset("beats", X.astype(np.float32), y)


def test_disorder_moves_a_quarter_of_the_steps():
    rng = np.random.default_rng(0)
    X = waves.draw_waves(50, rng)
    steps = X.reshape(50, waves.N_STEPS, waves.N_FEATURES)
    changed = waves.disorder(X, rng).reshape(steps.shape)
    has_moved = (changed != steps).any(axis=2).sum(axis=1)
    assert has_moved.max() == waves.N_STEPS // 4
    assert has_moved.mean() > 5
    # Whole steps change places, and none is lost.
    for before, after in zip(steps, changed, strict=True):
        assert sorted(map(tuple, before)) == sorted(map(tuple, after))


def test_waves_depend_on_seed_only():
    first, again, other = (anomalies.make_waves(seed, 70) for seed in (0, 0, 1))
    assert np.array_equal(first.X_anomalous, again.X_anomalous)
    assert not np.array_equal(first.X_train, other.X_train)
    assert first.X_train.shape == (70, 60)


def test_each_net_gets_its_own_order():
    X = np.arange(24).reshape(2, 12)
    for name, first in {
        "LSTM": [0, 1, 2, 3],
        "dense": [0, 1, 2, 3],
        "convolutional": [0, 2, 4, 6],
        sequences.SINGLE: [0, 1],
    }.items():
        kind = sequences.Kind(name, (6, 2), (3,), 1)
        rows = kind.arrange(X)
        assert list(rows[0, :4]) == first
        assert np.array_equal(kind.restore(rows), X)


def test_scores_are_errors_of_sequences():
    task = anomalies.make_waves(0, 70)
    for kind in sequences.make_kinds(task.shape, 4, 8).values():
        net = kind.make(max_epochs=1, random_state=0).fit(kind.arrange(task.X_train))
        rebuilt = kind.restore(net.reconstruct(kind.arrange(task.X_test)))
        expected = np.square(task.X_test - rebuilt).sum(axis=1)
        scores = kind.anomaly_scores(net, task.X_test)
        ratio = scores / expected
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


@pytest.mark.parametrize("shape", [(30, 2), (140, 1)])
def test_nets_of_one_size(shape):
    kinds = sequences.make_kinds(shape, 8, 16)
    assert (sequences.SINGLE in kinds) == (shape[1] > 1)
    counts = {
        name: nets.count_parameters(kinds[name].make(), shape[0] * shape[1])
        for name in sequences.ARCHITECTURES
    }
    for count in counts.values():
        assert abs(count / counts["LSTM"] - 1) <= nets.TOLERANCE
    net = kinds["LSTM"].make(max_epochs=1).fit(np.zeros((2, shape[0] * shape[1])))
    module = net.to_module()
    assert sum(p.numel() for p in module.parameters()) == counts["LSTM"]


def test_the_slowest_net_is_fitted_once():
    calls = []

    def measure(name, n_epochs):
        calls.append((name, n_epochs))
        seconds = {"slow": 4.0, "quick": 1.0}[name] * n_epochs
        return {"epochs": n_epochs, "fit_seconds": seconds}

    rows = list(nets.in_epochs_then_time(["slow", "quick"], measure, 5))
    assert calls == [("slow", 5), ("quick", 5), ("quick", 20)]
    assert [row["epochs"] for row in rows] == [5, 5, 5, 20]
    assert [row["budget"] for row in rows] == ["5 epochs"] * 2 + ["equal time"] * 2


def test_normal_rows_only_are_learnt(labelled):
    task = anomalies.part(labelled, "sound", None, 0, 90)
    assert (task.shape, len(task.X_train), len(task.X_anomalous)) == ((12, 1), 90, 50)
    sound = set(map(tuple, labelled.X[labelled.y == "sound"]))
    assert set(map(tuple, np.vstack([task.X_train, task.X_test]))) <= sound
    assert not set(map(tuple, task.X_train)) & set(map(tuple, task.X_test))
    assert not set(map(tuple, task.X_anomalous)) & sound
    assert "labelled sound are normal, those labelled odd anomalous" in task.note


def test_published_test_rows_are_kept(labelled):
    own = Dataset("beats", labelled.X, labelled.y, n_test=40)
    task = anomalies.part(own, "sound", None, 0, 500)
    last = labelled.X[-40:][labelled.y[-40:] == "sound"]
    assert np.array_equal(task.X_test, last)


def test_impossible_tasks(labelled, capsys):
    with pytest.raises(BenchmarkError, match="--normal is missing; .* odd, sound"):
        anomalies.part(labelled, None, None, 0, 90)
    with pytest.raises(BenchmarkError, match="no label is well"):
        anomalies.part(labelled, "well", None, 0, 90)
    with pytest.raises(BenchmarkError, match="50 of the 200 rows of beats are normal"):
        anomalies.part(labelled, "odd", None, 0, 90)
    with pytest.raises(BenchmarkError, match="--steps 5 does not divide the 12"):
        anomalies.part(labelled, "sound", 5, 0, 90)
    with pytest.raises(BenchmarkError, match="no labels"):
        anomalies.part(Dataset("beats", labelled.X, None), "sound", None, 0, 90)
    assert main(["sequences", "--steps", "5"]) == 2
    assert "leave --normal, --steps" in capsys.readouterr().err


def test_sequences(tmp_path):
    words = ["--units", "8", "--components", "4", "--rows", "100", "--epochs", "2"]
    assert main(["sequences", *words, "--output", str(tmp_path)]) == 0
    folder = tmp_path / "sequences" / "waves"
    rows = pd.read_csv(folder / "table.csv")
    names = [*sequences.ARCHITECTURES * 2, sequences.SINGLE, "PCA(4)", "mean"]
    assert list(rows["architecture"]) == names
    assert (rows["ratio"][[1, 4]] == 1).all()
    assert rows["auc"].between(0, 1).all()
    assert rows["r2"].iloc[-1] == 0
    names = {path.name for path in folder.iterdir()}
    assert names >= {"curves.png", "reconstructions.png", "table.md", "runs.csv"}


def test_sequences_of_a_file(tmp_path, labelled):
    path = tmp_path / "beats.npz"
    np.savez(path, X=labelled.X, y=labelled.y)
    words = ["--dataset", path, "--normal", "sound", "--steps", 6, "--units", 8]
    words += ["--components", 2, "--epochs", 1, "--seeds", 2, "--output", tmp_path]
    assert main(["sequences", *map(str, words)]) == 0
    folder = tmp_path / "sequences" / "beats"
    assert len(pd.read_csv(folder / "runs.csv")) == 2 * 9
    # Large rows are rebuilt worst by anything that has learnt from small ones.
    rows = pd.read_csv(folder / "table.csv").set_index("architecture")
    assert rows.loc["mean", "auc"] > 0.95
    assert "6 steps of 2 feature(s)" in (folder / "table.md").read_text()
