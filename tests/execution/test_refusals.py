"""What PostgreSQL refuses: where it was, what stands, what to do. Each with a real server."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.execution.conftest import SliceOf
from tests.execution.looking import ledger, rows, run, tables

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.sqlstates import MEANINGS
from pgslate.errors import (
    ConfigError,
    ConnectionLostError,
    InterruptedRunError,
    MigrationFailedError,
    MissingExtensionError,
    PgslateError,
    PrivilegeError,
    ServerNotReadyError,
    TargetError,
)
from pgslate.execution.ledger import Server as Facts
from pgslate.execution.ledger import check_usable
from pgslate.execution.planner import Step
from pgslate.execution.progress import Silent
from pgslate.slices.slice import Form, Slice, whole
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target, dsn_with
from pgslate.trace.trace_cache import trace_of
from pgslate.verbs.apply import apply
from pgslate.verbs.verify import verify

SLEEPING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
)
DATASTORAGE = Path(__file__).parents[2] / "datastorage" / "src" / "datastorage" / "migrations"


def failure(slice_: Slice, target: Target) -> MigrationFailedError:
    with pytest.raises(MigrationFailedError) as caught:
        apply(slice_, target)
    return caught.value


def told(error: PgslateError) -> tuple[str, str]:
    """The place, and what stands above the caret."""
    assert error.place is not None
    line, _, pointer = error.place.caret().partition("\n")
    return str(error.place), line[len(pointer) - 1 :]


# -- places


def test_a_statement_that_the_server_gives_a_position_for_has_its_caret_there(
    slice_for: SliceOf, database: Target
) -> None:
    text = "-- größer ✓\nCREATE TABLE a (t text);\n\n  INSERT INTO a\n  SELECT 'ß✓' FROM outside;\n"
    slice_ = slice_for({"001_a.sql": text}, prelude=("CREATE TABLE outside(t text)",))
    error = failure(slice_, database)
    assert told(error) == ("001_a.sql:5:20", "outside")
    assert error.sqlstate == "42P01"
    assert 'relation "outside" does not exist (SQLSTATE 42P01)' in str(error)


def test_a_statement_without_a_position_is_the_one_that_failed(slice_for: SliceOf, database: Target) -> None:
    text = (
        "CREATE TABLE a(i int); CREATE TABLE b(i int);\n  CREATE TABLE taken(i int);\nCREATE TABLE c(i int);"
    )
    run(database, "CREATE TABLE taken()")
    error = failure(slice_for({"001_a.sql": text}), database)
    assert told(error) == ("001_a.sql:2:3", "CREATE TABLE taken(i int)")
    assert error.statement == "CREATE TABLE taken(i int)"
    assert tables(database) == ["taken"]


def test_detail_and_context_are_told(slice_for: SliceOf, database: Target) -> None:
    text = "CREATE TABLE a(i int UNIQUE);\nDO $$ BEGIN\n  INSERT INTO a SELECT i FROM given;\nEND $$;"
    slice_ = slice_for({"001_a.sql": text}, prelude=("CREATE TABLE given(i int)",))
    run(database, "CREATE TABLE given(i int)", "INSERT INTO given VALUES (1), (1)")
    error = failure(slice_, database)
    assert str(error.place) == "001_a.sql:2:1"
    assert error.detail == "Key (i)=(1) already exists."
    assert "DETAIL: Key (i)=(1) already exists.\nCONTEXT: SQL statement" in str(error)


def test_bad_copied_data_names_its_statement_and_line(slice_for: SliceOf, database: Target) -> None:
    text = "SELECT 1;\nCOPY given FROM stdin;\n1\nx\n\\.\n"
    slice_ = slice_for({"001_a.sql": text}, prelude=("CREATE TABLE given(t text)",))
    run(database, "CREATE TABLE given(i int)")
    error = failure(slice_, database)
    assert str(error.place) == "001_a.sql:2:1"
    assert 'COPY given, line 2, column i: "x"' in str(error)


def test_a_failure_in_a_later_block_of_a_file_is_placed_too(slice_for: SliceOf, database: Target) -> None:
    text = "BEGIN;\nCREATE TABLE a();\nCOMMIT;\nBEGIN;\nCREATE TABLE b();\nCREATE TABLE taken();\nCOMMIT;"
    run(database, "CREATE TABLE taken()")
    error = failure(slice_for({"001_a.sql": text}), database)
    assert str(error.place) == "001_a.sql:6:1"
    assert "what stands above line 5 was kept" in str(error)
    assert tables(database) == ["a", "taken"]
    assert ledger(database) == []


# -- rights


@pytest.fixture
def limited(database: Target, role: str) -> Target:
    """The database, as a role without rights."""
    return Target(dsn_with(database.dsn, user=role))


def test_a_role_that_may_not_make_the_ledger_is_told_which_right_it_lacks(
    slice_for: SliceOf, limited: Target
) -> None:
    with pytest.raises(PrivilegeError, match="permission denied for database") as caught:
        apply(slice_for({"001_a.sql": "CREATE TABLE a();"}), limited)
    assert caught.value.right == "CREATE"
    assert caught.value.on.startswith("database test_")


def test_a_role_without_a_right_is_told_which_and_where(
    slice_for: SliceOf, database: Target, limited: Target, role: str
) -> None:
    run(database, f"GRANT CREATE ON DATABASE {rows(database, 'SELECT current_database()')[0][0]} TO {role}")
    with pytest.raises(PrivilegeError) as caught:
        apply(slice_for({"001_a.sql": "SELECT 1;\nCREATE TABLE a();"}), limited)
    assert (caught.value.right, caught.value.on) == ("CREATE", "schema public")
    assert str(caught.value.place) == "001_a.sql:2:14"
    assert caught.value.exit_status == 3


def test_a_grant_that_grants_nothing_is_no_success(
    slice_for: SliceOf, database: Target, limited: Target, role: str
) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    prepared = ("CREATE TABLE given(i int)", f"GRANT SELECT ON given TO {role}")
    run(database, f"GRANT CREATE ON DATABASE {name} TO {role}", *prepared)
    slice_ = slice_for({"001_a.sql": "GRANT SELECT ON given TO public;"}, prelude=(prepared[0],))
    with pytest.raises(PrivilegeError, match='no privileges were granted for "given"') as caught:
        apply(slice_, limited)
    assert (caught.value.right, caught.value.on) == ("GRANT OPTION", '"given"')
    assert ledger(database) == []


def test_a_role_that_is_on_the_server_already_is_told_to_be_the_servers(
    slice_for: SliceOf, database: Target, role: str
) -> None:
    # the role is there since the catalog was traced on this server
    slice_ = slice_for({"001_a.sql": "CREATE TABLE a ();", "002_b.sql": f"CREATE ROLE {role}_2;"})
    with pytest.raises(MigrationFailedError) as caught:
        apply(slice_, database)
    assert "roles belong to the whole server: use --form objects" in caught.value.fix


def test_a_role_that_may_not_read_the_ledger_is_told_so_by_verify(
    slice_for: SliceOf, database: Target, limited: Target
) -> None:
    slice_ = slice_for({"001_a.sql": "CREATE TABLE a();"})
    apply(slice_, database)
    with pytest.raises(PrivilegeError, match="ledger"):
        verify(slice_, limited)


def test_changing_another_roles_table_needs_to_own_it(
    slice_for: SliceOf, database: Target, limited: Target, role: str
) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    run(database, f"GRANT CREATE ON DATABASE {name} TO {role}", "CREATE TABLE given(i int)")
    slice_ = slice_for({"001_a.sql": "ALTER TABLE given ADD j int;"}, prelude=("CREATE TABLE given(i int)",))
    with pytest.raises(PrivilegeError) as caught:
        apply(slice_, limited)
    assert (caught.value.right, caught.value.on) == ("ownership", "table given")


# -- servers


def test_a_read_only_database_is_refused_before_anything_is_run(slice_for: SliceOf, database: Target) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    run(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(TargetError, match="are read-only"):
        apply(slice_for({"001_a.sql": "CREATE TABLE a();"}), database)


@pytest.mark.parametrize(
    ("version", "in_recovery", "message"),
    [(130012, False, "PostgreSQL 13.12; pgslate needs 14"), (170002, True, "is a standby")],
)
def test_old_servers_and_standbys_are_refused(version: int, in_recovery: bool, message: str) -> None:
    facts = Facts(version, "13.12", in_recovery, False, "app", "UTF8", "deploy", 1)
    with pytest.raises(TargetError, match=message):
        check_usable(facts)


def test_a_server_that_is_not_there_is_said_without_a_password(slice_for: SliceOf, database: Target) -> None:
    slice_ = slice_for({"001_a.sql": "CREATE TABLE a();"})
    with pytest.raises(ServerNotReadyError) as caught:
        apply(slice_, Target("postgresql://u:hushhush@127.0.0.1:1/x"))
    assert "hushhush" not in str(caught.value)


def test_an_extension_that_is_not_there_is_named_with_its_migrations_before_anything_is_run(
    servers: Callable[[int], Server],
) -> None:
    catalog = Catalog.load(DATASTORAGE)
    slice_ = whole(catalog, trace_of(catalog))
    with servers(15).create_database("applying_no_vector") as target:
        with pytest.raises(
            MissingExtensionError, match="no extension vector, which 005_vector_schema"
        ) as caught:
            apply(slice_, target)
        assert tables(target) == []
    assert caught.value.extensions == ("vector",)
    assert {"005", "009", "015", "016"} <= set(caught.value.migrations)
    assert "001" not in caught.value.migrations


def test_an_extension_made_at_run_time_is_named_when_it_fails(
    servers: Callable[[int], Server], slice_for: SliceOf
) -> None:
    slice_ = slice_for(
        {"001_a.sql": "CREATE TABLE a();\nDO $$ BEGIN EXECUTE 'CREATE EXTENSION vector'; END $$;"}
    )
    with servers(15).create_database("applying_no_vector_2") as target:
        with pytest.raises(MissingExtensionError) as caught:
            apply(slice_, target)
        assert tables(target) == []
    assert caught.value.extensions == ("vector",)
    assert str(caught.value.place) == "001_a.sql:2:1"


@pytest.fixture
def no_room() -> Iterator[Target]:
    """A server whose files may not grow beyond 17 MB: to PostgreSQL that is a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (17 * 1024 * 1024 + 4096, before[1]))
    try:
        server = Server.start(major=15)  # it inherits the limit
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with server, server.target() as target:
        yield target


def test_a_full_disk_leaves_nothing_of_the_file(slice_for: SliceOf, no_room: Target) -> None:
    files = {
        "001_a.sql": "CREATE TABLE a(t text);",
        "002_b.sql": "INSERT INTO a SELECT repeat('x', 900) FROM generate_series(1, (SELECT n FROM many));",
    }
    many = "CREATE TABLE many AS SELECT {} AS n"
    slice_ = slice_for(files, prelude=(many.format(1),))
    run(no_room, many.format(30000))
    error = failure(slice_, no_room)
    assert error.sqlstate == "53100"
    assert str(error.place) == "002_b.sql:1:1"
    assert "free disk space" in error.fix
    assert tables(no_room) == ["many"]


def test_a_server_that_goes_away_is_said_with_what_stands(slice_for: SliceOf, database: Target) -> None:
    files = {"001_a.sql": "CREATE TABLE a();", "002_b.sql": "SELECT f();"}
    function = "CREATE FUNCTION f() RETURNS bool LANGUAGE sql AS $$SELECT {}$$"
    slice_ = slice_for(files, prelude=(function.format("true"),))
    run(database, function.format("pg_terminate_backend(pg_backend_pid())"))
    with pytest.raises(TargetError, match=r"connection to .* was lost") as caught:
        apply(slice_, database)
    assert "Nothing of this run was kept." in str(caught.value)
    assert tables(database) == []


# -- interruptions


def test_ctrl_c_cancels_what_runs_and_says_what_stands(slice_for: SliceOf, database: Target) -> None:
    files = {"001_a.sql": "CREATE TABLE a();", "002_b.sql": "CREATE TABLE b(); SELECT f();"}
    function = "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT pg_sleep({})::text$$"
    apply(slice_for({"001_a.sql": files["001_a.sql"]}), database)
    slice_ = slice_for(files, prelude=(function.format(0),))
    run(database, function.format(300))

    def press() -> None:
        with database.connect(autocommit=True) as connection:
            while connection.execute(SLEEPING).fetchone() == (0,):
                pass
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(InterruptedRunError, match="applied, and kept: 001") as caught:
        apply(slice_, database)
    finger.join()
    assert caught.value.exit_status == 130
    assert caught.value.applied == ("001",)
    assert tables(database) == ["a"]
    assert rows(database, SLEEPING) == [(0,)]


def test_ctrl_c_outside_a_transaction_says_what_may_be_there(slice_for: SliceOf, database: Target) -> None:
    index = "-- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY i ON a (id);"
    slice_ = slice_for({"001_a.sql": "CREATE TABLE a (id int);", "002_i.sql": index})
    apply(slice_for({"001_a.sql": "CREATE TABLE a (id int);"}), database)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'virtualxid'"

    def press() -> None:
        with database.connect(autocommit=True) as connection:
            while connection.execute(waiting.encode()).fetchone() == (0,):
                pass
        os.kill(os.getpid(), signal.SIGINT)

    with database.connect() as writer:
        writer.execute("LOCK TABLE a IN ROW EXCLUSIVE MODE")
        finger = threading.Thread(target=press)
        finger.start()
        with pytest.raises(InterruptedRunError, match=r"002_i\.sql runs outside a transaction") as caught:
            apply(slice_, database)
        finger.join()
    assert "rolled back" not in str(caught.value)
    assert caught.value.applied == ("001",)
    assert [each.version for each in apply(slice_, database).applied] == ["002"]


def test_a_statement_that_takes_too_long_is_cancelled(slice_for: SliceOf, database: Target) -> None:
    function = "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT pg_sleep({})::text$$"
    slice_ = slice_for(
        {"001_a.sql": "SET search_path = public;", "002_b.sql": "SELECT f();"}, prelude=(function.format(0),)
    )
    run(database, function.format(300))
    with pytest.raises(MigrationFailedError, match="statement timeout") as caught:
        apply(slice_, database, statement_timeout=0.05)
    assert caught.value.sqlstate == "57014"


def test_a_session_that_may_not_be_idle_ends_the_run_with_the_timeouts_name(
    slice_for: SliceOf, database: Target, role: str
) -> None:
    run(
        database,
        f"ALTER ROLE {role} SET idle_in_transaction_session_timeout = '1ms'",
        f"GRANT CREATE ON DATABASE {rows(database, 'SELECT current_database()')[0][0]} TO {role}",
        f"GRANT ALL ON SCHEMA public TO {role}",
    )
    slice_ = slice_for({"001_a.sql": "CREATE TABLE a();", "002_b.sql": "CREATE TABLE b();"})

    class IdleUntilItEnds(Silent):
        """Leaves the run's transaction idle until the server has ended it."""

        def finished(self, step: Step, seconds: float) -> None:
            idle = f"SELECT FROM pg_stat_activity WHERE usename = '{role}' AND state = 'idle in transaction'"
            while rows(database, idle):
                pass

    with pytest.raises(ConnectionLostError, match="idle_in_transaction_session_timeout") as caught:
        apply(slice_, Target(dsn_with(database.dsn, user=role)), progress=IdleUntilItEnds())
    assert caught.value.exit_status == 3
    assert "Nothing of this run was kept." in str(caught.value)
    run(database, f"ALTER ROLE {role} RESET idle_in_transaction_session_timeout")
    apply(slice_, Target(dsn_with(database.dsn, user=role)))
    assert tables(database) == ["a", "b"]


# -- what is there already


@pytest.mark.parametrize(
    ("made", "migration"),
    [
        ("CREATE TYPE mood AS ENUM ('sad')", "CREATE TYPE mood AS ENUM ('glad');"),
        ("CREATE SCHEMA crm", "CREATE SCHEMA crm;"),
        ("CREATE TABLE given(i int)", "CREATE TABLE given(i int);"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';",
        ),
        ("CREATE DOMAIN d AS int", "CREATE DOMAIN d AS int;"),
        ("CREATE SEQUENCE s", "CREATE SEQUENCE s;"),
        ("CREATE VIEW v AS SELECT 1", "CREATE VIEW v AS SELECT 2;"),
        ('CREATE COLLATION c FROM "C"', 'CREATE COLLATION c FROM "C";'),
    ],
)
@pytest.mark.parametrize("form", ["files", "statements", "objects"])
def test_what_is_there_already_has_one_status_and_one_fix_in_each_form(
    slice_for: SliceOf, database: Target, made: str, migration: str, form: Form
) -> None:
    run(database, made)
    error = failure(slice_for({"001_a.sql": migration}, form=form), database)
    assert error.exit_status == 4
    assert "--assume-applied" in error.fix
    assert "(SQLSTATE 42" in error.message
    assert "Nothing of this run was kept." in error.message


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE given ADD i int",
        "ALTER TABLE given ADD CONSTRAINT positive CHECK (i > 0)",
        "CREATE POLICY own ON given USING (true)",
        "CREATE TRIGGER tr BEFORE UPDATE ON given EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE INDEX given_i ON given (i)",
        "CREATE STATISTICS st ON i, j FROM given",
        "CREATE RULE r AS ON DELETE TO given DO INSTEAD NOTHING",
    ],
)
def test_a_part_of_a_table_that_is_there_already_has_the_fix_of_the_table(
    slice_for: SliceOf, database: Target, statement: str
) -> None:
    table = "CREATE TABLE given(j int)" if " ADD i " in statement else "CREATE TABLE given(i int, j int)"
    run(database, table, statement)
    error = failure(slice_for({"001_a.sql": f"{statement};"}, prelude=(table,)), database)
    assert "--assume-applied" in error.fix


def test_what_the_catalog_makes_twice_is_not_called_another_tools(slice_for: SliceOf) -> None:
    with pytest.raises(MigrationFailedError) as caught:
        slice_for({"001_a.sql": "CREATE TYPE t AS ENUM ();", "002_b.sql": "CREATE TYPE t AS ENUM ();"})
    assert "an earlier migration or the prelude makes it already" in caught.value.fix


def test_only_a_lack_of_privileges_speaks_of_roles() -> None:
    roles = [state for state, each in MEANINGS.items() if "as a role" in each.fix]
    assert roles == ["42501"]


# -- the start of a session


@pytest.mark.parametrize(("name", "value"), [("work_mem", "3"), ("role", "nosuch"), ("geqo_seed", "7")])
def test_a_setting_that_the_server_refuses_is_named(database: Target, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} = '{value}'") as caught:
        database.connect(settings={"search_path": "public", name: value})
    assert caught.value.exit_status == 2
    assert caught.value.key == f"session.{name}"


def test_a_role_at_its_connection_limit_is_said(slice_for: SliceOf, database: Target, role: str) -> None:
    run(database, f"ALTER ROLE {role} CONNECTION LIMIT 0")
    with pytest.raises(ServerNotReadyError, match="too many connections for role") as caught:
        apply(slice_for({"001_a.sql": "SELECT 1;"}), Target(dsn_with(database.dsn, user=role)))
    assert "CONNECTION LIMIT" in caught.value.fix


@pytest.mark.parametrize("made", ["pgslate.ledger (i int)", "pgslate.layout (i text)", "pgslate.runs ()"])
def test_a_schema_pgslate_of_somebody_else_is_said_to_be_that(
    slice_for: SliceOf, database: Target, made: str
) -> None:
    run(database, "CREATE SCHEMA pgslate", f"CREATE TABLE {made}")
    with pytest.raises(TargetError, match=r"the schema pgslate of database test_\w+ is not ours") as caught:
        apply(slice_for({"001_a.sql": "CREATE TABLE a();"}), database)
    assert "ALTER SCHEMA pgslate RENAME" in caught.value.fix


def test_text_of_a_database_without_an_encoding_is_text(server: Server, slice_for: SliceOf) -> None:
    with server.target().connect(autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE applying_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
        )
    target = Target(dsn_with(server.target().dsn, dbname="applying_ascii"))
    with target.connect() as connection:
        assert connection.execute("SELECT 'größer'::text").fetchone() == ("größer",)
    apply(slice_for({"001_a.sql": "CREATE TABLE a(t text DEFAULT 'ß');"}), target)
    assert tables(target) == ["a"]
