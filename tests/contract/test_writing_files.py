"""Promise 23: `save` writes a file whole or not at all, wherever it is."""

from __future__ import annotations

import multiprocessing
import os
import random
import stat
import time
import warnings

import pytest

import sklearn_ae
from contract.table import assert_same_model, structured_rows
from sklearn_ae import Autoencoder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def test_names_of_files(path, tmp_path):
    """23: as given, through links, with the mode that an ordinary file has."""
    estimator = Autoencoder(n_components=5)
    estimator.save(str(path))
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    estimator.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sklearn_ae.load(str(link)).n_components == 5
    folder, absent = tmp_path, tmp_path / "absent" / "model"
    for call in (estimator.save, sklearn_ae.load):
        with pytest.raises(IsADirectoryError, match=str(folder)):
            call(folder)
        with pytest.raises(FileNotFoundError, match=str(absent)):
            call(absent)
    os.mkfifo(tmp_path / "pipe")
    for call in (estimator.save, sklearn_ae.load):
        with pytest.raises(ValueError, match=r"pipe.*no regular file"):
            call(tmp_path / "pipe")
    assert sorted(os.listdir(tmp_path)) == ["link", "model", "ordinary", "pipe"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file(step, error, path, monkeypatch):
    """23: and nothing beside it."""
    Autoencoder(n_components=5).save(path)

    def fail(*args):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        Autoencoder().save(path)
    monkeypatch.undo()
    assert sklearn_ae.load(path).n_components == 5
    assert os.listdir(path.parent) == [path.name]


def _save_for_ever(estimators, path):
    while True:
        for estimator in estimators:
            estimator.save(path)


def test_a_killed_process_leaves_the_old_file(path):
    """23: at whatever moment of `save` it is killed."""
    X = structured_rows(30, 600)
    params = {"hidden_layer_sizes": (200,), "max_epochs": 1, "random_state": 0}
    estimators = [Autoencoder(n, **params).fit(X) for n in (2, 3)]
    estimators[0].save(path)
    context = multiprocessing.get_context("fork")
    rng = random.Random(0)
    found = []
    for _ in range(25):
        child = context.Process(target=_save_for_ever, args=(estimators, path))
        with warnings.catch_warnings():
            # Newer pythons warn of forks that have threads.
            warnings.simplefilter("ignore", DeprecationWarning)
            child.start()
        time.sleep(rng.uniform(0.02, 0.12))
        child.kill()
        child.join()
        loaded = sklearn_ae.load(path)
        found.append(loaded.n_components)
        assert_same_model(loaded, estimators[found[-1] - 2])
    assert set(found) == {2, 3}
