"""A target: where a database is, and how to connect to it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from pgslate.errors import ConfigError, TargetError
from pgslate.targets.session_settings import PINNED

#: What a connection gets where neither the DSN nor the caller says otherwise. A peer that vanished is noticed
#: after about a minute; ``fallback_application_name`` leaves PGAPPNAME and ``application_name=`` in charge.
CONNECTION_DEFAULTS: dict[str, str] = {
    "fallback_application_name": "pgslate",
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "client_encoding": "UTF8",  # without it, text of a database in SQL_ASCII comes as bytes
}

_SPECIAL = re.compile(r"[\s\\]")
_VARIABLES = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER"}


class Target:
    """A database that can be connected to, and what has to be closed when it is no longer needed.

    ``dsn`` is a libpq URL or conninfo string usable from this process, and may hold a password; ``label`` is
    for people and never does. ``on_close`` runs once, at the first ``close()``. Raises TargetError for a URL
    whose password isn't percent-encoded: libpq would take a part of it for the host or the database.
    """

    def __init__(
        self, dsn: str, *, label: str | None = None, on_close: Callable[[], None] | None = None
    ) -> None:
        refuse_unencoded(dsn)
        self.dsn = dsn
        self.label = label if label is not None else label_of(dsn)
        self._on_close = on_close

    def connect(
        self, *, settings: Mapping[str, str] | None = None, **kwargs: Any
    ) -> psycopg.Connection[TupleRow]:
        """A new psycopg connection; keywords are ``psycopg.connect``'s own and win over the DSN.

        With ``settings``, which may be empty, it is a session for migrations: it begins with them, and with
        those that the DSN or PGOPTIONS gives. What the role or the database would set otherwise, and changes
        what migrations do, is as PostgreSQL has it by itself (``session_settings``). RESET ALL goes back to
        all of that.

        Raises ``psycopg.OperationalError`` where the server can't be reached or refuses, and ConfigError
        where it refuses one of the ``settings``.
        """
        defaults = self.parameters()
        if settings is None:
            return psycopg.connect(self.dsn, **{**defaults, **kwargs})
        of_dsn = conninfo_to_dict(self.dsn).get("options") or os.environ.get("PGOPTIONS", "")
        asked = str(kwargs.pop("options", "") or of_dsn)
        own = f"{asked} {options_of(settings)}".strip()
        keywords = {**defaults, **kwargs, **({"options": own} if settings else {})}
        try:
            connection = psycopg.connect(self.dsn, **keywords)
        except psycopg.OperationalError:
            refuse_settings(self, settings)
            raise
        differing = set_for_the_role(connection)
        if not differing:
            return connection
        connection.close()
        return psycopg.connect(self.dsn, **{**keywords, "options": f"{options_of(differing)} {own}".strip()})

    def parameters(self) -> dict[str, str]:
        """What a connection is made with besides the DSN."""
        given = conninfo_to_dict(self.dsn)
        return {name: value for name, value in CONNECTION_DEFAULTS.items() if name not in given}

    def with_dbname(self, dbname: str) -> Target:
        """Another database of the same server; closing it closes nothing else."""
        return Target(dsn_with(self.dsn, dbname=dbname))

    def close(self) -> None:
        """Let go of what the target holds: an embedded server stops, a port-forward ends. Safe to repeat."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Target {self.label}>"


def refuse_unencoded(dsn: str) -> None:
    """Raise TargetError for a URL with an ``@`` or a ``/`` in its password that isn't percent-encoded."""
    scheme, _, rest = dsn.partition("://")
    place = rest.partition("?")[0]
    if not scheme.startswith("postgres") or "@" not in place:
        return
    if place.count("@") > 1 or "@" not in place.partition("/")[0]:
        raise TargetError(
            "the DSN can't be read: it has an @ where none is expected",
            fix="write what is special in its password, role or database percent-encoded: %40 for @, %2F"
            " for /",
        )


def label_of(dsn: str) -> str:
    """The database, role and server of a DSN, for people: ``app on db.example:5432 as deploy``.

    What the DSN leaves out is libpq's to find in the environment.

    >>> label_of("postgresql://deploy:secret@db.example/app")
    'app on db.example:5432 as deploy'
    """
    found = {name: os.environ.get(variable) for name, variable in _VARIABLES.items()}
    parameters = {**found, **conninfo_to_dict(dsn)}
    hosts = str(parameters.get("host") or parameters.get("hostaddr") or "local socket").split(",")
    ports = str(parameters.get("port") or "5432").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    places = ", ".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False))
    user = parameters.get("user")
    return f"{parameters.get('dbname') or user or 'default database'} on {places}" + (
        f" as {user}" if user else ""
    )


def options_of(settings: Mapping[str, str]) -> str:
    """The settings as libpq's ``options``, in which a backslash keeps a space from ending a value.

    >>> options_of({"search_path": "app, public"})
    '-c search_path=app,\\\\ public'
    """
    return " ".join(f"-c {name}={_SPECIAL.sub(_escaped, value)}" for name, value in settings.items())


def refuse_settings(target: Target, settings: Mapping[str, str]) -> None:
    """Raise ConfigError for the first of the settings that the server refuses.

    An error at the start of a session has no SQLSTATE, and its words are in the server's language. So each
    setting is tried in a session without any.
    """
    with contextlib.suppress(psycopg.OperationalError), target.connect(autocommit=True) as connection:
        for name, value in settings.items():
            try:
                connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
            except psycopg.Error as error:
                raise ConfigError(
                    f"{target.label} refuses a session with {name} = {value!r}:"
                    f" {error.diag.message_primary or str(error).strip()}",
                    key=f"session.{name}",
                    fix=f"correct {name} in [session] of pgslate.toml",
                ) from None


def set_for_the_role(connection: psycopg.Connection[TupleRow]) -> dict[str, str]:
    """The pinned values of the settings that the role or the database has otherwise."""
    rows = connection.execute(
        "SELECT name, setting FROM pg_catalog.pg_settings"
        " WHERE source IN ('user', 'database', 'database user', 'global')"
        " AND pg_catalog.lower(name) = ANY (%s)",
        [list(PINNED)],
        prepare=False,
    ).fetchall()
    if not connection.autocommit:
        connection.rollback()
    return {name.lower(): PINNED[name.lower()] for name, value in rows if value != PINNED[name.lower()]}


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found.group()}"


def dsn_with(dsn: str, **settings: str) -> str:
    """The same DSN with some settings replaced, as a libpq conninfo string."""
    return make_conninfo(dsn, **settings)
