"""An installation where the server's account can run it: a wheel in root's home is copied to where it can."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from pgslate.errors import TargetError
from pgslate.targets.embedded.accounts import Account, can_reach
from pgslate.targets.embedded.folders import cache_folder
from pgslate.targets.embedded.installations import Installation

#: Where copies go where the cache folder is hidden too: root's to write, everybody's to read.
PLACES = (Path("/var/cache/pgslate"), Path("/var/tmp/pgslate"))  # noqa: S108 - checked to be root's


def reachable(installation: Installation, account: Account) -> Installation:
    """The installation itself, or, where the account can't get to it, a copy of it that it can (40 MB, once).

    Only root drops to another account, so only root makes copies.
    """
    if account.ours:
        return installation
    installation = dataclasses.replace(
        installation, bin=installation.bin.resolve(), share=installation.share.resolve()
    )
    if can_reach(account, installation.bin / "postgres") and can_reach(account, installation.share / "x"):
        return installation
    tree = installation.bin.parent
    if not installation.share.is_relative_to(tree):
        raise TargetError(
            f"{installation.label} can't be reached by the account {account.name}, which would run it",
            fix=f"make its folders readable for {account.name}, or run pgslate as another user",
        )
    stamp = (installation.bin / "postgres").stat()
    identity = f"{tree}\n{stamp.st_size}\n{stamp.st_mtime_ns}\n{installation.version}"
    copy = _copy(
        tree, f"pg{installation.version}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}", account
    )
    return dataclasses.replace(
        installation,
        bin=copy / installation.bin.relative_to(tree),
        share=copy / installation.share.relative_to(tree),
    )


def _copy(tree: Path, name: str, account: Account) -> Path:
    for place in (cache_folder(), *PLACES):
        copy = place / "installations" / name
        if can_reach(account, copy) and _is_ours(copy.parent):
            with (copy.parent / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not copy.exists():
                    _copy_aside(tree, copy)
            return copy / tree.parent.name / tree.name
    raise TargetError(
        f"the account {account.name}, which would run PostgreSQL, can't reach {tree}",
        fix=f"make {tree} readable for {account.name}, or run pgslate as another user",
    )


def _is_ours(folder: Path) -> bool:
    """Make the folder, or see that nobody else may write to it."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError:
        return False
    status = folder.lstat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _copy_aside(tree: Path, copy: Path) -> None:
    """Copy the tree so that it gets its name when it is whole.

    The libraries of a wheel are beside its package, in ``<package>.libs`` (PEP 513, auditwheel), and are
    looked for from the programs' own place: package, tree and libraries keep their places to each other.
    """
    package = tree.parent
    libraries = package.with_name(f"{package.name}.libs")
    with tempfile.TemporaryDirectory(dir=copy.parent) as aside:
        made = Path(aside) / copy.name
        shutil.copytree(tree, made / package.name / tree.name, symlinks=True, copy_function=_link_or_copy)
        if libraries.is_dir():
            shutil.copytree(libraries, made / libraries.name, symlinks=True, copy_function=_link_or_copy)
        for folder in (made, *(path for path in made.rglob("*") if path.is_dir() and not path.is_symlink())):
            folder.chmod(0o755)
        made.rename(copy)


def _link_or_copy(source: str, destination: str) -> None:
    """A hard link where the disk is the same and the file is readable by all, else a copy that is."""
    mode = Path(source).stat().st_mode
    if mode & 0o004:
        with contextlib.suppress(OSError):
            os.link(source, destination, follow_symlinks=False)
            return
    shutil.copyfile(source, destination)
    Path(destination).chmod(0o755 if mode & 0o100 else 0o644)
