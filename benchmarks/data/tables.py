"""The columns of a user's table: which are features, which one is the label."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchmarks.common import BenchmarkError

# The first ones are the surest.
LABEL_NAMES = [
    *("label", "target", "class", "y", "labels", "targets", "classes"),
    *("species", "cultivar", "variety", "diagnosis", "outcome", "category"),
    *("digit", "response", "survived", "genre", "type", "kind", "quality", "group"),
]
INDEX_NAMES = {"id", "ids", "index", "idx", "row", "rownames", "nr", "no", "number"}
# With more values than that, or fewer rows of each, a guess would be bold.
MAX_CLASSES, MIN_ROWS_OF_CLASS = 20, 5
# Whole numbers of more values than that are measured, as prices and ages are.
MAX_WHOLE_CLASSES = 100
MAX_LISTED = 6


@dataclass(frozen=True)
class LabelChoice:
    """Which column is the label: the named one, a guess, or none."""

    name: str | None = None
    guess: bool = True


@dataclass
class Columns:
    """What came of a table: features with NaN where there is no value, labels, notes.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,) or None
        Classes, or floats where the label is a measured number.
    label_name : str or None
    notes : list of str
        What was taken for what, and which option says otherwise.
    """

    X: np.ndarray
    y: np.ndarray | None = None
    label_name: str | None = None
    notes: list[str] = field(default_factory=list)


def part_columns(frame: pd.DataFrame, choice: LabelChoice) -> Columns:
    """Part a table into features and a label.

    Parameters
    ----------
    frame : DataFrame
    choice : LabelChoice

    Returns
    -------
    Columns

    Raises
    ------
    BenchmarkError
        If the named label is not there or is none, or no column holds numbers.
    """
    if frame.empty:
        raise BenchmarkError("there are names of columns, but no rows")
    frame, notes = _as_numbers(frame.set_axis(frame.columns.astype(str), axis=1))
    label, why = _find_label(frame, choice)
    left_out, reasons = _no_features(frame, label)
    notes += why + reasons
    features = frame.drop(columns=left_out)
    if features.empty:
        raise BenchmarkError(
            f"no column holds numbers to compare; the columns are {listed(frame)}"
            + (f", of which '{label}' is the label" if label else "")
        )
    constant = [name for name in features if features[name].nunique() == 1]
    if constant:
        notes.append(f"The same value in all rows, so of no use: {listed(constant)}.")
    X = features.to_numpy(dtype=np.float64, na_value=np.nan)
    X = np.where(np.isfinite(X), X, np.nan)
    if label is None:
        return Columns(X, notes=notes)
    given = frame[label].notna().to_numpy()
    if not given.all():
        notes.append(f"Rows without a label, left out: {(~given).sum():,}.")
    return Columns(X[given], _labels(frame[label][given]), label, notes)


def listed(names: Iterable[object]) -> str:
    """Return names in quotes, the first few of many."""
    names = [f"'{name}'" for name in names]
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest:,} more" if rest > 0 else "")


def _as_numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Make columns that are mostly numbers such; what is none there is missing."""
    columns, notes = {}, []
    for name, column in frame.items():
        given = column.notna()
        if not _holds_numbers(column) and given.any():
            numbers = pd.to_numeric(column.astype(str), errors="coerce").where(given)
            odd = column[given & numbers.isna()].astype(str)
            if 2 * len(odd) < given.sum():
                column = numbers
                if len(odd):
                    notes.append(
                        f"{len(odd):,} cell(s) of '{name}' are no numbers and count as "
                        f"missing: {listed(odd.unique())}."
                    )
        columns[name] = column
    return pd.DataFrame(columns), notes


def _holds_numbers(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column)


def _holds_whole_numbers(column: pd.Series) -> bool:
    """Whether all values are numbers without a fraction."""
    return _holds_numbers(column) and bool((column.dropna() % 1 == 0).all())


# The label


def holds_classes(y: np.ndarray) -> bool:
    """Whether labels are classes, of several rows each, and not measured numbers."""
    return "classes" in (_kind(pd.Series(y)) or "")


def _kind(column: pd.Series) -> str | None:
    """Return what a column is as a label: classes, measured numbers, or none."""
    n_values, n_rows = column.nunique(), column.count()
    if n_values < 2:
        return None
    if not _holds_numbers(column):
        return f"{n_values} classes" if 2 * n_values <= n_rows else None
    few = n_values <= min(MAX_WHOLE_CLASSES, n_rows / 2)
    if few and _holds_whole_numbers(column):
        return f"{n_values} classes"
    return "measured numbers"


def _labels(column: pd.Series) -> np.ndarray:
    """Return the values of a label, classes as whole numbers or text."""
    if not _holds_numbers(column):
        return column.astype(str).to_numpy(dtype=object)
    measured = _kind(column) == "measured numbers"
    return column.to_numpy(dtype=np.float64 if measured else np.int64)


def _find_label(
    frame: pd.DataFrame, choice: LabelChoice
) -> tuple[str | None, list[str]]:
    """Return the label's name, or None, and what a reader should know of it."""
    if choice.name is not None:
        _check_label(frame, choice.name)
        kind = _kind(frame[choice.name])
        return choice.name, [f"The label is column '{choice.name}', {kind}."]
    if not choice.guess:
        return None, ["No column is the label, as was asked."]
    named = sorted((name for name in frame if _is_label_name(name, frame)), key=_rank)
    alike = [name for name in frame if _looks_like_classes(frame[name])]
    label, reason = _guess(frame, named, alike)
    if label is None:
        notes = [
            "No column is taken for the label, so there are no accuracies and no "
            "colours; --label NAME names one."
        ]
    else:
        notes = [
            f"Column '{label}' ({_kind(frame[label])}) is taken for the label, "
            f"{reason}, and is no feature; --label NAME takes another one, --no-label "
            "none."
        ]
    doubtful = [c for c in named or alike if c != label and _holds_numbers(frame[c])]
    if doubtful:
        notes.append(
            f"Taken for features, though they look like labels: {listed(doubtful)}; "
            "if one of them is the label, --label NAME says so."
        )
    return label, notes


def _guess(
    frame: pd.DataFrame, named: list[str], alike: list[str]
) -> tuple[str | None, str]:
    """Return the column to take for the label, and why."""
    if named:
        return named[0], "by its name"
    texts = [name for name in alike if not _holds_numbers(frame[name])]
    ends = [name for name in texts or alike if name in frame.columns[[0, -1]]]
    if len(texts) == 1:
        return texts[0], "since it alone holds words that repeat"
    if texts and len(ends) == 1:
        return ends[0], "since it holds words that repeat, at one end of the table"
    if len(alike) == len(ends) == 1:
        return ends[0], "since it alone holds a few whole numbers"
    return None, ""


def _rank(name: str) -> tuple[bool, int]:
    """Return how surely a name is a label's, the surest first; the last word counts."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    if not words or words[-1] not in LABEL_NAMES:
        return True, len(LABEL_NAMES)
    return len(words) > 1, LABEL_NAMES.index(words[-1])


def _is_label_name(name: str, frame: pd.DataFrame) -> bool:
    """Whether a column has a name and values that labels have."""
    # Coordinates have the names x and y.
    coordinate = name.lower() == "y" and not {"x", "X"}.isdisjoint(frame.columns)
    known = _rank(name)[1] < len(LABEL_NAMES)
    return known and not coordinate and _kind(frame[name]) is not None


def _looks_like_classes(column: pd.Series) -> bool:
    """Whether a column has few words, or few whole numbers without a gap."""
    n_values = column.nunique()
    few = 2 <= n_values <= min(MAX_CLASSES, column.count() / MIN_ROWS_OF_CLASS)
    if not few or pd.api.types.is_datetime64_any_dtype(column):
        return False
    if not _holds_numbers(column):
        return True
    span = float(column.max()) - float(column.min())
    return _holds_whole_numbers(column) and span == n_values - 1


def _check_label(frame: pd.DataFrame, name: str) -> None:
    """Refuse a label that is not there, or tells nothing."""
    if name not in frame:
        alike = difflib.get_close_matches(name, frame, n=1)
        hint = f"; did you mean --label {alike[0]!r}?" if alike else ""
        raise BenchmarkError(
            f"there is no column {name!r}; the columns are {listed(frame)}{hint}"
        )
    if _kind(frame[name]) is None:
        raise BenchmarkError(
            f"column {name!r} is no label: it has {frame[name].nunique():,} different "
            f"value(s) in {frame[name].count():,} rows; a label is a number, or a word "
            "that several rows share and others do not"
        )


# The features


def _no_features(frame: pd.DataFrame, label: str | None) -> tuple[list[str], list[str]]:
    """Return the columns that are no features, and why."""
    why: dict[str, list[str]] = {}
    for name in frame:
        reason = "" if name == label else _reason(frame, name, label)
        if reason:
            why.setdefault(reason, []).append(name)
    left_out = [name for names in why.values() for name in names]
    notes = [f"Left out {reason}: {listed(names)}." for reason, names in why.items()]
    return left_out + [label] * (label is not None), notes


def _reason(frame: pd.DataFrame, name: str, label: str | None) -> str:
    """Return why a column is no feature, or nothing."""
    column = frame[name]
    if not column.notna().any():
        return "for want of values"
    if _numbers_rows(column):
        return "as numbers of the rows"
    if not _holds_numbers(column):
        return "as words or dates (encode them as numbers to have them)"
    if label is not None and holds_classes(frame[label]):
        pairs = frame[[name, label]].drop_duplicates()
        if len(pairs) == column.nunique() == frame[label].nunique():
            return "as the label in other words"
    return ""


def _numbers_rows(column: pd.Series) -> bool:
    """Whether a column is an index: counts rows, or is called so and repeats none."""
    if column.nunique() < len(column):
        return False
    name = str(column.name)
    if name.lower() in INDEX_NAMES or name.startswith("Unnamed:"):
        return not _holds_numbers(column) or _holds_whole_numbers(column)
    return _holds_numbers(column) and bool((column.diff().iloc[1:] == 1).all())
