"""No public class dodges the table, and no row of it is stale."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

from sklearn.base import BaseEstimator

import sklearn_ae
from contract import public_names
from contract.table import ABSTRACT, ERRORS, ROWS, SEARCHES, SPECS

LISTED = {row.cls for row in ROWS} | {*SPECS, *ERRORS, *ABSTRACT}


def public_modules():
    """Answer the package and its modules whose names do not begin with "_"."""
    found = [sklearn_ae]
    for module in pkgutil.walk_packages(sklearn_ae.__path__, "sklearn_ae."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            found.append(import_module(module.name))
    return found


def test_every_public_class_of_the_package_is_listed_once():
    public = [getattr(sklearn_ae, name) for name in sklearn_ae.__all__]
    classes = {item for item in public if inspect.isclass(item)}
    assert classes <= LISTED
    assert len(ROWS) + len([*SPECS, *ERRORS, *ABSTRACT]) == len(LISTED)
    assert {row.cls for row in ROWS} <= classes


def test_every_estimator_of_a_public_module_is_listed():
    for module in public_modules():
        names = getattr(module, "__all__", [n for n in vars(module) if n[0] != "_"])
        for name in names:
            item = getattr(module, name)
            if inspect.isclass(item) and issubclass(item, BaseEstimator):
                listed = item in LISTED or item in SEARCHES
                assert listed, f"{module.__name__}.{name} is in no list"


def test_what_is_public_is_named_in_all():
    assert sorted(sklearn_ae.__all__) == sklearn_ae.__all__
    public = {
        name
        for name, item in vars(sklearn_ae).items()
        if inspect.isclass(item) and not name.startswith("_")
    }
    assert public <= set(sklearn_ae.__all__)


def test_public_names_and_signatures_are_as_listed():
    """What is meant to change is listed anew, and told of in the changelog."""
    listed = Path(__file__).with_name("public_names.txt").read_text(encoding="utf-8")
    assert public_names.lines() == listed.splitlines()


def test_only_rows_can_be_fitted():
    for cls in {*SPECS, *ERRORS, *ABSTRACT}:
        assert not hasattr(cls, "fit")
    for row in ROWS:
        assert {"fit", "transform", "inverse_transform", "score"} <= set(dir(row.cls))
