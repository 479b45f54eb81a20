"""What one statement did to the units of a schema, collected while the rows that it wrote are read."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgslate.trace.effects import Link, Unit
from pgslate.trace.system_catalogs import Object


@dataclass(slots=True)
class Changes:
    """The sets that an ``Effect`` is made of, before it is known which of them the statement named.

    Of ``changes``, ``marks`` were given rights, an owner or a comment, and ``redefined`` more than that.
    ``altered`` are those that what reads them may find to be another one, ``rewritten`` those with new
    storage (TRUNCATE, REFRESH). ``with_dependencies`` are objects for which rows of pg_depend were written.
    """

    creates: set[Unit] = field(default_factory=set)
    changes: set[Unit] = field(default_factory=set)
    marks: set[Unit] = field(default_factory=set)
    redefined: set[Unit] = field(default_factory=set)
    altered: set[Unit] = field(default_factory=set)
    rewritten: set[Unit] = field(default_factory=set)
    dropped: set[Unit] = field(default_factory=set)
    with_dependencies: set[Object] = field(default_factory=set)
    links: set[Link] = field(default_factory=set)
    unlinks: set[Link] = field(default_factory=set)
    attaches: set[Link] = field(default_factory=set)
    takes: set[str] = field(default_factory=set)
    frees: set[str] = field(default_factory=set)

    def change(self, unit: Unit) -> None:
        """The unit has another definition."""
        self.extend(unit)
        self.altered.add(unit)

    def extend(self, unit: Unit) -> None:
        """The unit has another definition, under which all that was there stays what it was."""
        self.changes.add(unit)
        self.redefined.add(unit)

    def mark(self, unit: Unit) -> None:
        """The unit has other rights, another owner or comment."""
        self.changes.add(unit)
        self.marks.add(unit)
