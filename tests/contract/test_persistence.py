"""Promises 22 and 24: copies of a model, and the device it lives on."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
import warnings
from contextlib import contextmanager

import cloudpickle
import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from threadpoolctl import threadpool_limits

from contract.table import (
    answers,
    assert_same_model,
    digest,
    every_case,
    every_class,
    fitted_numbers,
    labels,
    structured_rows,
    weights,
)
from sklearn_ae import Autoencoder, load
from sklearn_ae._compute.devices import evaluation, resolve_device

without_cuda = pytest.mark.skipif(
    torch.cuda.is_available(), reason="needs a machine without CUDA"
)


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


COPIES = {
    "pickle": lambda e: pickle.loads(pickle.dumps(e)),
    "pickle, oldest protocol": lambda e: pickle.loads(pickle.dumps(e, 2)),
    "cloudpickle": lambda e: pickle.loads(cloudpickle.dumps(e)),
    "joblib": through_joblib,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@every_case
def test_pickles_answer_the_same(row, params, X, y):
    """22: bit-equal, with the public attributes, along every path of training."""
    estimator = row.make(**params).fit(X, y)
    copied = pickle.loads(pickle.dumps(estimator))
    assert digest(copied, X) == digest(estimator, X)
    assert fitted_numbers(copied).keys() == fitted_numbers(estimator).keys()
    assert_same_model(clone(copied).fit(X, y), estimator)


@every_class
@pytest.mark.parametrize("method", COPIES)
def test_copies_answer_the_same(row, method, fitted_class, X, y):
    """22: in either precision; and they can be trained on."""
    estimator = fitted_class(row)
    answers(estimator, X.astype("f4"))
    copied = COPIES[method](estimator)
    assert digest(copied, X) == digest(estimator, X)
    assert repr(copied) == repr(estimator)
    assert copied.history_ == estimator.history_
    if "inverse_transform" in row.offers:
        np.testing.assert_array_equal(
            copied.inverse_transform(X[:, :2]), estimator.inverse_transform(X[:, :2])
        )
    single = X.astype("f4")
    assert digest(copied, single) == digest(estimator, single)
    before = answers(estimator, X)
    copied.set_params(warm_start=True).fit(X, y)
    assert copied.n_iter_ > estimator.n_iter_
    for name, array in answers(estimator, X).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@every_class
@pytest.mark.parametrize("method", COPIES)
def test_copies_of_what_is_not_fitted(row, method):
    """22."""
    copied = COPIES[method](row.make())
    with pytest.raises(NotFittedError):
        copied.transform([[0.0]])
    assert repr(copied) == repr(row.make())


@every_class
@pytest.mark.parametrize("density", [GaussianMixture(2), KernelDensity()])
def test_copies_sample_the_same(row, density, X, y):
    """22: the density and the residuals go along."""
    estimator = row.make(**row.sampling(density)).fit(X, y)
    copied = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(copied.sample(9, 0), estimator.sample(9, 0))


@every_class
def test_copies_share_nothing(row, X, y):
    """22, 3: with a deep copy, a pickle, `to_module` or a clone."""
    estimator = row.make().fit(X, y)
    expected = answers(estimator, X)
    module = estimator.to_module()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        for buffer in module.buffers():
            buffer.zero_()
    copy.deepcopy(estimator).set_params(n_components=1).fit(X[:, :3], y)
    pickle.loads(pickle.dumps(estimator)).fit(X[::-1], y)
    clone(estimator).fit(X[:20], y[:20])
    for name, array in answers(estimator, X).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@every_class
def test_to_module(row, X, y):
    """22: the model for people who go on in torch, with shift and scale inside."""
    X = 100 + 10 * X
    estimator = row.make().fit(X, y)
    module = estimator.to_module()
    assert isinstance(module, torch.nn.Module)
    x = torch.from_numpy(X.astype("f4"))
    single = X.astype("f4")
    z = module.encode(x)
    assert all(p.requires_grad and p.is_leaf for p in module.parameters())
    np.testing.assert_allclose(z.detach(), estimator.transform(single), rtol=1e-5)
    decoded = estimator.inverse_transform(z.detach())
    np.testing.assert_allclose(module.decode(z).detach(), decoded, rtol=1e-6)
    expected = estimator.reconstruct(single)
    np.testing.assert_allclose(module(x).detach(), expected, rtol=1e-6)
    module(x).square().sum().backward()
    for part in (module.encoder, module.decoder):
        assert all(p.grad is not None and p.grad.any() for p in part.parameters())
    restored = estimator.to_module()
    restored.load_state_dict(module.state_dict())


@every_class
@without_cuda
@pytest.mark.parametrize(
    "device",
    [
        *("cuda", "cuda:1", "xpu", "xpu:2", "mps:1", "tpu", "cpu:1", "meta", ""),
        *map(torch.device, ("cuda", "cuda:1", "xpu", "mps", "meta", "cpu:1")),
    ],
    ids=repr,
)
def test_absent_devices(row, device, X, y):
    """24: the message says which there are; nothing falls back."""
    for method in ("fit", "partial_fit"):
        estimator = row.make(**row.by_batch, device=device)
        message = rf"device='{device!s}' is not available here; the devices are 'cpu'"
        with pytest.raises(ValueError, match=message):
            getattr(estimator, method)(X, y)
        assert not estimator.__sklearn_is_fitted__()


@every_class
@pytest.mark.parametrize(
    "device", ["cpu:0", torch.device("cpu"), torch.device("cpu", 0)], ids=repr
)
def test_devices_as_objects(row, device, X, y, tmp_path):
    """24: as names, in fits, clones, prints, pickles and files."""
    estimator = row.make(device=device)
    assert clone(estimator).device == device
    assert repr(clone(estimator)) == repr(estimator)
    estimator.fit(X, y)
    assert estimator.device is device
    assert_same_model(estimator, row.make().fit(X, y))
    estimator.save(tmp_path / "file")
    for copied in (load(tmp_path / "file"), pickle.loads(pickle.dumps(estimator))):
        assert copied.device == str(device)
        assert digest(copied.fit(X, y), X) == digest(estimator, X)


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_devices_that_are_here(kind, monkeypatch):
    """24: by name, by number and as objects; not one more than there are."""
    monkeypatch.setattr(getattr(torch, kind), "device_count", lambda: 2)
    for device in (kind, f"{kind}:1", torch.device(kind), torch.device(kind, 0)):
        assert resolve_device(device) == torch.device(device)
    with pytest.raises(ValueError, match=f"the devices are .*'{kind}:0', '{kind}:1'"):
        resolve_device(f"{kind}:2")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for device in ("mps", "mps:0", torch.device("mps")):
        assert resolve_device(device).type == "mps"
    with pytest.raises(ValueError, match="'mps' and 'auto'"):
        resolve_device("mps:1")


@every_class
@without_cuda
def test_auto_is_the_cpu_here(row, X, y):
    """24."""
    assert_same_model(row.make(device="auto").fit(X, y), row.make().fit(X, y))


@every_class
@without_cuda
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_model_of_another_machine(row, device, X, y):
    """22: one warning, answers from the CPU, and a `fit` that refuses."""
    estimator = row.make(device=device)
    here = row.make().fit(X, y)
    # What a fit on that device would have left behind.
    vars(estimator).update({k: v for k, v in vars(here).items() if k.endswith("_")})
    estimator._model = copy.deepcopy(here._model)
    estimator._model.device = torch.device(device)
    state = pickle.dumps(estimator)
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        loaded = pickle.loads(state)
        found = answers(loaded, X)
    assert len(log) == 1
    assert f"trained on device='{device}'" in str(log[0].message)
    assert "CPU" in str(log[0].message)
    for name, array in answers(here, X).items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    with pytest.raises(ValueError, match=f"device='{device}' is not available here"):
        loaded.fit(X, y)
    again = pickle.loads(pickle.dumps(loaded))
    assert_same_model(again, here)
    assert_same_model(again.set_params(device="cpu").fit(X, y), here)


@pytest.mark.cuda
@every_case
def test_cuda_and_cpu_agree(row, params, X, y):
    """24: one model's answers to 1e-4, with the flags as they were."""
    with tf32(True) as flags:
        estimator = row.make(**params, device="cuda").fit(X, y)
        found = answers(estimator, X.astype("f4"))
        assert all(flag.allow_tf32 for flag in flags)
    on_cpu = copy.deepcopy(estimator)
    on_cpu._model.module.cpu()
    on_cpu._model.device = torch.device("cpu")
    on_cpu._model._twins = {}
    for name, array in answers(on_cpu, X.astype("f4")).items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-4 * scale)
    copied = pickle.loads(pickle.dumps(estimator))
    for name, array in answers(copied, X.astype("f4")).items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_nothing_is_rounded_at_inference():
    """24: products, convolutions and recurrent nets; torch has a setting for each."""
    cudnn = torch.backends.cudnn
    kinds = torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn
    with tf32(True):
        before = [kind.fp32_precision for kind in kinds]
        assert before == ["tf32"] * 3
        with evaluation(torch.device("cuda")):
            with evaluation(torch.device("cuda")):
                pass
            assert [kind.fp32_precision for kind in kinds] == ["ieee"] * 3
        assert [kind.fp32_precision for kind in kinds] == before


@contextmanager
def tf32(allowed):
    """Let products on CUDA be of 10 bits or not; answer who knows it."""
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    try:
        for flag in flags:
            flag.allow_tf32 = allowed
        yield flags
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value


@pytest.mark.cuda
@pytest.mark.parametrize("allowed", [True, False])
@every_case
def test_fits_on_cuda_are_repeatable(row, params, allowed, X, y):
    """19: bit-equal for dense nets, with the same flags."""
    with tf32(allowed):
        first, second = (row.make(**params, device="cuda").fit(X, y) for _ in "12")
    for name, array in weights(first).items():
        found = weights(second)[name]
        if row.shaped or row.sequences:
            np.testing.assert_allclose(found, array, rtol=1e-2, atol=1e-3)
        else:
            np.testing.assert_array_equal(found, array)


@pytest.mark.cuda
def test_flags_of_cuda_are_honoured(monkeypatch):
    """26: TF32 in training as the user has it, and never in answers; determinism."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    X = structured_rows(600, 300)
    models = []
    for allowed in (False, True):
        with tf32(allowed):
            model = Autoencoder(32, max_epochs=2, random_state=0, device="cuda")
            models.append(model.fit(X))
    exact, coarse = (weights(model) for model in models)
    assert any((exact[name] != coarse[name]).any() for name in exact)
    with tf32(True):
        codes = models[0].transform(X)
    np.testing.assert_array_equal(models[0].transform(X), codes)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        for model in models:
            again = clone(model).fit(X)
            assert torch.are_deterministic_algorithms_enabled()
            np.testing.assert_array_equal(
                again.transform(X), clone(model).fit(X).transform(X)
            )
    finally:
        torch.use_deterministic_algorithms(before)


@pytest.mark.cuda
@every_class
def test_cuda_leaves_the_world_as_it_was(row, X, y):
    """20: the generators of the device, too."""
    from contract.test_world import assert_same_world, world

    row.make(device="cuda").fit(X, y)
    before = world()
    estimator = row.make(device="cuda", **row.sampling(GaussianMixture(2))).fit(X, y)
    estimator.sample(3)
    answers(estimator, X)
    assert_same_world(before)


def _answer(estimator, X, pipe):
    pipe.send(estimator.transform(X))
    pipe.send(digest(estimator.fit(X, labels(X)), X))
    pipe.send(pickle.dumps(estimator))
    answers(estimator, X)
    if hasattr(estimator, "sample"):
        estimator.sample(300, random_state=0)
    if hasattr(estimator, "log_likelihood"):
        estimator.log_likelihood(X[:50], 200)
    pipe.send(None)


@every_class
@pytest.mark.usefixtures("two_threads")
def test_a_forked_child_does_not_hang(row):
    """22: after a fit in the parent that has started threads."""
    X = structured_rows(600, 300)
    estimator = row.make(**row.wide[-1]).fit(X, labels(X))
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_answer, args=(estimator, X, theirs))
    with warnings.catch_warnings():
        # Newer pythons warn of what is tried here on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    with threadpool_limits(1):
        refitted = clone(estimator).fit(X, labels(X))
    expected = [estimator.transform(X), digest(refitted, X), refitted]
    try:
        for what in ("transform", "fit", "pickling", "answers"):
            assert ours.poll(60), f"{what} hangs in a forked child"
            expected.append(ours.recv())
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
        ours.close()
        theirs.close()
    np.testing.assert_array_equal(expected[3], expected[0])
    assert expected[4] == expected[1]
    assert_same_model(pickle.loads(expected[5]), refitted)
