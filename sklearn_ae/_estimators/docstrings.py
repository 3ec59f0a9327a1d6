"""Docstrings of classes that inherit their parameters: each class writes its own only.

A class documents the parameters and attributes it declares, in numpydoc sections. Here
those of its bases are merged in, so that the finished docstring is complete.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, Self

# What of a signature is shown before the docstring, which has all parameters.
_N_SHOWN = 4

_SECTION = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)
_ENTRY = re.compile(r"^(?=\S)", re.MULTILINE)
_MERGED = ("Parameters", "Attributes")


def split_sections(docstring: str) -> dict[str, str]:
    """Split a numpydoc docstring into its sections; the summary's name is ""."""
    pieces = _SECTION.split(inspect.cleandoc(docstring))
    sections = {"": pieces[0].strip()}
    for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
        sections[name] = text.strip()
    return sections


def split_entries(section: str) -> dict[str, str]:
    """Split a Parameters or Attributes section by the names that it documents."""
    entries = (entry.rstrip() for entry in _ENTRY.split(section) if entry.strip())
    return {re.split(r"\s*:", entry, maxsplit=1)[0]: entry for entry in entries}


def merge_docstrings(
    docstrings: Iterable[str | None],
    parameters: Iterable[str],
    absent: Iterable[str] = (),
) -> str:
    """Merge the docstrings of a class and its bases.

    Parameters
    ----------
    docstrings : iterable of str
        From the class to its most distant base; the first keeps all of its sections.
    parameters : iterable of str
        The names in the constructor's signature, in order.
    absent : iterable of str, default=()
        Attributes of the bases that the class does not have.

    Returns
    -------
    str
    """
    documented = [split_sections(text) for text in docstrings if text]
    sections = dict(documented[0]) if documented else {"": ""}
    merged = {}
    for name in _MERGED:
        merged[name] = {}
        for other in reversed(documented):
            merged[name].update(split_entries(other.get(name, "")))
    wanted = {
        "Parameters": [name for name in parameters if name in merged["Parameters"]],
        "Attributes": sorted(merged["Attributes"].keys() - set(absent)),
    }
    for name in _MERGED:
        sections[name] = "\n".join(merged[name][entry] for entry in wanted[name])
    order = ["", *_MERGED, *(s for s in sections if s and s not in _MERGED)]
    texts = [
        f"{name}\n{'-' * len(name)}\n{sections[name]}" if name else sections[""]
        for name in order
        if sections[name]
    ]
    return "\n\n".join(texts) + "\n"


class ShortSignature(inspect.Signature):
    """A signature of very many parameters, of which `help` shows the first ones."""

    @classmethod
    def of(cls, constructor: Callable[..., Any]) -> Self:
        """Answer that of a class with this constructor."""
        _, *parameters = inspect.signature(constructor).parameters.values()
        return cls(parameters)

    def __str__(self) -> str:
        shown = [
            p.replace(annotation=inspect.Parameter.empty)
            for p in self.parameters.values()
        ]
        text = str(inspect.Signature(shown[:_N_SHOWN]))
        return text if len(shown) <= _N_SHOWN else f"{text[:-1]}, ...)"
