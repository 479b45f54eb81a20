"""Run directories: one for each running server, locked by its owner, removed when nobody owns it any more.

A run directory holds ``data/`` (PostgreSQL's), ``log``, and the socket. The owner holds a lock (flock) on the
directory itself, so the kernel lets go of it however the owner ends. One that can be locked is stale: its
server, if it still runs, is ended, and it is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from pgslate.targets.embedded.accounts import Account
from pgslate.targets.embedded.data_directory import MAKING_AGE, Origin, copy_kept

#: Directories still being made have this prefix.
MAKING = ".making-"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A run directory that we hold the lock of; ``lock`` is the descriptor that holds it."""

    path: Path
    lock: int

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def log(self) -> Path:
        return self.path / "log"

    def give_to(self, account: Account, place: Path) -> Origin:
        """Copy the kept data directory at ``place`` into this one and hand all of it to the account.

        Raises ``DamagedError`` where what was kept is not whole.
        """
        origin = copy_kept(place, self.data, account)
        if not account.ours:
            os.chown(self.path, account.uid, account.gid)
            self.path.chmod(0o700)
        return origin

    def remove(self) -> None:
        """Remove the directory, and the lock with it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Let go of the lock, once; what is left of the directory is then anybody's to remove."""
        os.close(self.lock)


def make_run_directory(folder: Path) -> RunDirectory:
    """A new, empty, locked run directory in ``folder``; it gets its name once it is locked."""
    name = secrets.token_hex(6)
    making = folder / (MAKING + name)
    making.mkdir(mode=0o700)
    lock = os.open(making, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    making.rename(folder / name)
    return RunDirectory(folder / name, lock)


def remove_stale(folder: Path) -> list[Path]:
    """Remove the run directories in ``folder`` whose owner is gone, and end the servers still in them."""
    removed = []
    for path in folder.iterdir():
        if path.name.startswith(MAKING):
            with contextlib.suppress(FileNotFoundError):
                # a clock of the file system against our own: they are one on a machine's own disks
                if time.time() - path.stat().st_mtime > MAKING_AGE:
                    shutil.rmtree(path, ignore_errors=True)
        elif _is_abandoned(path):
            end_server(path / "data")
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


def _is_abandoned(path: Path) -> bool:
    """Whether it is a run directory whose owner is gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, or not a directory of ours
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def end_server(data: Path, *, timeout: float = 10.0) -> None:
    """End the server that runs in ``data``, if one does, at once and without a checkpoint; wait for its end.

    One that is not gone after ``timeout`` seconds is killed.
    """
    pid = server_pid(data)
    if pid is None:
        return
    until = time.monotonic() + timeout
    with contextlib.suppress(ProcessLookupError):
        while server_pid(data) == pid and time.monotonic() < until:
            os.kill(pid, signal.SIGQUIT)  # again, since one that is just starting may have missed it
            time.sleep(0.002)
        if server_pid(data) == pid:
            os.kill(pid, signal.SIGKILL)


def server_pid(data: Path) -> int | None:
    """The process id of the server that runs in ``data``; None where postmaster.pid is missing or stale."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid if _works_in(pid, data) else None


def _works_in(pid: int, data: Path) -> bool:
    """Whether the process is at home in ``data``: its id may be another's by now, and the file an old one."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve()
    except FileNotFoundError:  # the process is a zombie, or this is not Linux
        return not Path("/proc/self").exists()
    except OSError:
        return False
