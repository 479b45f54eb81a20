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
from pgslate.targets.embedded.installations import Installation

#: Where copies go, first that works: root's to write, everybody's to read.
PLACES = (Path("/var/cache/pgslate"), Path("/var/tmp/pgslate-installations"))  # noqa: S108 - checked to be root's


def reachable(installation: Installation, account: Account) -> Installation:
    """The installation itself, or, where the account can't get to it, a copy of it that it can (40 MB, once).

    Only root drops to another account, so only root makes copies.
    """
    if account.ours or can_reach(account, installation.bin / "postgres"):
        return installation
    tree = Path(os.path.commonpath((installation.bin, installation.share)))
    if tree == Path("/"):
        raise TargetError(
            f"{installation.label} can't be reached by the account {account.name}, which would run it",
            fix=f"make its folders readable for {account.name}, or run pgslate as another user",
        )
    stamp = (installation.bin / "postgres").stat()
    told = f"{tree}\n{stamp.st_size}\n{stamp.st_mtime_ns}\n{installation.version}"
    name = f"pg{installation.version}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    copy = _copy(tree, name, account)
    return dataclasses.replace(
        installation,
        bin=copy / installation.bin.relative_to(tree),
        share=copy / installation.share.relative_to(tree),
    )


def _copy(tree: Path, name: str, account: Account) -> Path:
    for place in PLACES:
        try:
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError:
            continue
        if (
            place.lstat().st_uid != os.geteuid()
            or place.lstat().st_mode & 0o022
            or not can_reach(account, place / name)
        ):
            continue
        copy = place / name
        with (place / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not copy.exists():
                aside = Path(tempfile.mkdtemp(dir=place))
                shutil.copytree(tree, aside / "tree", symlinks=True, copy_function=_link_or_copy)
                for folder in (aside / "tree", *(p for p in (aside / "tree").rglob("*") if p.is_dir())):
                    folder.chmod(0o755)
                (aside / "tree").rename(copy)
                aside.rmdir()
        return copy
    raise TargetError(
        f"the account {account.name}, which would run PostgreSQL, can't reach {tree}",
        fix=f"make {tree} readable for {account.name}, or run pgslate as another user",
    )


def _link_or_copy(source: str, destination: str) -> None:
    """A hard link where the disk is the same and the file is readable by all, else a copy that is."""
    mode = Path(source).stat().st_mode
    if mode & 0o004:
        with contextlib.suppress(OSError):
            os.link(source, destination, follow_symlinks=False)
            return
    shutil.copyfile(source, destination)
    Path(destination).chmod(0o755 if mode & 0o100 else 0o644)
