"""Promise 25, and the docstring half of 3: what the documentation must hold."""

from __future__ import annotations

import ast
import html
import inspect
import pydoc
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

import sklearn_ae
from contract.subprocesses import run_python
from contract.table import ERRORS, ROWS, SPECS, every_class
from contract.test_completeness import public_modules
from sklearn_ae import Autoencoder
from sklearn_ae._estimators.docstrings import split_entries, split_sections
from sklearn_ae.model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV

# Inherited from scikit-learn, and documented there.
INHERITED = {
    "fit_transform",
    "get_feature_names_out",
    "get_metadata_routing",
    "get_params",
    "set_callbacks",
    "set_output",
}


def public_methods(cls):
    """Answer the public methods that the package itself defines."""
    names = (name for name in dir(cls) if not name.startswith("_"))
    found = {}
    for name in names:
        item = inspect.getattr_static(cls, name)
        function = getattr(item, "fn", item)
        if callable(function) and name not in INHERITED:
            found[name] = function
    return found


def public_functions():
    """Answer the functions and classes of public modules, estimators apart."""
    estimators = {row.cls for row in ROWS}
    for module in public_modules():
        for name in getattr(module, "__all__", []):
            item = getattr(module, name)
            if item not in estimators and item.__module__.startswith("sklearn_ae"):
                yield pytest.param(item, id=f"{module.__name__}.{name}")


METHODS = [
    pytest.param(row, name, id=f"{row.name}.{name}")
    for row in ROWS
    for name in public_methods(row.cls)
]


def assert_summary_is_one_sentence(text):
    summary = inspect.cleandoc(text).split("\n\n")[0].replace("\n", " ")
    assert summary.endswith((".", ".")), summary
    assert not re.search(r"[.!?] [A-Z]", summary), summary


def arguments_of(sections):
    """Answer the arguments that a Parameters section names, several an entry or one."""
    entries = split_entries(sections.get("Parameters", ""))
    keys = [entry.splitlines()[0].split(":")[0] for entry in entries.values()]
    return [name.strip("* ") for key in keys for name in key.split(",")]


@every_class
def test_every_parameter_stands_once(row):
    """3: with the default of the signature, in the signature's order."""
    parameters = inspect.signature(row.cls).parameters
    section = split_sections(row.cls.__doc__)["Parameters"]
    assert list(split_entries(section)) == list(parameters)
    for name, parameter in parameters.items():
        assert len(re.findall(rf"^{name} ?:", section, re.MULTILINE)) == 1, name
        entry = split_entries(section)[name]
        assert len(entry.splitlines()) > 1, name
        said = re.search(r"default=(\S.*)$", entry.splitlines()[0]).group(1)
        assert ast.literal_eval(said) == parameter.default, name


@every_class
def test_every_public_fitted_attribute_stands_once(row, X):
    """3: what any configuration leaves behind, and nothing that none does."""
    frames = pytest.importorskip("pandas")
    frame = frames.DataFrame(X, columns=list("abcdef"))
    seen = set()
    configurations = [
        {**params, **row.sampling(GaussianMixture(2))}
        for params in ({}, row.stopping_early, *row.variants.values())
    ]
    if "pretraining" in row.cls().get_params():
        configurations.append({"pretraining": "greedy", "architecture": "dense"})
    if row.supervised is not None:
        configurations.append(row.supervised)
    y = X[:, 0] > 0.5
    for params in configurations:
        fitted = row.make(**params).fit(frame, y)
        seen |= {n for n in vars(fitted) if n.endswith("_") and n[0] != "_"}
    section = split_sections(row.cls.__doc__)["Attributes"]
    documented = list(split_entries(section))
    assert sorted(documented) == sorted(seen)
    for name in documented:
        assert len(re.findall(rf"^{name} ?:", section, re.MULTILINE)) == 1
        first, *rest = split_entries(section)[name].splitlines()
        assert rest, name
        if first.split(":")[1].strip().startswith("ndarray"):
            assert " of shape (" in first, name


@every_class
def test_shapes_of_public_attributes(row, X, y):
    """3: they are as the docstring says, in numbers of this fit."""
    estimator = row.make().fit(X, y)
    section = split_sections(row.cls.__doc__)["Attributes"]
    known = {
        "n_features": 6,
        "n_features_in_": 6,
        "n_components": 2,
        "n_classes": 3,
        "min(n_components, n_features)": 2,
    }
    for name, entry in split_entries(section).items():
        shape = re.search(r"of shape \((.*)\)$", entry.splitlines()[0])
        if shape and hasattr(estimator, name):
            wanted = re.split(r", (?![^(]*\))", shape.group(1).rstrip(","))
            found = np.shape(getattr(estimator, name))
            if not found and "float or" in entry.splitlines()[0]:
                continue
            assert found == tuple(known[size] for size in wanted), name


@every_class
def test_class_docstrings(row):
    """25: one sentence, the equation, the source, and an example."""
    text = row.cls.__doc__
    assert_summary_is_one_sentence(text)
    sections = split_sections(text)
    wanted = ["", "Parameters", "Attributes", "See Also", "References", "Examples"]
    assert list(sections) == wanted
    assert ".. math::" in sections[""]
    assert re.search(r"\b(19|20)\d\d\b", sections["References"])
    assert f">>> from sklearn_ae import {row.name}" in sections["Examples"]
    assert f"{row.name}(" in sections["Examples"]
    assert max(len(line) for line in text.splitlines()) <= 88


@pytest.mark.parametrize(("row", "name"), METHODS)
def test_method_docstrings(row, name):
    """25: one sentence, every argument, shapes, what is answered and raised."""
    method = public_methods(row.cls)[name]
    text = method.__doc__
    assert text, name
    assert_summary_is_one_sentence(text)
    sections = split_sections(text)
    arguments = list(inspect.signature(method).parameters)[1:]
    assert arguments_of(sections) == arguments
    assert "Returns" in sections
    entries = split_entries(sections.get("Parameters", ""))
    for argument in ("X", "Z"):
        if argument in entries:
            assert " of shape (n_samples, n_" in entries[argument]
    if name in ("fit", "partial_fit"):
        assert "ValueError" in sections["Raises"]
    if name == "fit":
        assert "DivergenceError" in sections["Raises"]
        assert "KeyboardInterrupt" in text


@pytest.mark.parametrize("item", list(public_functions()))
def test_other_public_docstrings(item):
    """25: one sentence, every argument, and an example or a place that shows one."""
    text = item.__doc__
    assert text
    assert_summary_is_one_sentence(text)
    if item in ERRORS:
        return
    sections = split_sections(text)
    assert ">>> " in sections["Examples"]
    if item in SPECS:
        assert ".. math::" in sections[""]
    assert set(arguments_of(sections)) == set(inspect.signature(item).parameters)


def test_examples_are_run():
    """25: by this project's own configuration of the tests."""
    root = Path(__file__).parents[2]
    options = tomllib.loads((root / "pyproject.toml").read_text())
    pytest_options = options["tool"]["pytest"]["ini_options"]
    assert "--doctest-modules" in pytest_options["addopts"]
    assert "sklearn_ae" in pytest_options["testpaths"]
    assert "error" in pytest_options["filterwarnings"]


def objects_with_parameters():
    """Answer an object of each public class that scikit-learn draws."""
    for row in ROWS:
        yield pytest.param(row.make(), id=row.name)
    for item in SPECS:
        yield pytest.param(item(), id=item.__name__)
    for search in (BatchedGridSearchCV, BatchedRandomizedSearchCV):
        yield pytest.param(search(Autoencoder(), {"tol": [0]}), id=search.__name__)


@pytest.mark.parametrize("drawn", [*objects_with_parameters()])
def test_the_picture_of_a_notebook_describes_parameters(drawn):
    """25: each of them, in words that are its own."""
    picture, names = drawn._repr_html_(), drawn.get_params(deep=False)
    if "param-doc-description" not in Autoencoder()._repr_html_():
        pytest.skip("this scikit-learn has no descriptions")
    for name in names:
        text = split_entries(split_sections(type(drawn).__doc__)["Parameters"])[name]
        first = html.escape(text.splitlines()[1].split()[0])
        shown = picture.split(f"anchor-name: --doc-link-{name};", 1)[1].split("</a>")[0]
        assert first in shown, name


@every_class
def test_help_begins_with_what_the_class_is(row):
    """25: behind a signature of one line, while the whole one can be asked for."""
    name, signature, _, summary = pydoc.plaintext.document(row.cls).splitlines()[:4]
    assert name.startswith(f"class {row.name}(")
    assert len(signature) < 140
    assert summary.strip(" |") == row.cls.__doc__.splitlines()[0]
    parameters = inspect.signature(row.cls).parameters
    assert list(parameters) == list(inspect.signature(row.cls.__init__).parameters)[1:]


def test_the_package_says_which_class_is_for_what():
    """25: each of them; rooms are for maintainers."""
    for_users, _ = sklearn_ae.__doc__.split("For maintainers")
    for row in ROWS:
        assert f"`{row.cls.__name__}`" in for_users


def test_modules_are_there_when_they_are_asked_for():
    """1: without an import of their own, and no earlier."""
    printed = run_python(
        "-c",
        """
import sys
import sklearn_ae
for name in ("architectures", "displays", "metrics", "model_selection"):
    assert name in dir(sklearn_ae)
assert "sklearn_ae.displays" not in sys.modules
# Which warns in notebooks that have no widgets.
assert "tqdm.auto" not in sys.modules
assert sklearn_ae.displays.LossCurveDisplay
assert "matplotlib" not in sys.modules
assert sklearn_ae.metrics.make_probe_scorer
assert sklearn_ae.model_selection.BatchedGridSearchCV
try:
    sklearn_ae.no_such_thing
except AttributeError as error:
    print(error)
""",
    )
    assert "no_such_thing" in printed
