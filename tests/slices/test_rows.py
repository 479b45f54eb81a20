"""A proof compares rows and sequences, too, and widens a slice that gets them wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.slices.judging import Court, court

from pgslate.project.project import Project
from pgslate.slices.proof import prove
from pgslate.slices.prover import Prover
from pgslate.slices.selection import select
from pgslate.slices.slice import FORMS, Form, slice_of
from pgslate.targets.embedded.server import Server
from pgslate.trace.effects import NOTHING
from pgslate.verbs.lock import lock
from pgslate.verbs.plan import plan

FORMS_OF_STATEMENTS: tuple[Form, ...] = ("files", "statements")


def blind(case: Court, *hidden: str) -> None:
    """Have the trace of a catalog forget who reads the tables named ``hidden``."""
    units = {unit for unit, info in enumerate(case.trace.units) if info.name in hidden}
    effects = tuple(effect._replace(reads=effect.reads - units) for effect in case.trace.effects)
    case.trace = replace(case.trace, effects=effects)


@pytest.mark.parametrize("form", FORMS_OF_STATEMENTS)
def test_a_slice_with_other_rows_than_the_whole_catalog_is_widened(server: Server, form: Form) -> None:
    with court(
        server,
        "CREATE TABLE prices (id int, price int); INSERT INTO prices VALUES (1, 10);",
        "UPDATE prices SET price = 20;",
        "CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN"
        " RETURN (SELECT COALESCE(sum(price), 0) FROM prices); EXCEPTION WHEN undefined_table THEN RETURN 0;"
        " END $$;",
        "CREATE TABLE totals (total int); INSERT INTO totals VALUES (total());",
    ) as case:
        case.trace = replace(
            case.trace,
            effects=tuple(
                e._replace(reads=e.reads - {0}) if e.migration == 3 else e for e in case.trace.effects
            ),
        )
        blind(case, "public.prices")
        units = select(case.catalog, case.trace, ["totals"])
        assert len(slice_of(case.catalog, case.trace, units, form=form).migrations) < 4
        proof = case.proof("totals", form)
        assert proof.slice.migrations == (0, 1, 2, 3)
        assert "table public.totals has other rows in total" in proof.failures[0]


@pytest.mark.parametrize("form", FORMS_OF_STATEMENTS)
def test_a_slice_that_leaves_out_a_consumer_of_a_sequence_is_widened(server: Server, form: Form) -> None:
    with court(
        server,
        "CREATE SEQUENCE numbers; CREATE TABLE first (n int); CREATE TABLE second (n int);",
        "INSERT INTO first SELECT nextval('numbers') FROM generate_series(1, 3);",
        "INSERT INTO second VALUES (nextval('numbers'));",
        "ALTER TABLE second ALTER COLUMN n SET DEFAULT nextval('numbers');",
    ) as case:
        sequence = next(u for u, info in enumerate(case.trace.units) if info.kind == "sequence")
        case.trace = replace(
            case.trace,
            effects=tuple(
                e._replace(writes=e.writes - {sequence}) if e.migration == 1 else e
                for e in case.trace.effects
            ),
        )
        proof = case.proof("second", form)
        assert 1 in proof.slice.migrations
        assert not proof.unproved


def test_the_position_of_a_sequence_is_compared(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id serial PRIMARY KEY, name text);",
        "SELECT setval('users_id_seq', 41);",
    ) as case:
        units = select(case.catalog, case.trace, ["users"])
        attempt = slice_of(case.catalog, case.trace, units, form="files", widening=NOTHING)
        short = replace(attempt, effects=frozenset({0}), migrations=(0,))
        with Prover(server) as prover:
            failed = prover.check(short)
            assert failed is not None
            assert "public.users_id_seq stands at 1 (not yet given out), not at 41" in failed.what
            assert prover.check(attempt) is None


@pytest.mark.parametrize("form", FORMS)
def test_what_hangs_on_time_or_chance_is_left_out_by_column(server: Server, form: Form) -> None:
    with (
        court(
            server,
            "CREATE TABLE users (id uuid DEFAULT gen_random_uuid(), name text, at timestamptz DEFAULT now());"
            "INSERT INTO users (name) VALUES ('ann'), ('bob');",
            "UPDATE users SET name = 'eve' WHERE name = 'bob';",
        ) as case,
        Prover(server) as prover,
    ):
        units = select(case.catalog, case.trace, ["users"])
        reference = prover.reference_for(case.catalog)
        assert reference.changing == {"public.users": ("at", "id")}
        if form != "objects":
            assert not prove(prover, case.catalog, case.trace, units, form).failures
        attempt = slice_of(case.catalog, case.trace, units, form="files", widening=NOTHING)
        failed = prover.check(replace(attempt, effects=frozenset({0, 1}), migrations=(0,)))
        assert failed is not None
        assert failed.what == "table public.users has other rows in name"


def test_the_order_of_rows_does_not_matter_and_partitions_are_compared_once(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE logs (at date, n int) PARTITION BY RANGE (at);"
        "CREATE TABLE logs_old PARTITION OF logs FOR VALUES FROM ('2001-01-01') TO ('2002-01-01');",
        "INSERT INTO logs SELECT '2001-02-03', n FROM generate_series(1, 5) n ORDER BY random();",
    ) as case:
        with Prover(server) as prover:
            reference = prover.reference_for(case.catalog)
        assert reference.changing == {}
        assert list(reference.outcome.rows) == ["public.logs_old"]


def test_stored_generated_and_identity_columns_are_compared(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE boxes (id int GENERATED ALWAYS AS IDENTITY, a int,"
        " area int GENERATED ALWAYS AS (a * a) STORED); INSERT INTO boxes (a) VALUES (2), (3);",
    ) as case:
        with Prover(server) as prover:
            reference = prover.reference_for(case.catalog)
        assert set(reference.outcome.rows["public.boxes"].columns) == {"id", "a", "area"}
        assert reference.outcome.positions == {"public.boxes_id_seq": "2*"}


def test_a_lock_keeps_the_digests_and_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "001_users.sql").write_text(
        "CREATE TABLE users (id serial, at timestamptz DEFAULT now());\n"
        "INSERT INTO users DEFAULT VALUES;\nCREATE TABLE empty (id int);\n"
    )
    written = lock(Project.open(folder))
    assert written.changing == ("public.users.at",)
    text = written.path.read_text()
    assert '["public.users_id_seq", "1*"]' in text
    assert '"public.users", 1, ' in text
    assert plan(Project.open(folder).slice("users")).changing == ("public.users.at",)
    written.path.unlink()
    assert lock(Project.open(folder)).path.read_text() == text
