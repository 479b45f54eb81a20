"""The tables in which other migration tools note what they applied, and the migrations that the rows name.

Pure: rows come in as JSON objects. Sources: each tool's own statements and manual pages (Flyway's schema
history, golang-migrate's postgres driver, goose's dialects, Alembic's ``alembic_version``, Prisma's
``_prisma_migrations``, sqlx-postgres, diesel_migrations, Liquibase's DATABASECHANGELOG, Sqitch's registry).
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Noted:
    """What a row says of one migration.

    ``names`` are what the migration may be called, the surest first; ``checksum`` is what the tool noted of
    its file. ``failure`` says why the row doesn't stand for an applied migration. ``through`` means this one
    and all below it; ``optional``, that the catalog need not have it.
    """

    names: tuple[str, ...]
    checksum: str | None = None
    failure: str = ""
    through: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A migration tool and its table.

    ``columns`` are those that the table must have, ``without`` those that it must not have. ``schema`` is
    where the table always is, "" for anywhere. ``order`` is the SQL that its rows are ordered by.
    ``checksum`` computes the tool's checksum of a file, in each way that the tool accepts.
    """

    name: str
    title: str
    table: str
    columns: frozenset[str]
    order: str
    noted: Callable[[Rows, Catalog], Iterable[Noted]]
    schema: str = ""
    without: frozenset[str] = frozenset()
    checksum: Callable[[bytes], tuple[str, ...]] | None = None

    def keeps(self, schema: str, table: str, columns: Iterable[str]) -> bool:
        """Whether a table is this tool's; ``columns`` are names, and names with their types."""
        found = frozenset(columns)
        return (
            table == self.table
            and self.schema in ("", schema)
            and self.columns <= found
            and not self.without & found
        )


def migration_called(catalog: Catalog, name: str) -> Migration | None:
    """The migration of that name; of a path, also where only its last part is a name in the catalog."""
    found = catalog.find(name)
    if found is None and "/" in name:
        found = catalog.find(name.rsplit("/", 1)[-1])
    return found


def numbers_of(version: str) -> list[int]:
    """The numbers of a dotted version, without zeros at its end.

    >>> numbers_of("1.10.0") > numbers_of("1.9")
    True
    """
    found = [int(part) for part in re.findall(r"\d+", version)]
    while found and not found[-1]:
        found.pop()
    return found


def content_of(catalog: Catalog, migration: Migration) -> bytes:
    """The bytes of a migration's file; those of its SQL where that file isn't in the folder."""
    try:
        return (catalog.root / migration.file).read_bytes()
    except OSError:
        return migration.source.encode()


# -- checksums


def _flyway_checksum(content: bytes) -> tuple[str, ...]:
    """CRC-32 over the lines without their ends, as a signed number.

    >>> _flyway_checksum(b"CREATE TABLE a ();\\r\\n") == _flyway_checksum(b"CREATE TABLE a ();")
    True
    """
    text = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"").replace(b"\n", b"")
    crc = zlib.crc32(text)
    return (str(crc - (1 << 32) if crc >= 1 << 31 else crc),)


def _line_ends(content: bytes) -> tuple[bytes, ...]:
    unix = content.replace(b"\r\n", b"\n")
    return content, unix, unix.replace(b"\n", b"\r\n")


def _sha256(content: bytes) -> tuple[str, ...]:
    return tuple(hashlib.sha256(each).hexdigest() for each in _line_ends(content))


def _sha384(content: bytes) -> tuple[str, ...]:
    return tuple("\\x" + hashlib.sha384(each).hexdigest() for each in _line_ends(content))


def _sha1(content: bytes) -> tuple[str, ...]:
    return tuple(hashlib.sha1(each, usedforsecurity=False).hexdigest() for each in _line_ends(content))


# -- what the rows of each table say


def _by(column: str) -> Callable[[Rows, Catalog], Iterable[Noted]]:
    """A table with one row for each applied migration, which a column names."""

    def noted(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
        for row in rows:
            yield Noted((str(row[column]),))

    return noted


def _of_flyway(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    """The last row of each version, or of each repeatable script, counts: others were undone or run again."""
    last: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["type"] != "SCHEMA":
            last[row["version"] or row["script"]] = row
    baseline = next((m for m in catalog if m.file.rsplit("/", 1)[-1].startswith("B")), None)
    for row in last.values():
        script, version, kind = str(row["script"]), row["version"], str(row["type"])
        if not row["success"]:
            yield Noted((script,), failure=f"{script} failed (success is false)")
        elif kind == "DELETE" or kind.startswith("UNDO"):
            continue
        elif kind == "BASELINE":
            yield Noted((version,), through=True, optional=True)
        else:
            file = migration_called(catalog, script)
            replaced = (
                baseline is not None and version and numbers_of(version) <= numbers_of(baseline.version)
            )
            yield Noted(
                (script, version) if version else (script,),
                checksum=str(row["checksum"]) if file and row["checksum"] is not None else None,
                through="BASELINE" in kind,
                optional=bool(replaced),
            )


def _of_golang_migrate(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    for row in rows:
        version = str(row["version"])
        failure = f"version {version} is dirty: golang-migrate stopped in the middle of it"
        yield Noted((version,), through=True, failure=failure if row["dirty"] else "")


def _of_goose(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    """The last row of each version says whether it is applied; version 0 is the table's own."""
    last = {row["version_id"]: row["is_applied"] for row in rows}
    for version, is_applied in last.items():
        if version and is_applied:
            yield Noted((str(version),))


def _of_alembic(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    """Each row is a head: the revision is applied, and so are those that it comes after."""
    before = {m.version: _comes_after(catalog, m) for m in catalog}
    waiting, seen = [str(row["version_num"]) for row in rows], set[str]()
    while waiting:
        revision = waiting.pop()
        if revision not in seen:
            seen.add(revision)
            waiting += before.get(revision, ())
            yield Noted((revision,))


def _comes_after(catalog: Catalog, migration: Migration) -> tuple[str, ...]:
    """The revisions that a revision's file names as ``down_revision`` and ``depends_on``."""
    try:
        tree = ast.parse((catalog.root / migration.file).read_bytes())
    except (OSError, SyntaxError):
        return ()
    found: list[str] = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        targets = [node.target] if isinstance(node, ast.AnnAssign) else list(targets)
        names = {each.id for each in targets if isinstance(each, ast.Name)}
        value = getattr(node, "value", None)
        if names & {"down_revision", "depends_on"} and value is not None:
            found += [each.value for each in ast.walk(value) if _is_text(each)]  # type: ignore[attr-defined]
    return tuple(found)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _of_prisma(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    for row in rows:
        name = str(row["migration_name"])
        if row["rolled_back_at"] is not None:
            continue
        failure = "" if row["finished_at"] else f"{name} failed, or still runs (finished_at is null)"
        yield Noted((name,), checksum=str(row["checksum"]), failure=failure)


def _of_sqlx(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    for row in rows:
        version = str(row["version"])
        failure = "" if row["success"] else f"version {version} failed (success is false)"
        yield Noted((version,), checksum=str(row["checksum"]), failure=failure)


def _of_liquibase(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    """A changeset is its file, id and author; the file may be written from another folder."""
    for row in rows:
        own = f"::{row['id']}::{row['author']}"
        file = str(row["filename"]).removeprefix("classpath:")
        name = file + own
        alike = [
            m.version
            for m in catalog
            if m.version.endswith(own) and f"/{file}".endswith("/" + m.version.removesuffix(own))
        ]
        longer = [
            m.version
            for m in catalog
            if m.version.endswith(own) and f"/{m.version.removesuffix(own)}".endswith("/" + file)
        ]
        other = alike if len(alike) == 1 else longer if len(longer) == 1 else []
        failure = f"{name} failed (exectype FAILED)" if row["exectype"] == "FAILED" else ""
        if row["exectype"] != "SKIPPED":
            yield Noted((name, *other), failure=failure)


def _of_sqitch(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    """A change that was reworked stands once for each time."""
    times: Counter[str] = Counter()
    for row in rows:
        change = str(row["change"])
        times[change] += 1
        name = change if times[change] == 1 else f"{change}#{times[change]}"
        yield Noted((name,), checksum=row["script_hash"])


def _of_supabase(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    for row in rows:
        version = str(row["version"])
        yield Noted((f"{version}_{row.get('name')}", version))


def _of_tern(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    for row in rows:
        if row["version"]:
            yield Noted((str(row["version"]),), through=True)


def _of_drizzle(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    """A row has the file's hash, and the moment by which the journal knows the migration."""
    by_hash: dict[str, str] = {}
    for migration in catalog:
        by_hash |= dict.fromkeys(_sha256(content_of(catalog, migration)), migration.version)
    tags = _journal(catalog.root / "meta" / "_journal.json")
    for row in rows:
        known = by_hash.get(row["hash"]) or tags.get(row["created_at"]) or f"the file of hash {row['hash']}"
        yield Noted((known,), checksum=row["hash"])


def _of_graphile_migrate(rows: Rows, catalog: Catalog) -> Iterable[Noted]:
    for row in rows:
        yield Noted((str(row["filename"]),), checksum=row["hash"])


def _graphile_hash(content: bytes) -> tuple[str, ...]:
    """The hash that the file's own header says.

    >>> _graphile_hash(b"--! Previous: -\\n--! Hash: sha1:ab12\\n\\nSELECT 1;")
    ('sha1:ab12',)
    """
    return tuple(found.decode() for found in re.findall(rb"^--! Hash: (\S+)", content, re.MULTILINE))


def _journal(file: Path) -> dict[Any, str]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["entries"]
        return {each["when"]: each["tag"] for each in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _tool(
    name: str,
    title: str,
    table: str,
    columns: str,
    order: str,
    noted: Callable[[Rows, Catalog], Iterable[Noted]] | None = None,
    *,
    without: str = "",
    checksum: Callable[[bytes], tuple[str, ...]] | None = None,
) -> Tool:
    """A tool by its table, with its schema before a dot; by default ``order`` is the column of its names."""
    schema, _, bare = table.rpartition(".")
    needed, unwanted = frozenset(columns.split()), frozenset(without.split())
    return Tool(
        name, title, bare, needed, order, noted or _by(order), schema, without=unwanted, checksum=checksum
    )


TOOLS: tuple[Tool, ...] = (
    _tool(
        "flyway",
        "Flyway",
        "flyway_schema_history",
        "installed_rank version type script checksum success",
        "installed_rank",
        _of_flyway,
        checksum=_flyway_checksum,
    ),
    _tool(
        "supabase",
        "Supabase",
        "supabase_migrations.schema_migrations",
        "version",
        "version",
        _of_supabase,
    ),
    _tool(
        "golang-migrate",
        "golang-migrate",
        "schema_migrations",
        "version dirty",
        "version",
        _of_golang_migrate,
    ),
    _tool("ecto", "Ecto", "schema_migrations", "version inserted_at", "version"),
    _tool(
        "dbmate",
        "dbmate",
        "schema_migrations",
        "version version:varchar(128)",
        "version",
        without="dirty inserted_at statements",
    ),
    _tool(
        "rails",
        "Rails",
        "schema_migrations",
        "version",
        "version",
        without="dirty inserted_at statements version:varchar(128) version:bigint",
    ),
    _tool("goose", "goose", "goose_db_version", "id version_id is_applied", "id", _of_goose),
    _tool("alembic", "Alembic", "alembic_version", "version_num", "version_num", _of_alembic),
    _tool(
        "prisma",
        "Prisma",
        "_prisma_migrations",
        "migration_name checksum finished_at rolled_back_at started_at",
        "started_at",
        _of_prisma,
        checksum=_sha256,
    ),
    _tool(
        "sqlx",
        "sqlx",
        "_sqlx_migrations",
        "version success checksum",
        "version",
        _of_sqlx,
        checksum=_sha384,
    ),
    _tool("diesel", "Diesel", "__diesel_schema_migrations", "version run_on", "version"),
    _tool(
        "liquibase",
        "Liquibase",
        "databasechangelog",
        "id author filename exectype orderexecuted",
        "orderexecuted",
        _of_liquibase,
    ),
    _tool(
        "sqitch",
        "Sqitch",
        "sqitch.changes",
        "change_id change script_hash committed_at",
        "committed_at",
        _of_sqitch,
        checksum=_sha1,
    ),
    _tool("yoyo", "yoyo", "_yoyo_migration", "migration_hash migration_id", "migration_id"),
    _tool("tern", "tern", "schema_version", "version version:integer", "version", _of_tern),
    _tool("node-pg-migrate", "node-pg-migrate", "pgmigrations", "id name run_on", "name"),
    _tool(
        "drizzle",
        "Drizzle",
        "drizzle.__drizzle_migrations",
        "hash created_at",
        "created_at",
        _of_drizzle,
        checksum=_sha256,
    ),
    _tool("sql-migrate", "sql-migrate", "gorp_migrations", "id applied_at", "id"),
    _tool(
        "graphile-migrate",
        "Graphile Migrate",
        "graphile_migrate.migrations",
        "hash filename",
        "filename",
        _of_graphile_migrate,
        checksum=_graphile_hash,
    ),
)


TABLES: tuple[str, ...] = tuple(sorted({tool.table for tool in TOOLS}))
"""The names of the tables that the tools keep."""


def tool_of(schema: str, table: str, columns: Iterable[str]) -> Tool | None:
    """The tool that keeps a table, the most particular first."""
    found = tuple(columns)
    return next((tool for tool in TOOLS if tool.keeps(schema, table, found)), None)
