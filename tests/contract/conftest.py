"""Rows that the tests of the contract share."""

from __future__ import annotations

import numpy as np
import pytest

from contract.table import structured_rows


@pytest.fixture
def X() -> np.ndarray:
    return structured_rows()
