"""The partitions that a table has, by their bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from pgslate.errors import UnknownTableError, UsageError
from pgslate.schema.pinned import LEAD, pinned

KEY_TYPES = ("date", "timestamp without time zone", "timestamp with time zone")

_BOUND = re.compile(r"FOR VALUES FROM \((?P<lower>.*)\) TO \((?P<upper>.*)\)", re.DOTALL)
_FIRST = re.compile(r"(?:'(?P<quoted>(?:[^']|'')*)'|(?P<word>\w+))(?P<rest>.*)", re.DOTALL)
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_ENDLESS = ("MINVALUE", "MAXVALUE", "-infinity", "infinity")


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of a table that is partitioned by time.

    ``lower`` and ``upper`` are the bounds in UTC, half open; None where there is no end to that side.
    ``bound`` is how PostgreSQL says them. ``default``: it takes what no other does. ``detaching``: a DETACH
    CONCURRENTLY was begun and not finished, so that it takes no rows.
    """

    schema: str
    name: str
    bound: str
    lower: datetime | None = None
    upper: datetime | None = None
    default: bool = False
    detaching: bool = False

    @property
    def qualified(self) -> str:
        return identity(self.schema, self.name)

    def overlaps(self, lower: datetime, upper: datetime) -> bool:
        """Whether it takes rows of some moment from ``lower`` up to, not including, ``upper``."""
        if self.default:
            return False
        return (self.lower is None or self.lower < upper) and (self.upper is None or self.upper > lower)


@dataclass(frozen=True, slots=True)
class PartitionedTable:
    """A table partitioned by time, as it stands.

    ``key_type`` is the type of the first partition key and ``key`` its column (empty for an expression);
    ``keys`` is how many there are. ``now`` is the server's clock, in UTC.
    """

    oid: int
    schema: str
    name: str
    key: str
    key_type: str
    keys: int
    now: datetime
    partitions: tuple[Partition, ...]

    @property
    def qualified(self) -> str:
        return identity(self.schema, self.name)

    @property
    def default(self) -> Partition | None:
        """The DEFAULT partition, if there is one."""
        return next((each for each in self.partitions if each.default), None)

    @property
    def detaching(self) -> tuple[Partition, ...]:
        """The partitions whose DETACH CONCURRENTLY was begun and not finished."""
        return tuple(each for each in self.partitions if each.detaching)


def identity(schema: str, name: str) -> str:
    """The qualified name, quoted where it has to be.

    >>> identity("public", "Events")
    'public."Events"'
    """
    return ".".join(
        each if _PLAIN.fullmatch(each) else '"' + each.replace('"', '""') + '"' for each in (schema, name)
    )


def list_partitions(connection: psycopg.Connection[Any], table: str | tuple[str, str]) -> PartitionedTable:
    """The table and its partitions, in order of time, the DEFAULT one last. One round trip.

    ``table`` is ``schema.table`` (also as a pair), or bare: then the one on the search path, or else the only
    one of the name. Raises UnknownTableError where there is none, UsageError where there are several, or
    where it isn't partitioned by a range of time.
    """
    schema, name = table if isinstance(table, tuple) else table.rpartition(".")[::2]
    on_path = sql.SQL("to_regclass({})").format(sql.Literal(sql.Identifier(name).as_string(connection)))
    where = (
        sql.SQL("n.nspname = {}").format(sql.Literal(schema)) if schema else sql.SQL("n.nspname !~ '^pg_'")
    )
    chosen = sql.SQL(
        """SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = {name} AND c.relkind IN ('r', 'p') AND {where}
        ORDER BY c.oid <> coalesce(NULLIF(current_setting('pgslate.table'), '')::oid, 0),
                 c.relkind <> 'p', c.oid
        LIMIT 1"""
    ).format(name=sql.Literal(name), where=where)
    message = sql.SQL("SELECT set_config('pgslate.table', coalesce({}::oid::text, ''), true);").format(
        on_path if not schema else sql.NULL
    ) + pinned(sql.SQL(_TABLE).format(chosen=chosen), sql.SQL(_PARTITIONS).format(chosen=chosen))
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(message, prepare=False)
        for _ in range(LEAD + 1):
            cursor.nextset()
        head = cursor.fetchone()
        cursor.nextset()
        rows = cursor.fetchall()
    if head is None:
        raise UnknownTableError(f"there is no table {name} here", fix=f"pgslate apply {name}", table=name)
    oid, own_schema, own_name, strategy, keys, key, key_type, now, namesakes = head
    if not schema and len(namesakes or ()) > 1:
        raise UsageError(
            f"there is more than one table {name}: {', '.join(sorted(namesakes))}",
            fix=f'name it with its schema: [partitions."{own_schema}.{own_name}"]',
        )
    if strategy != "r" or key_type not in KEY_TYPES:
        how = {
            "l": "partitioned by list",
            "h": "partitioned by hash",
            "r": f"partitioned by a range of {key_type}",
        }
        raise UsageError(
            f"{identity(own_schema, own_name)} is {how.get(strategy or '', 'not partitioned')},"
            " and a policy is about ranges of time",
            fix=f"partition it BY RANGE of a date or timestamp, or remove [partitions.{name}]",
        )
    clock = datetime.fromtimestamp(now / 1_000_000, UTC)
    return PartitionedTable(oid, own_schema, own_name, key or "", key_type, keys, clock, _in_order(rows))


_TABLE = """SELECT c.oid::bigint, n.nspname::text, c.relname::text, p.partstrat::text, p.partnatts::int,
    (SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = p.partattrs[0]),
    (SELECT format_type(o.opcintype, NULL) FROM pg_opclass o WHERE o.oid = p.partclass[0]),
    (EXTRACT(epoch FROM clock_timestamp()) * 1000000)::bigint,
    (SELECT array_agg(quote_ident(s.nspname) || '.' || quote_ident(t.relname))
     FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace
     WHERE t.relname = c.relname AND t.relkind = 'p' AND current_setting('pgslate.table') = '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
WHERE c.oid = ({chosen})"""

_PARTITIONS = """SELECT n.nspname::text, c.relname::text, pg_get_expr(c.relpartbound, c.oid),
    i.inhdetachpending
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = ({chosen}) AND c.relispartition"""


def _in_order(rows: list[tuple[str, str, str, bool]]) -> tuple[Partition, ...]:
    found = [partition_of(*row) for row in rows]
    earliest = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(found, key=lambda p: (p.default, p.lower or earliest, p.schema, p.name)))


def partition_of(schema: str, name: str, bound: str, detaching: bool = False) -> Partition:
    """A partition from how PostgreSQL says its bound (with DateStyle ISO and TimeZone UTC).

    >>> partition_of("public", "p", "FOR VALUES FROM ('2025-12-01') TO (MAXVALUE)").lower
    datetime.datetime(2025, 12, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    if bound == "DEFAULT":
        return Partition(schema, name, bound, default=True, detaching=detaching)
    match = _BOUND.fullmatch(bound)
    lower, upper = (_moment(match["lower"]), _moment(match["upper"])) if match else (None, None)
    return Partition(schema, name, bound, lower, upper, detaching=detaching)


def _moment(values: str) -> datetime | None:
    """The first of a bound's values as a moment in UTC; None where it is endless."""
    first = _FIRST.match(values)
    text = (first["quoted"] or first["word"]) if first else "MINVALUE"
    if text in _ENDLESS:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # before year 1 or after 9999: as good as endless
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
