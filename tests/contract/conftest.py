"""What the tests of the contract share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from contract.table import CASES, labels, structured_rows


def pytest_collection_modifyitems(items):
    # Nets of some epochs may have learned nothing yet.
    for item in items:
        if "contract" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore:No component is active"))


@pytest.fixture
def X() -> np.ndarray:
    return structured_rows()


@pytest.fixture
def y(X) -> np.ndarray:
    return labels(X)


@pytest.fixture(scope="session")
def fitted_cases() -> list[Any]:
    """Answer every case of the table, fitted on the shared rows; not to be changed."""
    X = structured_rows()
    return [row.make(**params).fit(X, labels(X)) for row, params in CASES]
