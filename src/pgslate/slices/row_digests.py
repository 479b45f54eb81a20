"""The outcome of a slice that definitions don't show: the rows of its tables, and where its sequences stand.

Rows are compared by digests: a table's is a sum over its rows, so that their order doesn't matter. Each
column has one as well. A column whose digest differs between two replays of the whole catalog hangs on time
or chance (``now()``, ``gen_random_uuid()``), and is left out of the comparison. A partitioned table has no
rows of its own: its partitions, which every slice of it holds, are compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pgslate.schema.model import Name
from pgslate.schema.pinned import LEAD, pinned

if TYPE_CHECKING:  # imported when an outcome is read: a lock holds one, and needs no driver
    import psycopg
    from psycopg import sql

EVERY_COLUMN = "*"
"""In place of a column: not even the number of rows is the same on every replay."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table: how many there are, and a digest of each column and of them all together."""

    count: int
    digest: str
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows of tables, and positions of sequences, by name. Empty tables are left out.

    A position is ``last_value``, with an asterisk where that value was given out already.
    """

    rows: Mapping[str, Rows] = field(default_factory=dict)
    positions: Mapping[str, str] = field(default_factory=dict)


NO_ROWS = Rows(0, "0")


@dataclass(frozen=True, slots=True)
class Reference:
    """The outcome of the whole catalog, and what of it hangs on time or chance.

    ``changing`` maps tables to the columns that came out otherwise on another replay (or ``EVERY_COLUMN``);
    a sequence is its own column. They are left out of the digests of ``outcome``, but not of ``everything``.
    """

    outcome: Outcome = field(default_factory=Outcome)
    changing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    everything: Outcome = field(default_factory=Outcome, compare=False, repr=False)

    def difference(self, found: Outcome, names: Collection[Name]) -> tuple[Name, str] | None:
        """The first of the named tables and sequences that came out otherwise, and how, in words.

        ``found`` was read with the ``changing`` columns left out.
        """
        for kind, name in sorted(names):
            if kind == "sequence":
                wanted, position = self.outcome.positions.get(name), found.positions.get(name)
                if wanted != position and name not in self.changing:
                    return (kind, name), f"stands at {_position(position)}, not at {_position(wanted)}"
            elif kind in ("table", "materialized view"):
                expected, rows = self.outcome.rows.get(name, NO_ROWS), found.rows.get(name, NO_ROWS)
                changing = self.changing.get(name, ())
                if EVERY_COLUMN in changing:
                    continue
                if expected.count != rows.count:
                    return (kind, name), f"has {rows.count} rows, not {expected.count}"
                if expected.digest != rows.digest:
                    columns = [c for c, digest in expected.columns.items() if rows.columns.get(c) != digest]
                    where = f" in {', '.join(columns)}" if columns else ""
                    return (kind, name), f"has other rows{where}"
        return None

    def as_document(self) -> dict[str, Any]:
        """The reference as JSON holds it; ``of_document`` reads it."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Reference:
        """The reference of a document. Raises KeyError or TypeError where it is none."""
        changing = {name: tuple(columns) for name, columns in document["changing"].items()}
        return cls(_outcome(document["outcome"]), changing, _outcome(document["everything"]))


NO_REFERENCE = Reference()


def _outcome(document: Mapping[str, Any]) -> Outcome:
    rows = {name: Rows(**found) for name, found in document["rows"].items()}
    return Outcome(rows, dict(document["positions"]))


def changing_between(
    first: Outcome, second: Outcome, known: Mapping[str, Iterable[str]] | None = None
) -> dict[str, tuple[str, ...]]:
    """What differs between two replays of the whole catalog, besides what is ``known`` to."""
    changing = {name: set(columns) for name, columns in (known or {}).items()}
    for name in first.rows.keys() | second.rows.keys():
        one, other = first.rows.get(name, NO_ROWS), second.rows.get(name, NO_ROWS)
        differing = {column for column, digest in one.columns.items() if other.columns.get(column) != digest}
        if one.count != other.count:
            changing.setdefault(name, set()).add(EVERY_COLUMN)
        elif differing:
            changing.setdefault(name, set()).update(differing)
        elif one.digest != other.digest:  # the columns hold the same values, but in other rows
            changing.setdefault(name, set()).add(EVERY_COLUMN)
    for name in first.positions.keys() | second.positions.keys():
        if first.positions.get(name) != second.positions.get(name):
            changing.setdefault(name, set()).add(EVERY_COLUMN)
    return {name: tuple(sorted(columns)) for name, columns in sorted(changing.items())}


def read_outcome(
    connection: psycopg.Connection[Any],
    names: Collection[Name] | None = None,
    changing: Mapping[str, Collection[str]] | None = None,
) -> Outcome:
    """What the named tables and sequences hold (None: all of them), but for the ``changing`` columns.

    Names that aren't there are passed over. Raises psycopg.Error where the connection fails.
    """
    from psycopg import sql

    tables, sequences = _not_empty(connection, names)
    left_out = changing or {}
    queries: list[sql.Composable] = []
    for (schema, table, name), columns in tables.items():
        kept = [column for column in columns if column not in left_out.get(name, ())]
        queries.append(_digests(sql.Identifier(schema, table), name, kept))
    for schema, sequence, name in sequences:
        queries.append(
            sql.SQL(
                "SELECT {}, NULL, last_value || CASE WHEN is_called THEN '*' ELSE '' END, NULL FROM {}"
            ).format(sql.Literal(name), sql.Identifier(schema, sequence))
        )
    rows: dict[str, Rows] = {}
    positions: dict[str, str] = {}
    named = {name: columns for (_, _, name), columns in tables.items()}
    for name, count, digest, of_columns in _all(connection, queries):
        if count is None:
            positions[name] = digest
        elif count:
            kept = [column for column in named[name] if column not in left_out.get(name, ())]
            rows[name] = Rows(count, digest, dict(zip(kept, of_columns, strict=True)))
    return Outcome(rows, positions)


_NOT_EMPTY = """
SELECT n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind = 'S',
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema'
    AND (c.relkind = 'S' OR (c.relispopulated AND pg_catalog.pg_relation_size(c.oid) > 0))"""

Relation = tuple[str, str, str]
"""Schema and name as they are, and both as PostgreSQL quotes them."""


def _not_empty(
    connection: psycopg.Connection[Any], names: Collection[Name] | None
) -> tuple[dict[Relation, list[str]], list[Relation]]:
    """The tables that may have rows, each with its columns, and the sequences."""
    asked = None if names is None else {name for _, name in names}
    tables: dict[Relation, list[str]] = {}
    sequences: list[Relation] = []
    found = connection.execute(_NOT_EMPTY.encode(), prepare=False).fetchall()
    for schema, relation, name, is_sequence, columns in sorted(found, key=lambda row: str(row[2])):
        if asked is None or name in asked:
            if is_sequence:
                sequences.append((schema, relation, name))
            else:
                tables[schema, relation, name] = columns
    return tables, sequences


def _digests(table: sql.Identifier, name: str, columns: Iterable[str]) -> sql.Composed:
    """How many rows a table has, a digest of them, and an array with one of each column.

    The rows of tables that inherit from it are their own.
    """
    from psycopg import sql

    digest = sql.SQL(
        "COALESCE(sum(('x' || left(md5(COALESCE({}, 'NULL')), 16))::bit(64)::bigint::numeric), 0)::text"
    )
    identifiers = [sql.Identifier("t", column) for column in columns]
    row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(identifiers))
    each = [digest.format(sql.SQL("{}::text").format(identifier)) for identifier in identifiers]
    return sql.SQL("SELECT {}, count(*), {}, ARRAY[{}]::text[] FROM ONLY {} t").format(
        sql.Literal(name), digest.format(row), sql.SQL(", ").join(each), table
    )


_AT_ONCE = 200
"""Tables read by one statement: PostgreSQL plans a statement with thousands of them for seconds."""


def _all(connection: psycopg.Connection[Any], queries: list[sql.Composable]) -> Iterable[tuple[Any, ...]]:
    """The rows that the queries select, under settings by which a value is always spelled the same."""
    from psycopg import sql

    if not queries:
        return
    parts = [queries[at : at + _AT_ONCE] for at in range(0, len(queries), _AT_ONCE)]
    unions = [sql.SQL(" UNION ALL ").join(part) for part in parts]
    with connection.cursor() as cursor:
        cursor.execute(pinned(*unions), prepare=False)
        for _ in range(LEAD):
            cursor.nextset()
        for _ in unions:
            yield from cursor.fetchall()
            cursor.nextset()


def _position(position: str | None) -> str:
    if position is None:
        return "nothing"
    return position.removesuffix("*") if position.endswith("*") else f"{position} (not yet given out)"
