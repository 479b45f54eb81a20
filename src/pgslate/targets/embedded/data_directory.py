"""Data directories that are kept: initialised once for each server version, and copied for each server.

A kept one is a folder ``<cache>/data/<key>`` with ``data/`` and ``manifest``: the list of its files and their
sizes, and a name of its own, since another may take its place; and ``note``, what whoever kept it has to say
of it. It is made aside and renamed, so one that has its place is complete; a copy walks the manifest, so one
that lost a file, or part of one, is found out while it is copied, and made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgslate.errors import TargetError
from pgslate.targets.embedded.accounts import Account
from pgslate.targets.embedded.folders import cache_folder
from pgslate.targets.embedded.installations import Installation

#: ioctl_ficlonerange(2): share the blocks of another file, where the file system can (Btrfs, XFS).
FICLONE = 0x40049409

#: Changes when what is kept changes, so that an older pgslate's folders are not taken for ours.
LAYOUT = "3"

#: Names of what is kept by key begin with this; so many are kept, of 25 MB or more each.
KEPT, MOST_KEPT = "kept-", 16

#: What is still being made, or being removed, is this old (seconds) only if the process that did it died.
MAKING_AGE = 600.0

#: Blocks of zeros of this size become holes in what is kept; a page of PostgreSQL's log.
SPARSE_BLOCK = 8192
_ZEROS = bytes(SPARSE_BLOCK)

#: Locales to try: C.UTF-8 folds the case of every letter; C is there where it is not.
LOCALES = ("C.UTF-8", "C")


@dataclass(frozen=True, slots=True)
class Origin:
    """Which kept directory a data directory was copied from: where it was, its own ``name``, its ``note``."""

    place: Path
    name: str
    note: bytes = field(default=b"", repr=False)

    @property
    def has_key(self) -> bool:
        """Whether it was kept by key, and is not a fresh one."""
        return self.place.name.startswith(KEPT)


class DamagedError(Exception):
    """A kept data directory lacks a file of its manifest, or part of it."""


def initialised(installation: Installation, account: Account, scratch: Path) -> Path:
    """The kept, freshly initialised data directory for this server; made if it isn't there yet (0.5 s).

    ``scratch`` is a folder that the account can reach, to run initdb in. Safe with many processes at once:
    one makes it, the others wait. Raises ``TargetError`` with initdb's own words where it fails.
    """
    place = _place(installation, "initdb")
    if not is_complete(place):
        with _locked(place):
            if not is_complete(place):
                _initialise(installation, account, scratch, place)
    return place


def kept(installation: Installation, key: str) -> Path | None:
    """The data directory kept under ``key`` for this server, or None."""
    place = _place(installation, key, prefix=KEPT)
    if not is_complete(place):
        return None
    with contextlib.suppress(OSError):
        os.utime(place)  # it was used, so it is not the next to go
    return place


def keep(
    data: Path, installation: Installation, key: str, *, origin: Origin | None = None, note: bytes = b""
) -> Path:
    """Keep a copy of ``data``, of a server that was stopped cleanly, under ``key``; replaces an older one.

    ``note`` is kept with it, and is the ``Origin.note`` of copies.
    Files that were not written to since they were copied from ``origin`` are shared with it: they have the
    time of the last change that the copy gave them.
    """
    place = _place(installation, key, prefix=KEPT)
    with _locked(place):
        _keep(data, place, origin, note)
    _forget_oldest(place.parent)
    return place


def _forget_oldest(folder: Path) -> None:
    """Forget what was kept by key and not used for longest; whoever is copying it finds it damaged.

    What processes that died left aside goes too.
    """
    by_use = []
    for place in folder.glob(f"{KEPT}*"):
        with contextlib.suppress(FileNotFoundError):  # another process forgot it meanwhile
            by_use.append((place.stat().st_mtime_ns, place))
    for _, place in sorted(by_use, reverse=True)[MOST_KEPT:]:
        forget(place)
    for aside in folder.glob(".*/"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - aside.stat().st_mtime > MAKING_AGE:
                shutil.rmtree(aside, ignore_errors=True)


def forget(place: Path) -> None:
    """Remove a kept data directory, as one found damaged."""
    aside = place.with_name(f".{place.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        place.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def is_complete(place: Path) -> bool:
    return (place / "manifest").exists()


def copy_kept(place: Path, destination: Path, account: Account) -> Origin:
    """Copy the kept data directory at ``place`` to ``destination``, which must not exist, for the account.

    Raises ``DamagedError`` where the copy would not be whole.
    """
    manifest = _manifest(place)
    _copy_tree(place / "data", destination, manifest["folders"], manifest["files"], account)
    note = _note(place, manifest["note"])
    if _manifest(place)["name"] != manifest["name"]:
        raise DamagedError(f"{place} was replaced while it was copied")
    return Origin(place, manifest["name"], note)


def _manifest(place: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((place / "manifest").read_text())
        return {key: manifest[key] for key in ("name", "folders", "files", "note")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{place}: {error}") from error


def _note(place: Path, size: int) -> bytes:
    try:
        note = (place / "note").read_bytes()
    except OSError as error:
        raise DamagedError(f"{place}: {error}") from error
    if len(note) != size:
        raise DamagedError(f"{place / 'note'} has not the {size} bytes it was kept with")
    return note


def _place(installation: Installation, key: str, *, prefix: str = "") -> Path:
    build = (installation.bin / "postgres").stat()
    identity = "\n".join((LAYOUT, installation.version, str(installation.bin), str(build.st_size), key))
    return (
        cache_folder()
        / "data"
        / f"{prefix}pg{installation.version}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    )


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold the lock that goes with a kept directory; the kernel lets go of it when we end."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (place.parent / f".{place.name}.lock").open("w")
    except OSError as error:
        raise TargetError(
            f"the cache folder {cache_folder()} can't be written to: {error.strerror}",
            fix="name one that can be written to in PGSLATE_CACHE or XDG_CACHE_HOME",
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _initialise(installation: Installation, account: Account, scratch: Path, place: Path) -> None:
    data = scratch / "initdb"
    output = ""
    for locale in LOCALES:
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if not account.ours:
            os.chown(data, account.uid, account.gid)
        command = [
            *(str(installation.bin / "initdb"), "--pgdata", str(data), "--username", "postgres"),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", locale, "--no-sync", "--no-instructions"),
        ]
        outcome = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", env=server_environment(),
            **account.popen_options(),
        )  # fmt: skip
        if outcome.returncode == 0:
            _keep(data, place)
            shutil.rmtree(data, ignore_errors=True)
            return
        output = (outcome.stderr or outcome.stdout).strip()
    shutil.rmtree(data, ignore_errors=True)
    raise TargetError(
        f"initdb of {installation.label} failed:\n{output}",
        fix="check that the server's programs run on this machine and that the disk has room",
    )


def server_environment() -> dict[str, str]:
    """Our environment without what would reach into the server: libpq's variables and the locale."""
    kept_names = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return {**kept_names, "LC_ALL": "C", "TZ": "UTC"}


def _keep(data: Path, place: Path, origin: Origin | None = None, note: bytes = b"") -> None:
    aside = place.with_name(f".{place.name}-{secrets.token_hex(4)}")
    folders, files, written = _contents(data)
    aside.mkdir(mode=0o700, parents=True)
    try:
        for folder in folders:
            (aside / "data" / folder).mkdir(mode=0o700)
        shared = _share(origin, aside / "data", files, written) if origin else frozenset()
        own = {name: size for name, size in files.items() if name not in shared}
        _copy_files(data, aside / "data", own, None)
        (aside / "note").write_bytes(note)
        manifest = {"name": secrets.token_hex(8), "folders": folders, "files": files, "note": len(note)}
        (aside / "manifest").write_text(json.dumps(manifest))
        forget(place)
        aside.rename(place)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _share(
    origin: Origin, destination: Path, files: dict[str, int], written: dict[str, int]
) -> frozenset[str]:
    """Link what was not written to since it was copied; gives the names.

    ``files`` are the sizes, ``written`` the times of the last change, in nanoseconds since the epoch. Nobody
    writes to what is kept, so two may have the same file.
    """
    shared = []
    source = origin.place / "data"
    with contextlib.suppress(OSError):  # it was forgotten meanwhile, or this file system has no links
        for name, at in written.items():
            try:
                found = os.stat(f"{source}/{name}")  # noqa: PTH116 - a thousand times
            except FileNotFoundError:
                continue
            if (found.st_size, found.st_mtime_ns) == (files[name], at):
                os.link(f"{source}/{name}", f"{destination}/{name}")
                shared.append(name)
    with contextlib.suppress(DamagedError):
        if _manifest(origin.place)["name"] == origin.name:
            return frozenset(shared)
    for name in shared:  # another took its place meanwhile, and these may be that one's
        (destination / name).unlink()
    return frozenset()


def _contents(data: Path) -> tuple[list[str], dict[str, int], dict[str, int]]:
    """The folders of a stopped server's data directory, parents first; by file its size, and when it was
    written to, in nanoseconds since the epoch."""
    folders: list[str] = []
    files: dict[str, int] = {}
    written: dict[str, int] = {}
    for folder, _, names in os.walk(data):
        inside = os.path.relpath(folder, data)
        folders.append(inside)
        for name in names:
            if name not in ("postmaster.pid", "postmaster.opts"):
                inner = os.path.normpath(os.path.join(inside, name))  # noqa: PTH118 - a thousand times; Path would double the time
                found = os.stat(f"{folder}/{name}")  # noqa: PTH116
                files[inner], written[inner] = found.st_size, found.st_mtime_ns
    return folders, files, written


def _copy_tree(
    source: Path, destination: Path, folders: list[str], files: dict[str, int], account: Account
) -> None:
    for folder in folders:
        (destination / folder).mkdir(mode=0o700)
    _copy_files(source, destination, files, account)
    if not account.ours:
        for folder in folders:
            os.chown(destination / folder, account.uid, account.gid)


def _copy_files(source: Path, destination: Path, files: dict[str, int], account: Account | None) -> None:
    chown = None if account is None or account.ours else (account.uid, account.gid)
    copier = _Copier()
    for name, size in files.items():
        copy = copier.copy_sparse if account is None and name.startswith("pg_wal/") else copier.copy
        try:
            read = os.open(f"{source}/{name}", os.O_RDONLY)
        except FileNotFoundError as error:
            raise DamagedError(f"{source / name} is missing") from error
        try:
            write = os.open(f"{destination}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                found = os.fstat(read)
                if found.st_size != size:
                    raise DamagedError(f"{source / name} has not the {size} bytes it was kept with")
                copy(read, write, size)
                os.utime(write, ns=(found.st_atime_ns, found.st_mtime_ns))
                if chown:
                    os.fchown(write, *chown)
            finally:
                os.close(write)
        finally:
            os.close(read)


class _Copier:
    """Copies files the fastest way this pair of file systems has, which the first file finds out."""

    def __init__(self) -> None:
        self._can_clone = hasattr(os, "sendfile") and os.uname().sysname == "Linux"

    def copy(self, read: int, write: int, size: int) -> None:
        if size == 0:
            return
        if self._can_clone:
            try:
                fcntl.ioctl(write, FICLONE, read)
            except OSError:
                self._can_clone = False
            else:
                return
        for start, end in _data_ranges(read, size):
            _copy_range(read, write, start, end)
        os.ftruncate(write, size)

    def copy_sparse(self, read: int, write: int, size: int) -> None:
        """Copy all but blocks of zeros: a 16 MB WAL segment is mostly those, and then quick to copy again."""
        for start in range(0, size, SPARSE_BLOCK):
            block = os.pread(read, SPARSE_BLOCK, start)
            if block != _ZEROS[: len(block)]:
                os.pwrite(write, block, start)
        os.ftruncate(write, size)


def _data_ranges(read: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that are not holes: of a 16 MB WAL segment, the few kB that were written."""
    at = 0
    if size < 1 << 20:
        yield 0, size
        return
    while at < size:
        try:
            at = os.lseek(read, at, os.SEEK_DATA)
        except OSError:  # no data from here on
            return
        end = os.lseek(read, at, os.SEEK_HOLE)
        yield at, min(end, size)
        at = end


def _copy_range(read: int, write: int, start: int, end: int) -> None:
    os.lseek(write, start, os.SEEK_SET)
    if os.uname().sysname == "Linux":
        while start < end:
            sent = os.sendfile(write, read, start, end - start)
            if sent == 0:
                raise DamagedError("a kept file ended early")
            start += sent
        return
    while start < end:
        block = os.pread(read, min(1 << 20, end - start), start)
        if not block:
            raise DamagedError("a kept file ended early")
        os.write(write, block)
        start += len(block)
