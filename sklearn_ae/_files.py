"""Files of arrays and a JSON header, in the safetensors format: they hold no code.

The header is the one entry of the file's metadata. It begins with a checksum of the
whole file, in which the checksum itself counts as zeros: every changed byte is found.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import numpy as np
from safetensors.numpy import load, save

FORMAT = 1

_KEY = "sklearn_ae"
_BLANK = "0" * 64
# What safetensors reads at most.
_LONGEST_HEADER = 100_000_000


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
    content = {name: _in_c_order(array) for name, array in arrays.items()}
    data = memoryview(save(content, {_KEY: text}))
    end = 8 + int.from_bytes(data[:8], "little")
    if end > _LONGEST_HEADER:
        raise ValueError(
            f"What the estimator has besides arrays needs {end / 1e6:.0f} MB, which is "
            "more than a file of this format can hold; shorten history_, loss_curve_ "
            "and loss_terms_ first."
        )
    first = bytes(data[:end])
    checksum = hashlib.sha256(data).hexdigest()
    first = first.replace(_marked(_BLANK), _marked(checksum), 1)
    with _replacing(os.fsdecode(path)) as file:
        file.write(first)
        file.write(data[end:])


def read_file(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Answer the header and the arrays of a file that `write_file` has written.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is another file, or no longer what was written.
    """
    with open(os.fsdecode(path), "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        header = _read_header(file)
        file.seek(0)
        arrays = load(file.read())
    return header, arrays


def _in_c_order(array: np.ndarray) -> np.ndarray:
    native = array.dtype.newbyteorder("=")
    return np.array(array, dtype=native, order="C", copy=None)


def _marked(checksum: str) -> bytes:
    """Answer the checksum as it stands in the file: JSON inside a string of JSON."""
    return rf"{{\"sha256\":\"{checksum}\"".encode()


def _read_header(file: BinaryIO) -> dict[str, Any]:
    size = os.fstat(file.fileno()).st_size
    length = file.read(8)
    n_bytes = int.from_bytes(length, "little")
    if len(length) < 8 or n_bytes > min(size - 8, _LONGEST_HEADER):
        raise ValueError("it is no safetensors file, or only the beginning of one")
    first = file.read(n_bytes)
    metadata = _parse(first.decode()).get("__metadata__")
    if not isinstance(metadata, dict) or metadata.keys() != {_KEY}:
        raise ValueError("sklearn_ae has not written it")
    header = _parse(metadata[_KEY])
    version = header.get("format")
    if type(version) is not int or version < 1:
        raise ValueError(f"its format is {version!r}")
    if version > FORMAT:
        raise ValueError(
            f"sklearn_ae {header.get('library')} has written it in format {version}, "
            f"and this version reads formats up to {FORMAT}: upgrade sklearn_ae"
        )
    checksum = str(header.pop("sha256", None))
    blank = first.replace(_marked(checksum), _marked(_BLANK), 1)
    found = hashlib.sha256(length + blank)
    if hashlib.file_digest(file, lambda: found).hexdigest() != checksum:
        raise ValueError("its checksum is wrong: it is damaged or incomplete")
    return header


def _parse(text: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name occurs twice in its header")
        return found

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} in its header is no JSON")

    parsed = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    if not isinstance(parsed, dict):
        raise ValueError("its header is no JSON object")
    return parsed


def _open_at_once(path: str, flags: int) -> int:
    # A pipe would be waited for.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def _replacing(path: str) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of `path` once it is on the disk."""
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    is_there = os.path.exists(target)
    if is_there and not os.path.isfile(target):
        raise ValueError(f"{path} is no regular file.")
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".sklearn_ae-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if is_there:
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            error.filename = path
        raise
    _flush_folder(folder)


def _flush_folder(folder: str) -> None:
    """Put the new name on the disk too, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
