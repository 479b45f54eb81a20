"""A migration added to a traced catalog: its trace goes on where the earlier one ended, and is the same."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from tests.slices.judging import catalog_of

from pgslate.catalog.catalog import Catalog
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace import document, saved_state, trace_cache
from pgslate.trace.effects import Trace
from pgslate.trace.live_objects import LiveObjects
from pgslate.trace.trace_cache import trace_of
from pgslate.trace.tracer import Traced, trace

SOURCES = (
    "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE SCHEMA app; CREATE EXTENSION vector;"
    "CREATE TABLE users (id serial PRIMARY KEY, mood mood, note text UNIQUE, at vector(3));"
    "CREATE TABLE app.orders (id bigserial PRIMARY KEY, user_id int REFERENCES users (id))"
    " PARTITION BY RANGE (id);",
    "CREATE TABLE app.early PARTITION OF app.orders FOR VALUES FROM (0) TO (100);"
    "COMMENT ON TABLE users IS 'who';"
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM users';"
    "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;"
    "GRANT SELECT ON users TO PUBLIC;",
    "INSERT INTO users (mood) VALUES ('sad'); CREATE VIEW names AS SELECT note, one() FROM users;"
    "ALTER SCHEMA app RENAME TO sales; CREATE TEMP TABLE gone AS SELECT 1 AS i;"
    "ALTER TABLE sales.orders ADD COLUMN users_id int; CREATE INDEX ON users (mood) WHERE mood = 'glad';",
    "DO $$ BEGIN EXECUTE format('CREATE TABLE %I (id serial, note text)', 'made'); PERFORM one(); END $$;"
    "DROP VIEW names; ALTER TABLE users DROP COLUMN note; REVOKE SELECT ON users FROM PUBLIC;",
    "CREATE TABLE users_note (user_id int REFERENCES users (id), note text DEFAULT one()::text);"
    "CREATE TABLE sales.late PARTITION OF sales.orders FOR VALUES FROM (100) TO (200); DROP TABLE made;",
    "DROP TABLE sales.orders; DROP FUNCTION one CASCADE; UPDATE users SET mood = 'glad';"
    "COMMENT ON TABLE users IS NULL;",
)


@pytest.mark.parametrize("done", range(1, len(SOURCES)))
def test_a_trace_that_goes_on_is_that_of_the_whole(server: Server, database: Target, done: int) -> None:
    catalog = catalog_of(*SOURCES)
    begun = trace(first(catalog, done), database)
    earlier, _ = document.loads(text_of(begun.trace))
    live = saved_state.loads(saved_state.dumps(begun.live), earlier.units)
    assert live is not None
    gone_on = trace(catalog, database, earlier=Traced(earlier, live))
    assert text_of(gone_on.trace) == text_of(trace_by_itself(server, catalog))


def test_only_what_was_added_is_traced(cache: Path) -> None:
    told: list[int] = []
    catalog = catalog_of(*SOURCES)
    whole = [trace_of(first(catalog, done), progress=lambda at, *_: told.append(at)) for done in (4, 5, 6)]
    assert told == [0, 1, 2, 3, 4, 5]
    assert [len(each.migrations) for each in whole] == [4, 5, 6]


def test_where_what_was_kept_is_another_versions_all_is_traced_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    catalog = catalog_of(*SOURCES)
    with monkeypatch.context() as another:
        another.setattr(saved_state, "_layout", lambda: "that of another version")
        trace_of(first(catalog, 4))
    trace_of(first(catalog, 5), progress=lambda at, *_: told.append(at))
    assert told == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kept", [b"", pickle.dumps(Path("else"))], ids=["nothing", "something else"])
def test_what_is_no_world_is_none(kept: bytes) -> None:
    assert saved_state.loads(kept, []) is None


def test_half_a_world_is_none() -> None:
    kept = saved_state.dumps(LiveObjects())
    assert saved_state.loads(kept[: len(kept) // 2], []) is None


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own, where the data of the shortest trace is kept, too."""
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path))
    monkeypatch.setattr(trace_cache, "_WORTH_KEEPING", 0)
    return tmp_path


def first(catalog: Catalog, count: int) -> Catalog:
    """The catalog as it was when it had ``count`` migrations."""
    return Catalog(catalog.root, catalog.format, catalog.migrations[:count])


def trace_by_itself(server: Server, catalog: Catalog) -> Trace:
    """Its trace in a database of its own."""
    target = server.create_database("by_itself", template="template0")
    try:
        return trace(catalog, target).trace
    finally:
        server.drop_database("by_itself")


def text_of(found: Trace) -> str:
    return document.dumps(found, {})
