"""What stands in a database against the catalog: missing, edited, out of order, applied in part. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

from psycopg import sql

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration, shown
from pgslate.catalog.sqlstates import place_of
from pgslate.catalog.statements import Statement
from pgslate.errors import EditedMigrationError, MissingMigrationError, OutOfOrderError, PartlyAppliedError
from pgslate.execution.ledger import Ledger, LedgerRow, checksum_of
from pgslate.plain_text import counted
from pgslate.slices.slice import Slice


def missing(catalog: Catalog, ledger: Ledger) -> tuple[LedgerRow, ...]:
    """The ledger's rows whose migrations the catalog doesn't have."""
    return tuple(row for version, row in ledger.by_version.items() if version not in catalog.by_version)


def shown_rows(catalog: Catalog, ledger: Ledger) -> dict[str, str]:
    """The name to show to people for each version that the catalog or the ledger has."""
    rows = {version: row.file for version, row in ledger.by_version.items()}
    return shown(rows | {m.version: m.file for m in catalog})


def edited(catalog: Catalog, ledger: Ledger) -> tuple[Migration, ...]:
    """The migrations that are not as they were when they were applied.

    A file that was cut off may be edited from there on; a repeatable one is run again instead.
    """
    return tuple(
        m for m in catalog.migrations if (row := ledger.by_version.get(m.version)) and _differs(m, row)
    )


def is_due_again(migration: Migration, row: LedgerRow) -> bool:
    """Whether a repeatable migration has changed since it was applied, as the row says."""
    return row.finished and migration.repeatable and row.checksum != migration.checksum


def _differs(migration: Migration, row: LedgerRow) -> bool:
    if row.checksum == migration.checksum or migration.repeatable:
        return False
    if row.next is None:
        return True
    return checksum_of(statements_before(migration, row.next, row.statements)) != row.done_checksum


def statements_before(
    migration: Migration, index: int, chosen: Sequence[int] | None
) -> tuple[Statement, ...]:
    """The statements of a file before an index, of those chosen (None: all)."""
    return tuple(
        statement
        for block in migration.blocks
        for number, statement in enumerate(block.statements, start=block.first)
        if number < index and (chosen is None or number in chosen)
    )


def check_missing(catalog: Catalog, ledger: Ledger) -> None:
    """Raise MissingMigrationError where the ledger has rows that the catalog knows nothing of."""
    rows = missing(catalog, ledger)
    if not rows:
        return
    _check_versions(catalog, ledger, rows)
    called = shown_rows(catalog, ledger)
    files = ", ".join(sorted(called[row.version] for row in rows))
    there = {migration.file for migration in catalog}
    holding = sorted({row.file for row in rows})
    if there.issuperset(holding):
        verb, what = "has" if len(holding) == 1 else "have", "it" if len(rows) == 1 else "them"
        lost = f"{', '.join(holding)} {verb} {what} no more"
    else:
        lost = f"{catalog.root.name} has no such {'file' if len(rows) == 1 else 'files'}"
    raise MissingMigrationError(
        f"the ledger says that {files} {'was' if len(rows) == 1 else 'were'} applied, but {lost}",
        fix="bring the file back from version control, or check out the version of the catalog that has it",
        migrations=tuple(sorted(row.version for row in rows)),
    )


def _check_versions(catalog: Catalog, ledger: Ledger, rows: Sequence[LedgerRow]) -> None:
    """Raise MissingMigrationError where a file is there, but was applied under another version.

    Where a file holds several migrations, or did, one that is gone is not another that is there; nor where
    the tool goes by what it has run alone, as Liquibase does: it would run the other.
    """
    if catalog.adds_anywhere:
        return
    now = {m.file: m.version for m in catalog if m.alone}
    held = Counter(row.file for row in ledger.by_version.values())
    other = [row for row in rows if row.file in now and held[row.file] == 1]
    if not other:
        return
    first = other[0]
    more = f" ({len(other) - 1} more alike)" if len(other) > 1 else ""
    rename = sql.SQL("UPDATE pgslate.ledger SET version = {} WHERE version = {}")
    renames = [rename.format(now[row.file], row.version).as_string() for row in other]
    if all(version == file for file, version in now.items()):
        renames = ["UPDATE pgslate.ledger SET version = file"]
    raise MissingMigrationError(
        f"{first.file} was applied as version {first.version}, and is version {now[first.file]} now{more}",
        fix=f"tell the ledger: {'; '.join(renames)}",
        migrations=tuple(sorted(row.version for row in other)),
    )


def check_edited(migrations: Sequence[Migration], ledger: Ledger) -> None:
    """Raise EditedMigrationError for migrations that were edited after they were applied."""
    if not migrations:
        return
    first = migrations[0]
    row = ledger.by_version[first.version]
    lines = [
        f"{m.shown} was edited after it was applied at {ledger.by_version[m.version].applied_at}:"
        f" checksum {ledger.by_version[m.version].checksum} then, {m.checksum} now"
        for m in migrations
    ]
    accept = " ".join(f"--accept-edited {shlex.quote(m.shown)}" for m in migrations)
    raise EditedMigrationError(
        "\n".join(lines),
        fix=f"undo the edit and write a new migration; or, if the database is right all the same, {accept}",
        migrations=tuple(m.version for m in migrations),
        applied_checksum=row.checksum,
        current_checksum=first.checksum,
    )


def check_order(catalog: Catalog, ledger: Ledger, pending: Sequence[Migration]) -> None:
    """Raise OutOfOrderError where a pending migration stands before one that is applied.

    Not where the catalog's tool adds migrations anywhere. And one that the catalog had already when an
    earlier run left it out may be added: that slice was cut without it.
    """
    if catalog.adds_anywhere:
        return
    positions = {m.version: at for at, m in enumerate(catalog.migrations)}
    applied = [at for version in ledger.by_version if (at := positions.get(version)) is not None]
    applied = [at for at in applied if not catalog.migrations[at].repeatable]
    if not applied:
        return
    last = max(applied)
    known = {version for run in ledger.runs for version in run.versions}
    late = [
        m
        for m in pending
        if positions[m.version] < last and m.version not in known and m.version not in ledger.by_version
    ]
    if late:
        files = ", ".join(m.shown for m in late)
        raise OutOfOrderError(
            f"{files} {'was' if len(late) == 1 else 'were'} inserted below {catalog.migrations[last].shown},"
            " which is applied",
            fix=f"give it a version above {catalog.migrations[last].version};"
            " or, if it doesn't matter which of them comes first, --allow-out-of-order",
            migrations=tuple(m.version for m in late),
        )


def check_parts(slice_: Slice, ledger: Ledger, pending: Sequence[int]) -> None:
    """Raise PartlyAppliedError where parts of migrations stand, or would, and the rest can't be added."""
    rows = ledger.by_version.values()
    parts = [row for row in rows if row.form in ("statements", "objects")]
    wholes = [row for row in rows if row.form == "files"]
    if pending and wholes and slice_.form != "files":
        raise PartlyAppliedError(
            f"the {slice_.form} form is for empty databases; this one holds"
            f" {counted(len(wholes), 'whole migration')}",
            fix="use --form files here, or an empty database",
            migrations=tuple(row.version for row in wholes),
        )
    if not parts:
        return
    known = {version for run in ledger.runs for version in run.versions}
    catalog = slice_.catalog
    held = ", ".join(dict.fromkeys(table for run in ledger.runs for table in run.tables)) or "everything"
    for index in pending:
        migration = catalog.migrations[index]
        if migration.version in known and migration.version not in ledger.by_version:
            raise PartlyAppliedError(
                f"this database holds the {parts[0].form} form for {held}, which leaves out"
                f" {migration.shown}; it can't be added afterwards",
                fix="apply all tables together to an empty database, or use the files form, which can grow",
                migrations=(migration.version,),
            )
    for index in slice_.migrations:
        migration = catalog.migrations[index]
        row = ledger.by_version.get(migration.version)
        if row is None or row.statements is None:
            continue
        absent = sorted(set(slice_.statements(index, needed=True)) - set(row.statements))
        if absent:
            place = place_of(migration, _statement(migration, absent[0]))
            raise PartlyAppliedError(
                f"this database holds {len(row.statements)} of the {row.of} statements of {migration.shown},"
                f" for {held};"
                f" what is asked for now needs {len(absent)} more of them",
                place=place,
                fix="apply all tables together to an empty database, or use the files form, which can grow",
                migrations=(migration.version,),
            )


def _statement(migration: Migration, index: int) -> Statement:
    return next(
        block.statements[index - block.first]
        for block in migration.blocks
        if block.first <= index < block.first + len(block.statements)
    )
