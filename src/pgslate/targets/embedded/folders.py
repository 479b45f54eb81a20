"""The folders embedded servers use: what is kept (cache), what is running (run), what stays up (state)."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from pgslate.errors import TargetError
from pgslate.targets.embedded.accounts import Account, can_reach

#: A throw-away server starts with 24 MB of data; with less room than this its tests would run out of it.
TMPFS_ROOM = 1 << 30

#: A socket's path may have 107 bytes (``sun_path``); ``/.s.PGSQL.65535.lock`` takes 21 of them.
SOCKET_FOLDER_LENGTH = 107 - 21

#: Where everybody may write, for a TMPDIR that only root may enter.
SHARED_TEMPORARY = Path("/tmp")  # noqa: S108 - as below

TMPFS = Path("/dev/shm")  # noqa: S108 - where Linux mounts a tmpfs; what we make in it is checked to be ours


def cache_folder() -> Path:
    """Where initialised data directories are kept: ``PGSLATE_CACHE``, or the user's cache folder."""
    forced = os.environ.get("PGSLATE_CACHE")
    if forced:
        return Path(forced).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("pgslate")


def state_folder() -> Path:
    """Where ``pgslate up`` writes down what it started: ``PGSLATE_STATE``, or in ``PGSLATE_CACHE``, or the
    user's state folder."""
    own = os.environ.get("PGSLATE_STATE")
    if own:
        return Path(own).expanduser().absolute()
    forced = os.environ.get("PGSLATE_CACHE")
    if forced:
        return Path(forced).expanduser().absolute() / "state"
    import platformdirs

    return platformdirs.user_state_path("pgslate")


def run_folder(account: Account, *, tmpfs: bool | None) -> Path:
    """The folder of the running servers that end with their owner: on tmpfs, on disk, or (None) the best.

    Raises ``TargetError`` where tmpfs is asked for and is not there or has no room.
    """
    return ours(_parent(account, tmpfs=tmpfs) / f"pgslate-{account.name}", account)


def up_folder(account: Account, *, tmpfs: bool | None) -> Path:
    """The folder of the servers that stay up; like ``run_folder``, but nothing in it is ever stale."""
    return ours(_parent(account, tmpfs=tmpfs) / f"pgslate-{account.name}-up", account)


def _parent(account: Account, *, tmpfs: bool | None) -> Path:
    if tmpfs is None:
        tmpfs = tmpfs_has_room()
    elif tmpfs and not tmpfs_has_room():
        raise TargetError(
            f"{TMPFS} is not there, can't be written to, or has less than {TMPFS_ROOM >> 20} MB free",
            fix="make room (docker run --shm-size=2g), or leave out tmpfs to use the disk",
        )
    if tmpfs:
        return TMPFS
    temporary = Path(tempfile.gettempdir()).resolve()
    return temporary if can_reach(account, temporary / "pgslate") else SHARED_TEMPORARY


def tmpfs_has_room() -> bool:
    """Whether there is a tmpfs to write to, with room in it and in the memory behind it."""
    if not os.access(TMPFS, os.W_OK | os.X_OK):
        return False
    room = os.statvfs(TMPFS)
    return room.f_bavail * room.f_frsize >= TMPFS_ROOM and _available_memory() >= 2 * TMPFS_ROOM


def _available_memory() -> int:
    """Bytes of memory that can still be taken, as Linux estimates (proc(5), MemAvailable)."""
    with Path("/proc/meminfo").open() as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def ours(folder: Path, account: Account) -> Path:
    """Make ``folder`` for us and the account only, or check that it is; other people can write to its parent.

    Where we are root and the account is not, the folder is root's, and sticky: the account may remove what it
    owns in it, and no more.
    """
    mode = 0o700 if account.ours else 0o1770
    try:
        folder.mkdir(mode=0o700)
        if not account.ours:
            os.chown(folder, 0, account.gid)
            folder.chmod(mode)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o002:
            raise TargetError(
                f"{folder} belongs to someone else, or others may write to it", fix=f"remove {folder}"
            ) from None
        if not account.ours and (stat.S_IMODE(status.st_mode) != mode or status.st_gid != account.gid):
            os.chown(folder, 0, account.gid)  # the process that made it died, or is about to do the same
            folder.chmod(mode)
    return folder
