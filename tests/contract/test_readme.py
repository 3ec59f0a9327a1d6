"""The README's examples run, and its commands are those of this checkout."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def _close_figures():
    plt = pytest.importorskip("matplotlib.pyplot")
    yield
    plt.close("all")


@pytest.mark.usefixtures("_close_figures")
def test_examples_run(tmp_path, monkeypatch):
    # Some write pictures.
    monkeypatch.chdir(tmp_path)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, attempted = doctest.testfile(
        str(README), module_relative=False, optionflags=flags
    )
    assert attempted > 10
    assert failed == 0
    assert {path.name for path in tmp_path.iterdir()} == {"codes.png", "samples.png"}


def test_it_starts_with_the_two_commands():
    """One line each, from nothing but Python."""
    lines = [line for line in README.read_text().splitlines() if "-m venv" in line]
    assert len(lines) == 2
    for line, end in zip(lines, ("-m benchmarks", "-m pytest -n 2"), strict=True):
        assert line.strip().startswith("python3 -m venv .venv && .venv/bin/pip install")
        assert line.endswith(end)
