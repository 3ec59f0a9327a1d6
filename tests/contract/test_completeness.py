"""No public class dodges the table, and no row of it is stale."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import sklearn_ae
from contract import public_names
from contract.kinds import AUTOENCODER, GENERATOR, META, NEEDS, PREDICTOR, kind_of
from contract.table import ABSTRACT, ERRORS, ROWS, SEARCHES, SPECS, TOYS
from sklearn_ae._estimators.base import BaseNetEstimator
from sklearn_ae._estimators.codes import CodesMixin, RowsMixin

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


def test_every_class_has_what_its_kind_has():
    for cls in [*SEARCHES, *(row.cls for row in (*ROWS, *TOYS))]:
        assert kind_of(cls).lapses(cls) == [], cls.__name__
    assert {kind_of(cls) for cls in SEARCHES} == {META}
    assert {row.kind for row in TOYS} == {AUTOENCODER, GENERATOR, PREDICTOR}


def test_a_class_of_no_kind_fails():
    class Mute(BaseNetEstimator):
        pass

    with pytest.raises(LookupError, match="Mute is of no kind"):
        kind_of(Mute)


def test_a_class_that_dodges_a_promise_fails():
    """What transforms is an autoencoder, and has to have all that those have."""

    class Half(CodesMixin, BaseNetEstimator):
        pass

    class TooMuch(RowsMixin, BaseNetEstimator):
        def predict(self, X):
            return X

        def reconstruct(self, X):
            return X

    assert kind_of(Half).lapses(Half) == sorted(
        [
            "inverse_transform",
            "sample",
            "reconstruct",
            "reconstruction_error",
            "score_samples",
            "score",
        ]
    )
    assert kind_of(TooMuch).lapses(TooMuch) == ["score", "reconstruct"]


def test_needs_are_those_of_tests():
    """A test that is renamed is asked of everybody, until its needs are, too."""
    files = Path(__file__).parent.glob("test_*.py")
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    nodes = (node for tree in trees for node in tree.body)
    tests = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert NEEDS.keys() <= tests


def test_needs_spare_no_class_that_has_them():
    """An autoencoder is asked all that is not of predictions."""
    for needs in NEEDS.values():
        if "predict" not in needs:
            assert all(needs <= row.offers for row in ROWS if row.kind is AUTOENCODER)
