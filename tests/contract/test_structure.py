"""Rooms import only what is below them, and files and functions stay short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sklearn_ae

ROOT = Path(sklearn_ae.__file__).parent
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 40

# From the top: a room imports only rooms that come after it. What `import sklearn_ae`
# gives stands above all of them, and what has no room may be imported anywhere.
ROOMS = (
    *("displays", "model_selection", "metrics"),
    "_estimators",
    *("_files", "_training"),
    "_nets",
    "_objective",
    *("architectures", "_priors"),
    "_layers",
    *("_data", "_compute"),
)
NO_ROOM = {"exceptions", "_version"}

FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> tuple[str, ...]:
    """Answer a file's dotted name inside the package, as a tuple."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return (
        parts if parts == ("__init__",) else tuple(p for p in parts if p[0:2] != "__")
    )


MODULES = {module_of(path): path for path in FILES}


def room_of(module: tuple[str, ...]) -> str:
    """Answer the folder, or the file that lies beside the folders."""
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


def test_every_file_has_a_room_and_every_room_a_file():
    rooms = {room_of(module) for module in MODULES}
    assert rooms - NO_ROOM - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_rooms_below_it(path):
    own = room_of(module_of(path))
    imported = {room_of(target) for target in imports_of(path)} - {own} - NO_ROOM
    if own in NO_ROOM:
        assert not imported
    elif own != "__init__":
        assert imported <= set(ROOMS[ROOMS.index(own) :])


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_acyclic_inside(room):
    graph = {
        ".".join(module): {".".join(t) for t in imports_of(path) if t[0] == room}
        for module, path in MODULES.items()
        if module[0] == room
    }
    assert is_acyclic(graph)


def test_a_cycle_is_seen():
    assert is_acyclic({"a": {"b"}, "b": set()})
    assert not is_acyclic({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_imports_are_found():
    found = imports_of(ROOT / "_training" / "net.py")
    assert {("_training", "batches"), ("_data", "rows"), ("exceptions",)} <= found


def test_only_the_training_folder_imports_skorch():
    importers = {
        room_of(m) for m, p in MODULES.items() if "skorch" in foreign_imports_of(p)
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
