"""What the tests of the contract share."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from contract.table import SETS, TOYS, Row, labels, set_names, structured_rows


def pytest_collection_modifyitems(items):
    for item in items:
        if "contract" in item.path.parts:
            # Nets of some epochs may have learned nothing yet.
            item.add_marker(pytest.mark.filterwarnings("ignore:No component is active"))
    # A toy shows that its kind can be added, which the fast tests tell. The slow ones
    # have million-row files, processes of their own and figures of public classes.
    items[:] = [item for item in items if not (_is_of_toy(item) and _is_slow(item))]


def _is_of_toy(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("row") in TOYS


def _is_slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


@pytest.fixture
def X() -> np.ndarray:
    return structured_rows()


@pytest.fixture
def y(X, request) -> np.ndarray:
    row = getattr(request.node, "callspec", None) and request.node.callspec.params.get(
        "row"
    )
    return row.targets(X) if isinstance(row, Row) else labels(X)


@pytest.fixture(scope="session", params=set_names)
def set_name(request) -> str:
    """Answer the name of a set of cases of the table."""
    return request.param


@pytest.fixture(scope="session")
def fitted_cases(set_name) -> Iterator[list[Any]]:
    """Answer the cases of a set, fitted on the shared rows; not to be changed."""
    X = structured_rows()
    models = [row.make(**params).fit(X, labels(X)) for row, params in SETS[set_name]]
    before = [pickle.dumps(model) for model in models]
    yield models
    changed = [m for m, b in zip(models, before, strict=True) if pickle.dumps(m) != b]
    assert changed == []


@pytest.fixture(scope="session")
def fitted_class() -> Iterator[Callable[[Row], Any]]:
    """Answer what has a row's estimator, fitted on X and y; not to be changed."""
    models: dict[str, tuple[Any, bytes]] = {}

    def of(row: Row) -> Any:
        if row.name not in models:
            X = structured_rows()
            model = row.make().fit(X, row.targets(X))
            models[row.name] = model, pickle.dumps(model)
        return models[row.name][0]

    yield of
    assert [n for n, (m, before) in models.items() if pickle.dumps(m) != before] == []
