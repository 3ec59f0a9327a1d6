"""A second python process, for what cannot be seen from inside one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run_python(code: str, *arguments: str, timeout: float = 300, **env: str) -> str:
    """Run code that may import the contract's table; answer what it printed."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    return finished.stdout


def environment(**env: str) -> dict[str, str]:
    """Answer this process's environment, with the tests importable."""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **env}
