"""The classes that a file may hold."""

from __future__ import annotations

from typing import Any

# The package's own estimators by name.
CLASSES: dict[str, type[Any]] = {}
