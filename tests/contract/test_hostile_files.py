"""Promise 23: whatever a file holds, `load` answers or raises ValueError naming it.

Forged ones have right checksums, since anybody can compute them.
"""

from __future__ import annotations

import copy
import json
import math
import pickle
import random
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from sklearn.neighbors import KernelDensity

import sklearn_ae
from contract.forging import fitted, forge, parts_of
from contract.table import every_class, structured_rows
from contract.test_sparse import peak_bytes
from sklearn_ae import Autoencoder
from sklearn_ae._files.format import FORMAT

MEBIBYTE = 2**20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return parts_of(fitted(), tmp_path_factory.mktemp("honest") / "model")


@pytest.fixture
def honest(parts):
    """Answer the header and the arrays of a file that has one of everything."""
    return copy.deepcopy(parts)


def assert_refused(path, says=""):
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        sklearn_ae.load(path)
    assert type(caught.value) is ValueError
    assert re.search(says, str(caught.value)), str(caught.value)


@pytest.fixture
def assert_no_harm(path):
    """Answer a function that asserts that the file is refused, at no expense."""

    def run(*args, **kwargs):
        raise AssertionError("something is run")

    def check(says=""):
        Path("/proc/self/clear_refs").write_text("5")
        before, start = peak_bytes(), time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            for module, name in ((pickle, "loads"), (torch, "load")):
                patch.setattr(module, name, run)
            patch.setattr(subprocess, "Popen", run)
            patch.setattr(Autoencoder, "fit", run)
            assert_refused(path, says)
        assert time.monotonic() - start < 5
        assert peak_bytes() - before < 30 * MEBIBYTE + 20 * path.stat().st_size

    return check


@every_class
def test_damaged_files(row, X, y, path):
    """23: cut off anywhere, with a changed byte anywhere, or with more at the end."""
    row.make().fit(X, y).save(path)
    whole = path.read_bytes()
    # What reads them is the same for all.
    n_damages = 60 if row.cls is Autoencoder else 6
    for size in np.linspace(0, len(whole) - 1, 2 * n_damages, dtype=int):
        path.write_bytes(whole[:size])
        assert_refused(path)
    rng = random.Random(0)
    n_header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(8), *rng.sample(range(n_header), n_damages)]
    for place in [*places, *rng.sample(range(n_header, len(whole)), n_damages)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        assert_refused(path)
    path.write_bytes(whole + b"\0")
    assert_refused(path)
    path.write_bytes(whole)
    assert sklearn_ae.load(path).__sklearn_is_fitted__()


def test_foreign_files(path, assert_no_harm):
    """23: pickles, archives, text, and safetensors of others."""
    weights = {"weight": np.zeros((2, 2), np.float32)}
    long = (2**40).to_bytes(8, "little")
    for content in (
        pickle.dumps(Autoencoder()),
        b"",
        b"PK\3\4" + bytes(100),
        b"some text " * 100,
        long + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"null",
        (60_000).to_bytes(8, "little") + b"[" * 60_000,
        (60_000).to_bytes(8, "little") + b'{"a":' * 12_000,
        safetensors.numpy.save(weights),
        safetensors.numpy.save(weights, {"format": "pt"}),
        safetensors.numpy.save(weights, {"sklearn_ae": "{}", "format": "np"}),
        safetensors.numpy.save(weights, {"sklearn_ae": "hello"}),
    ):
        path.write_bytes(content)
        assert_no_harm()


def test_newer_formats(honest, path, assert_no_harm):
    """23: the message says what to do; it comes before all other checks."""
    header, arrays = honest
    newer = FORMAT + 1
    forge(path, {"format": newer, "library": "9.0.0"}, arrays)
    assert_no_harm(rf"9.0.0 has written it in format {newer}.*upgrade sklearn_ae")
    forge(path, {**header, "library": "9.0.0", "class": "NewAutoencoder"}, arrays)
    assert_no_harm(r"no class 'NewAutoencoder' \(written by sklearn_ae 9.0.0, this is")
    for version in (0, -1, None, True, "1", 1.0, [1]):
        forge(path, {**header, "format": version}, arrays)
        assert_no_harm("format")


def test_older_files_lack_newer_parameters(honest, path):
    """23: which then have their defaults."""
    header, arrays = honest
    del header["parameters"]["weight_decay"]
    forge(path, header, arrays)
    assert sklearn_ae.load(path).weight_decay == 0.0


DEEP = json.loads("[" * 900 + "]" * 900)
# Where in the header something is put (in several places, some), what, and what the
# message says of it.
WRONG = [
    *(("class", name, "class") for name in (None, 3, ["Autoencoder"], {"a": 1})),
    *(("class", name, "no class") for name in ("BaseAutoencoder", "os.system", "")),
    ("parameters", [], "parameters"),
    ("parameters unknown", 1, "unknown"),
    ("parameters self", 1, "self"),
    ("parameters __class__", "x", "__class__"),
    ("parameters n_components", "two", "n_components"),
    ("parameters n_components", 10**30, ""),
    ("parameters n_components", 10**9, "larger than its arrays"),
    ("parameters n_components", 3, "decoder.0.weight"),
    ("parameters n_components", 1e999, "too large|no JSON"),
    ("parameters n_components", {"float": "0x1p3"}, "special number"),
    ("parameters tol", float("nan"), "NaN"),
    ("parameters tol", {"float": "nan"}, "tol"),
    ("parameters hidden_layer_sizes", [10**9], "larger than its arrays"),
    ("parameters hidden_layer_sizes", [10**5] * 3, "larger than its arrays"),
    ("parameters hidden_layer_sizes", [1] * 10**5, "larger than its arrays"),
    ("parameters hidden_layer_sizes", [4, 4], "decoder"),
    ("parameters hidden_layer_sizes", "44", "hidden_layer_sizes"),
    ("parameters hidden_layer_sizes", DEEP, "hidden_layer_sizes|Recursion"),
    ("parameters optimizer", {"callable": "os.system"}, "callable"),
    ("parameters activation", "os.system", "activation"),
    ("parameters device", 3, "device"),
    ("parameters loss", {"spec": ["loss", "os.system", {}]}, "os.system"),
    ("parameters loss", {"spec": ["os", "system", {}]}, "os"),
    ("parameters loss", {"spec": ["loss", "huber", {"delta": -1}]}, "delta"),
    ("parameters loss", {"spec": ["loss", "huber", {"gamma": 1}]}, "gamma"),
    ("parameters loss", {"spec": ["loss", "absolute_error", {}]}, "delta"),
    ("parameters loss", {"spec": ["architecture", "dense", {}]}, "loss"),
    ("parameters loss", {"spec": "loss"}, ""),
    ("parameters loss", {}, ""),
    ("parameters latent_density", {"density": ["Pipeline", {}, None]}, "no density"),
    ("parameters latent_density", {"density": [["KernelDensity"], {}, None]}, ""),
    ("output", {"transform": "os"}, "set_output"),
    ("output", {"reduce": "pandas"}, "set_output"),
    *(("fitted " + k, 1, k) for k in ("transform", "fit", "_model", "__class__", "a")),
    ("fitted n_iter_", 3, "disagree"),
    *(("fitted n_iter_, model n_epochs", n, "negative") for n in (-1, -(2**70))),
    *(("fitted n_iter_, model n_epochs", n, "n_iter_|disagree") for n in (2.0, True)),
    ("fitted n_features_in_", 10**9, "disagree"),
    ("fitted history_", [1], "history_"),
    ("fitted loss_", "1.0", "loss_"),
    ("fitted latent_density_", {"array": "model.residual_variance"}, ""),
    ("fitted feature_names_in_", {"objects": ["a"]}, "feature_names_in_"),
    ("fitted feature_names_in_", {"text": "model.mean"}, "model.mean"),
    ("parameters loss", {"text": "model.mean"}, "no text"),
    ("fitted more_", {"array": "model.mean"}, "model.mean"),
    ("fitted more_", {"array": "absent"}, "absent"),
    ("fitted more_", {"dict": [["a", 1], ["a", 2]]}, "twice"),
    ("fitted more_", {"dict": [[["a"], 1]]}, "unhashable"),
    ("fitted more_", {"tuple": 3}, ""),
    ("fitted more_", {"tuple": [], "float": "nan"}, ""),
    ("model", {}, "device"),
    ("model device", "meta", "no device"),
    ("model device", "cuda:99999", "no device"),
    ("model seed", -1, "seed"),
    ("model seed", "0", "seed"),
    ("model n_components", 10**9, "none of its codes"),
    ("model n_epochs", 10**9, "disagree"),
    ("model module", 1, "module"),
    ("model _twins", {"dict": []}, "_twins"),
    ("model unknown", 1, "unknown"),
    ("model row_shape", [2, 3], "shape of its rows"),
    *(
        ("model row_shape", {"tuple": shape}, "shape of its rows")
        for shape in ([], [2, 2], [2.0, 3], [-2, -3], [10**9] * 9)
    ),
    ("model residual_variance", None, "latent_density_"),
    ("model residual_variance", [1.0], "residuals"),
    *(("model parameters", {k: 1}, "no parameter") for k in ("transform", "_model")),
    ("model parameters", [], "model|list"),
    ("model parameters", {"tol": -1.0}, "'tol'"),
    ("model parameters", {"activation": "os.system"}, "'activation'"),
    ("model parameters", {"n_components": 3}, "decoder.0.weight"),
    ("model parameters", {"hidden_layer_sizes": [0]}, "'hidden_layer_sizes'"),
    ("model parameters", {"hidden_layer_sizes": [10**9]}, "larger than its arrays"),
    ("model parameters", {"hidden_layer_sizes": {"array": "model.mean"}}, ""),
    ("model moments", {}, "Moments"),
    ("model moments mean", [0.0] * 6, "vectors"),
    ("model moments variance", -1.0, "negative"),
    ("model moments variance", {"float": "inf"}, "moments"),
    ("model moments low", "0", "moments"),
    ("model moments shift", [0.0] * 6, "vectors"),
    ("model moments median", "0", "vectors"),
    ("model moments scale", 0.0, "negative"),
    ("model moments scale", "1", "no numbers"),
    ("model moments robust_deviation", -1.0, "negative"),
]


@pytest.mark.parametrize(
    ("where", "value", "says"),
    WRONG,
    ids=[f"{i}-{where}" for i, (where, *_) in enumerate(WRONG)],
)
def test_wrong_headers(where, value, says, honest, path, assert_no_harm):
    """23: of every kind, refused before anything large is made."""
    header, arrays = honest
    for path_in_header in where.split(", "):
        *folders, name = path_in_header.split()
        place = header
        for folder in folders:
            place = place[folder]
        place[name] = value
    forge(path, header, arrays)
    assert_no_harm(says)


@pytest.mark.parametrize("name", ["class", "parameters", "output", "fitted", "model"])
def test_incomplete_headers(name, honest, path, assert_no_harm):
    """23."""
    header, arrays = honest
    # Rows may have no shape.
    inside = header[name].keys() - {"row_shape"} if name == "model" else []
    for inner in sorted(inside):
        forge(path, {**header, name: {**header[name], inner: None}}, arrays)
        assert_no_harm()
    del header[name]
    forge(path, header, arrays)
    assert_no_harm(name)


def test_headers_that_are_no_json(honest, path, assert_no_harm):
    """23: deep, with a name twice, with numbers that JSON does not have."""
    header, arrays = honest
    text = json.dumps(header)
    for wrong in (
        text.replace('"n_iter_": 2', '"n_iter_": NaN'),
        text.replace('"n_iter_": 2', '"n_iter_": -Infinity'),
        text.replace('"n_iter_": 2', '"n_iter_": 2, "n_iter_": 2'),
        text.replace('"n_iter_": 2', '"n_iter_": ' + "9" * 5000),
        text.replace('"n_iter_": 2', '"n_iter_": ' + "[" * 10**6 + "]" * 10**6),
        text.replace('"n_iter_": 2', '"n_iter_": ' + '{"tuple":[' * 10**4),
        text[:-1],
        text + "}",
    ):
        assert wrong != text
        forge(path, wrong, arrays)
        assert_no_harm()


def test_wrong_arrays(honest, path, assert_no_harm):
    """23: other names, shapes, dtypes and values than the net of the parameters has."""
    header, arrays = honest
    name = "module.encoder.0.weight"
    weight = arrays[name]
    for wrong in (
        weight.T.copy(),
        weight[:1],
        weight.ravel(),
        weight.astype("f8"),
        weight.astype("i4"),
        weight * np.float32(np.nan),
        np.zeros((0, 10**15), "f4"),
        np.zeros((), "f4"),
    ):
        forge(path, header, {**arrays, name: wrong})
        assert_no_harm("encoder.0.weight")
    forge(path, header, {k: v for k, v in arrays.items() if k != name})
    assert_no_harm("encoder.0.weight")
    forge(path, header, {**arrays, "module.more": weight})
    assert_no_harm("'more'")
    forge(path, header, {**arrays, "more": weight})
    assert_no_harm("nothing needs its arrays")
    for name in ("model.mean", "model.residual_variance"):
        for wrong in (weight, arrays[name][:2], arrays[name] * np.nan, np.zeros(10**4)):
            forge(path, header, {**arrays, name: wrong})
            assert_no_harm()
    for name in [key for key in arrays if "latent_density_" in key]:
        for wrong in (arrays[name][:1], arrays[name] * np.nan, weight.astype("i8")):
            forge(path, header, {**arrays, name: wrong})
            assert_no_harm()


def test_wrong_weights(honest, path, assert_no_harm):
    """23: of a mixture, which numpy would refuse to draw from, much later."""
    header, arrays = honest
    (name,) = (key for key in arrays if key.endswith("latent_density___weights_"))
    for wrong in ([0.7, 0.7], [0.2, 0.2], [1.5, -0.5], [0.0, 0.0], [0.5, 0.5 + 1e-9]):
        forge(path, header, {**arrays, name: np.array(wrong)})
        assert_no_harm("weights_")
    for right in ([1.0, 0.0], [0.1 + 0.2, 0.7]):
        forge(path, header, {**arrays, name: np.array(right)})
        sklearn_ae.load(path).sample(9)


def test_wrong_trees(path, assert_no_harm):
    """23: of a kernel density, whose tree is built from its data."""
    header, arrays = parts_of(fitted(latent_density=KernelDensity()), path)
    density = header["fitted"]["latent_density_"]["density"]
    name = density[2]["data"]["array"]
    for shape in (3, (0, 2), (3, 3), (3, 2, 1)):
        forge(path, header, {**arrays, name: np.zeros(shape)})
        assert_no_harm()
    for params in ({"metric": "pyfunc"}, {"kernel": "os"}, {"bandwidth": 0.0}):
        changed = copy.deepcopy(header)
        changed["fitted"]["latent_density_"]["density"][1].update(params)
        forge(path, changed, arrays)
        assert_no_harm()


def test_the_forger_writes_what_save_writes(honest, path):
    """Otherwise the tests above would show nothing."""
    forge(path, *honest)
    loaded = sklearn_ae.load(path)
    assert loaded.score(structured_rows()) == fitted().score(structured_rows())
    assert math.isfinite(loaded.loss_)
