"""Promise 23: what a file claims is compared before anything large is read or made."""

from __future__ import annotations

import copy
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

import sklearn_ae
from contract.forging import fitted, forge, parts_of
from contract.subprocesses import run_python
from contract.table import every_class
from contract.test_sparse import peak_bytes

MEBIBYTE = 2**20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return parts_of(fitted(), tmp_path_factory.mktemp("honest") / "model")


def assert_refused_at_once(path, says):
    """Assert that next to nothing is read, computed or made."""
    Path("/proc/self/clear_refs").write_text("5")
    before, start = peak_bytes(), time.process_time()
    with pytest.raises(ValueError, match=f"{path.name} cannot be loaded: .*{says}"):
        sklearn_ae.load(path)
    assert peak_bytes() - before < 24 * MEBIBYTE
    assert time.process_time() - start < 2


def write_table(path, table, size):
    """Write a file of a table of arrays, with nothing but holes for them."""
    text = json.dumps(table).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)


def table_of(path):
    content = path.read_bytes()
    stop = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:stop])


@pytest.mark.parametrize("value", ["[]", "{}", '{"":0}', "0", '""', "[[],[]]", "0.5"])
def test_headers_of_many_values(value, parts, path):
    """23: 96 MB of lists took 2.6 GB."""
    header, arrays = parts
    for n_bytes in (6 * 10**6, 40 * 10**6):
        many = ",".join([value] * (n_bytes // (len(value) + 1)))
        forge(path, json.dumps(header)[:-1] + f',"more":[{many}]}}', arrays)
        assert_refused_at_once(path, "(too many values|too long)")


def test_values_that_are_written_as_escapes(parts, path):
    """23: in the outer header they are part of a string."""
    header, arrays = parts
    text = json.dumps(header)[:-1] + ',"more":[' + "[]," * 700_000 + "0]}"
    forge(path, text, arrays)
    content = path.read_bytes()
    stop = 8 + int.from_bytes(content[:8], "little")
    first = content[8:stop].replace(b"[],", b"\\u005b\\u005d\\u002c", 700_000)
    path.write_bytes(len(first).to_bytes(8, "little") + first + content[stop:])
    assert_refused_at_once(path, "too many values")


GROWN = [
    ("module.encoder.0.weight", [250_000, 1_000_000], "encoder.0.weight"),
    ("module.encoder.0.weight", [4, 250_000_000_000], "encoder.0.weight"),
    ("model.mean", [125_000_000_000], "mean"),
    ("model.residual_variance", [125_000_000_000], "residual_variance"),
    # Of holes, the density that is small has no values either.
    ("more", [125_000_000_000], "nothing needs|no probabilities"),
    ("module.more", [125_000_000_000], "more"),
]


@pytest.mark.parametrize(("name", "shape", "says"), GROWN)
def test_an_array_of_a_terabyte(name, shape, says, parts, path):
    """23: a file with holes was hashed to its end."""
    header, arrays = parts
    small = arrays.get(name, np.zeros(1))
    grown = small[np.newaxis] if small.ndim < len(shape) else small
    forge(path, header, {**arrays, name: np.asarray(grown, small.dtype)})
    table, stop = table_of(path), 0
    table[name]["shape"] = shape
    in_order = sorted(
        (key for key in table if key != "__metadata__"),
        key=lambda key: table[key]["data_offsets"],
    )
    for key in in_order:
        n_bytes = {"F32": 4, "F64": 8, "I64": 8, "U32": 4, "BOOL": 1}[
            table[key]["dtype"]
        ] * int(np.prod(table[key]["shape"]))
        table[key]["data_offsets"] = [stop, stop + n_bytes]
        stop += n_bytes
    write_table(path, table, stop)
    assert_refused_at_once(path, says)


def test_a_length_that_is_not_that_of_the_arrays(parts, path):
    """23: with holes for the rest, or with less."""
    header, arrays = parts
    forge(path, header, arrays)
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) + 1, 2**40):
        path.write_bytes(whole)
        os.truncate(path, size)
        assert_refused_at_once(path, "damaged or incomplete")


def test_a_large_array_that_nothing_needs(parts, path):
    """23: one of 2 GB took 4 GB."""
    header, arrays = parts
    forge(path, header, {**arrays, "more": np.ones(2**25)})
    assert_refused_at_once(path, "nothing needs its arrays")
    forge(path, header, {**arrays, "module.more": np.ones(2**25)})
    assert_refused_at_once(path, "'more'")
    changed = copy.deepcopy(header)
    changed["parameters"]["hidden_layer_sizes"] = {"array": "parameter.widths"}
    forge(path, changed, {**arrays, "parameter.widths": np.ones(2**24, np.int64)})
    assert_refused_at_once(path, "is no parameter")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"data_offsets": [0, 4]}, "place"),
        ({"data_offsets": [8, 56]}, "begin where another ends|another ends"),
        ({"data_offsets": [0]}, "place"),
        ({"data_offsets": [0.0, 48.0]}, "place"),
        ({"data_offsets": [-48, 0]}, "place"),
        ({"data_offsets": "048"}, "place"),
        ({"shape": [-1, -6]}, "shape"),
        ({"shape": [True, 6]}, "shape"),
        ({"shape": [2**62, 2**62, 0]}, "shape"),
        ({"shape": [1] * 33 + [6]}, "shape"),
        ({"shape": 6}, "shape"),
        ({"dtype": "F128"}, "dtype"),
        ({"dtype": "BF16"}, "dtype"),
        ({"dtype": ["F64"]}, "dtype"),
        ({"more": 1}, "place"),
    ],
)
def test_wrong_tables(entry, says, parts, path):
    """23: overlaps, gaps, sizes that are none."""
    header, arrays = parts
    forge(path, header, arrays)
    content = path.read_bytes()
    table, stop = table_of(path), 8 + int.from_bytes(content[:8], "little")
    assert table["model.mean"]["shape"] == [6]
    table["model.mean"] |= entry
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[stop:])
    assert_refused_at_once(path, says)


def test_truth_values(path):
    """23: of bytes that are neither true nor false."""
    estimator = fitted()
    estimator.more_ = np.ones(8, bool)
    header, arrays = parts_of(estimator, path)
    forge(path, header, arrays)
    forge(path, header, {**arrays, "fitted.more_": np.full(8, 3, np.uint8)})
    path.write_bytes(path.read_bytes().replace(b'"dtype":"U8"', b'"dtype":"BOOL"'))
    with pytest.raises(ValueError, match="cannot be loaded"):
        sklearn_ae.load(path)


def test_what_is_no_file_of_a_model(path, tmp_path):
    """23: devices, folders, links to nothing and in circles."""
    for name in ("/dev/zero", "/dev/null"):
        with pytest.raises(ValueError, match=f"{name}.*no regular file"):
            sklearn_ae.load(name)
    path.symlink_to(path)
    with pytest.raises(OSError, match="model"):
        sklearn_ae.load(path)
    path.unlink()
    path.symlink_to(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        sklearn_ae.load(path)
    with pytest.raises(IsADirectoryError):
        sklearn_ae.load(tmp_path)


@every_class
def test_files_without_what_a_fit_leaves(row, X, y, path):
    """23: are refused, whatever is not there, unless an interrupt has left it out."""
    density = GaussianMixture(2)
    estimator = row.make(**row.sampling(density)).fit(X, y)
    header, arrays = parts_of(estimator, path)
    expected = estimator._expected_attributes()
    for name in header["fitted"]:
        changed = copy.deepcopy(header)
        node = changed["fitted"].pop(name)
        text = json.dumps(node)
        left = {k: v for k, v in arrays.items() if f'"{k}"' not in text}
        forge(path, changed, left)
        with pytest.raises(ValueError, match="cannot be loaded"):
            sklearn_ae.load(path)
        changed["missing"] = [name]
        forge(path, changed, left)
        if name not in expected:
            with pytest.raises(ValueError, match="cannot be loaded"):
                sklearn_ae.load(path)
            continue
        loaded = sklearn_ae.load(path)
        assert vars(loaded).keys() == vars(estimator).keys() - {name}
        np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))
    for missing in (["loss_"], ["fit"], [1], "x", {"a": 1}, [["loss_"]], None):
        forge(path, {**header, "missing": missing}, arrays)
        with pytest.raises(ValueError, match="cannot be loaded"):
            sklearn_ae.load(path)


PEAKS = """
import sys, threading, time
import numpy as np
from sklearn.mixture import GaussianMixture

import sklearn_ae

def resident():
    with open("/proc/self/status") as status:
        return next(int(l.split()[1]) for l in status if l.startswith("RssAnon")) / 1024

def peak_of(function):
    highest, over = [resident()], threading.Event()
    before = highest[0]

    def watch():
        while not over.wait(0.0005):
            highest[0] = max(highest[0], resident())

    thread = threading.Thread(target=watch)
    thread.start()
    answer = function()
    over.set()
    thread.join()
    return answer, highest[0] - before

path, name = sys.argv[1:]
X = np.random.default_rng(0).random((8, 1500))
params = {"hidden_layer_sizes": (4000,), "max_epochs": 1, "random_state": 0}
sklearn_ae.Autoencoder(max_epochs=1).fit(X).save(path)
sklearn_ae.load(path)
estimator = getattr(sklearn_ae, name)(**params).fit(X)
_, saving = peak_of(lambda: estimator.save(path))
loaded, loading = peak_of(lambda: sklearn_ae.load(path))
print(saving, loading)
"""


@pytest.mark.parametrize("name", ["Autoencoder", "VariationalAutoencoder"])
def test_nothing_costs_more_than_twice_the_file(name, path):
    """23."""
    printed = run_python("-W", "ignore", "-c", PEAKS, str(path), name).split()
    saving, loading = map(float, printed)
    size = path.stat().st_size / MEBIBYTE
    assert size > 45
    assert saving < 2 * size
    assert loading < 2 * size


@pytest.mark.slow
def test_every_bit_of_a_file(X, path):
    """23: one after another."""
    sklearn_ae.LinearAutoencoder(max_epochs=2, random_state=0).fit(X).save(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=f"{path.name} cannot be loaded"):
                sklearn_ae.load(path)
