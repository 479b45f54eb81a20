"""The same catalog gives the same trace, wherever PostgreSQL puts its rows and whatever numbers it gives."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.slices.judging import catalog_of

from pgslate.targets.embedded.server import Server
from pgslate.trace import document
from pgslate.trace.catalog_rows import Row
from pgslate.trace.changes import Changes
from pgslate.trace.live_objects import LiveObjects
from pgslate.trace.tracer import trace

SOURCES = (
    "CREATE TABLE users (id serial PRIMARY KEY, at date, note text UNIQUE);"
    "CREATE TABLE orders (id bigserial PRIMARY KEY, other serial, user_id int REFERENCES users (id));",
    "CREATE TEMP TABLE kept AS SELECT note FROM users; CREATE SCHEMA s CREATE TABLE a (i serial) CREATE VIEW"
    " v AS SELECT i FROM a; CREATE TYPE mood AS ENUM ('sad', 'glad');",
    "DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['one', 'two', 'three'] LOOP"
    " EXECUTE format('CREATE TABLE %I (id serial PRIMARY KEY, note text)', 'made_' || t); END LOOP; END $$;"
    "COMMENT ON TABLE made_one IS 'one'; DROP TABLE made_two; ALTER TABLE made_one RENAME TO first;",
)

Take = Callable[..., Changes]


def shuffled(
    take: Take, chance: random.Random, live: LiveObjects, rows: list[Row], *given: Any, **more: Any
) -> Changes:
    chance.shuffle(rows)
    return take(live, rows, *given, **more)


@pytest.mark.parametrize("seed", range(4))
def test_a_trace_does_not_hang_on_numbers_and_places_of_rows(
    server: Server, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    catalog = catalog_of(*SOURCES)
    found: list[str] = []
    for name in (f"tidy_{seed}", f"shuffled_{seed}"):
        target = server.create_database(name, template="template0")
        try:
            found.append(document.dumps(trace(catalog, target).trace, {}))
        finally:
            server.drop_database(name)
        take = partial(shuffled, LiveObjects.take, random.Random(seed))  # noqa: S311
        monkeypatch.setattr(LiveObjects, "take", lambda *given, take=take, **more: take(*given, **more))
    assert found[0] == found[1]
