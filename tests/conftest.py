"""Options of the test run, and where real data sets are."""

from __future__ import annotations

import gc
import os
from pathlib import Path

# A worker beside others has one thread; libraries look it up when they are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch


def pytest_addoption(parser):
    parser.addoption(
        "--seeds", type=int, default=3, help="seeds per theory check, default 3"
    )
    parser.addoption(
        "--stubs",
        action="store_true",
        help="also show that trivial stubs fail the theory checks",
    )
    parser.addoption(
        "--data-home",
        type=Path,
        default=os.environ.get("SKLEARN_AE_DATA"),
        help="folder of real data sets, NAME/NAME.npz (default: $SKLEARN_AE_DATA)",
    )


def pytest_collection_modifyitems(config, items):
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish(session):
    # What the imports and the tests themselves are made of stays to the end. Going
    # through it at each garbage collection took a third of the run.
    gc.collect()
    gc.freeze()


@pytest.fixture
def two_threads():
    """Let torch have two threads, so that it shows where they are limited to one."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def load_real(request):
    """Answer a loader of real data sets, which skips where they are absent."""
    home = request.config.getoption("--data-home")

    def load(name: str) -> dict[str, np.ndarray]:
        path = Path(home or "absent") / name / f"{name}.npz"
        if not path.exists():
            pytest.skip(f"{name} is not in --data-home")
        with np.load(path) as arrays:
            return dict(arrays)

    return load
