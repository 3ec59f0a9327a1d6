"""Files that take the place of others when they are complete, and leave nothing else.

While it is written a file has no name, where the system has files without one; else a
name that no other has. Its writer holds a lock on it, so that what a writer has left
behind that was killed can be told from what is still being written: the next one that
writes into the folder removes it.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import BinaryIO

if find_spec("fcntl"):
    from fcntl import LOCK_EX, LOCK_NB, flock
else:
    flock = None

_PREFIX, _SUFFIX = ".sklearn_ae-", ".tmp"
_OPEN_FILES = "/proc/self/fd"


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
        with _open_without_name(folder) or _open_named(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _give_name(file, temporary)
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
    _flush_folder(folder)


def _open_without_name(folder: str) -> BinaryIO | None:
    """Open a file that is gone when its writer is; None where there are none such."""
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir(_OPEN_FILES):
        return None
    try:
        handle = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError:
        # Not every file system has them. What else is wrong comes again with a name.
        return None
    file = os.fdopen(handle, "wb")
    with suppress(OSError):
        flock(handle, LOCK_EX)
    return file


def _open_named(temporary: str) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        handle = os.open(temporary, flags, 0o666)
        if flock is None:
            return os.fdopen(handle, "wb")
        # Some file systems have no locks.
        with suppress(OSError):
            flock(handle, LOCK_EX)
        if os.path.lexists(temporary):
            return os.fdopen(handle, "wb")
        # Somebody had it before, and has swept it away.
        os.close(handle)


def _give_name(file: BinaryIO, temporary: str) -> None:
    """Let a file without a name have one."""
    if os.fstat(file.fileno()).st_nlink or flock is None:
        return
    name = f"{_OPEN_FILES}/{file.fileno()}"
    folder = os.open(os.path.dirname(temporary), os.O_RDONLY)
    try:
        # With a folder, a link to an open file stands for what it leads to.
        os.link(name, os.path.basename(temporary), src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def _sweep(folder: str) -> None:
    """Remove what writers that were killed have left behind."""
    if flock is None:
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                _remove_abandoned(entry.path)


def _remove_abandoned(path: str) -> None:
    """Remove a file that nobody is writing."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            flock(handle, LOCK_EX | LOCK_NB)
            os.unlink(path)
        finally:
            os.close(handle)


def _flush_folder(folder: str) -> None:
    """Put the new name on the disk too, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
