"""A target named by a DSN: waits for the server, and tells a server that is late from one that says no.

libpq gives no SQLSTATE for a failed connection, so refusals are known by the server's English words; one in
another language is tried again until the timeout, and then quoted.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgslate.errors import ServerNotReadyError, TargetError, UsageError
from pgslate.targets.target import Target, label_of

#: The oldest server that pgslate works on, as libpq numbers versions.
OLDEST = 140000

#: Seconds between two tries: the first pause, how it grows, and the longest.
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.05, 2.0, 1.0

#: Seconds without a connection after which we report that we wait.
SAY_AFTER = 1.0

#: Seconds that a single try may take, where the DSN has no ``connect_timeout``; libpq counts in whole ones.
TRY_TIMEOUT = 5

#: What no waiting heals: what the server says, and what to do about it.
REFUSALS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), fix)
    for pattern, fix in (
        (r"no password supplied", "put the password into PGPASSWORD, ~/.pgpass or the DSN"),
        (r"password authentication failed|SASL authentication failed", "check the role and its password"),
        (r"role .* does not exist|no such user", "create the role, or name another one in the DSN"),
        (r"database .* does not exist|no such database", "create it (createdb), or name another database"),
        (
            r"no pg_hba\.conf entry|pg_hba\.conf rejects",
            "let this host, role and database in, in pg_hba.conf",
        ),
        (r"\w+ authentication failed for user", "see what pg_hba.conf asks of this role"),
        (r"role .* is not permitted to log in", "ALTER ROLE ... LOGIN, or name another role in the DSN"),
        (r"permission denied for database", "GRANT CONNECT ON DATABASE ... to the role"),
        (
            r"too many connections for",
            "end connections that nobody needs, or raise the CONNECTION LIMIT of the role or database",
        ),
        (r"not currently accepting connections", "ALTER DATABASE ... ALLOW_CONNECTIONS true"),
        (r"server does not support SSL", "set sslmode=prefer, or switch SSL on in the server"),
        (r"invalid (?:port number|integer value|.* value:)|Servname not supported", "correct the DSN"),
        (r"certificate verify failed|root certificate file|does not match host name", "check sslrootcert"),
    )
)

_ATTEMPT = re.compile(
    r'connection to server (?:at "(?P<host>[^"]*)"(?: \([^)]*\))?, port (?P<port>\d+)'
    r'|on socket "(?P<socket>[^"]*)")'
    r" failed: (?P<message>.*)"
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try on one host: where (``host:port`` or a socket's path), and the message that came back."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"

    @property
    def refusal(self) -> str | None:
        """What to do where waiting would not help, else None."""
        return next((fix for pattern, fix in REFUSALS if pattern.search(self.message)), None)


def wait_for(
    dsn: str, *, timeout: float = 10.0, waiting: Callable[[str], None] = lambda line: None
) -> Target:
    """The database that ``dsn`` names, once its server takes connections.

    Tries again, after growing pauses. A refusal that waiting can't heal (a wrong password, an unknown
    database or role, no pg_hba.conf entry) ends it at once. ``Target(dsn)`` is the same without a wait.

    Args:
        dsn: A libpq URL or conninfo string.
        timeout: Seconds to try.
        waiting: Called with a line where the first second brought no connection.

    Raises:
        ServerNotReadyError: No connection within the timeout; with every attempt.
        TargetError: The server refuses, or is older than PostgreSQL 14.
        UsageError: The DSN can't be read.
    """
    return wait_by(dsn, timeout=timeout, waiting=waiting)


def wait_by(
    dsn: str,
    *,
    timeout: float = 10.0,
    waiting: Callable[[str], None] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Target:
    """As ``wait_for``, by another clock."""
    parameters = _checked(dsn)
    began = clock()
    until = began + timeout
    wait = FIRST_PAUSE
    silent = True
    attempts: list[Attempt] = []
    while True:
        seconds = max(1, min(TRY_TIMEOUT, math.ceil(until - clock())))
        try:
            with Target(dsn).connect(
                connect_timeout=parameters.get("connect_timeout", seconds)
            ) as connection:
                return _target(dsn, connection)
        except psycopg.OperationalError as error:
            # psycopg resolves names itself, and knows those of the environment by none
            message = str(error).replace("host None", f"host {os.environ.get('PGHOST', '')!r}")
            latest = attempts_in(message, label_of(dsn))
        attempts += latest
        _refuse(dsn, latest)
        left = until - clock()
        if left <= 0:
            raise ServerNotReadyError(
                f"no connection to {label_of(dsn)} within {timeout:g} s\n" + "\n".join(_counted(attempts)),
                fix="start the server, check host and port, or give it more time (--timeout)",
                attempts=tuple(map(str, attempts)),
            )
        if silent and clock() - began >= SAY_AFTER:
            silent = False
            waiting(f"waiting for {label_of(dsn)}, {left:.0f} s more (--timeout): {latest[0].message}")
        pause(min(wait, left))
        wait = min(wait * GROWTH, LONGEST_PAUSE)


def session_is_pooled(
    connection: psycopg.Connection[tuple[object, ...]], target: Target, *, rounds: int = 5
) -> bool:
    """Whether a pooler between us and the server gives each transaction another backend.

    What is set, locked or prepared for the session is then lost or left to others: session-level locks don't
    hold. ``connection`` must be outside a transaction, in autocommit mode.

    Where nothing is in between, one round trip tells: the process id that the server announced at the start
    (BackendKeyData, protocol 3.0) is the backend's own; a pooler has to announce one that it made up. If so,
    ask for the backend's process id in turns on ``connection`` and a second one: in session pooling each
    keeps its own, so one id on both, or two on one, prove that they share. A pool nobody else uses gives out
    the backend it got back last, so the first round finds it; one in use, or one that deals them out in
    turns, changes the id of one connection within a few ``rounds``.
    """
    pid = _backend(connection)
    if pid == connection.info.backend_pid:
        return False
    ours, others = {pid}, set()
    with target.connect(autocommit=True) as second:
        for _ in range(rounds):
            others.add(_backend(second))
            ours.add(_backend(connection))
            if len(ours) > 1 or len(others) > 1 or ours & others:
                return True
    return False


def attempts_in(message: str, label: str) -> list[Attempt]:
    """The attempts that a psycopg error lists, one for each host it tried; ``label`` where it names none."""
    found = [
        Attempt(match["socket"] or f"{match['host']}:{match['port']}", match["message"].strip())
        for match in _ATTEMPT.finditer(message)
    ]
    return list(dict.fromkeys(found)) or [Attempt(label, message.removeprefix("connection failed: ").strip())]


def _checked(dsn: str) -> dict[str, object]:
    parameters: dict[str, object] = {}
    scheme = dsn.partition("://")[0]
    if "+" in scheme and scheme.startswith("postgres"):  # SQLAlchemy's spelling
        driver = scheme.partition("+")[2]
        raise UsageError(
            f"libpq knows no URL that begins with {scheme}://",
            fix=f"leave out +{driver}: postgresql://role@host:port/database",
        )
    with contextlib.suppress(psycopg.ProgrammingError):  # libpq quotes what it stumbled over: half a password
        parameters = dict(conninfo_to_dict(dsn))
    short = dsn.strip() in ("postgresql://", "postgres://")  # all of it from the environment
    if (dsn.strip() and not parameters and not short) or "@" in str(
        parameters.get("host", "")
    ):  # a password's own @, not encoded
        raise UsageError(
            "the DSN is neither a libpq URL nor a conninfo string",
            fix="write it as postgresql://role@host:port/database; in a URL, special characters of a password"
            " are percent-encoded (@ is %40, / is %2F)",
        )
    for port in str(parameters.get("port") or "5432").split(","):
        if port and not (port.isdigit() and 0 < int(port) < 65536):
            raise UsageError(  # which is not quoted: it may be a part of a password
                "the DSN's port is no number from 1 to 65535",
                fix="correct it; in a URL, special characters of a password are percent-encoded"
                " (@ is %40, / is %2F)",
            )
    return parameters


def _target(dsn: str, connection: psycopg.Connection[tuple[object, ...]]) -> Target:
    info = connection.info
    label = f"{info.dbname} on {info.host or 'local socket'}:{info.port} as {info.user}"
    if info.server_version < OLDEST:
        raise TargetError(
            f"{label} is PostgreSQL {info.parameter_status('server_version')}; pgslate needs 14 or later",
            fix="use a newer server",
        )
    return Target(dsn, label=label)


def _refuse(dsn: str, attempts: list[Attempt]) -> None:
    """Raise where every host of this try refuses in a way that waiting will not change."""
    fixes = [attempt.refusal for attempt in attempts]
    if all(fixes):
        raise TargetError(
            f"{label_of(dsn)} refuses the connection\n" + "\n".join(_counted(attempts)),
            fix="; ".join(dict.fromkeys(fix for fix in fixes if fix)),
        )


def _counted(attempts: list[Attempt]) -> list[str]:
    """Each distinct attempt once, in order, and how many times it was made."""
    counts: dict[Attempt, int] = {}
    for attempt in attempts:
        counts[attempt] = counts.get(attempt, 0) + 1
    return [f"  {attempt}" + (f" ({count} times)" if count > 1 else "") for attempt, count in counts.items()]


def _backend(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(str(row[0]))
