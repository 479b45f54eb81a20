"""``clone``: one database with what a slice needs, for whoever asked, until its time is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from pgslate.clones.connections import Note
from pgslate.clones.databases import Databases
from pgslate.plain_text import silent
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class CloneResult:
    """A database called ``name``, which outlives this process; after ``seconds`` it may be dropped.

    ``form`` is the form in which its template was made: ``objects`` or ``statements``. ``target`` leads to
    the database. Close the result, or leave its ``with`` block, to drop the database at once.
    """

    dsn: str
    name: str
    seconds: float
    form: str
    target: Target = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """``dsn``, ``name``, ``seconds`` and ``form``."""
        return {"dsn": self.dsn, "name": self.name, "seconds": self.seconds, "form": self.form}

    def connect(self, **kwargs: Any) -> psycopg.Connection[TupleRow]:
        """A new connection to the database; keywords are ``psycopg.connect``'s own."""
        return self.target.connect(**kwargs)

    def close(self) -> None:
        """Drop the database now. Safe to repeat."""
        self.target.close()

    def __enter__(self) -> CloneResult:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def clone(
    slice_: Slice,
    server: Target,
    *,
    seconds: float = HOUR,
    as_of: datetime | None = None,
    purpose: str = "",
    note: Note = silent,
) -> CloneResult:
    """A database of its own on ``server`` with what ``slice_`` needs, copied from a template.

    The template is made the first time, in whatever form is fastest there: the slice's form doesn't matter.

    Args:
        slice_: What the database should have.
        server: Any database of the server; the role must be allowed to make databases.
        seconds: How long the database is wanted. After that ``reap`` drops it when nobody is connected.
        as_of: The moment (UTC) that partition policies count from; by default the server's clock.
        purpose: Shown to people who look at the server.
        note: Receives a sentence when the template can't be made in the fastest form, and why.

    Raises:
        PrivilegeError: The role may not make databases.
        MigrationFailedError: The server refuses a statement.
        ProofError: The template came out other than the catalog says.
        TargetError: The server can't be reached, or has no room.
    """
    with Databases(server, None, ahead=0, as_of=as_of, note=note, application="pgslate clone") as databases:
        made = databases.database_for(slice_, purpose=purpose)
        databases.hand_over(made, seconds, purpose)
    target = Target(made.dsn, label=made.label, on_close=lambda: _give_back(server, made.name))
    return CloneResult(made.dsn, made.name, seconds, made.form, target)


def _give_back(server: Target, name: str) -> None:
    with Databases(server, None, ahead=0, application="pgslate clone") as databases:
        databases.give_back(name)
