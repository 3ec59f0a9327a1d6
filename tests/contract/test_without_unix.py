"""Promise 29: where Unix-only functions are missing, the package works."""

from __future__ import annotations

from pathlib import Path

from contract.subprocesses import run_python


def test_it_works_without_what_is_unix_only(tmp_path):
    """29: all in one test, for it takes long to start."""
    script = Path(__file__).with_name("without_unix.py")
    printed = run_python(str(script), str(tmp_path / "file"))
    assert printed.endswith("all of it works\n")
