"""Files of arrays and a JSON header, in the safetensors format: they hold no code."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape, glob
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np

if find_spec("fcntl"):
    from fcntl import LOCK_EX, LOCK_NB, flock
else:
    flock = None

_PREFIX, _SUFFIX = ".sklearn_ae-", ".tmp"


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` once it is on the disk.

    Parameters
    ----------
    path : str
        Links are followed.

    Raises
    ------
    OSError
        If it cannot be written; there is nothing new then.
    ValueError
        If `path` is no place for a file.
    """
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    is_there = os.path.exists(target)
    if is_there and not os.path.isfile(target):
        raise ValueError(f"{path} is no regular file.")
    folder = os.path.dirname(target)
    _sweep(folder)
    temporary = os.path.join(folder, _PREFIX + secrets.token_hex(8) + _SUFFIX)
    try:
        with _open_locked(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if is_there:
                shutil.copymode(target, temporary)
            if flock is None:
                # An open file keeps its name there, and nobody sweeps.
                file.close()
            os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            error.filename = path
        raise


@contextmanager
def _open_locked(temporary: str) -> Iterator[BinaryIO]:
    """Open a new file that nobody sweeps away while it is written."""
    while True:
        with open(temporary, "xb") as file:
            # Some file systems have no locks.
            with suppress(OSError):
                if flock is not None:
                    flock(file, LOCK_EX)
            # Unless somebody was faster, and has swept it away.
            if os.path.lexists(temporary):
                yield file
                return


def _sweep(folder: str) -> None:
    """Remove what writers that were killed have left behind, and nobody is writing."""
    if flock is None:
        return
    for path in glob(os.path.join(escape(folder), f"{_PREFIX}*{_SUFFIX}")):
        with suppress(OSError), open(path, "r+b", buffering=0) as file:
            flock(file, LOCK_EX | LOCK_NB)
            os.unlink(path)


# Versions that know only earlier ones refuse a file by it.
FORMAT = 2

_KEY = "sklearn_ae"
_BLANK = "0" * 64
_LONGEST_HEADER = 2**24
# What values of JSON take at most when they are read, by the characters that tell how
# many there are, and what they may take besides twice the header itself.
_BYTES_OF_VALUES = {"{": 256, "[": 80, ",": 64}
_MOST_BYTES_OF_VALUES = 2**25
# In the order in which the format has them in a file: by size.
_DTYPES = {
    **{"I64": np.dtype("<i8"), "U64": np.dtype("<u8"), "F64": np.dtype("<f8")},
    **{"I32": np.dtype("<i4"), "U32": np.dtype("<u4"), "F32": np.dtype("<f4")},
    **{"I16": np.dtype("<i2"), "U16": np.dtype("<u2"), "F16": np.dtype("<f2")},
    **{"I8": np.dtype("i1"), "U8": np.dtype("u1"), "BOOL": np.dtype("?")},
}
NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class Entry:
    """What a file says of one of its arrays.

    Attributes
    ----------
    dtype : dtype
    shape : tuple of int
    start : int
        Where it begins, behind the header.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int

    @property
    def nbytes(self) -> int:
        """How long it is."""
        return math.prod(self.shape) * self.dtype.itemsize


def write_file(
    path: str | os.PathLike[str], header: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
    header : dict
        Of what JSON can hold.
    arrays : dict of str to ndarray

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the header is too long, or `path` is no place for a file.
    """
    text = json.dumps(
        {"sha256": _BLANK, "format": FORMAT, **header},
        allow_nan=False,
        separators=(",", ":"),
    )
    content = {name: _as_written(array) for name, array in arrays.items()}
    order = [*NAMES.values()]
    names = sorted(content, key=lambda n: (order.index(NAMES[content[n].dtype]), n))
    first = _first_bytes(text, {name: content[name] for name in names})
    found = hashlib.sha256(first)
    for name in names:
        found.update(_bytes_of(content[name]))
    first = first.replace(_marked(_BLANK), _marked(found.hexdigest()), 1)
    with replacing(os.fsdecode(path)) as file:
        file.write(first)
        for name in names:
            file.write(_bytes_of(content[name]))


def _as_written(array: np.ndarray) -> np.ndarray:
    """Answer an array in the order of bytes and of entries that files have."""
    return np.array(array, dtype=array.dtype.newbyteorder("<"), order="C", copy=None)


def _bytes_of(array: np.ndarray) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8))


def _first_bytes(text: str, content: dict[str, np.ndarray]) -> bytes:
    """Answer what stands in front of the arrays.

    Raises
    ------
    ValueError
        If a reader would refuse it.
    """
    table: dict[str, Any] = {"__metadata__": {_KEY: text}}
    stop = 0
    for name, array in content.items():
        start, stop = stop, stop + array.nbytes
        table[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, stop],
        }
    written = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    if len(written) > _LONGEST_HEADER or not _is_affordable(written.decode()):
        raise ValueError(
            f"What the estimator has besides arrays needs {len(written) / 1e6:.0f} MB, "
            "which is more than a file of this format can hold; shorten history_, "
            "loss_curve_ and loss_terms_ first."
        )
    return len(written).to_bytes(8, "little") + written


class StoredFile:
    """A file that `write_file` has written, or that claims it; its arrays are not read.

    Attributes
    ----------
    header : dict
    entries : dict of str to Entry
        What it says of its arrays.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        size = os.fstat(file.fileno()).st_size
        length = file.read(8)
        n_bytes = int.from_bytes(length, "little")
        if len(length) < 8 or n_bytes > size - 8:
            raise ValueError("it is no safetensors file, or only the beginning of one")
        if n_bytes > _LONGEST_HEADER:
            raise ValueError(f"its header has {n_bytes} bytes, which is too long")
        first = file.read(n_bytes)
        table = _parse(first.decode())
        metadata = table.pop("__metadata__", None)
        if not isinstance(metadata, dict) or metadata.keys() != {_KEY}:
            raise ValueError("sklearn_ae has not written it")
        self.header = _parse(metadata[_KEY])
        _check_format(self.header)
        self._start = 8 + n_bytes
        self.entries = _checked_entries(table, size - self._start)
        self._checksum = str(self.header.pop("sha256", None))
        blank = first.replace(_marked(self._checksum), _marked(_BLANK), 1)
        self._found = hashlib.sha256(length + blank)
        self._left, self._taken = dict(self.entries), {}

    def __getitem__(self, name: str) -> Entry:
        """Answer what the file says of an array that has not been taken."""
        return self._left[name]

    def pop(self, name: str) -> np.ndarray:
        """Take an array, once; it may still turn out to be damaged."""
        entry = self._left.pop(name)
        self._taken[name] = array = np.empty(entry.shape, entry.dtype)
        self._read_into(array, entry)
        return array

    def set_apart(self, prefix: str) -> dict[str, Entry]:
        """Take the entries of a section, by their own names, without their arrays.

        Whoever has them gives `finish` places to read them to.
        """
        names = [name for name in self._left if name.startswith(prefix)]
        return {name.removeprefix(prefix): self._left.pop(name) for name in names}

    def finish(self, places: dict[str, np.ndarray]) -> None:
        """Read the arrays that were set apart, and compare the checksum.

        Parameters
        ----------
        places : dict of str to ndarray
            Where they are read to, by name.

        Raises
        ------
        ValueError
            If nobody has taken some, or the file is no longer what was written.
        """
        if self._left:
            raise ValueError(f"nothing needs its arrays {sorted(self._left)[:3]}")
        for name, entry in self.entries.items():
            array = self._taken.get(name)
            if array is None:
                array = places[name]
                self._read_into(array, entry)
            self._found.update(_bytes_of(array))
        if self._found.hexdigest() != self._checksum:
            raise ValueError("its checksum is wrong: it is damaged or incomplete")

    def _read_into(self, array: np.ndarray, entry: Entry) -> None:
        self._file.seek(self._start + entry.start)
        if self._file.readinto(_bytes_of(array)) != array.nbytes:
            raise ValueError("it has become shorter while it was read")
        if array.dtype == bool and array.view(np.uint8).max(initial=0) > 1:
            raise ValueError("a truth value in it is neither true nor false")


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[StoredFile]:
    """Open a file that `write_file` has written.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is another file.
    """
    with open(os.fsdecode(path), "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        yield StoredFile(file)


def _marked(checksum: str) -> bytes:
    """Answer the checksum as it stands in the file: JSON inside a string of JSON."""
    return rf"{{\"sha256\":\"{checksum}\"".encode()


def _check_format(header: dict[str, Any]) -> None:
    version = header.get("format")
    if type(version) is not int or version < 1:
        raise ValueError(f"its format is {version!r}")
    if version > FORMAT:
        raise ValueError(
            f"sklearn_ae {header.get('library')} has written it in format {version}, "
            f"and this version reads formats up to {FORMAT}: upgrade sklearn_ae"
        )


def _checked_entries(table: dict[str, Any], n_bytes: int) -> dict[str, Entry]:
    """Answer the entries of a table of arrays, in the order in which they fill a file.

    Raises
    ------
    ValueError
        If they do not: nothing is left out, and nothing stands twice.
    """
    found = {name: _checked_entry(name, entry) for name, entry in table.items()}
    in_order = sorted(found.items(), key=lambda item: (item[1].start, item[1].nbytes))
    stop = 0
    for name, entry in in_order:
        if entry.start != stop:
            raise ValueError(f"its array {name!r} does not begin where another ends")
        stop += entry.nbytes
    if stop != n_bytes:
        raise ValueError(
            f"it has {n_bytes} bytes for arrays of {stop}: it is damaged or incomplete"
        )
    return dict(in_order)


def _checked_entry(name: str, entry: dict[str, Any]) -> Entry:
    if entry.keys() == {"dtype", "shape", "data_offsets"}:
        dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
        are_sizes = all(map(_are_sizes, (shape, place)))
        if are_sizes and len(place) == 2 and len(shape) <= 32 and dtype in [*_DTYPES]:
            found = Entry(_DTYPES[dtype], tuple(shape), place[0])
            if place[1] - place[0] == found.nbytes:
                return found
    raise ValueError(f"its array {name!r} has no dtype, shape and place that fit")


def _are_sizes(value: Any) -> bool:
    is_list = isinstance(value, list)
    # Sizes beyond these are none that arrays can have, with a 0 among them or not.
    return is_list and all(type(size) is int and 0 <= size < 2**60 for size in value)


def _is_affordable(text: str) -> bool:
    """Whether the values that JSON tells of do not take much more than the text."""
    n_bytes = sum(text.count(mark) * n for mark, n in _BYTES_OF_VALUES.items())
    return n_bytes <= _MOST_BYTES_OF_VALUES + 2 * len(text)


def _parse(text: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name occurs twice in its header")
        return found

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} in its header is no JSON")

    if not _is_affordable(text):
        raise ValueError("its header has too many values")
    parsed = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    if not isinstance(parsed, dict):
        raise ValueError("its header is no JSON object")
    return parsed


def _open_at_once(path: str, flags: int) -> int:
    # A pipe would be waited for.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
