"""Python as it is on Windows, as far as names and files go; run as a script.

What python's documentation calls available on Unix only is deleted, after what the
package stands on has been imported: that has its own ways on each system. Then the
package is imported, and used.
"""

from __future__ import annotations

import importlib
import os
import pickle
import pkgutil
import select
import signal
import socket
import sys
import time
from pathlib import Path

import joblib
import matplotlib.pyplot  # noqa: F401
import numpy as np
import rich.progress  # noqa: F401
import safetensors.torch  # noqa: F401
import skorch.callbacks  # noqa: F401
import torch  # noqa: F401
import zuko  # noqa: F401
from scipy import stats  # noqa: F401
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV

MODULES = """
    _posixshmem _posixsubprocess crypt curses fcntl grp nis posix pty pwd readline
    resource spwd syslog termios tty
"""

# By the beginnings of their names: of constants there are many.
UNIX_ONLY = {
    os: """
        WCOREDUMP WCONTINUED WEX WIF WNO WSTOP WTERM WUNTRACED EX_ CLD_ CLONE_
        EFD_ F_LOCK F_TEST F_TLOCK F_ULOCK GRND_ MFD_ NGROUPS_MAX O_ACCMODE
        O_ASYNC O_CLOEXEC O_DIRECT O_DSYNC O_EVTONLY O_LARGEFILE O_NDELAY
        O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_RSYNC O_SYNC O_TMPFILE
        PIDFD_ POSIX_ PRIO_ P_ALL P_PGID P_PID P_PIDFD PR_ RTLD_ RWF_ SCHED_
        SEEK_DATA SEEK_HOLE SPLICE_ ST_ TFD_ XATTR_ chflags chown chroot confstr
        copy_file_range ctermid environb eventfd fchdir fchmod fchown fdatasync
        fork fpathconf fstatvfs fwalk get_blocking getegid getenvb geteuid
        getgid getgrouplist getgroups getloadavg getpgid getpgrp getpriority
        getrandom getresgid getresuid getsid getuid getxattr initgroups killpg
        lchflags lchmod lchown listxattr lockf login_tty major makedev
        memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open pipe2
        posix_ posix_fadvise posix_fallocate pread preadv pwrite pwritev readv
        register_at_fork removexattr sched_ sendfile set_blocking setegid
        seteuid setgid setgroups setns setpgid setpgrp setpriority setregid
        setresgid setresuid setreuid setsid setuid setxattr splice statvfs sync
        sysconf tcgetpgrp tcsetpgrp timerfd ttyname uname unshare wait3 wait4
        waitid waitid_result writev
    """,
    signal: """
        ITIMER_ ItimerError SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGHUP SIGIO
        SIGIOT SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGRTMAX SIGRTMIN
        SIGSTKFLT SIGSTOP SIGSYS SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1
        SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIG_BLOCK SIG_SETMASK
        SIG_UNBLOCK Sigmasks alarm getitimer pause pidfd_send_signal pthread_
        setitimer siginterrupt sigpending sigtimedwait sigwait
    """,
    socket: "AF_UNIX AF_PACKET AF_NETLINK CMSG_ SCM_ SO_REUSEPORT recv_fds send_fds",
    select: "EPOLL POLL epoll poll PIPE_BUF",
    time: "CLOCK_ clock_ pthread_getcpuclockid tzset",
}


def remove_names() -> None:
    """Delete what Windows has not."""
    for module, beginnings in UNIX_ONLY.items():
        only = tuple(beginnings.split())
        for name in [name for name in vars(module) if name.startswith(only)]:
            delattr(module, name)
    sys.modules.update(dict.fromkeys(MODULES.split()))


def forbid_what_windows_forbids() -> None:
    """Folders cannot be opened, and no file is replaced or removed while it is open."""

    def refuse_folder(path, *args, open_path=os.open, **kwargs):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return open_path(path, *args, **kwargs)

    def refuse_open_files(function):
        def call(*paths, **kwargs):
            numbers = Path("/proc/self/fd").iterdir()
            targets = {os.readlink(n) for n in numbers if n.is_symlink()}
            if targets & {os.path.realpath(path) for path in paths}:
                raise PermissionError(13, "Permission denied", paths[0])
            return function(*paths, **kwargs)

        return call

    os.open = refuse_folder
    for name in ("replace", "rename", "unlink", "remove"):
        setattr(os, name, refuse_open_files(getattr(os, name)))


def use_estimators(path: str) -> None:
    """Fit every class of the table, and let it answer, travel and sample."""
    import sklearn_ae
    from contract.table import ROWS, answers, labels, structured_rows

    X = structured_rows()
    for row in ROWS:
        y = labels(X) if row.needs_y else None
        density = GaussianMixture(2, random_state=0)
        estimator = row.make(**row.sampling(density)).fit(X, y)
        expected = answers(estimator, X)
        estimator.sample(3, random_state=0)
        estimator.save(path)
        loaded = sklearn_ae.load(path)
        # Over a file that has just been read.
        loaded.save(path)
        copies = [loaded, sklearn_ae.load(path), pickle.loads(pickle.dumps(estimator))]
        for copied in copies:
            for name, array in answers(copied, X).items():
                np.testing.assert_array_equal(array, expected[name])


def search() -> None:
    """One stack, none, one by one, and a path."""
    from sklearn_ae import LinearAutoencoder, SparseAutoencoder
    from sklearn_ae.model_selection import BatchedGridSearchCV, regularization_path

    X = np.random.default_rng(0).normal(size=(60, 6))
    sparse = SparseAutoencoder(4, penalty="l1", max_epochs=2, random_state=0)
    linear = LinearAutoencoder(2, max_epochs=2, random_state=0)
    for kind in (GridSearchCV, BatchedGridSearchCV):
        for code in (sparse, linear):
            kind(code, {"random_state": [0, 1]}, cv=2, n_jobs=1).fit(X)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        grid = {"alpha": [0.1, 1.0], "n_components": [2, 3]}
        BatchedGridSearchCV(sparse, grid, cv=2).fit(X)
    regularization_path(sparse, X, "alpha", [0.1, 1.0])


if __name__ == "__main__":
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401

    # Older releases of scikit-learn first look for threads here.
    GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(9, 2)))
    remove_names()
    forbid_what_windows_forbids()
    # Behind what is installed: the benchmarks are in the checkout only.
    sys.path.append(str(Path(__file__).parents[2]))
    for package in map(importlib.import_module, ("sklearn_ae", "benchmarks")):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    use_estimators(sys.argv[1])
    search()
    left = os.listdir(os.path.dirname(sys.argv[1]))
    assert left == [os.path.basename(sys.argv[1])], left
    print("all of it works")
