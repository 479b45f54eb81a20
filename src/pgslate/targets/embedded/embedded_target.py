"""A database of an embedded server: nothing of this shell's environment reaches a connection to it.

libpq reads a variable for nearly every parameter that a connection string leaves out, and psycopg does the
same for some. So each parameter whose variable is set is given. Four variables are no parameters, and are
taken out of the environment while a connection is made.

Source: PostgreSQL manual, libpq, "Environment Variables"; ``conninfo_add_defaults`` and
``pqBuildStartupPacket3`` in ``src/interfaces/libpq``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from pgslate.targets.session_settings import OWN_SERVER
from pgslate.targets.target import CONNECTION_DEFAULTS, Target, dsn_with, options_of, refuse_settings

_READ_APART = ("PGSERVICE", "PGTZ", "PGDATESTYLE", "PGGEQO")
"""A service is looked up even where every parameter is given; the others are sent to the server."""

_WITHOUT = {
    "passfile": "/nonexistent/pgpass",  # libpq passes over a file that isn't there, without a word
    "sslcertmode": "allow",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}
"""Values for parameters that libpq doesn't take an empty one for."""

_environment = threading.Lock()


class EmbeddedTarget(Target):
    """A database of a server of ours; connecting to it takes no heed of libpq's variables."""

    def connect(
        self, *, settings: Mapping[str, str] | None = None, **kwargs: Any
    ) -> psycopg.Connection[TupleRow]:
        """As ``Target.connect``; with ``settings``, also those of roles and databases are pinned."""
        if settings is not None:
            together = {**OWN_SERVER, **{name.lower(): value for name, value in settings.items()}}
            kwargs["options"] = f"{options_of(together)} {kwargs.get('options') or ''}".strip()
        try:
            with without_separate_variables():
                return psycopg.connect(self.dsn, **{**self.parameters(), **kwargs})
        except psycopg.OperationalError:
            if settings:
                refuse_settings(self, settings)
            raise

    def parameters(self) -> dict[str, str]:
        """What a connection needs besides the DSN so that no variable has a say in it."""
        return {**unaffected(self.dsn), **CONNECTION_DEFAULTS, "client_encoding": "UTF8"}

    def with_dbname(self, dbname: str) -> EmbeddedTarget:
        """Another database of the same server; closing it closes nothing else."""
        return EmbeddedTarget(dsn_with(self.dsn, dbname=dbname))


def unaffected(dsn: str) -> dict[str, str]:
    """The parameters that a variable would give, with the values that they have in an empty environment."""
    given = conninfo_to_dict(dsn)
    found: dict[str, str] = {}
    for option in pq.Conninfo.parse(b""):
        name, variable = option.keyword.decode(), (option.envvar or b"").decode()
        if name not in given and name != "service" and os.environ.get(variable):
            found[name] = _WITHOUT.get(name, (option.compiled or b"").decode())
    return found


@contextmanager
def without_separate_variables() -> Iterator[None]:
    """Take out of the environment, for a while, what libpq reads though every parameter is given."""
    if not any(name in os.environ for name in _READ_APART):
        yield
        return
    with _environment:
        taken = {name: os.environ.pop(name) for name in _READ_APART if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(taken)
