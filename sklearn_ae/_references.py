"""What the header of a file says of its arrays, before any of them is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from sklearn_ae._files import Entry

# What the names of a net's tensors begin with.
MODULE = "module."
# Forms of nodes that stand for an array, see `Encoder`.
_FORMS = frozenset({"array", "column", "text"})
# More entries than any list of widths has; each of them becomes an object.
_LONGEST_PARAMETER = 2**16


def check_sizes(header: dict[str, Any], entries: dict[str, Entry]) -> None:
    """Refuse arrays that are larger or smaller than what they are for.

    Those of the net are compared with the net, and those that nothing needs are not
    read at all.

    Raises
    ------
    ValueError
        If there are such arrays.
    """
    for form, name in _references(header):
        if form == "text" and name in entries and entries[name].dtype != np.uint32:
            raise ValueError(f"{name} holds no text")
    for node in header["parameters"].values():
        entry = entries.get(_reference(node)[1])
        if entry is not None and math.prod(entry.shape) > _LONGEST_PARAMETER:
            raise ValueError(f"an array of shape {entry.shape} is no parameter")
    if isinstance(header["model"], dict):
        _check_vectors(header, entries)


def _check_vectors(header: dict[str, Any], entries: dict[str, Entry]) -> None:
    """Refuse vectors of the features that are longer or shorter than the rows."""
    model, shape = header["model"], (header["fitted"].get("n_features_in_"),)
    moments = model.get("moments")
    nodes = dict(moments) if isinstance(moments, dict) else {}
    nodes.pop("class_count", None)
    nodes["residual_variance"] = model.get("residual_variance")
    for name, node in nodes.items():
        entry = entries.get(_reference(node)[1])
        if entry is not None and (entry.shape != shape or entry.dtype != float):
            raise ValueError(
                f"{name} of its training rows is {entry.dtype}{list(entry.shape)}, and "
                f"vectors of numbers have {list(shape)}: its numbers of features "
                "disagree"
            )


def _references(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the forms and the names of the arrays that a tree of nodes needs."""
    left = [node]
    while left:
        node = left.pop()
        form, name = _reference(node)
        if name is not None:
            yield form, name
        elif isinstance(node, (dict, list)):
            left.extend(node.values() if isinstance(node, dict) else node)


def _reference(node: Any) -> tuple[str, str] | tuple[None, None]:
    """Answer the form and the name of the array that a node stands for, if it does."""
    if not isinstance(node, dict) or len(node) != 1:
        return None, None
    ((form, name),) = node.items()
    return (form, name) if form in _FORMS and isinstance(name, str) else (None, None)
