"""The outcome of a whole catalog: replayed on a scratch server, dumped, and tried in an empty database."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile, run_prelude
from pgslate.dump.definitions import PROLOGUE, Snapshot
from pgslate.dump.entries import ROWS, Entry, Named
from pgslate.dump.extension_members import Membership, is_altered, take_out
from pgslate.dump.pg_dump import dumped, entries_of, qualified_name
from pgslate.dump.prelude_changes import Changes, State, changes, state_of
from pgslate.dump.rehearsal import Refusal, rehearse
from pgslate.dump.roles import texts_of
from pgslate.dump.search_paths import search_paths
from pgslate.schema.compare import compare
from pgslate.schema.model import Schema
from pgslate.schema.read import read
from pgslate.slices.replay import replay_all
from pgslate.targets.embedded.server import Server
from pgslate.trace.live_objects import LiveObjects
from pgslate.trace.observer import Observer
from pgslate.trace.system_catalogs import PG_AUTHID

_SETTINGS = """
SELECT config FROM pg_catalog.pg_db_role_setting s
JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) config
WHERE d.datname = pg_catalog.current_database() AND s.setrole = 0 AND config !~ '^pg_[^.=]*='"""

_numbers = itertools.count(1)


def take(server: Server, catalog: Catalog, prelude: Sequence[PreludeFile] = ()) -> Snapshot:
    """The snapshot of a catalog that is known to run on ``server``; no database is left behind.

    Raises TargetError where the installation has no pg_dump, or it fails.
    """
    with _database(server, catalog) as (connection, dbname):
        run_prelude(connection, prelude)
        before = _state(server, dbname, connection) if prelude else None
        replay_all(catalog, connection)
        return _rehearsed(server, dbname, connection, catalog, prelude, before)


def take_from(server: Server, dbname: str, catalog: Catalog) -> Snapshot:
    """The same of a database to which the catalog was applied, without a prelude; it may be altered.

    Raises as ``take`` does.
    """
    with server.target(dbname).connect(
        settings=catalog.settings, autocommit=True, prepare_threshold=None
    ) as connection:
        return _rehearsed(server, dbname, connection, catalog, (), None)


@contextmanager
def _database(server: Server, catalog: Catalog) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """An empty database, dropped again: a session in it as a migration's begins, and its name."""
    name = f"pgslate_objects_{next(_numbers)}"
    target = server.create_database(name, template="template0")
    try:
        with target.connect(settings=catalog.settings, autocommit=True, prepare_threshold=None) as connection:
            yield connection, name
    finally:
        server.drop_database(name)


def _state(server: Server, dbname: str, connection: psycopg.Connection[Any]) -> State:
    with connection.transaction():
        connection.execute("SET LOCAL search_path = ''")
        return state_of(dumped(server, dbname, rows_per_insert=1), connection)


def _alters(catalog: Catalog, prelude: Iterable[PreludeFile]) -> bool:
    return is_altered([*(file.text for file in prelude), *(migration.source for migration in catalog)])


def _taken(
    server: Server,
    dbname: str,
    connection: psycopg.Connection[Any],
    fresh: psycopg.Connection[Any] | None,
    before: State | None,
) -> tuple[Snapshot, Changes]:
    """The snapshot of a database, as pg_dump has it, and what differs from its prelude.

    Args:
        server: Where the database is.
        dbname: Its name.
        connection: A session in it.
        fresh: A session in an empty database, where members may have been added to an extension.
        before: What a prelude had made of the database, if there is one.
    """
    live = LiveObjects()
    live.begin(Observer(connection).everything())
    settings = tuple(row[0] for row in connection.execute(_SETTINGS))
    roles = tuple(_roles(connection, live))
    membership = take_out(connection, fresh) if fresh is not None else Membership({}, {})
    changed = Changes()
    if before is None:
        archive = dumped(server, dbname)
    else:
        after = _state(server, dbname, connection)
        archive, changed = after.archive, changes(before, after)
    found = tuple(entries_of(archive, connection, live, changed, membership))
    return Snapshot(server.major, (*roles, *found), settings, _refusals(found, changed.refused)), changed


def _with_rows(
    taken: Snapshot, changed: Changes, server: Server, catalog: Catalog, prelude: Sequence[PreludeFile]
) -> Snapshot:
    """The snapshot without the rows that the prelude makes, where their table was altered.

    To see what the alterations make of the prelude's rows, a database is altered and dumped.
    """
    numbers = changed.changed_rows
    others = replace(taken, entries=tuple(e for e in taken.entries if e.number not in numbers))
    rows: dict[str, str] = {}
    with _database(server, catalog) as (connection, dbname):
        run_prelude(connection, prelude)
        try:
            with connection.transaction():
                connection.execute(others.whole_script().encode())
            archive = dumped(server, dbname, rows_per_insert=1)
            rows = {qualified_name(e): archive.rows[e.number] for e in archive.entries if e.type == ROWS}
        except psycopg.Error:
            pass
    entries: list[Entry] = []
    refused: dict[int, str] = {}
    for entry in taken.entries:
        there = rows.get(entry.name, "").rstrip("\n")
        if entry.number in numbers and there and entry.text.startswith(there):
            entry = replace(entry, text=entry.text.removeprefix(there).strip("\n"))
        elif entry.number in numbers:
            refused[entry.number] = "the prelude makes rows that migrations change"
            entry = replace(entry, text="")
        entries.append(entry)
    return replace(
        taken, entries=tuple(entries), refused=(*taken.refused, *_refusals(taken.entries, refused))
    )


def _refusals(entries: Iterable[Entry], refused: Mapping[int, str]) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(entry.unit, f"{entry.unit[0]} {entry.unit[1]}: {refused[entry.number]}")
        for entry in entries
        if entry.number in refused and entry.unit is not None
    )


def _rehearsed(
    server: Server,
    dbname: str,
    connection: psycopg.Connection[Any],
    catalog: Catalog,
    prelude: Sequence[PreludeFile],
    before: State | None,
) -> Snapshot:
    """The snapshot of a database, its entries in an order and under search paths in which they can be run.

    Args:
        server: Where the database is.
        dbname: Its name.
        connection: A session in it.
        catalog: The migrations that were run there.
        prelude: What was run before them.
        before: What the prelude had made of the database, if there is one.
    """
    with _database(server, catalog) as (empty, _):
        fresh = empty if _alters(catalog, prelude) else None
        taken, changed = _taken(server, dbname, connection, fresh, before)
        if changed.changed_rows:
            taken = _with_rows(taken, changed, server, catalog, prelude)
        run_prelude(empty, prelude)
        return _settled(taken, empty, search_paths(catalog, prelude), read(connection))


def _settled(
    taken: Snapshot, empty: psycopg.Connection[Any], paths: Sequence[str], wanted: Schema
) -> Snapshot:
    """The snapshot as it can be run, and so that every definition comes out as it was.

    An empty search path may also make another definition without an error: IS DISTINCT FROM then compares as
    text what has an operator of its own.
    """
    found = taken
    wrong = _differing(found, empty, wanted)
    if wrong is None:
        entries, refused = rehearse(taken.entries, PROLOGUE, empty, paths)
        found = replace(taken, entries=entries, refused=(*taken.refused, *refused))
        wrong = _differing(found, empty, wanted)
    if wrong is None:
        found = replace(found, is_folded=False)
        wrong = _differing(found, empty, wanted)
    for path in paths:
        if not wrong:
            break
        still_wrong = _differing(_under(found, path, wrong), empty, wanted)
        mended = set() if still_wrong is None else wrong - still_wrong
        found = _under(found, path, mended)
        wrong -= mended
    return found


def _under(snapshot: Snapshot, path: str, units: Collection[Named]) -> Snapshot:
    """The snapshot with the definitions of these units made under a search path."""
    return replace(
        snapshot,
        entries=tuple(
            replace(entry, settings=(*entry.settings, ("search_path", path)))
            if entry.unit in units and entry.type != ROWS
            else entry
            for entry in snapshot.entries
        ),
    )


def _differing(snapshot: Snapshot, empty: psycopg.Connection[Any], wanted: Schema) -> set[Named] | None:
    """The units that come out other than they should; None where the whole script can't be run."""
    try:
        with empty.transaction(force_rollback=True):
            empty.execute(snapshot.whole_script().encode())
            found = read(empty)
    except psycopg.Error:
        return None
    if not compare(wanted, found):
        return set()
    return {unit for unit in {each.owner for each in wanted} if compare(wanted.within([unit]), found)}


def _roles(connection: psycopg.Connection[Any], live: LiveObjects) -> Iterable[Entry]:
    """Entries for the server's roles, numbered below those of the dump, and for who is a member of which."""
    numbers: dict[int, int] = {}
    for number, role in enumerate(texts_of(connection), start=1):
        unit = None
        if len(role.oids) == 1:
            numbers[role.oids[0]] = -number
            unit = live.unit((PG_AUTHID, role.oids[0]))
        known = live.units[unit] if unit is not None else None
        yield Entry(
            number=-number,
            type="ROLE" if known else "MEMBERSHIP",
            name=role.name,
            unit=(known.kind, known.name) if known else None,
            needs=() if known else tuple(numbers[oid] for oid in role.oids if oid in numbers),
            settings=(),
            text=role.text,
        )
