"""One database, given away: what ``pgslate clone`` prints, for whoever asked, until its time is over."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pgslate.clones.database_copy import Clone
from pgslate.clones.databases import Databases
from pgslate.targets.target import Target

if TYPE_CHECKING:
    from pgslate.project.project import Project, Selection

HOUR = 3600.0


def clone(
    server: Target,
    project: Project,
    selection: Selection,
    *,
    seconds: float = HOUR,
    as_of: datetime | None = None,
    what: str = "",
) -> Clone:
    """A database on ``server`` with what the selection needs; it outlives this process.

    After ``seconds``, when nobody is connected to it, the next ``reap`` drops it; closing it does so now.
    Raises what ``Databases.database`` raises.
    """
    with Databases(server, project, ahead=0, as_of=as_of, application="pgslate clone") as databases:
        made = databases.select(selection, what=what)
        databases.lend(made, seconds, what)
    return Clone(
        server, made.name, tables=made.tables, on_close=lambda: _give_back(server, project, made.name)
    )


def _give_back(server: Target, project: Project, name: str) -> None:
    with Databases(server, project, ahead=0, application="pgslate clone") as databases:
        databases.give_back(name)
