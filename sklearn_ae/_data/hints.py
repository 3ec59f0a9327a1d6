"""What to do about an X of which no rows of numbers can be made."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from numbers import Complex
from os import PathLike
from typing import Any

import numpy as np

Columns = dict[Any, np.ndarray]

_MOST_NAMED = 5
# As objects write themselves: pandas' own are equal to nothing.
_MISSING = {"nan", "None", "<NA>", "NaT"}
_KINDS = {
    "strings": (str, bytes),
    "dates": (np.datetime64, datetime.date),
    "durations": (np.timedelta64, datetime.timedelta),
    "complex numbers": (Complex,),
    "objects": (object,),
}
_CURES = {
    "strings": (
        "Leave them out, or encode them as numbers, by make_column_transformer("
        "(OneHotEncoder(sparse_output=False), [{names}]), remainder='passthrough')"
    ),
    "dates": "Leave them out, or pass numbers, such as days since the first date",
    "durations": "Pass numbers, such as seconds",
    "complex numbers": "Pass real and imaginary parts as columns of their own",
    "objects": "Make a column of each number that they hold",
}


def hint_on_table(X: object) -> str | None:
    """Say how to make a table of an X that is none."""
    if isinstance(X, (str, PathLike)):
        return "Pass what is in the file, as pandas.read_csv(path) reads it"
    first = X[0] if isinstance(X, (list, tuple)) and len(X) else X
    has_names = isinstance(X, np.ndarray) and X.dtype.names is not None
    if isinstance(first, dict) or has_names:
        return "Make a table of it, as pandas.DataFrame(X) does"
    if isinstance(X, (list, tuple)):
        try:
            np.asarray(X)
        except ValueError:
            return (
                "Rows need as many numbers as each other: pad them, or leave out what "
                "is no row; LSTMAutoencoder takes sequences of several lengths"
            )
    elif X is not None and not hasattr(X, "__array__"):
        return "Make an array of it that has a row for each sample, as np.stack does"
    return None


def hint_on_columns(columns: Columns) -> str | None:
    """Say which columns have no numbers, by name, and what to do about them."""
    found: dict[str, dict[Any, Any]] = {}
    for name, column in columns.items():
        value = next(_others(column), None)
        if value is not None:
            kind = next(k for k, types in _KINDS.items() if isinstance(value, types))
            found.setdefault(kind, {})[name] = value
    for kind, examples in found.items():
        example = str(next(iter(examples.values())))[:40]
        example = repr(example) if kind == "strings" else example
        cure = _CURES[kind].format(names=_listed(examples))
        return f"There are {kind} in {_named(examples)}, such as {example}. {cure}"
    return None


def hint_on_missing(columns: Columns) -> str:
    """Say in which columns NaN is, and which estimator accepts it."""
    holes = [name for name, column in columns.items() if _is_missing(column).any()]
    place = f"NaN is in {_named(holes)}. " if holes else ""
    return (
        f"{place}DenoisingAutoencoder accepts NaN, learns from what is there, and "
        "its impute(X) fills in the rest"
    )


def hint_on_infinity(columns: Columns) -> str:
    """Say in which columns infinity is, and what to do about it."""
    places = [
        name
        for name, column in columns.items()
        if column.dtype.kind == "f" and np.isinf(column).any()
    ]
    place = f"Infinity is in {_named(places)}. " if places else ""
    return (
        f"{place}Leave such rows out, or clip them, or pass NaN to a "
        "DenoisingAutoencoder"
    )


def _others(column: np.ndarray) -> Iterator[Any]:
    """Yield what is neither a number, nor its digits, nor missing."""
    if column.dtype.kind in "mMc":
        yield from column[:1]
    elif column.dtype.kind in "OUST":
        for value in column:
            try:
                float(value)
            except (TypeError, ValueError):
                if str(value) not in _MISSING:
                    yield value


def _is_missing(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind == "f":
        return np.isnan(column)
    return np.array([str(value) in _MISSING for value in column], dtype=bool)


def _named(names: Collection[Any]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {_listed(names)}"


def _listed(names: Collection[Any]) -> str:
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return ", ".join(map(repr, [*names][:_MOST_NAMED])) + more
