"""What a second python process sees; prints it as JSON.

Its arguments are a pickle of fitted estimators, the rows to ask them about, and the
name of the set of cases that they are.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import signal
import sys

import numpy as np
import skorch  # noqa: F401
import torch
import tqdm  # noqa: F401
from sklearn import get_config


def settings() -> dict[str, object]:
    """Answer the global state that an import could change."""
    return {
        "python's generator": random.getstate(),
        "numpy's generator": repr(np.random.get_state(legacy=False)),
        "torch's generator": torch.get_rng_state().tolist(),
        "torch's threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision of products": torch.get_float32_matmul_precision(),
        "environment": dict(os.environ),
        "handler of SIGINT": signal.getsignal(signal.SIGINT),
        "numpy's errors": np.geterr(),
        "log handlers": list(logging.root.handlers),
        "configuration of scikit-learn": get_config(),
    }


def load(path: str) -> list:
    with open(path, "rb") as file:
        return pickle.load(file)


def main(models: str, rows: str, set_name: str) -> dict[str, object]:
    before = settings()
    estimators = load(models)

    after = settings()
    seen = {
        "changed by the import": [n for n in before if after[n] != before[n]],
        "pyplot": "matplotlib.pyplot" in sys.modules,
    }
    from contract.table import digest
    from contract.test_determinism import digests_of, disturb, wide_digests

    X = np.load(rows)
    seen["unpickled"] = [digest(estimator, X) for estimator in estimators]
    disturb()
    seen["fitted"] = digests_of(set_name)
    seen["wide"] = wide_digests()
    return seen


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
