"""Alembic: revisions in Python, read as the SQL that Alembic's own offline mode prints.

Source: Alembic, "Generating SQL Scripts (offline mode)". ``alembic upgrade heads --sql`` is run in the
folder that holds ``alembic.ini``, with the project's own environment; its output is cut at the comments
``-- Running upgrade a -> b``, and what keeps Alembic's own version table is left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError
from pgslate.formats.listing import Listing, Options

name = "alembic"
substitutes = True

_TIMEOUT_S = 120
_REVISION = re.compile(r"^revision\s*(?::[^=\n]+)?=\s*[\"'](?P<revision>[^\"']+)[\"']", re.MULTILINE)
_DOWN_REVISION = re.compile(r"^down_revision\b", re.MULTILINE)
_RUNNING = re.compile(r"^-- Running upgrade (?P<before>.*?) -> (?P<revision>[\w, -]+?)\s*$", re.MULTILINE)
_VERSION_TABLE = re.compile(r"^CREATE TABLE (?P<table>\S+) \(\s*version_num ", re.MULTILINE)


def recognise(listing: Listing) -> str | None:
    revision = next(iter(_revisions(listing)), None)
    if revision is None:
        return None
    ini = _ini(listing)
    return f"{revision[1]} is an Alembic revision" + (f", and there is {ini}" if ini else "")


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    files = dict(_revisions(listing))
    ini = _ini(listing)
    if ini is None:
        raise CatalogError(
            f"there is no alembic.ini in {listing.root} or above it",
            fix="point --catalog at the folder that holds alembic.ini",
        )
    script = _offline(ini)
    found = list(_RUNNING.finditer(script))
    table = _VERSION_TABLE.search(script)
    ends = [one.start() for one in found[1:]] + [len(script)]
    migrations = []
    for number, (one, end) in enumerate(zip(found, ends, strict=True)):
        source = _without_versions(script[one.end() : end], table["table"] if table else "alembic_version")
        revision = one["revision"]
        file = files.get(revision, revision)
        migrations.append(
            Migration(version=revision, name=Path(file).stem, file=file, source=source, order=(number,))
        )
    missing = sorted(set(files) - {m.version for m in migrations})
    if missing:
        raise CatalogError(
            f"Alembic's offline mode left out {len(missing)} revisions: {', '.join(missing[:8])}",
            fix="see that each revision is below a head: alembic heads, alembic history",
        )
    return tuple(migrations)


def _revisions(listing: Listing) -> Iterator[tuple[str, str]]:
    """(revision, file) of each Python file that is one."""
    for file in listing.files:
        if not file.endswith(".py") or file.count("/") > 3:
            continue
        text = listing.text(file)
        found = _REVISION.search(text)
        if found and _DOWN_REVISION.search(text):
            yield found["revision"], file


def _ini(listing: Listing) -> Path | None:
    below = next(
        (f for f in listing.files if f.rsplit("/", 1)[-1] == "alembic.ini" and f.count("/") <= 1), None
    )
    return listing.root / below if below else listing.above("alembic.ini")


def _offline(ini: Path) -> str:
    command = [*_alembic(ini.parent), "-c", ini.name, "upgrade", "heads", "--sql"]
    try:
        done = subprocess.run(
            command, cwd=ini.parent, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CatalogError(
            f"{' '.join(command)} took longer than {_TIMEOUT_S} s",
            fix="see why its env.py waits in offline mode",
        ) from None
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise CatalogError(
            f"{' '.join(command)} failed in {ini.parent}:\n{last}",
            fix="see that offline mode works: a revision that reads rows can't be printed as SQL",
        )
    return done.stdout.replace("\r\n", "\n")


def _alembic(folder: Path) -> list[str]:
    """The command: of the project's own virtual environment, of ours, or on the PATH."""
    for environment in (".venv", "venv"):
        own = folder / environment / "bin" / "alembic"
        if own.is_file():
            return [str(own)]
    if find_spec("alembic") is not None:
        return [sys.executable, "-m", "alembic"]
    from shutil import which

    found = which("alembic")
    if found is None:
        raise CatalogError(
            "these are Alembic revisions, and Alembic is not installed here",
            fix="install alembic and what the project's env.py imports, in this environment or in its .venv",
        )
    return [found]


def _without_versions(text: str, table: str) -> str:
    """``text`` with the statements that keep Alembic's version table blanked."""
    writes = (
        rf"INSERT INTO {re.escape(table)} \(",
        rf"UPDATE {re.escape(table)} SET",
        rf"DELETE FROM {re.escape(table)} ",  # noqa: S608  a pattern of what to leave out, not SQL to run
    )
    kept = re.compile(rf"^(?:{'|'.join(writes)})[^;]*;", re.MULTILINE)
    return _unwrapped(kept.sub("", text))


def _unwrapped(text: str) -> str:
    """``text`` without what frames a revision: the COMMIT at its end, the BEGIN of the next."""
    text = re.sub(r"\s*COMMIT;\s*(?:BEGIN;\s*)?\Z", "\n", text)
    return re.sub(r"\A\s*BEGIN;", "\n", text)
