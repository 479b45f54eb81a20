"""The system account that runs a server: our own, or, for root, one to drop to."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgslate.errors import TargetError

#: Accounts that root drops to, first that exists. ``pgslate`` is the one made where none does.
ACCOUNTS = ("postgres", "pgslate")


@dataclass(frozen=True, slots=True)
class Account:
    """A system account; ``ours`` where it is the one this process runs as."""

    name: str
    uid: int
    gid: int
    ours: bool

    def popen_options(self) -> dict[str, Any]:
        """Keywords for ``subprocess.Popen`` that start a program as this account, without ``su``."""
        return {} if self.ours else {"user": self.uid, "group": self.gid, "extra_groups": []}


@functools.cache
def server_account() -> Account:
    """The account that will run servers: our own, unless we are root, as whom PostgreSQL refuses to run."""
    uid = os.geteuid()
    if uid != 0:
        return Account(_name_of(uid), uid, os.getegid(), ours=True)
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return _account(name)
    _make_account(ACCOUNTS[-1])
    for name in (ACCOUNTS[-1], "nobody"):
        with contextlib.suppress(KeyError):
            return _account(name)
    raise TargetError(
        "PostgreSQL refuses to run as root, and there is no other account to run it as",
        fix="make one (useradd --system pgslate), or run pgslate as another user",
    )


def _account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, ours=False)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _make_account(name: str) -> None:
    """Make a system account without a home or a login; two at once are fine, since one will find it made."""
    home = "/nonexistent"
    for command in (
        ["useradd", "--system", "--no-create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin", name],
        ["adduser", "-S", "-D", "-H", "-h", home, "-s", "/sbin/nologin", name],  # BusyBox
    ):
        program = shutil.which(command[0])
        if (
            program
            and subprocess.run([program, *command[1:]], capture_output=True, check=False).returncode == 0
        ):
            return


def can_reach(account: Account, path: Path) -> bool:
    """Whether the account may enter every folder on the way to ``path``, by their mode bits."""
    if account.ours:
        return True
    for folder in path.resolve().parents:
        if not folder.exists():
            continue  # will be made by us, for it
        status = folder.stat()
        if status.st_uid == account.uid:
            allowed = status.st_mode & 0o100
        elif status.st_gid == account.gid:
            allowed = status.st_mode & 0o010
        else:
            allowed = status.st_mode & 0o001
        if not allowed:
            return False
    return True
