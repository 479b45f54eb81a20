"""Applying: what stands afterwards, in the database and in the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.conftest import SliceOf
from tests.execution.looking import index_is_valid, ledger, rows, run, tables
from tests.execution.wiretap import Wiretap

from pgslate.catalog.catalog import Catalog
from pgslate.errors import EditedMigrationError, MigrationFailedError, UsageError, VerificationError
from pgslate.execution.planner import Plan, Step
from pgslate.execution.progress import Silent
from pgslate.project.project import Project
from pgslate.slices.slice import Form, Slice
from pgslate.targets.target import Target, dsn_with
from pgslate.verbs.apply import apply
from pgslate.verbs.plan import plan
from pgslate.verbs.verify import verify

THREE = {
    "001_users.sql": "CREATE TABLE users (id int PRIMARY KEY);",
    "002_orders.sql": "CREATE TABLE orders (id int, user_id int REFERENCES users);",
    "003_prices.sql": "CREATE TABLE prices (id int);",
}


class Told(Silent):
    """Progress that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def planned(self, plan: Plan) -> None:
        self.said.append("planned")

    def finished(self, step: Step, seconds: float) -> None:
        self.said.append(f"finished {step.migration.version}")

    def restarted(self, why: str) -> None:
        self.said.append(f"restarted: {why}")

    def committed(self, steps: int) -> None:
        self.said.append(f"committed {steps}")


def test_a_slice_is_applied_and_recorded(slice_for: SliceOf, any_database: Target) -> None:
    done = apply(slice_for(THREE, "orders"), any_database)
    assert tables(any_database) == ["orders", "users"]
    assert ledger(any_database) == ["001", "002"]
    assert [each.file for each in done.applied] == ["001_users.sql", "002_orders.sql"]


def test_the_objects_form_needs_nothing_but_the_slice(database: Target, tmp_path: Path) -> None:
    for name, text in THREE.items():
        (tmp_path / name).write_text(text)
    orders = Project.open(tmp_path).slice("orders", form="objects")
    apply(orders, database)
    assert tables(database) == ["orders", "users"]


SQLX = {
    "1_a.sql": "CREATE TABLE a (id int PRIMARY KEY);",
    "2_c.sql": "CREATE TABLE c (id int PRIMARY KEY); DELETE FROM public._sqlx_migrations WHERE version = 1;",
    "3_b.sql": "CREATE TABLE b (id int PRIMARY KEY);",
}


@pytest.mark.parametrize("form", ["files", "statements", "objects"])
@pytest.mark.parametrize("wanted", [(), ("c",)])
def test_the_tools_own_table_is_made_where_a_migration_speaks_of_it(
    database: Target, tmp_path: Path, form: Form, wanted: tuple[str, ...]
) -> None:
    for name, text in SQLX.items():
        (tmp_path / name).write_text(text)
    catalog = Catalog.load(tmp_path, format="sqlx")
    chosen = provisioned(catalog, wanted, form, database)
    assert verify(chosen, database).ok
    assert "_sqlx_migrations" in tables(database)


def provisioned(catalog: Catalog, wanted: tuple[str, ...], form: Form, database: Target) -> Slice:
    """What was asked for, as it was applied."""
    project = Project(catalog)
    chosen = project.slice(*wanted, form=form)
    apply(chosen, database)
    return chosen


LEVEL = "INSERT INTO seen SELECT current_setting('transaction_isolation');"
LEVELS = {
    "001_seen.sql": f"CREATE TABLE seen (level text); {LEVEL}",
    "002_strict.sql": f"BEGIN ISOLATION LEVEL SERIALIZABLE; {LEVEL} COMMIT;",
    "003_repeatable.sql": f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; {LEVEL}",
    "004_twice.sql": f"BEGIN; {LEVEL} COMMIT; BEGIN ISOLATION LEVEL SERIALIZABLE; {LEVEL} COMMIT;",
}


@pytest.mark.parametrize("form", ["files", "statements"])
def test_a_file_keeps_its_isolation_level(slice_for: SliceOf, any_database: Target, form: Form) -> None:
    apply(slice_for(LEVELS, "seen", form=form), any_database)
    assert [level for (level,) in rows(any_database, "SELECT level FROM seen")] == [
        "read committed",
        "serializable",
        "repeatable read",
        "read committed",
        "serializable",
    ]


def test_a_file_that_only_reads_is_recorded(slice_for: SliceOf, database: Target) -> None:
    files = {
        "001_a.sql": "CREATE TABLE a (i int);",
        "002_look.sql": "BEGIN READ ONLY; SELECT * FROM a; COMMIT;",
    }
    apply(slice_for(files), database)
    assert ledger(database) == ["001", "002"]


def test_the_ledger_says_who_when_and_what(slice_for: SliceOf, database: Target) -> None:
    slice_ = slice_for(THREE, "users")
    apply(slice_, database)
    query = (
        'SELECT l.file, l.checksum, l.form, l.statements, l."of", l.applied_by, l.duration_ms > 0,'
        " l.applied_at <= now(), r.tables, r.versions FROM pgslate.ledger l JOIN pgslate.runs r USING (run)"
    )
    (found,) = rows(database, query)
    assert found == (
        "001_users.sql",
        slice_.files[0].checksum,
        "files",
        None,
        1,
        "postgres",
        True,
        True,
        ["users"],
        ["001", "002", "003"],
    )


def test_a_second_run_does_nothing_in_one_round_trip(
    slice_for: SliceOf, database: Target, tmp_path: Path
) -> None:
    slice_ = slice_for(THREE)
    apply(slice_, database)
    wire = Wiretap(database, tmp_path)
    done = apply(slice_, wire)
    assert done.nothing_to_do
    assert done.applied == ()
    assert wire.connections == 1
    assert "pg_advisory" not in "".join(wire.messages())


def test_a_fresh_database_gets_everything_in_one_transaction(slice_for: SliceOf, database: Target) -> None:
    told = Told()
    apply(slice_for(THREE), database, progress=told)
    assert told.said == ["planned", "finished 001", "finished 002", "finished 003", "committed 3"]
    assert len(rows(database, "SELECT DISTINCT xmin FROM pgslate.ledger")) == 1


def test_a_database_that_lives_gets_a_transaction_a_file(slice_for: SliceOf, database: Target) -> None:
    apply(slice_for(THREE, "users"), database)
    told = Told()
    apply(slice_for(THREE), database, progress=told)
    assert told.said == ["planned", "finished 002", "committed 1", "finished 003", "committed 1"]


def test_a_failure_on_a_fresh_database_leaves_nothing(slice_for: SliceOf, database: Target) -> None:
    run(database, "CREATE TABLE prices ()")
    with pytest.raises(MigrationFailedError, match=r"Nothing of this run was kept\.") as caught:
        apply(slice_for(THREE), database)
    assert tables(database) == ["prices"]
    assert ledger(database) == []
    assert rows(database, "SELECT to_regnamespace('pgslate') IS NULL") == [(True,)]
    assert caught.value.applied == ()


def test_a_failure_on_a_database_that_lives_keeps_the_files_before(
    slice_for: SliceOf, database: Target
) -> None:
    apply(slice_for(THREE, "users"), database)
    run(database, "CREATE TABLE prices ()")
    with pytest.raises(MigrationFailedError, match=r"and kept: 002_orders\.sql") as caught:
        apply(slice_for(THREE), database)
    assert ledger(database) == ["001", "002"]
    assert caught.value.applied == ("001", "002")
    run(database, "DROP TABLE prices")
    assert [each.version for each in apply(slice_for(THREE), database).applied] == ["003"]


def test_a_database_grows_by_the_tables_of_a_second_slice(slice_for: SliceOf, database: Target) -> None:
    apply(slice_for(THREE, "prices"), database)
    assert ledger(database) == ["003"]
    apply(slice_for(THREE, "orders"), database)
    assert ledger(database) == ["001", "002", "003"]
    assert tables(database) == ["orders", "prices", "users"]


def test_the_statements_form_runs_them_alone_and_the_ledger_says_so(
    slice_for: SliceOf, database: Target
) -> None:
    files = {"001_a.sql": "CREATE TABLE a(); CREATE TABLE b(); CREATE TABLE c();"}
    apply(slice_for(files, "b", form="statements"), database)
    assert tables(database) == ["b"]
    assert rows(database, 'SELECT form, statements, "of" FROM pgslate.ledger') == [("statements", [1], 3)]


def test_the_objects_form_runs_its_definitions_and_records_the_files(
    slice_for: SliceOf, database: Target
) -> None:
    slice_ = slice_for(THREE, "users", form="objects")
    apply(slice_, database)
    assert tables(database) == ["users"]
    assert rows(database, "SELECT version, form FROM pgslate.ledger") == [("001", "objects")]
    grown = slice_for({**THREE, "004_name.sql": "ALTER TABLE users ADD name text;"}, "users", form="objects")
    done = apply(grown, database)
    assert [each.version for each in done.applied] == ["004"]


def test_nothing_of_a_session_reaches_the_next_file(slice_for: SliceOf, database: Target, role: str) -> None:
    files = {
        "001_a.sql": f"""
            SET search_path = pg_temp; SET lock_timeout = '7s'; SELECT set_config('app.x', 'y', false);
            SET SESSION AUTHORIZATION {role}; SET ROLE {role};
            PREPARE p AS SELECT 1; CREATE TEMP TABLE t (i int);
            DECLARE c CURSOR WITH HOLD FOR SELECT 1; LISTEN l;
        """,
        "002_b.sql": """
            CREATE TABLE seen AS SELECT current_schema() AS schema, session_user::text AS session,
                current_user::text AS role, current_setting('lock_timeout') AS lock_timeout,
                current_setting('app.x', true) AS x, to_regclass('pg_temp.t') AS temp,
                (SELECT count(*) FROM pg_prepared_statements WHERE name = 'p') AS prepared,
                (SELECT count(*) FROM pg_cursors WHERE name = 'c') AS cursors;
        """,
    }
    slice_ = slice_for(files)
    apply(slice_, database)
    # lock_timeout is the run's own bound again, and not what the file before had set
    expected = [("public", "postgres", "postgres", "1min", "", None, 0, 0)]
    assert rows(database, "SELECT * FROM seen") == expected


def test_settings_of_the_connection_survive_the_reset_between_files(
    slice_for: SliceOf, database: Target
) -> None:
    files = {
        "001_a.sql": "CREATE TABLE a();",
        "002_b.sql": "CREATE TABLE seen AS SELECT current_setting('app.x', true) x",
    }
    apply(slice_for(files), Target(dsn_with(database.dsn, options="-c app.x=kept")))
    assert rows(database, "SELECT x FROM seen") == [("kept",)]


def test_copied_data_is_applied(slice_for: SliceOf, database: Target) -> None:
    files = {
        "001_a.sql": "CREATE TABLE a(i int, t text);\n"
        "COPY a FROM stdin;\n1\tone\n2\ttwo; -- no\n\\.\nANALYZE a;\n",
        "002_b.sql": "CREATE TABLE b AS SELECT * FROM a WHERE i > 1;",
    }
    apply(slice_for(files), database)
    assert rows(database, "SELECT * FROM b") == [(2, "two; -- no")]


def test_an_enum_value_used_after_the_file_that_adds_it_gets_transactions_of_its_own(
    slice_for: SliceOf, database: Target
) -> None:
    files = {
        "001_mood.sql": "CREATE TYPE mood AS ENUM ('sad');",
        "002_happy.sql": "ALTER TYPE mood ADD VALUE 'happy';",
        "003_default.sql": "CREATE TABLE people (mood mood DEFAULT 'happy');",
    }
    # an enum made in the same transaction may be used at once, so this one stood before
    run(database, "CREATE TYPE mood AS ENUM ('sad')")
    slice_ = slice_for(
        {k: v for k, v in files.items() if k > "002"}, prelude=("CREATE TYPE mood AS ENUM ('sad')",)
    )
    told = Told()
    apply(slice_, database, progress=told)
    assert told.said[1].startswith("restarted: 003_default.sql: unsafe use of new value")
    assert told.said[-3:] == ["committed 1", "finished 003", "committed 1"]
    assert ledger(database) == ["002", "003"]


def test_constraints_that_are_deferred_are_checked_at_the_end_of_their_file(
    slice_for: SliceOf, database: Target
) -> None:
    files = {
        "001_a.sql": "CREATE TABLE a(i int UNIQUE DEFERRABLE INITIALLY DEFERRED);",
        "002_b.sql": "INSERT INTO a VALUES (1), (2); INSERT INTO a SELECT * FROM extra;",
        "003_c.sql": "CREATE TABLE c();",
    }
    slice_ = slice_for(files, prelude=("CREATE TABLE extra(i int)",))
    run(database, "CREATE TABLE extra(i int)", "INSERT INTO extra VALUES (2)")
    with pytest.raises(MigrationFailedError, match="deferred to the end of the file") as caught:
        apply(slice_, database)
    assert caught.value.place is not None
    assert caught.value.place.file == "002_b.sql"
    assert caught.value.sqlstate == "23505"
    assert ledger(database) == ["001"]


def test_initially_deferred_constraints_stay_deferred_within_every_file(
    slice_for: SliceOf, database: Target
) -> None:
    swap = "INSERT INTO a VALUES ({0}, {1}), ({1}, {0});"
    files = {
        "001_a.sql": "CREATE TABLE a(i int PRIMARY KEY, j int REFERENCES a DEFERRABLE INITIALLY DEFERRED);",
        "002_b.sql": swap.format(1, 2),
        "003_c.sql": "INSERT INTO a VALUES (3, 4); INSERT INTO a VALUES (4, 3);",
    }
    apply(slice_for(files), database)
    assert rows(database, "SELECT count(*) FROM a") == [(4,)]


def test_indexes_are_built_concurrently(slice_for: SliceOf, database: Target) -> None:
    files = {
        "001_a.sql": "CREATE TABLE a(i int);"
        " CREATE INDEX CONCURRENTLY one ON a (i); CREATE INDEX two ON a (i);",
        "002_b.sql": "CREATE TABLE b();",
    }
    done = apply(slice_for(files), database)
    assert index_is_valid(database, "one")
    assert [each.statements for each in done.applied] == [3, 1]
    assert rows(database, "SELECT next, begun FROM pgslate.ledger") == [(None, None), (None, None)]


def test_a_file_may_commit_in_the_middle(slice_for: SliceOf, database: Target) -> None:
    files = {
        "001_a.sql": "SET search_path = s; BEGIN; CREATE TABLE a(); COMMIT; BEGIN; CREATE TABLE b(); COMMIT;"
    }
    slice_ = slice_for(files, prelude=("CREATE SCHEMA s",))
    run(database, "CREATE SCHEMA s")
    apply(slice_, database)
    assert rows(database, "SELECT to_regclass('s.a')::text, to_regclass('s.b')::text") == [("s.a", "s.b")]
    assert ledger(database) == ["001"]


def test_an_edit_that_is_accepted_is_accepted_for_good(slice_for: SliceOf, database: Target) -> None:
    apply(slice_for(THREE), database)
    edited = slice_for({**THREE, "003_prices.sql": "CREATE TABLE prices (id int) WITH (fillfactor = 100);"})
    with pytest.raises(EditedMigrationError):
        apply(edited, database)
    try:
        apply(edited, database, accept_edited=["003"])
    except VerificationError as error:  # the database is not what the edited file makes
        assert "fillfactor" in str(error)  # noqa: PT017
    run(database, "ALTER TABLE prices SET (fillfactor = 100)")
    assert apply(edited, database).nothing_to_do


def test_an_assumed_migration_is_not_run(slice_for: SliceOf, database: Target) -> None:
    run(database, THREE["001_users.sql"])
    apply(slice_for(THREE), database, assume_applied=["001"])
    found = rows(database, "SELECT version, form FROM pgslate.ledger ORDER BY version")
    assert found == [("001", "assumed"), ("002", "files"), ("003", "files")]


def test_what_was_changed_by_hand_is_found_at_the_end(slice_for: SliceOf, database: Target) -> None:
    apply(slice_for(THREE, "users"), database)
    run(database, "ALTER TABLE users ADD stray int")
    with pytest.raises(VerificationError, match="stray"):
        apply(slice_for(THREE, "orders"), database)


def test_planning_against_a_database_only_reads(slice_for: SliceOf, database: Target, tmp_path: Path) -> None:
    wire = Wiretap(database, tmp_path)
    planned = plan(slice_for(THREE), wire)
    assert len(planned.migrations) == 3
    assert wire.messages() == ["Query", "Terminate"]
    assert ledger(database) == []


# -- databases that another tool made

USERS = {
    "001_users.sql": "CREATE TABLE users (id int);",
    "002_email.sql": "ALTER TABLE users ADD email text;",
}


def test_a_database_of_another_tool_is_taken_over_by_one_command(
    slice_for: SliceOf, database: Target
) -> None:
    run(database, *USERS.values())
    apply(slice_for(USERS), database, assume_applied=["all"])
    assert rows(database, "SELECT file, form FROM pgslate.ledger ORDER BY 1") == [
        ("001_users.sql", "assumed"),
        ("002_email.sql", "assumed"),
    ]
    more = {**USERS, "003_orders.sql": "CREATE TABLE orders ();"}
    assert [each.file for each in apply(slice_for(more), database).applied] == ["003_orders.sql"]


def test_what_another_tool_did_not_apply_is_found_when_it_is_taken_over(
    slice_for: SliceOf, database: Target
) -> None:
    run(database, USERS["001_users.sql"])
    with pytest.raises(VerificationError, match=r"public\.users\.email"):
        apply(slice_for(USERS), database, assume_applied=["all"])


def test_a_pattern_names_what_another_tool_applied(slice_for: SliceOf, database: Target) -> None:
    run(database, USERS["001_users.sql"])
    done = apply(slice_for(USERS), database, assume_applied=["001*"])
    assert [each.file for each in done.applied] == ["002_email.sql"]
    with pytest.raises(UsageError, match="no migration of the catalog matches"):
        apply(slice_for(USERS), database, assume_applied=["9*"])
