"""Tables in text files: their encoding, separator and header, found by looking."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import BenchmarkError

# A file with decimal commas parts at them as well, so the comma comes last.
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}
SPACES = r"\s+"
SAMPLE_BYTES = 1 << 16
MIN_AGREEMENT = 0.9


def read_delimited(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a text file as a table.

    Parameters
    ----------
    path : Path
        Lines of fields between commas, semicolons, tabs, bars or spaces; names of the
        columns may stand in the first one.

    Returns
    -------
    frame : DataFrame
        Columns that hold nothing but numbers are numbers.
    notes : list of str
        What a reader would not take for granted.

    Raises
    ------
    BenchmarkError
        If the file is empty or its lines are no table.
    """
    with path.open("rb") as file:
        start = file.read(SAMPLE_BYTES)
    encoding = _encoding(path, start)
    sample = start.decode(encoding, errors="ignore")
    lines = [line for line in sample.splitlines() if line.strip()]
    # The last line may be cut; a blank one is no row.
    lines = lines[:-1] if len(start) == SAMPLE_BYTES else lines
    if not lines:
        raise BenchmarkError(
            "the file is empty; a table has a line with the names of its columns and "
            "one for each row"
        )
    separator = _separator(lines)
    decimal = "," if separator != "," and _has_decimal_commas(lines) else "."
    first = _fields(lines[0], separator)
    has_header = _names_columns(first, decimal)
    notes = []
    if separator not in (",", SPACES):
        commas = ", decimals by commas" if decimal == "," else ""
        notes.append(f"Columns are parted by {SEPARATORS[separator]}{commas}.")
    if not has_header:
        notes.append(
            "The first line holds numbers, so it is taken for a row, and columns are "
            f"called 'column 1' to 'column {len(first)}'; a first line of names would "
            "name them."
        )
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            decimal=decimal,
            encoding=encoding,
            header=0 if has_header else None,
            skipinitialspace=True,
            na_values=["?"],
        )
    except pd.errors.ParserError as error:
        raise _uneven(str(error).strip()) from error
    if not has_header:
        frame.columns = [f"column {number + 1}" for number in range(frame.shape[1])]
    frame, more = _name_all(frame)
    return frame, notes + more


def _uneven(what: str) -> BenchmarkError:
    return BenchmarkError(
        f"lines have different numbers of fields ({what}); below a line of names each "
        "line has to be a row, so delete what stands above or between"
    )


def _name_all(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Mend a table whose rows have one field more than there are names.

    Pandas makes an index of the first field, which may be right: so R writes tables.
    """
    if isinstance(frame.index, pd.RangeIndex):
        return frame, []
    if frame.index.nlevels > 1:
        n_fields = frame.index.nlevels + frame.shape[1]
        raise _uneven(f"{frame.shape[1]} in the first, {n_fields} in others")
    if frame.shape[1] and frame.iloc[:, -1].isna().all():
        # The lines end with a separator.
        return frame.reset_index().iloc[:, :-1].set_axis(frame.columns, axis=1), []
    return frame.reset_index(drop=True), [
        "Rows have one field more than there are names, so the first is taken for the "
        "name of the row, and is no feature."
    ]


def _encoding(path: Path, start: bytes) -> str:
    """Return how the file is written, as byte order mark and contents tell."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        with path.open(encoding="utf-8-sig") as file:
            while file.read(SAMPLE_BYTES):
                pass
    except UnicodeDecodeError:
        # What spreadsheets write where they do not write UTF-8; every byte is a letter.
        return "latin-1"
    return "utf-8-sig"


def _fields(line: str, separator: str) -> list[str]:
    """Part one line."""
    if separator == SPACES:
        return line.split()
    return [f.strip() for f in next(csv.reader([line], delimiter=separator))]


def _separator(lines: list[str]) -> str:
    """Return what parts most lines into the same number of fields, above one."""

    def agreement(separator: str) -> float:
        counts = Counter(len(_fields(line, separator)) for line in lines)
        n_fields, n_lines = counts.most_common(1)[0]
        return n_lines / len(lines) if n_fields > 1 else 0.0

    best = max(SEPARATORS, key=agreement)
    if agreement(best) >= MIN_AGREEMENT:
        return best
    return SPACES if agreement(SPACES) >= MIN_AGREEMENT else ","


def _has_decimal_commas(lines: list[str]) -> bool:
    """Whether numbers have commas and none has a point."""
    text = "\n".join(lines)
    return bool(re.search(r"\d,\d", text)) and not re.search(r"\d\.\d", text)


def _names_columns(fields: list[str], decimal: str) -> bool:
    """Whether a first line holds names: no numbers, or such as 0, 1, 2, ..."""
    texts = pd.Series([field.replace(decimal, ".") for field in fields], dtype=str)
    numbers = pd.to_numeric(texts, errors="coerce").dropna().to_numpy()
    if not len(numbers):
        return True
    steps = np.diff(numbers)
    # Pixels, years and wavelengths have numbers for names.
    return len(steps) > 1 and steps[0] != 0 and bool(np.allclose(steps, steps[0]))
