"""The outcome of a whole catalog: replayed on a scratch server, dumped, and tried in an empty database."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile, run_prelude
from pgslate.dump.definitions import PROLOGUE, Snapshot
from pgslate.dump.entries import Entry
from pgslate.dump.extension_members import Membership, is_altered, take_out
from pgslate.dump.pg_dump import dumped, entries_of
from pgslate.dump.prelude_changes import Changes, State, changes, state_of
from pgslate.dump.rehearsal import Refusal, rehearse
from pgslate.dump.roles import texts_of
from pgslate.dump.search_paths import search_paths
from pgslate.slices.replay import replay_all
from pgslate.targets.embedded.server import Server
from pgslate.trace.observer import Observer
from pgslate.trace.system_catalogs import PG_AUTHID
from pgslate.trace.world import World

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
) -> Snapshot:
    """The snapshot of a database, as pg_dump has it.

    Args:
        server: Where the database is.
        dbname: Its name.
        connection: A session in it.
        fresh: A session in an empty database, where members may have been added to an extension.
        before: What a prelude had made of the database, if there is one.
    """
    world = World()
    world.begin(Observer(connection).everything())
    settings = tuple(row[0] for row in connection.execute(_SETTINGS))
    roles = tuple(_roles(connection, world))
    membership = take_out(connection, fresh) if fresh is not None else Membership({}, {})
    changed = Changes()
    if before is None:
        archive = dumped(server, dbname)
    else:
        after = _state(server, dbname, connection)
        archive, changed = after.archive, changes(before, after)
    found = tuple(entries_of(archive, connection, world, changed, membership))
    units = {entry.number: entry.unit for entry in found}
    refused = tuple(
        Refusal(unit, f"{unit[0]} {unit[1]}: {why}")
        for number, why in changed.refused.items()
        if (unit := units.get(number)) is not None
    )
    return Snapshot(server.major, (*roles, *found), settings, refused)


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
        taken = _taken(server, dbname, connection, fresh, before)
        run_prelude(empty, prelude)
        if _runs(taken, empty):
            return taken
        entries, refused = rehearse(taken.entries, PROLOGUE, empty, search_paths(catalog, prelude))
        found = replace(taken, entries=entries, refused=(*taken.refused, *refused))
        return found if _runs(found, empty) else replace(found, is_folded=False)


def _runs(snapshot: Snapshot, empty: psycopg.Connection[Any]) -> bool:
    try:
        with empty.transaction(force_rollback=True):
            empty.execute(snapshot.whole_script().encode())
    except psycopg.Error:
        return False
    return True


def _roles(connection: psycopg.Connection[Any], world: World) -> Iterable[Entry]:
    """Entries for the server's roles, numbered below those of the dump, and for who is a member of which."""
    numbers: dict[int, int] = {}
    for number, role in enumerate(texts_of(connection), start=1):
        unit = None
        if len(role.oids) == 1:
            numbers[role.oids[0]] = -number
            unit = world.unit((PG_AUTHID, role.oids[0]))
        known = world.units[unit] if unit is not None else None
        yield Entry(
            number=-number,
            type="ROLE" if known else "MEMBERSHIP",
            name=role.name,
            unit=(known.kind, known.name) if known else None,
            needs=() if known else tuple(numbers[oid] for oid in role.oids if oid in numbers),
            settings=(),
            text=role.text,
        )
