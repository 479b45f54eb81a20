"""Rows of PostgreSQL's system catalogs, as the observer reads them: a type for each kind of question. Pure.

All catalogs are read by one query, so its answers all have the same columns. ``row_of`` gives an answer the
type and the field names of its catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pgslate.trace.system_catalogs import (
    FOUND,
    PG_CLASS,
    PG_DEFAULT_ACL,
    PG_DEPEND,
    PG_DESCRIPTION,
    PG_ENUM,
    PG_INHERITS,
    PG_PROC,
    PG_SECLABEL,
    PG_SHDEPEND,
    PG_TYPE,
    Object,
)


class ObjectRow(NamedTuple):
    """An object with a name of its own. As ``part_of`` another one (an array type, statistics) it is no unit.

    ``command`` is the number of the command in its transaction that wrote the row, here and below.
    """

    object: Object
    command: int
    kind: str
    name: str
    part_of: Object | None


class RelationRow(NamedTuple):
    """A row of pg_class. An index is a part of its ``table``; of anything else that is None.

    ``definition`` stands for the columns that define the relation, ``storage`` is the number of its file,
    which TRUNCATE and REFRESH change. ``place`` says of a partition of what, and for which values it is one.
    """

    object: Object
    command: int
    kind: str
    name: str
    table: Object | None
    definition: int
    storage: int
    place: str | None


class FunctionRow(NamedTuple):
    """A row of pg_proc; ``body`` is its source and its settings."""

    object: Object
    command: int
    kind: str
    name: str
    body: str


class DefaultPrivilegesRow(NamedTuple):
    """A row of pg_default_acl; ``schema`` is 0 where they hold in every schema."""

    object: Object
    command: int
    kind: str
    name: str
    schema: int


class PartRow(NamedTuple):
    """A part of another object that has no identity of its own; a constraint has a ``name``."""

    object: Object
    command: int
    part_of: Object
    name: str | None


class EnumValueRow(NamedTuple):
    """A row of pg_enum: a value of a type. ``oid`` stays the same when it is renamed."""

    type: Object
    command: int
    oid: int
    label: str


class InheritanceRow(NamedTuple):
    """A row of pg_inherits: a partition or an inheritance child, and what it belongs to."""

    child: Object
    command: int
    parent: Object


class CommentRow(NamedTuple):
    """A comment or a security label on an object, or, where ``column`` isn't 0, on a part of it."""

    catalog: int
    command: int
    described: Object
    column: int


class DependencyRow(NamedTuple):
    """A row of pg_depend or pg_shdepend: ``object`` needs ``referenced``."""

    catalog: int
    command: int
    object: Object
    referenced: Object
    deptype: str


class RowCount(NamedTuple):
    """How many rows a query found in a catalog."""

    catalog: int
    command: int
    rows: int


Row = (
    ObjectRow
    | RelationRow
    | FunctionRow
    | DefaultPrivilegesRow
    | PartRow
    | EnumValueRow
    | InheritanceRow
    | CommentRow
    | DependencyRow
    | RowCount
)

NamedRow = ObjectRow | RelationRow | FunctionRow | DefaultPrivilegesRow


def catalog_of(row: Row) -> int:
    """The OID of the system catalog that a row is from."""
    match row:
        case EnumValueRow():
            return PG_ENUM
        case InheritanceRow():
            return PG_INHERITS
        case CommentRow() | DependencyRow() | RowCount():
            return row.catalog
        case _:
            return row.object[0]


def row_of(answer: tuple[Any, ...]) -> Row:
    """The row that an answer to one of ``system_catalogs``' queries stands for."""
    return _ROWS.get(answer[0], _object_or_part)(*answer)


def _object_or_part(
    catalog: int,
    oid: int,
    owner_class: int | None,
    owner: int | None,
    command: int,
    kind: str | None,
    name: str | None,
    *_: object,
) -> Row:
    part_of = (owner_class or 0, owner) if owner is not None else None
    if part_of is not None and kind is None:
        return PartRow((catalog, oid), command, part_of, name)
    return ObjectRow((catalog, oid), command, kind or "", name or "", part_of)


def _relation(
    catalog: int,
    oid: int,
    owner_class: int | None,
    owner: int | None,
    command: int,
    kind: str,
    name: str,
    definition: int,
    storage: int,
    place: str | None,
) -> Row:
    table = (owner_class or 0, owner) if owner is not None else None
    return RelationRow((catalog, oid), command, kind, name, table, definition, storage, place)


def _function(
    catalog: int, oid: int, _class: None, _owner: None, command: int, kind: str, name: str, *rest: Any
) -> Row:
    return FunctionRow((catalog, oid), command, kind, name, rest[-1] or "")


def _default_privileges(
    catalog: int, oid: int, _class: None, _owner: None, command: int, kind: str, name: str, *rest: Any
) -> Row:
    return DefaultPrivilegesRow((catalog, oid), command, kind, name, rest[0])


def _enum_value(
    _catalog: int, oid: int, _class: int, _owner: int, command: int, _kind: None, _name: None, *rest: Any
) -> Row:
    return EnumValueRow((PG_TYPE, oid), command, rest[0], rest[-1])


def _inheritance(
    _catalog: int, oid: int, _class: int, _owner: int, command: int, _kind: None, _name: None, *rest: Any
) -> Row:
    return InheritanceRow((PG_CLASS, oid), command, (PG_CLASS, rest[0]))


def _comment(
    catalog: int, _oid: int, owner_class: int, owner: int, command: int, _kind: None, _name: None, *rest: Any
) -> Row:
    return CommentRow(catalog, command, (owner_class, owner), rest[0])


def _dependency(
    catalog: int, oid: int, owner_class: int, owner: int, command: int, _kind: None, _name: None, *rest: Any
) -> Row:
    return DependencyRow(catalog, command, (rest[0], oid), (owner_class, owner), rest[-1])


def _count(
    _found: int, catalog: int, _class: None, _owner: None, command: int, _kind: None, _name: None, *rest: Any
) -> Row:
    return RowCount(catalog, command, rest[0])


_ROWS: Mapping[int, Callable[..., Row]] = {
    PG_CLASS: _relation,
    PG_PROC: _function,
    PG_DEFAULT_ACL: _default_privileges,
    PG_ENUM: _enum_value,
    PG_INHERITS: _inheritance,
    PG_DESCRIPTION: _comment,
    PG_SECLABEL: _comment,
    PG_DEPEND: _dependency,
    PG_SHDEPEND: _dependency,
    FOUND: _count,
}
