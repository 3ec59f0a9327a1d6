"""Imports go strictly down the floors, and files and functions stay short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sklearn_ae

ROOT = Path(sklearn_ae.__file__).parent
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 40

# A folder counts as one file. A module that is missing here fails the tests.
FLOORS = {
    "__init__": 13,
    "displays": 13,
    "metrics": 13,
    "model_selection": 13,
    "_conditional": 12,
    "_adversarial": 11,
    "_autoencoder": 11,
    "_contractive": 11,
    "_convolutional": 11,
    "_denoising": 11,
    "_linear": 11,
    "_lstm": 11,
    "_robust": 11,
    "_sparse": 11,
    "_stacked": 11,
    "_variational": 11,
    "_base": 10,
    "_learning": 9,
    "_pretraining": 8,
    "_inspection": 7,
    "_sampling": 7,
    "_persistence": 7,
    "_pickling": 7,
    "_paths": 11,
    "_stacking": 8,
    "_fitting": 7,
    "_outcomes": 6,
    "_building": 5,
    "_encoding": 5,
    "_descriptions": 6,
    "_rebuilding": 5,
    "_model": 5,
    "_training": 5,
    "_bounds": 5,
    "_conditional_modules": 5,
    "_modules": 4,
    "_dense_gradient": 4,
    "_parameters": 4,
    "_boltzmann": 3,
    "_contraction": 4,
    "_divergences": 4,
    "_likelihoods": 4,
    "_latent_densities": 2,
    "_latent_priors": 3,
    "_posteriors": 1,
    "_corruption": 3,
    "_layers": 2,
    "_losses": 3,
    "_penalties": 3,
    "_code_sources": 3,
    "_imposed_priors": 2,
    "_priors": 2,
    "_densities": 3,
    "_reconstruction": 2,
    "architectures": 1,
    "_moments": 1,
    "_medians": 0,
    "_documentation": 0,
    "_files": 0,
    "_frames": -1,
    "_references": 1,
    "_replacing": -1,
    "_functional": 0,
    "_labels": 0,
    "_sharing": 0,
    "_torch": 0,
    "_units": 0,
    "_version": 0,
    "exceptions": 0,
    "_ambient": -1,
    "_tensors": -2,
    "_derivatives": -1,
    "_input": -1,
    "_warnings": -1,
    "_threads": -1,
}

FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> tuple[str, ...]:
    """Answer a file's dotted name inside the package, as a tuple."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return (
        parts if parts == ("__init__",) else tuple(p for p in parts if p[0:2] != "__")
    )


MODULES = {module_of(path): path for path in FILES}


def unit_of(module: tuple[str, ...]) -> str:
    """Answer the file or folder that has a floor."""
    return module[0]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def resolve(module: tuple[str, ...]) -> tuple[str, ...]:
    """Answer the longest start of a dotted name that is a module of the package."""
    while module and module not in MODULES:
        module = module[:-1]
    return module or ("__init__",)


def imports_of(path: Path) -> set[tuple[str, ...]]:
    """Answer the modules of the package that a file imports, wherever it does so."""
    package = path.relative_to(ROOT.parent).parent.parts
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            names = [(*base, alias.name) for alias in node.names]
        else:
            continue
        inside = [name[1:] for name in names if name[0] == ROOT.name]
        found.update(resolve(name) for name in inside)
    return found


def foreign_imports_of(path: Path) -> set[str]:
    """Answer the first names of all modules that a file imports."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def is_acyclic(graph: dict[str, set[str]]) -> bool:
    """Whether files can be put into an order in which imports go one way."""
    left = {name: targets - {name} for name, targets in graph.items()}
    while left:
        leaves = [name for name, targets in left.items() if not targets & left.keys()]
        if not leaves:
            return False
        for name in leaves:
            del left[name]
    return True


def test_every_file_has_a_floor_and_every_floor_a_file():
    assert {unit_of(module) for module in MODULES} == FLOORS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_strictly_down(path):
    own = unit_of(module_of(path))
    for target in imports_of(path):
        if unit_of(target) == own:
            continue
        assert FLOORS[unit_of(target)] < FLOORS[own], f"{own} imports {target}"


@pytest.mark.parametrize("folder", sorted(u for u in FLOORS if (ROOT / u).is_dir()))
def test_a_folder_is_acyclic_inside(folder):
    inside = {module: path for module, path in MODULES.items() if module[0] == folder}
    graph = {
        ".".join(module): {".".join(t) for t in imports_of(path) if t[0] == folder}
        for module, path in inside.items()
    }
    assert is_acyclic(graph)


def test_a_cycle_is_seen():
    assert is_acyclic({"a": {"b"}, "b": set()})
    assert not is_acyclic({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_imports_are_found():
    found = imports_of(ROOT / "_training" / "net.py")
    assert {("_dense_gradient",), ("_training", "batches"), ("exceptions",)} <= found


def test_only_the_training_folder_imports_skorch():
    importers = {
        unit_of(m) for m, p in MODULES.items() if "skorch" in foreign_imports_of(p)
    }
    assert importers == {"_training"}


def docstring_lines(node: ast.AST) -> set[int]:
    """Answer the numbers of the lines of a docstring, if there is one."""
    first = node.body[0] if node.body else None
    is_docstring = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return set(range(first.lineno, first.end_lineno + 1)) if is_docstring else set()


def count_code_lines(text: str) -> int:
    """Count the lines of a file, without docstrings, comments and blank ones."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    left_out = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented):
            left_out |= docstring_lines(node)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#")
        for number, line in enumerate(text.splitlines(), 1)
        if number not in left_out
    )


def code_lines(function: ast.AST) -> int:
    """Answer the lines of a function, its docstring left out."""
    length = function.end_lineno - function.lineno + 1
    return length - len(docstring_lines(function))


def test_code_lines_are_counted():
    text = '"""A\nB."""\n\n# C\nx = 1\n\n\ndef f():\n    """D."""\n    return "# e"\n'
    assert count_code_lines(text) == 3


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    assert count_code_lines(path.read_text(encoding="utf-8")) <= MAX_FILE_LINES
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert code_lines(node) <= MAX_FUNCTION_LINES, node.name


def test_there_is_no_drawer_for_everything_else():
    assert not {"utils", "_utils", "helpers", "_helpers"} & {
        part for module in MODULES for part in module
    }
