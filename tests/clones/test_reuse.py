"""Reuse: what a test only read or wrote rows to comes back as new; whatever else it did, it is dropped."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgslate.clones import recycler
from pgslate.clones.clone import Clone
from pgslate.clones.reuse import NotReusableError
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server

from .conftest import Open
from .stall import Stall, oid_of
from .test_pool import until

LONG = bool(os.environ.get("PGSLATE_LONG"))
BAZAAR = Path(__file__).parent / "bazaar"


@pytest.fixture(scope="module")
def bazaar() -> Project:
    """Tables of many kinds, some with rows."""
    return Project.open(BAZAAR)


@pytest.fixture
def stall(any_server: Server, bazaar: Project, databases_on: Open) -> Stall:
    """On each version of PostgreSQL that is installed here."""
    return Stall(databases_on(any_server, bazaar))


DROPPED: dict[str, tuple[str, ...]] = {
    "a table is made": ("pg_type", "CREATE TABLE news ()"),
    "a table is made and rolled back": ("pg_type", "BEGIN; CREATE TABLE news (); ROLLBACK"),
    "a temporary table is made": ("pg_type", "CREATE TEMP TABLE basket (x int)"),
    "a column is added": ("pg_attribute", "ALTER TABLE goods ADD note text"),
    "an index is made": ("pg_attribute", "CREATE INDEX ON goods (label)"),
    "a function is replaced": (
        "pg_proc",
        "CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 3 * n'",
    ),
    "a view is replaced": ("pg_class", "CREATE OR REPLACE VIEW cheap AS SELECT id FROM goods"),
    "a default is changed": ("pg_attribute", "ALTER TABLE goods ALTER label SET DEFAULT 'none'"),
    "a constraint is dropped": ("pg_constraint", "ALTER TABLE sales DROP CONSTRAINT sales_good_fkey"),
    "a trigger is disabled": ("pg_trigger", "ALTER TABLE goods DISABLE TRIGGER goods_count"),
    "a trigger is enabled always": ("pg_trigger", "ALTER TABLE goods ENABLE ALWAYS TRIGGER goods_count"),
    "a right is granted": ("pg_class", "GRANT SELECT ON goods TO PUBLIC"),
    "rights on the database are granted": (
        "itself was altered",
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO PUBLIC', current_database()); END $$",
    ),
    "default privileges are altered": (
        "pg_default_acl",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    ),
    "a comment is made": ("pg_description", "COMMENT ON TABLE goods IS 'what is sold'"),
    "a comment on the database is made": (
        "itself was altered",
        "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS ''mine''', current_database()); END $$",
    ),
    "the database has a setting": (
        "itself was altered",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''1MB''', current_database()); END $$",
    ),
    "the database has a limit": (
        "itself was altered",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 7', current_database()); END $$",
    ),
    "a table is truncated": ("pg_class", "TRUNCATE goods CASCADE"),
    "a large object is made": ("pg_largeobject_metadata", "SELECT lo_create(0)"),
    "a materialized view is refreshed": ("pg_type", "REFRESH MATERIALIZED VIEW total"),
    "a materialized view is refreshed row by row": (
        "was written to",
        "INSERT INTO goods (label) VALUES ('x')",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY total",
    ),
    "an enum has another value": ("pg_enum", "ALTER TYPE size ADD VALUE 'huge'"),
    "an extension is made": ("pg_type", "CREATE EXTENSION pg_trgm"),
    "a schema is made": ("pg_namespace", "CREATE SCHEMA attic"),
    "a sequence is altered": ("pg_class", "ALTER SEQUENCE tickets INCREMENT 7"),
    "a sequence begins elsewhere": ("pg_class", "ALTER SEQUENCE tickets RESTART WITH 7"),
    "a publication is made": ("pg_publication", "CREATE PUBLICATION news FOR ALL TABLES"),
    "a subscription is made": (
        "subscription",
        "CREATE SUBSCRIPTION news CONNECTION 'dbname=x' PUBLICATION x"
        " WITH (connect = false, slot_name = NONE)",
    ),
    "an event trigger is made": (
        "pg_proc",
        "CREATE FUNCTION nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER nothing ON ddl_command_end EXECUTE FUNCTION nothing()",
    ),
    "a row of a migration is changed": (
        "countries was written to",
        "UPDATE countries SET name = 'x' WHERE code = 'at'",
    ),
    "a row of a migration is deleted": ("countries was written to", "DELETE FROM countries"),
    "a row is added to those of a migration": (
        "countries was written to",
        "INSERT INTO countries VALUES ('de', 'Germany')",
    ),
    "a row of a migration is changed and rolled back": (
        "countries was written to",
        "BEGIN; DELETE FROM countries; ROLLBACK",
    ),
    "tables are analyzed": ("vacuumed or analyzed", "ANALYZE"),
    "a table is vacuumed": ("vacuumed or analyzed", "VACUUM goods"),
    "counters are reset": ("counters were reset", "CREATE TABLE news ()", "SELECT pg_stat_reset()"),
    "one table's counters are reset": (
        "counters were reset",
        "UPDATE countries SET name = 'x'",
        "SELECT pg_stat_reset_single_table_counters('countries'::regclass)",
    ),
    "rows are written uncounted": (
        "another size, and nothing was counted",
        "SET track_counts = off",
        "INSERT INTO goods (label) VALUES ('x')",
    ),
    "rows of a migration are written uncounted": (
        "another size, and nothing was counted",
        "SET track_counts = off",
        "INSERT INTO countries SELECT 'x' || n FROM generate_series(1, 999) n",
    ),
    "a table is big": (
        "bytes",
        "INSERT INTO goods (label) SELECT repeat(md5(n::text), 20) FROM generate_series(1, 2000) n",
    ),
    "a value stored out of line is big": (
        "bytes",
        "INSERT INTO diary VALUES ('2026-01-01', (SELECT string_agg(md5(n::text), '')"
        " FROM generate_series(1, 90000) n))",
    ),
    "a row is written to a table with a trigger that always fires": (
        "watched was written to",
        "INSERT INTO watched VALUES (1)",
    ),
    "a system catalog is written to": (
        "pg_class",
        "UPDATE pg_class SET reltuples = 7 WHERE relname = 'goods'",
    ),
}
"""What a test does: a part of why its database is dropped, and the statements."""


@pytest.mark.parametrize("what", DROPPED)
def test_a_database_is_dropped_when(stall: Stall, what: str) -> None:
    why, *statements = DROPPED[what]
    clone = stall.used(*statements)
    with pytest.raises(NotReusableError, match=why):
        stall.again(clone)
    assert "ready" not in stall.states().values()


@pytest.fixture
def special_server() -> Iterator[Server]:
    """A server of its own that can prepare transactions and decode its log."""
    with Server.start(settings={"max_prepared_transactions": "5", "wal_level": "logical"}) as server:
        yield server


def test_a_database_with_a_prepared_transaction_is_dropped(
    special_server: Server, bazaar: Project, databases_on: Open
) -> None:
    stall = Stall(databases_on(special_server, bazaar))
    clone = stall.used("BEGIN; INSERT INTO goods (label) VALUES ('x'); PREPARE TRANSACTION 'mine'")
    with pytest.raises(NotReusableError, match="prepared"):
        stall.again(clone)
    with clone.connect(autocommit=True) as connection:
        connection.execute("ROLLBACK PREPARED 'mine'")


def test_what_was_prepared_and_then_committed_is_counted(
    special_server: Server, bazaar: Project, databases_on: Open
) -> None:
    stall = Stall(databases_on(special_server, bazaar))
    for end in ("COMMIT", "ROLLBACK"):
        clone = stall.used(
            "BEGIN; CREATE TABLE news (); PREPARE TRANSACTION 'mine'", f"{end} PREPARED 'mine'"
        )
        with pytest.raises(NotReusableError, match="pg_type"):
            stall.again(clone)


def test_a_database_with_a_replication_slot_is_dropped(
    special_server: Server, bazaar: Project, databases_on: Open
) -> None:
    stall = Stall(databases_on(special_server, bazaar))
    clone = stall.used("SELECT pg_create_logical_replication_slot('mine', 'pgoutput')")
    with pytest.raises(NotReusableError, match="slot"):
        stall.again(clone)


def test_a_database_is_dropped_where_a_role_is_not_counted(
    special_server: Server, bazaar: Project, databases_on: Open
) -> None:
    stall = Stall(databases_on(special_server, bazaar))
    clone = stall.used("CREATE ROLE ghost SUPERUSER LOGIN", "ALTER ROLE ghost SET track_counts = off")
    with pytest.raises(NotReusableError, match="not counted"):
        stall.again(clone)


def test_where_a_function_switches_counting_off_nothing_is_reused(
    server: Server, tmp_path: Path, databases_on: Open
) -> None:
    (tmp_path / "001.sql").write_text(
        "CREATE TABLE t ();CREATE FUNCTION f() RETURNS int LANGUAGE sql SET track_counts = off AS 'SELECT 1';"
    )
    stall = Stall(databases_on(server, Project.open(tmp_path)))
    with pytest.raises(NotReusableError, match="switches the counters off"):
        stall.again(stall.new())


def test_a_copy_of_a_template_that_was_made_again_is_dropped(
    server: Server, tmp_path: Path, databases_on: Open
) -> None:
    (tmp_path / "001.sql").write_text("CREATE TABLE t ();")
    stall = Stall(databases_on(server, Project.open(tmp_path)))
    clone = stall.new()
    with server.target().connect(autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {stall.template.name} IS_TEMPLATE false".encode())
    with pytest.raises(NotReusableError, match="template"):
        stall.again(clone)


def test_another_database_of_the_same_name_is_dropped(stall: Stall) -> None:
    empty, copied = stall.new(), stall.used("CREATE TABLE mine ()")
    with stall.databases.server.connect(autocommit=True) as connection:
        for statement in (
            f"DROP DATABASE {empty.name}",
            f"CREATE DATABASE {empty.name}",
            f"ALTER DATABASE {copied.name} RENAME TO {copied.name}_mine",
            f"CREATE DATABASE {copied.name} TEMPLATE {copied.name}_mine",
            f"DROP DATABASE {copied.name}_mine",
        ):
            connection.execute(statement.encode())
    for clone in (copied, empty):
        with pytest.raises(NotReusableError, match="another database"):
            stall.again(clone)


def test_a_database_of_which_the_book_was_lost_is_dropped(
    server: Server, bazaar: Project, databases_on: Open
) -> None:
    stall = Stall(databases_on(server, bazaar))
    clone = stall.new()
    stall.registry.hold(clone.name, stall.template.name, "")
    stall.registry.run(lambda connection: connection.execute("DELETE FROM clone"))
    stall.registry.run(stall.registry._after_reconnect)
    with pytest.raises(NotReusableError, match="its template is unknown"):
        stall.again(clone)


REUSED: dict[str, tuple[str, ...]] = {
    "nothing is done": (),
    "rows are read": ("SELECT * FROM countries", "SELECT * FROM pg_class"),
    "rows are inserted": ("INSERT INTO goods (label, country) VALUES ('tea', 'at'), ('rice', NULL)",),
    "rows are inserted and rolled back": ("BEGIN; INSERT INTO goods (label) VALUES ('tea'); ROLLBACK",),
    "rows are updated and deleted": (
        "INSERT INTO sales (good) SELECT id FROM goods",
        "INSERT INTO goods (label) VALUES ('tea'), ('rice')",
        "UPDATE goods SET label = label || '!'",
        "DELETE FROM goods WHERE id = 1",
    ),
    "rows refer to each other": (
        "BEGIN; INSERT INTO goods (id, label, bestseller) VALUES (7, 'tea', 100);"
        " INSERT INTO sales (good) VALUES (7); COMMIT",
    ),
    "sequences are used": (
        "SELECT nextval('tickets'), nextval('turns')",
        "SELECT setval('tickets', 1, false)",
    ),
    "an identity is used": (
        "INSERT INTO goods (label) VALUES ('tea')",
        "INSERT INTO sales (good) VALUES (1)",
    ),
    "partitions are used": ("INSERT INTO visits VALUES ('2020-01-01', 'home'), ('2030-01-01', 'home')",),
    "values are stored out of line": (
        "INSERT INTO goods (label) VALUES ('tea')",
        "INSERT INTO sales (good, note)"
        " SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 2000) n",
    ),
    "a rule keeps rows": ("INSERT INTO diary VALUES ('2026-01-01', 'tea')", "DELETE FROM diary"),
    "rows are copied": ("COPY goods (label) FROM PROGRAM 'echo x'",),
    "rows are locked": ("SELECT * FROM countries FOR UPDATE",),
    "settings of a session are made": ("SET work_mem = '1MB'", "SELECT pg_advisory_lock(1)", "LISTEN news"),
}


def rows_of(connection: psycopg.Connection[Any]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table, in the order in which they are stored."""
    names = connection.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200"
    )
    return {
        name: connection.execute(f"SELECT * FROM ONLY {name}".encode()).fetchall()  # noqa: S608  our own
        for (name,) in names.fetchall()
    }


def stands_of(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Where each sequence stands."""
    names = connection.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' ORDER BY 1")
    each = " UNION ALL ".join(f"SELECT '{name}', last_value, is_called FROM {name}" for (name,) in names)  # noqa: S608
    return connection.execute(each.encode()).fetchall()


def known_of(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """The size of each table, with what is stored out of line, and what the planner knows of it."""
    return connection.execute(
        "SELECT oid::regclass::text, pg_relation_size(oid), pg_relation_size(nullif(reltoastrelid, 0)),"
        " relpages, reltuples, relallvisible"
        " FROM pg_class WHERE relkind IN ('r', 'm') AND relnamespace = 2200 ORDER BY 1"
    ).fetchall()


def dump_of(server: Server, name: str) -> str:
    """All that pg_dump says of a database, but for a word that it makes up anew each time."""
    dumped = subprocess.run(
        [server.installation.bin / "pg_dump", server.dsn(name)], check=True, capture_output=True, text=True
    ).stdout
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", dumped)


def look_at(clone: Clone) -> tuple[Any, ...]:
    with clone.connect(autocommit=True) as connection:
        return rows_of(connection), stands_of(connection), known_of(connection)


@pytest.mark.parametrize("what", REUSED)
def test_a_database_is_reused_when(stall: Stall, what: str) -> None:
    untouched = look_at(stall.new())
    again = stall.again(stall.used(*REUSED[what]))
    assert look_at(again) == untouched
    assert look_at(stall.again(again)) == untouched  # what we did ourselves doesn't count


def test_a_database_is_reused_again_and_again(stall: Stall) -> None:
    clone = stall.new()
    for _ in range(5):
        with clone.connect(autocommit=True) as connection:
            row = connection.execute("INSERT INTO goods (label) VALUES ('tea') RETURNING id").fetchone()
            assert row == (1,)
        clone = stall.again(clone)


def test_one_that_was_reused_is_dropped_for_the_same_reasons(stall: Stall) -> None:
    again = stall.again(stall.used("INSERT INTO goods (label) VALUES ('tea')"))
    with again.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE news ()")
        connection.execute("SELECT pg_stat_reset()")
    with pytest.raises(NotReusableError, match="counters were reset"):
        stall.again(again)


def test_a_session_that_was_left_open_ends_and_what_it_wrote_goes(stall: Stall) -> None:
    clone = stall.new()
    with closing(clone.connect()) as left_open:
        left_open.execute("INSERT INTO goods (label) VALUES ('tea')")
        again = stall.again(clone)
        with pytest.raises(psycopg.OperationalError):
            left_open.execute("COMMIT")
    assert look_at(again) == look_at(stall.untouched)


def test_what_a_session_left_open_has_made_is_found(stall: Stall) -> None:
    clone = stall.new()
    with closing(clone.connect()) as left_open:
        left_open.execute("CREATE TABLE news ()")
        with pytest.raises(NotReusableError, match="pg_type"):
            stall.again(clone)


def test_a_client_that_connects_again_at_once_is_refused(stall: Stall) -> None:
    clone = stall.new()
    is_refused = threading.Event()

    def stay_connected() -> None:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                with contextlib.suppress(psycopg.errors.AdminShutdown), closing(clone.connect()) as session:
                    session.execute("SELECT pg_sleep(60)")
        is_refused.set()

    client = threading.Thread(target=stay_connected)
    client.start()
    until(lambda: stall.visitors(clone) == 1)
    again = stall.again(clone)
    client.join(30)
    assert is_refused.is_set()
    assert look_at(again) == look_at(stall.untouched)


def test_a_session_that_left_a_right_on_the_database_half_given_holds_nobody_up(stall: Stall) -> None:
    clone = stall.new()
    with closing(clone.connect()) as left_open:
        left_open.execute(f"GRANT CREATE ON DATABASE {clone.name} TO PUBLIC".encode())
        giving_back = threading.Thread(target=lambda: stall.again(clone), daemon=True)
        giving_back.start()
        giving_back.join(15)
        assert not giving_back.is_alive()


def test_a_session_that_does_not_leave_costs_its_database_only(
    stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = stall.new()
    monkeypatch.setattr(recycler, "wait_until_empty", lambda *_, **__: False)
    with closing(clone.connect()), pytest.raises(NotReusableError, match="still in it"):
        stall.again(clone)
    done = [name for name, state in stall.states().items() if state == "done"]
    assert clone.name in done
    assert all(oid_of(stall.databases, name) for name in done)


def test_counters_of_what_was_only_read_begin_anew(stall: Stall) -> None:
    again = stall.again(stall.used("SELECT * FROM goods", "SELECT * FROM countries"))
    with again.connect(autocommit=True) as connection:
        counted = connection.execute("SELECT relname FROM pg_stat_user_tables WHERE seq_scan > 0")
        assert counted.fetchall() == []


def test_the_old_dsn_does_not_reach_the_next_test(stall: Stall) -> None:
    clone = stall.new()
    again = stall.again(clone)
    assert again.name != clone.name
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(clone.dsn)
    assert clone.name not in stall.states()


# -- whatever rows are written, what comes back is a new database

labels = st.sampled_from(["tea", "rice", "salt", "a" * 3000])
statements = st.one_of(
    st.builds("INSERT INTO goods (label) VALUES ('{}') ON CONFLICT DO NOTHING".format, labels),
    st.builds("INSERT INTO goods (label, country) VALUES ('{}', 'ch')".format, labels),
    st.builds("UPDATE goods SET label = '{}' WHERE id % 2 = 1".format, labels),
    st.just("INSERT INTO sales (good, note) SELECT id, label FROM goods"),
    st.just("UPDATE goods SET bestseller = (SELECT max(id) FROM sales)"),
    st.just("DELETE FROM sales WHERE id % 2 = 0"),
    st.just("DELETE FROM goods"),
    st.builds(
        "INSERT INTO visits SELECT '2026-01-01'::date + n, 'home' FROM generate_series({}, 9) n".format,
        st.integers(-9, 9),
    ),
    st.just("UPDATE visits SET at = at + 5"),
    st.just("SELECT nextval('tickets'), nextval('goods_id_seq')"),
    st.builds("SELECT setval('turns', {})".format, st.integers(1, 99)),
    st.builds("INSERT INTO diary VALUES ('2026-01-01', '{}')".format, labels),
    st.sampled_from(["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s"]),
)


@pytest.fixture
def reused(stall: Stall) -> Callable[[list[str]], Clone]:
    """Does the statements in one database after the other, which is the same one."""
    clones = [stall.new()]

    def use(wanted: list[str]) -> Clone:
        with clones[-1].connect(autocommit=True) as connection:
            for statement in wanted:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error:  # a test may well provoke one
                    continue
        clones.append(stall.again(clones[-1]))
        return clones[-1]

    return use


@settings(
    max_examples=150 if LONG else 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(wanted=st.lists(statements, max_size=12))
def test_whatever_rows_were_written_it_comes_back_as_new(
    stall: Stall, any_server: Server, reused: Callable[[list[str]], Clone], wanted: list[str]
) -> None:
    again = reused(wanted)
    assert look_at(again) == look_at(stall.untouched)
    assert dump_of(any_server, again.name) == dump_of(any_server, stall.untouched.name)
