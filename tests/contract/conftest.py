"""What the tests of the contract share."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from contract.subprocesses import run_python
from contract.table import CASES, structured_rows


@pytest.fixture
def X() -> np.ndarray:
    return structured_rows()


@pytest.fixture(scope="session")
def fitted_cases() -> list[Any]:
    """Answer every case of the table, fitted on the shared rows; not to be changed."""
    X = structured_rows()
    return [row.make(**params).fit(X) for row, params in CASES]


@pytest.fixture(scope="session")
def elsewhere(fitted_cases, tmp_path_factory) -> dict[str, Any]:
    """Answer what another process sees, whose environment differs."""
    folder = tmp_path_factory.mktemp("elsewhere")
    models, rows = folder / "models.pickle", folder / "rows.npy"
    models.write_bytes(pickle.dumps(fitted_cases))
    np.save(rows, structured_rows())
    printed = run_python(
        "-m",
        "contract.elsewhere",
        str(models),
        str(rows),
        PYTHONHASHSEED="1",
        OMP_NUM_THREADS="1",
        MKL_NUM_THREADS="1",
        SCIPY_ARRAY_API="1",
    )
    return json.loads(printed)
