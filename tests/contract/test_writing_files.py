"""Promise 23: `save` writes a file whole or not at all, wherever it is."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import stat
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

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


def started_child(function, *args):
    """Begin to run a function in a process of its own; answer that."""
    child = multiprocessing.get_context("fork").Process(target=function, args=args)
    with warnings.catch_warnings():
        # Newer pythons warn of forks that have threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    return child


def in_a_child(function, *args):
    """Run a function in a process of its own; answer how that has ended."""
    child = started_child(function, *args)
    child.join(60)
    return child.exitcode


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
    rng = random.Random(0)
    found = []
    for _ in range(25):
        child = started_child(_save_for_ever, estimators, path)
        time.sleep(rng.uniform(0.02, 0.12))
        child.kill()
        child.join()
        loaded = sklearn_ae.load(path)
        found.append(loaded.n_components)
        assert_same_model(loaded, estimators[found[-1] - 2])
    assert set(found) == {2, 3}
    # Nothing beside it in the end, however many there were.
    estimators[0].save(path)
    assert os.listdir(path.parent) == [path.name]


def _save_until(step, path):
    setattr(os, step, lambda *args: os.kill(os.getpid(), signal.SIGKILL))
    Autoencoder(n_components=7).save(path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_a_killed_process_leaves_is_removed(step, path):
    """23: by the next one that writes; the old file is whole until then."""
    Autoencoder(n_components=5).save(path)
    (path.parent / ".sklearn_ae-notes").touch()
    for _ in range(2):
        assert in_a_child(_save_until, step, path) == -signal.SIGKILL
    assert sklearn_ae.load(path).n_components == 5
    left = {*os.listdir(path.parent)} - {path.name, ".sklearn_ae-notes"}
    # The first one left is removed already.
    assert len(left) == 1
    Autoencoder(n_components=6).save(path.with_name("other"))
    assert {*os.listdir(path.parent)} == {path.name, "other", ".sklearn_ae-notes"}


def test_what_is_being_written_stays(path, monkeypatch):
    """23: others may write into the folder at the same time."""
    replace = os.replace

    def with_another(temporary, target):
        if str(target) == str(path):
            Autoencoder(n_components=3).save(path.with_name("other"))
            third = path.with_name("third")
            assert in_a_child(Autoencoder().save, third) == 0
        replace(temporary, target)

    monkeypatch.setattr(os, "replace", with_another)
    Autoencoder(n_components=4).save(path)
    assert sklearn_ae.load(path).n_components == 4
    assert {*os.listdir(path.parent)} == {path.name, "other", "third"}


def test_a_folder_that_cannot_be_listed(path, monkeypatch):
    """23: what is there stays, and the file is written."""

    def refuse(folder):
        raise PermissionError(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    Autoencoder(n_components=4).save(path)
    assert sklearn_ae.load(path).n_components == 4


def _save_from_threads(path):
    def save(n_components):
        for _ in range(20):
            Autoencoder(n_components).save(path)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(save, (3, 4, 5)))


def test_threads_and_processes_write_at_once(path):
    """23: one of the files is there in the end, whole, and nothing else."""
    children = [started_child(_save_from_threads, path) for _ in range(2)]
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    assert sklearn_ae.load(path).n_components in (3, 4, 5)
    assert os.listdir(path.parent) == [path.name]
