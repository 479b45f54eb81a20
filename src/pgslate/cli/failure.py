"""Reports a failure: to a reader on stderr; with ``--format json``, also to a program on stdout."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import sys
from collections.abc import Sequence
from typing import Any

from pgslate.catalog.sqlstates import MEANINGS, ends_the_connection
from pgslate.cli.streams import write
from pgslate.errors import ConnectionLostError, PgslateError, TargetError, UsageError, without_passwords
from pgslate.plain_text import shortened

OUR_FAULT = 70  # EX_SOFTWARE of sysexits(3)
_LOG = "look at the server's log, then run again"


def report(error: Exception, args: Sequence[str]) -> int:
    """Print ``error`` in the form that the command line ``args`` asks for, and return its exit status."""
    if "--debug" in args:
        import traceback

        _say(sys.stderr, without_passwords("".join(traceback.format_exception(error))) + "\n")
    one = known(error)
    if wants_json(args):
        _say(sys.stdout, json.dumps(document(one), ensure_ascii=False) + "\n")
    _say(sys.stderr, text(one) + "\n")
    return one.exit_status


def text(error: PgslateError) -> str:
    """The error for a reader: place and message, the line with its caret, and what to do."""
    at = f"{error.place}: " if error.place else ""
    parts = [f"error: {at}{error.message}"]
    if error.place and error.place.text:
        first, _, rest = parts[0].partition("\n")
        caret = "\n".join(f"    {line}" for line in error.place.caret().split("\n"))
        parts = [first, caret, *([rest] if rest else [])]
    applied = getattr(error, "applied", ())
    if applied:
        parts.append(f"applied before it, and standing: {shortened(applied, most=10)}")
    if error.fix:
        parts.append(f"fix: {error.fix}")
    return without_passwords("\n".join(parts))


def document(error: PgslateError) -> dict[str, Any]:
    """The error for a program."""
    return {name: _clean(value) for name, value in error.as_json().items()}


def wants_json(args: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, also where the rest of it can't be parsed."""
    given = [arg.partition("=")[2] for arg in args if arg.startswith("--format=")]
    given += [after for arg, after in itertools.pairwise(args) if arg == "--format"]
    return given[-1:] == ["json"]


class _OurFaultError(PgslateError):
    """Something nobody thought of."""

    exit_status = OUR_FAULT

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "error": "InternalError"}


def known(error: Exception) -> PgslateError:
    """The error as one of ours; what other libraries raise gets its place among them."""
    import click

    if isinstance(error, PgslateError):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error)
    if type(error).__module__.startswith("psycopg"):
        return _database(error)
    if isinstance(error, OSError):
        return _system(error)
    return _OurFaultError(
        f"pgslate failed: {type(error).__name__}: {error}",
        fix="run again with --debug and report what it prints",
    )


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def _system(error: OSError) -> UsageError:
    """A file that can't be read or written; most that pgslate writes are its cache's or its servers'."""
    from pgslate.targets.embedded.folders import cache_folder, state_folder

    where = f": {error.filename}" if error.filename else ""
    message = f"{error.strerror or error}{where}"
    if error.errno not in _NO_ROOM:
        return UsageError(message, fix="check the path, its rights, and the disk")
    return UsageError(
        f"{message}\n  the cache is in {cache_folder()}, servers of `pgslate up` are in {state_folder()}",
        fix="free space there, or name folders that can be written to in PGSLATE_CACHE and PGSLATE_STATE",
    )


def _usage(error: Any) -> UsageError:
    import click

    verb = error.ctx.command_path if getattr(error, "ctx", None) else "pgslate"
    close = getattr(error, "possibilities", None)
    if isinstance(error, click.NoSuchOption) and close:
        return UsageError(f"no such option: {error.option_name}", fix=f"did you mean {', '.join(close)}?")
    return UsageError(error.format_message(), fix=f"see {verb} --help")


def _database(error: Exception) -> PgslateError:
    """A PostgreSQL error outside a migration: the connection went away, or a query of ours was refused."""
    state = getattr(error, "sqlstate", None)
    message = str(error).strip() or type(error).__name__
    meaning = MEANINGS.get(state or "")
    if ends_the_connection(state):
        cause = f" ({meaning.means})" if meaning else ""
        return ConnectionLostError(
            f"the connection to the server was lost: {message}{cause}",
            fix=f"{meaning.fix if meaning else _LOG}; a run goes on from the ledger",
        )
    return TargetError(
        f"PostgreSQL refused: {message} (SQLSTATE {state}{f': {meaning.means}' if meaning else ''})",
        fix=meaning.fix if meaning else _LOG,
    )


def _clean(value: Any) -> Any:
    return without_passwords(value) if isinstance(value, str) else value


def _say(stream: Any, message: str) -> None:
    with contextlib.suppress(OSError):  # the status still tells
        write(stream, message)
