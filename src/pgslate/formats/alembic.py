"""Alembic: revisions in Python, read as the SQL that Alembic's own offline mode prints.

Source: Alembic, "Generating SQL Scripts (offline mode)". ``alembic upgrade heads --sql`` is run in the
folder that holds ``alembic.ini``, with the project's own environment; its output is cut at the comments
``-- Running upgrade a -> b``, and what keeps Alembic's own version table is left out. A revision that reads
rows can't be printed: all are then run on a scratch server, and what they send is recorded. The place of a
statement is the ``def upgrade`` of its revision, since no line of the file holds the SQL.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError
from pgslate.formats import alembic_recorder
from pgslate.formats.listing import Listing, Options

name = "alembic"
substitutes = True

_TIMEOUT_S = 120
_REVISION = re.compile(r"^revision\s*(?::[^=\n]+)?=\s*[\"'](?P<revision>[^\"']+)[\"']", re.MULTILINE)
_DOWN_REVISION = re.compile(r"^down_revision\b", re.MULTILINE)
_RUNNING = re.compile(r"^-- Running upgrade (?P<before>.*?) -> (?P<revision>[\w, -]+?)\s*$", re.MULTILINE)
_UPGRADE = re.compile(r"^def upgrade\b", re.MULTILINE)
_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line \d+', re.MULTILINE)
_NOT_INSTALLED = re.compile(r"^ModuleNotFoundError: No module named '(?P<module>[\w.]+)'", re.MULTILINE)
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
    command = _alembic(ini.parent)
    done = _offline(command, ini, "heads")
    sources = _printed(done.stdout)
    if done.returncode == 0:
        _check_all_are_printed(sources, files)
    elif _raised_by(done.stderr, files):
        recorded = _recorded(command, ini, files, done.stderr, skip_code=options.skip_code)
        # What can be printed stays as it was printed when no revision read rows: its checksum is the same.
        printed = _printed_around(command, ini, files, done)
        found = {revision: printed.get(revision, source) for revision, source in recorded.items()}
        sources = {revision: source for revision, source in found.items() if source is not None}
    else:
        raise _failed(command, ini, done.stderr)
    return tuple(
        _migration(listing, revision, source, files.get(revision), number)
        for number, (revision, source) in enumerate(sources.items())
    )


def _migration(listing: Listing, revision: str, source: str, file: str | None, number: int) -> Migration:
    found = _UPGRADE.search(listing.text(file)) if file else None
    line = listing.text(file).count("\n", 0, found.start()) + 1 if file and found else 1
    return Migration(
        version=revision,
        name=Path(file or revision).stem,
        file=file or revision,
        source=source,
        order=(number,),
        made_by_line=line,
    )


def _printed(output: str) -> dict[str, str]:
    """The SQL of each revision in what offline mode printed."""
    script = output.replace("\r\n", "\n")
    found = list(_RUNNING.finditer(script))
    table = _VERSION_TABLE.search(script)
    ends = [one.start() for one in found[1:]] + [len(script)]
    name_of_table = table["table"] if table else "alembic_version"
    return {
        one["revision"]: _without_versions(script[one.end() : end], name_of_table)
        for one, end in zip(found, ends[: len(found)], strict=True)
    }


def _printed_around(
    command: Sequence[str], ini: Path, files: Mapping[str, str], done: subprocess.CompletedProcess[str]
) -> dict[str, str]:
    """The SQL of the revisions that can be printed, before and after those that can't.

    ``done`` is the first run, which one of them ended. Each next run begins behind the one that failed.
    """
    found: dict[str, str] = {}
    failed: set[str] = set()
    while True:
        found |= _printed(done.stdout)
        at = _raised_by(done.stderr, files) if done.returncode else None
        if at is None or at in failed:
            return {revision: source for revision, source in found.items() if revision not in failed}
        failed.add(at)
        done = _offline(command, ini, f"{at}:heads")


def _check_all_are_printed(sources: Mapping[str, str], files: Mapping[str, str]) -> None:
    if not sources:
        raise CatalogError(
            "Alembic's offline mode printed no revision",
            fix="see env.py: with context.is_offline_mode() it has to run the migrations, and to leave the"
            " output_buffer as it is",
        )
    missing = sorted(set(files) - set(sources))
    if missing:
        raise CatalogError(
            f"Alembic's offline mode left out {len(missing)} revisions: {', '.join(missing[:8])}",
            fix="see that each revision is below a head: alembic heads, alembic history",
        )


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


def _offline(command: Sequence[str], ini: Path, revisions: str) -> subprocess.CompletedProcess[str]:
    return _run([*command, "-c", ini.name, "upgrade", revisions, "--sql"], ini.parent)


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CatalogError(
            f"{' '.join(command)} took longer than {_TIMEOUT_S} s",
            fix="see why its env.py waits in offline mode",
        ) from None


def _raised_by(stderr: str, files: Mapping[str, str]) -> str | None:
    """The revision whose code raised what a traceback shows, or None where it was other code."""
    if _NOT_INSTALLED.search(stderr):
        return None
    names = {Path(file).name: revision for revision, file in files.items()}
    inside = [names[name] for path in _FRAME.findall(stderr) if (name := Path(path).name) in names]
    return inside[-1] if inside else None


def _recorded(
    command: Sequence[str], ini: Path, files: Mapping[str, str], stderr: str, *, skip_code: bool
) -> dict[str, str | None]:
    """The SQL of each revision, in order, as it is sent to a scratch server.

    With ``skip_code``, None for those that can't be run there either.
    """
    from pgslate.targets.embedded.server import Server

    with tempfile.TemporaryDirectory() as folder, Server.start() as server:
        server.create_database("recorded", template="template0")
        output = Path(folder) / "recorded.json"
        arguments = [str(ini), server.dsn("recorded"), str(output), *(["skip"] if skip_code else [])]
        # as -c, since its folder holds an alembic.py
        program = Path(alembic_recorder.__file__).read_text(encoding="utf-8")
        done = _run([_python(command), "-c", program, *arguments], ini.parent)
        answer = json.loads(output.read_text()) if output.exists() else {}
    if "revisions" in answer:
        sent = {each["revision"]: each["statements"] for each in answer["revisions"]}
        return {revision: _script_of(all_) if all_ is not None else None for revision, all_ in sent.items()}
    revision = answer.get("failed", _raised_by(stderr, files))
    offline = f"the revision {revision} can't be printed as SQL in Alembic's offline mode"
    if answer.get("needs"):
        raise CatalogError(
            f"{offline}, and can't be run on a scratch server: {answer['needs']} is not installed in"
            f" {_environment(command)}",
            fix=f"{_python(command)} -m pip install 'psycopg[binary]'",
        )
    raise CatalogError(
        f"{offline}, and fails on an empty scratch database:\n{_last_lines(answer.get('why', done.stderr))}",
        fix="mend the revision, so that `alembic upgrade` runs on an empty database; or leave out those"
        " that don't with --skip-code",
    )


def _script_of(statements: Sequence[str]) -> str:
    return "".join(f"{statement.rstrip().rstrip(';')};\n" for statement in statements)


def _failed(command: Sequence[str], ini: Path, stderr: str) -> CatalogError:
    missing = _NOT_INSTALLED.search(stderr)
    if missing:
        return CatalogError(
            f"{missing['module']} is not installed in {_environment(command)}, and"
            f" {_importer(stderr)} imports it:\n{_last_lines(stderr)}",
            fix=f"install it there: {_python(command)} -m pip install {missing['module'].split('.')[0]}",
        )
    return CatalogError(
        f"{' '.join(command)} -c {ini.name} upgrade heads --sql failed in {ini.parent}:\n"
        + _last_lines(stderr),
        fix="see that Alembic's offline mode works there: env.py is run for it",
    )


def _importer(stderr: str) -> str:
    """The last file of the project's own in a traceback."""
    own = [path for path in _FRAME.findall(stderr) if "site-packages" not in path and "<frozen" not in path]
    return Path(own[-1]).name if own else "env.py"


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-8:])


def _python(command: Sequence[str]) -> str:
    """The interpreter that runs this ``alembic``."""
    if len(command) > 1:
        return command[0]
    beside = Path(command[0]).parent / "python"
    if beside.is_file():
        return str(beside)
    first = Path(command[0]).read_text(errors="replace").split("\n", 1)[0]
    return first.removeprefix("#!").strip() or sys.executable


def _environment(command: Sequence[str]) -> Path:
    return Path(_python(command)).parent.parent


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
