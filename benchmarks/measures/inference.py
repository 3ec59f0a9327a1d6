"""Time `transform`, its latency for one row, and the import of the library."""

from __future__ import annotations

import operator
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array

from benchmarks.common import Column, Table, environment, interleaved, timed
from benchmarks.methods.torch_nets import Net

COLUMNS = [
    Column("what", "what"),
    Column("ms", "ms", ".2f"),
    Column("against", "against"),
    Column("against_ms", "ms", ".2f"),
    Column("ratio", "ratio", ".2f"),
    Column("goal", "goal"),
]
N_ROWS = 60_000
N_TRAINING_ROWS = 2000
N_CALLS = 200
SMALL = Net((64, 32, 2), 32)
LARGE = Net((784, 128, 32), 256)
BASES = {
    "torch and sklearn": "import torch, sklearn",
    "torch, skorch and PCA": "import torch, skorch, sklearn.decomposition",
}
IMPORT = """
import time
{base}
start = time.perf_counter()
import sklearn_ae
print(time.perf_counter() - start)
"""


def inference_table(repeats: int) -> Table:
    """Measure what is done with a fitted estimator, and return the table."""
    rows = [transform_row(repeats), latency_row(SMALL), latency_row(LARGE)]
    rows += [import_row(name, repeats) for name in BASES]
    notes = [
        f"transform: {N_ROWS:,} float32 rows through {LARGE.label}, against "
        "scikit-learn's check of the rows plus the module's encoder on the same "
        "slices.",
        f"one row: median of {N_CALLS} calls.",
        "import: in fresh processes, after the imports named.",
        f"{torch.get_num_threads()} thread(s).",
        f"{environment()}.",
    ]
    return Table("Use", COLUMNS, rows, notes)


def fitted(net: Net) -> Any:
    """Return an autoencoder of that shape, trained for one epoch."""
    from sklearn_ae import Autoencoder

    X = random_rows(N_TRAINING_ROWS, net)
    return Autoencoder(
        net.widths[-1],
        hidden_layer_sizes=net.widths[1:-1],
        batch_size=net.batch_size,
        max_epochs=1,
        random_state=0,
    ).fit(X)


def random_rows(n_rows: int, net: Net) -> np.ndarray:
    """Return rows of the net's width."""
    shape = (n_rows, net.widths[0])
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def transform_row(repeats: int) -> dict[str, Any]:
    """Time `transform` against the check and the forward pass that it consists of."""
    estimator, X = fitted(LARGE), random_rows(N_ROWS, LARGE)
    forward = check_and_forward(estimator, X)
    np.testing.assert_allclose(forward(), estimator.transform(X), rtol=1e-4, atol=1e-4)
    functions = {
        "transform": lambda: timed(lambda: estimator.transform(X))[0],
        "least": lambda: timed(forward)[0],
    }
    times = interleaved(functions, max(repeats, 5))
    ms, least = (1000 * statistics.median(times[name]) for name in functions)
    return {
        "what": f"transform {N_ROWS:,} rows",
        "ms": ms,
        "against": "check and forward pass",
        "against_ms": least,
        # Within each repeat, so that a machine slow for a while changes nothing.
        "ratio": statistics.median(map(operator.truediv, *times.values())),
        "goal": "1.1",
    }


def check_and_forward(estimator: Any, X: np.ndarray) -> Callable[[], np.ndarray]:
    """Return the least that a transform does: check all rows, encode them in slices."""
    from sklearn_ae._data.rows import row_slices

    module = estimator.to_module()

    def encode() -> np.ndarray:
        rows = torch.from_numpy(check_array(X, dtype=[np.float64, np.float32]))
        with torch.inference_mode():
            return np.concatenate(
                [module.encode(rows[part]).numpy() for part in row_slices(*X.shape)]
            )

    return encode


def latency_row(net: Net) -> dict[str, Any]:
    """Time `transform` of a single row."""
    estimator, x = fitted(net), random_rows(1, net)
    estimator.transform(x)
    seconds = (timed(lambda: estimator.transform(x))[0] for _ in range(N_CALLS))
    return {
        "what": f"transform one row, {net.label}",
        "ms": 1000 * statistics.median(seconds),
        "goal": "0.3 ms",
    }


def import_row(base: str, repeats: int) -> dict[str, Any]:
    """Time the import in fresh processes, beyond what it is built on."""
    code = IMPORT.format(base=BASES[base])
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", code], text=True))
        for _ in range(max(repeats, 5))
    ]
    return {
        "what": f"import after {base}",
        "ms": 1000 * statistics.median(seconds),
        "goal": "200 ms",
    }
