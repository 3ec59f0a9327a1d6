"""Promise 23: files that are changed at random, with checksums that are right."""

from __future__ import annotations

import copy
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

import sklearn_ae
from contract.forging import fitted, forge, parts_of
from contract.table import structured_rows
from contract.test_sparse import peak_bytes
from sklearn_ae import AdversarialAutoencoder, Autoencoder, DenoisingAutoencoder

MEBIBYTE = 2**20
N_FILES = 1000
# What takes the place of something in a header.
HOSTILE = [
    *(None, True, 0, -1, 3, 10**9, 10**30, 0.5, -1e308, "", "x", "cuda:0", "a\ud800"),
    *([], {}, [[]], [10**6] * 3, {"tuple": [10**6]}, {"array": "model.mean"}),
    *({"float": "inf"}, {"dict": [[1, 2]]}, {"spec": ["loss", "huber", {}]}),
    *({"text": "model.mean"}, {"objects": [1]}, {"density": ["KernelDensity", {}, {}]}),
]


def places_in(node):
    """List all containers below a node, each with one of its keys."""
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    found = [(node, key) for key, _ in inner]
    for container, key in list(found):
        if isinstance(container[key], (dict, list)):
            found += places_in(container[key])
    return found


def mutate_header(header, rng):
    container, key = rng.choice(places_in(header))
    how = rng.randrange(4)
    if how == 0:
        del container[key]
    elif how == 1 and isinstance(container, dict):
        name = rng.choice(["x_", "__init__", "transform", key + "_"])
        container[name] = container[key]
    elif how == 2:
        other, place = rng.choice(places_in(header))
        container[key] = copy.deepcopy(other[place])
    else:
        container[key] = copy.deepcopy(rng.choice(HOSTILE))


def mutate_arrays(arrays, rng):
    name = rng.choice(sorted(arrays))
    array = arrays.pop(name)
    changes = [
        lambda a: a[:1] if a.ndim else a[None],
        lambda a: a.astype(rng.choice(["f4", "f8", "i4", "u4", "?", "f2", "i1"])),
        lambda a: a * rng.choice([np.nan, np.inf, -1, 0, 1e30]),
        lambda a: a.T.copy(),
        lambda a: np.zeros((0, 10**12), a.dtype),
    ]
    if rng.random() < 0.8:
        with np.errstate(all="ignore"):
            arrays[name] = np.array(rng.choice(changes)(array))
    if rng.random() < 0.2:
        arrays[rng.choice([name + "x", "module.", "module.more", ""])] = array


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_thousand_forged_files(seed, tmp_path):
    """23: refused by a ValueError that names the file, or harmless."""
    rng, path = random.Random(seed), tmp_path / "model"
    X = structured_rows(5)
    density = [GaussianMixture(2), KernelDensity(), None][seed]
    header, arrays = parts_of(fitted(latent_density=density), path)
    # Without what holds nothing but numbers, of which most changes would be.
    for name in ("loss_curve_", "loss_terms_"):
        header["fitted"][name] = {"dict": []} if name == "loss_terms_" else []
    Path("/proc/self/clear_refs").write_text("5")
    before, n_refused, n_harmless = peak_bytes(), 0, 0
    for _ in range(N_FILES):
        changed, moved = copy.deepcopy(header), dict(arrays)
        for _ in range(rng.choice([1, 1, 2, 4])):
            if rng.random() < 0.75:
                mutate_header(changed, rng)
            elif moved:
                mutate_arrays(moved, rng)
        forge(path, changed, moved)
        try:
            loaded = sklearn_ae.load(path)
        except ValueError as error:
            # No subclass of it, and with the file's name.
            n_refused += type(error) is ValueError and str(path) in str(error)
            continue
        n_harmless += 1
        if loaded.__sklearn_is_fitted__():
            # Weights may be anything, and so may what follows from them.
            with np.errstate(all="ignore"), suppress(ValueError):
                loaded.inverse_transform(loaded.transform(X))
    assert n_refused == N_FILES - n_harmless > N_FILES / 2
    assert n_harmless > 10
    assert peak_bytes() - before < 60 * MEBIBYTE


@pytest.mark.parametrize(
    ("cls", "optimizer"),
    [
        (Autoencoder, "sgd"),
        (DenoisingAutoencoder, "adam"),
        (AdversarialAutoencoder, "rmsprop"),
    ],
)
def test_forged_states_of_training(cls, optimizer, tmp_path):
    """23, 8: an optimizer's state is checked, or training says what is wrong."""
    rng, path, X = random.Random(0), tmp_path / "model", structured_rows(40)
    small = {"hidden_layer_sizes": (4,), "batch_size": 16, "max_epochs": 1}
    estimator = cls(2, **small, optimizer=optimizer, warm_start=True).fit(X)
    header, arrays = parts_of(estimator, path)
    names = [name for name in arrays if name.startswith("model.training_state")]
    assert names
    n_refused = 0
    for _ in range(150):
        changed, moved = copy.deepcopy(header), dict(arrays)
        if rng.random() < 0.7:
            mutate_header(changed["model"]["training_state"], rng)
        else:
            state = {name: moved.pop(name) for name in names}
            mutate_arrays(state, rng)
            moved |= state
        forge(path, changed, moved)
        try:
            loaded = sklearn_ae.load(path)
        except ValueError as error:
            n_refused += type(error) is ValueError and str(path) in str(error)
            continue
        # Numbers may be anything, and so may what is learned with them.
        with np.errstate(all="ignore"), suppress(ValueError):
            loaded.fit(X)
    assert n_refused > 50


def test_wrong_states_of_training(tmp_path):
    """23: of another width, of another optimizer, not finite, and of no generator."""
    path, X = tmp_path / "model", structured_rows(40)
    estimator = DenoisingAutoencoder(2, max_epochs=1, warm_start=True).fit(X)

    def spoilt(spoil):
        copied = copy.deepcopy(estimator)
        spoil(copied._model.training_state)
        copied.save(path)
        with pytest.raises(ValueError, match="cannot be loaded"):
            sklearn_ae.load(path)

    def moments(state):
        return state["state"]["state"][0]

    def group(state):
        return state["state"]["param_groups"][0]

    spoilt(lambda state: moments(state).update(exp_avg=torch.zeros(3)))
    spoilt(lambda state: moments(state)["exp_avg_sq"].fill_(torch.nan))
    spoilt(lambda state: moments(state).pop("step"))
    spoilt(lambda state: state.update(optimizer="sgd"))
    spoilt(lambda state: state.update(optimizer="lbfgs"))
    spoilt(lambda state: group(state).update(betas=(0.9, "x")))
    spoilt(lambda state: group(state).update(params=[0, 1]))
    spoilt(lambda state: state["generators"].update(corruption=torch.zeros(3)))
    spoilt(lambda state: state["generators"]["corruption"].fill_(0))
    spoilt(lambda state: state.pop("generators"))
    spoilt(lambda state: state.update(more=1))
    estimator.save(path)
    assert sklearn_ae.load(path).fit(X).n_iter_ == estimator.n_iter_ + 1
