"""Promise 22b: what `to_module` answers is exported, for batches of any size."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from contract.table import every_case, every_class

BATCHES = (1, 7, 60)


class Part(nn.Module):
    """A method of a net as a module."""

    def __init__(self, net, method):
        super().__init__()
        self.net, self.method = net.eval(), method

    def forward(self, x):
        return getattr(self.net, self.method)(x)


def parts_of(estimator, X):
    """Yield each method as a module, and what it is given."""
    net, single = estimator.to_module(), X.astype("f4")
    codes = estimator.transform(single)
    for method, given in (("forward", single), ("encode", single), ("decode", codes)):
        yield Part(net, method), torch.from_numpy(np.asarray(given))


def assert_exported(answer, part, given, tolerance=1e-6):
    for n_rows in BATCHES:
        expected = part(given[:n_rows]).detach().numpy()
        found = answer(given[:n_rows])
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@every_case
def test_nets_are_exported_by_torch(row, params, X, y):
    """22b: a net that was exported with four rows answers one, seven and sixty."""
    estimator = row.make(**params).fit(X, y)
    for part, given in parts_of(estimator, X):
        size = torch.export.Dim("n_rows")
        program = torch.export.export(part, (given[:4],), dynamic_shapes=({0: size},))
        assert_exported(of_module(program.module()), part, given)


def of_module(module):
    return lambda rows: module(rows).detach().numpy()


def run_onnx(path):
    """Answer what onnxruntime makes of a file."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path)
    (put_in,) = session.get_inputs()
    return lambda rows: session.run(None, {put_in.name: rows.numpy()})[0]


@pytest.fixture
def quiet():
    """Let torch's exporters say what they like."""
    logging.disable(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def rarely(function):
    """Mark what takes seconds for each class."""
    return pytest.mark.slow(every_case(function))


@rarely
def test_nets_are_exported_as_onnx(row, params, X, y, tmp_path, quiet):
    """22b: by way of torch.export, and by tracing."""
    pytest.importorskip("onnxscript")
    estimator, path = row.make(**params).fit(X, y), str(tmp_path / "net.onnx")
    for part, given in parts_of(estimator, X):
        size = {0: torch.export.Dim("n_rows")}
        torch.onnx.export(
            part, (given[:4],), path, dynamo=True, dynamic_shapes=(size,), verbose=False
        )
        assert_exported(run_onnx(path), part, given, 1e-5)
        names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n_rows"}}}
        torch.onnx.export(part, (given[:4],), path, dynamo=False, **names)
        assert_exported(run_onnx(path), part, given, 1e-5)


@every_class
def test_nets_are_traced(row, X, y, quiet):
    """22b: which is what torch's older exporter does."""
    estimator = row.make().fit(X, y)
    for part, given in parts_of(estimator, X):
        traced = torch.jit.trace(part, (given[:4],))
        assert_exported(of_module(traced), part, given)
