"""Models along a range of one parameter, trained together."""

from __future__ import annotations
