"""What pg_dump says of a database, as entries: each with its SQL, its unit and what must be run before it.

Source: PostgreSQL manual, pg_dump; ``_printTocEntry`` and ``_getObjectDescription`` in
src/bin/pg_dump/pg_backup_archiver.c.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg import sql

from pgslate.dump.amendments import Amendments, amendments
from pgslate.dump.archive import Archive, ArchiveEntry, read_archive
from pgslate.dump.cast_lists import without_cast_lists
from pgslate.dump.entries import LARGE_OBJECT, RELEASE, ROWS, Entry, Named
from pgslate.dump.extension_members import Membership
from pgslate.dump.prelude_changes import Changes
from pgslate.errors import TargetError
from pgslate.targets.embedded.data_directory import server_environment
from pgslate.targets.embedded.server import Server
from pgslate.trace.live_objects import LiveObjects
from pgslate.trace.system_catalogs import PG_CLASS

PG_USER_MAPPING = 1418
_DROPS, _RELEASES = 1_000_000, 2_000_000  # below the numbers of the roles' entries

# pg_dump gives no object and no dependency to these, but a name.
_USER_MAPPINGS = """
SELECT pg_catalog.format('USER MAPPING %s SERVER %s', m.usename, m.srvname), m.umid::int8
FROM pg_catalog.pg_user_mappings m"""

_CONTENTS = """
SELECT oid::int8, pg_catalog.lo_get(oid) FROM pg_catalog.pg_largeobject_metadata
WHERE oid = ANY (%s::oid[]) ORDER BY 1"""

_NOT_OF_THE_CONTENTS = frozenset(("ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "BLOBS"))
_LARGE_OBJECTS = ("BLOB", "BLOB METADATA")

# The types of entry whose objects have an owner: those that ALTER knows by the entry's own name, and those
# whose arguments stand in the statement that drops them.
_OWNED = frozenset(
    (
        "COLLATION",
        "CONVERSION",
        "DOMAIN",
        "FOREIGN TABLE",
        "MATERIALIZED VIEW",
        "SEQUENCE",
        "STATISTICS",
        "TABLE",
        "TEXT SEARCH DICTIONARY",
        "TEXT SEARCH CONFIGURATION",
        "TYPE",
        "VIEW",
        "PROCEDURAL LANGUAGE",
        "SCHEMA",
        "EVENT TRIGGER",
        "FOREIGN DATA WRAPPER",
        "SERVER",
        "PUBLICATION",
        "SUBSCRIPTION",
    )
)
_OWNED_WITH_ARGUMENTS = frozenset(
    ("AGGREGATE", "FUNCTION", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "PROCEDURE")
)


def dumped(server: Server, dbname: str, *, rows_per_insert: int = 500) -> Archive:
    """The archive of the database. Raises TargetError where there is no pg_dump, or where it fails."""
    program = server.installation.program("pg_dump")
    if program is None:
        raise TargetError(
            f"{server.installation.label} has no pg_dump, which the objects form needs",
            fix="install PostgreSQL's client programs, or use --form statements",
        )
    command = [str(program), "--format=custom", "--compress=0", "--encoding=UTF8"]
    # A table that inherits has its columns in another order when it is made again: name them.
    rows = ["--column-inserts", f"--rows-per-insert={rows_per_insert}"]
    done = subprocess.run(
        [*command, *rows, "--dbname", server.dsn(dbname)],
        capture_output=True,
        check=False,
        env=server_environment(),
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise TargetError(
            f"pg_dump failed: {lines[-1] if lines else 'it wrote no message'}", fix="see its message"
        )
    return read_archive(done.stdout)


def entries_of(
    archive: Archive,
    connection: psycopg.Connection[Any],
    live: LiveObjects,
    changed: Changes,
    membership: Membership,
) -> Iterator[Entry]:
    """The archive's entries, in order.

    Args:
        archive: What pg_dump wrote of a database.
        connection: A session in it, as a migration's begins; the objects of its role get no owner.
        live: The units in it.
        changed: What has to be run for the objects that a prelude makes.
        membership: The members that were added to extensions, or taken from them.
    """
    mappings: Mapping[str, int] = dict(connection.execute(_USER_MAPPINGS).fetchall())
    path = _value(connection, "SELECT pg_catalog.current_setting('search_path')")
    amended = amendments(connection)
    units = {entry.number: _unit(entry, live, mappings) for entry in archive.entries}
    for number, (table, text) in enumerate(changed.drops, start=1):
        unit = units[table] if table is not None else None
        yield Entry(-_DROPS - number, "DROP", "", unit, (), (), text)
    for number, text in enumerate(changed.releases, start=1):
        yield Entry(-_RELEASES - number, RELEASE, "", None, (), (), text)
    for entry in archive.entries:
        if entry.type in _NOT_OF_THE_CONTENTS or (entry.type == "DEFAULT" and not entry.oid):
            continue  # amendments say that a column has no default
        change = changed.texts.get(entry.number)
        if change is not None:
            text = change if entry.type == ROWS else without_cast_lists(change)
        else:
            text = "\n".join(filter(None, _texts(entry, archive, connection, amended, membership)))
        yield Entry(
            number=entry.number,
            type=LARGE_OBJECT if entry.type in _LARGE_OBJECTS else entry.type,
            name=qualified_name(entry) if entry.type == ROWS else entry.name,
            unit=units[entry.number],
            needs=entry.needs,
            settings=tuple(_settings(entry, path)),
            text=text,
        )


def qualified_name(entry: ArchiveEntry) -> str:
    """The name of the entry's table with its schema, both in quotes."""
    return sql.Identifier(entry.schema, entry.name).as_string()


def _texts(
    entry: ArchiveEntry,
    archive: Archive,
    connection: psycopg.Connection[Any],
    amended: Amendments,
    membership: Membership,
) -> Iterator[str]:
    """An entry's SQL, and what has to follow it."""
    if entry.type in _LARGE_OBJECTS:
        yield _large_objects(entry, connection)
        return
    if entry.type == ROWS:
        yield archive.rows.get(entry.number, "").strip("\n")
        return
    create = without_cast_lists(entry.create.strip("\n"))
    yield amended.of(entry.oid, create) if entry.system_catalog == PG_CLASS else create
    if entry.owner not in ("", connection.info.user):
        yield _owned(entry)
    yield membership.added.get((entry.system_catalog, entry.oid), "")
    if entry.type == "EXTENSION":
        yield membership.removed.get(entry.name, "")


def _unit(entry: ArchiveEntry, live: LiveObjects, mappings: Mapping[str, int]) -> Named | None:
    obj = (entry.system_catalog or PG_CLASS, entry.oid)
    if entry.type == "USER MAPPING":
        obj = (PG_USER_MAPPING, mappings.get(entry.name, 0))
    unit = live.unit(obj) if obj[1] else None
    return (live.units[unit].kind, live.units[unit].name) if unit is not None else None


def _settings(entry: ArchiveEntry, path: str) -> Iterator[tuple[str, str]]:
    """Where and how a relation is stored, if it isn't the usual place and way.

    Checks and generated columns are computed for rows: as the migrations do it, under their search path.
    """
    if entry.type == ROWS:
        yield "search_path", path
    if entry.access_method not in ("", "heap") and not entry.is_partitioned:
        yield "default_table_access_method", entry.access_method
    if entry.tablespace:
        yield "default_tablespace", entry.tablespace


def _owned(entry: ArchiveEntry) -> str:
    """The statement that gives the entry's object to its owner; "" where it has none of its own."""
    if entry.type in _OWNED:
        names = [entry.schema, entry.name] if entry.schema else [entry.name]
        name = sql.Identifier(*names).as_string()
        described = f"{entry.type} {name}"
    elif entry.type in _OWNED_WITH_ARGUMENTS and entry.drop:
        described = entry.drop.strip("\n").removeprefix("DROP ").removesuffix(";")
    else:
        return ""
    return f"ALTER {described} OWNER TO {sql.Identifier(entry.owner).as_string()};"


def _large_objects(entry: ArchiveEntry, connection: psycopg.Connection[Any]) -> str:
    """The statements that make an entry's large objects: one, or from PostgreSQL 17 on several."""
    oids = [entry.oid] if entry.type == "BLOB" else list(map(int, entry.create.split()))
    owner = sql.Identifier(entry.owner).as_string()
    texts = []
    for oid, data in connection.execute(_CONTENTS, [oids]).fetchall():
        texts.append(f"SELECT pg_catalog.lo_from_bytea({oid}, '\\x{data.hex()}');")
        if entry.owner != connection.info.user:
            texts.append(f"ALTER LARGE OBJECT {oid} OWNER TO {owner};")
    return "\n".join(texts)


def _value(connection: psycopg.Connection[Any], query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    return str(row[0]) if row else ""
