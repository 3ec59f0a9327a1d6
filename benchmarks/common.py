"""What every benchmark shares: clocks, threads, progress, tables and their files."""

from __future__ import annotations

import argparse
import csv
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table as RichTable
from threadpoolctl import threadpool_limits

Result = TypeVar("Result")
Row = Mapping[str, Any]
MISSING = "–"
# In a heading, before a line break: the word goes on. Seen where lines are short only.
SOFT_HYPHEN = "\u00ad"


class BenchmarkError(ValueError):
    """A request that cannot be met; shown to the user without a traceback."""


def positive(text: str) -> int:
    """Parse a command-line integer above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive integer")
    return value


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the option that every benchmark has."""
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("results"),
        help="folder for tables and pictures (default: %(default)s)",
    )


def timed(function: Callable[[], Result]) -> tuple[float, Result]:
    """Call `function` once; return the seconds it took and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    """Return the median time of `repeats` calls, in seconds."""
    return statistics.median(timed(function)[0] for _ in range(repeats))


def interleaved(
    functions: Mapping[str, Callable[[], float]],
    repeats: int,
    on_step: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Collect `repeats` measurements of each function, taking turns.

    Taking turns lets a change in the machine's load reach all competitors alike.
    """
    measured: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            measured[name].append(function())
            on_step()
    return measured


def median_of(rows: Sequence[Row], key: str) -> float | None:
    """Return the median of a column over the rows that have a value there."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None


@contextmanager
def limited_threads(n_threads: int | None) -> Iterator[None]:
    """Hold BLAS and OpenMP pools, torch's among them, to `n_threads`."""
    import torch

    # The call loads torch's OpenMP pool, which threadpoolctl sees from then on.
    torch.get_num_threads()
    with threadpool_limits(n_threads):
        yield


def environment() -> str:
    """Return one line on the machine and the versions behind the figures."""
    packages = ["scikit-learn", "torch", "skorch", "numpy"]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {versions}"
    )


def progress_bar() -> Progress:
    """Return a progress bar on standard error, so that tables can be piped."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@dataclass(frozen=True)
class Column:
    """A column: the key into each row, its heading and its format."""

    key: str
    header: str
    format: str = ""

    @property
    def plain_header(self) -> str:
        """The heading in one line."""
        joined = self.header.replace(f"{SOFT_HYPHEN}\n", "").replace("-\n", "-")
        return joined.replace("\n", " ")

    def text(self, row: Row) -> str:
        """Return the cell of `row` as it is shown."""
        value = row.get(self.key)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return MISSING
        return format(value, self.format)


@dataclass
class Table:
    """Rows with headings and notes, shown in a terminal and written to files."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=list)

    def show(self) -> None:
        """Print the table and its notes."""
        # Narrow enough for 80 letters, where boxes would cut names.
        table = RichTable(
            title=self.title,
            title_justify="left",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        for column in self.columns:
            numeric = column.format not in ("", "s")
            header = column.header.replace(SOFT_HYPHEN, "-")
            words = " ".join([header, *map(column.text, self.rows)]).split()
            table.add_column(
                header,
                justify="right" if numeric else "left",
                no_wrap=numeric,
                min_width=max(map(len, words), default=1),
            )
        for row in self.rows:
            table.add_row(*(column.text(row) for column in self.columns))
        console = Console(highlight=False)
        # A pipe has no width of its own; cutting the table to 80 would lose cells.
        if not console.is_terminal:
            console = Console(highlight=False, width=120)
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False)

    def to_markdown(self) -> str:
        """Return the table and its notes as Markdown."""
        columns = []
        for column in self.columns:
            cells = [column.plain_header, *map(column.text, self.rows)]
            cells = [cell.replace("|", "\\|") for cell in cells]
            # Files are read as they are, too: cells of a column have one width.
            width = max(3, *map(len, cells))
            if column.format in ("", "s"):
                header, *body = [cell.ljust(width) for cell in cells]
                columns.append([header, "-" * width, *body])
            else:
                header, *body = [cell.rjust(width) for cell in cells]
                columns.append([header, "-" * (width - 1) + ":", *body])
        lines = [f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True)]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"## {self.title}", "", *lines, "", *notes, ""])

    def write(self, folder: Path, stem: str) -> list[Path]:
        """Write ``stem.csv`` (full precision) and ``stem.md``; return both paths."""
        markdown = folder / f"{stem}.md"
        folder.mkdir(parents=True, exist_ok=True)
        markdown.write_text(self.to_markdown(), encoding="utf-8")
        keys = [column.key for column in self.columns]
        return [write_rows(folder / f"{stem}.csv", keys, self.rows), markdown]


def write_rows(path: Path, keys: Sequence[str], rows: Sequence[Row]) -> Path:
    """Write the named columns of `rows` as CSV, missing values empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def say(message: str) -> None:
    """Print a plain line on standard error, beside the progress bar."""
    print(message, file=sys.stderr)
