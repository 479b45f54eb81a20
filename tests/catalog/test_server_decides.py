"""The server decides what is correct SQL: what it accepts passes, also what the parser doesn't know."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest
from tests.slices.judging import Court, catalog_of

from pgslate.catalog.statements import split
from pgslate.errors import MigrationFailedError, SqlSyntaxError
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace.tracer import trace

Hold = Callable[..., Court]


@pytest.fixture
def hold(server: Server) -> Iterator[Hold]:
    """``hold(*sources)`` traces migrations on PostgreSQL 18."""
    made: list[Court] = []

    def make(*sources: str) -> Court:
        made.append(Court(server, catalog_of(*sources)))
        return made[-1]

    yield make
    for each in made:
        each.close()


NEWER = {
    "a generated column without a keyword": [
        "CREATE TABLE prices (net int, gross int GENERATED ALWAYS AS (net + net / 5))",
        "ALTER TABLE prices ADD COLUMN half int GENERATED ALWAYS AS (net / 2)",
    ],
    "NOT NULL as a named constraint of the table": [
        "CREATE TABLE prices (net int, CONSTRAINT net_is_known NOT NULL net NO INHERIT)",
    ],
    "a constraint that is added NOT VALID and validated later": [
        "CREATE TABLE prices (net int)",
        "ALTER TABLE prices ADD CONSTRAINT known NOT NULL net NOT VALID",
        "ALTER TABLE prices VALIDATE CONSTRAINT known",
    ],
    "a constraint that begins to be inherited": [
        "CREATE TABLE prices (net int CONSTRAINT known NOT NULL NO INHERIT)",
        "ALTER TABLE prices ALTER CONSTRAINT known INHERIT",
    ],
    "keys over periods": [
        "CREATE TABLE rates (kind int4range, during tsrange, PRIMARY KEY (kind, during WITHOUT OVERLAPS))",
        "CREATE TABLE prices (kind int4range, during tsrange,"
        " FOREIGN KEY (kind, PERIOD during) REFERENCES rates (kind, PERIOD during))",
    ],
    "RETURNING WITH": [
        "CREATE TABLE prices (net int); INSERT INTO prices VALUES (1)",
        "WITH changed AS (UPDATE prices SET net = 3 RETURNING WITH (OLD AS o) o.net) SELECT * FROM changed",
    ],
    "maintenance of a parent alone": [
        "CREATE TABLE prices (net int)",
        "ANALYZE (VERBOSE) ONLY prices",
        "VACUUM (FREEZE) ONLY prices",
    ],
    "a foreign key that isn't enforced": [
        "CREATE TABLE rates (id int PRIMARY KEY)",
        "CREATE TABLE prices (rate int REFERENCES rates NOT ENFORCED)",
    ],
}


@pytest.mark.parametrize("sources", NEWER.values(), ids=NEWER)
def test_what_only_the_server_parses_comes_out_in_every_form(hold: Hold, sources: list[str]) -> None:
    assert any(not each.parsed for source in sources for each in split(source))
    hold(*sources).assert_exact("prices")


def test_a_syntax_error_has_its_place_before_anything_is_run(database: Target) -> None:
    catalog = catalog_of("CREATE TABLE first (i int)", "CREATE TABLE é (i int);\nSELECT 1 FROM FROM x")
    with pytest.raises(SqlSyntaxError, match=r'syntax error at or near "FROM" \(PostgreSQL 18') as raised:
        trace(catalog, database)
    assert str(raised.value.place) == "2_step.sql:2:15"
    assert raised.value.place is not None
    assert raised.value.place.text == "SELECT 1 FROM FROM x"
    with database.connect() as connection:
        assert connection.execute("SELECT to_regclass('first')").fetchone() == (None,)


def test_a_statement_that_ends_too_early_is_an_error_of_its_own(database: Target) -> None:
    with pytest.raises(SqlSyntaxError, match="syntax error"):
        trace(catalog_of("CREATE TABLE prices (net int"), database)


def test_what_an_older_server_does_not_parse_is_told_with_its_version(
    servers: Callable[[int], Server],
) -> None:
    older = servers(17)
    target = older.create_database("older_grammar", template="template0")
    try:
        with pytest.raises(SqlSyntaxError, match=r"\(PostgreSQL 17"):
            trace(catalog_of("CREATE TABLE prices (net int, gross int GENERATED ALWAYS AS (net))"), target)
    finally:
        older.drop_database("older_grammar")


def test_a_statement_nested_too_deeply_for_the_parser_is_the_servers_to_judge(hold: Hold) -> None:
    deep = "SELECT " + "(" * 1500 + "1" + ")" * 1500
    hold("CREATE TABLE prices (net int)", f"INSERT INTO prices {deep}").assert_exact("prices")


def test_a_dump_of_each_version_is_a_migration(any_server: Server) -> None:
    with any_server.create_database("dumped") as target, target.connect(autocommit=True) as connection:
        connection.execute(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE SCHEMA app;"
            " CREATE TABLE app.parents (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood NOT NULL);"
            " CREATE TABLE app.children (parent int REFERENCES app.parents DEFERRABLE,"
            " note text DEFAULT 'a\\b', CHECK (parent > 0),"
            " twice int GENERATED ALWAYS AS (parent * 2) STORED);"
            " INSERT INTO app.parents (m) VALUES ('ok'); INSERT INTO app.children VALUES (1, E'tab\\tend');"
            " CREATE VIEW app.seen AS SELECT * FROM app.children"
        )
    program = any_server.installation.program("pg_dump")
    if program is None:
        pytest.skip("this installation has no pg_dump")
    dumped = subprocess.run(
        [program, "--dbname", any_server.dsn("dumped")], capture_output=True, check=True, text=True
    ).stdout
    any_server.drop_database("dumped")
    assert "\\restrict" in dumped
    court = Court(any_server, catalog_of(dumped, "ALTER TABLE app.children ADD COLUMN later int"))
    try:
        court.assert_exact("app.children")
    finally:
        court.close()


SESSIONS = {
    "DEALLOCATE of a statement": "PREPARE one AS SELECT 1; EXECUTE one; DEALLOCATE one",
    "DEALLOCATE of all": "PREPARE one AS SELECT 1; DEALLOCATE PREPARE ALL",
    "DEALLOCATE in code": "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$",
    "DISCARD PLANS": "DISCARD PLANS",
    "DISCARD SEQUENCES": "DISCARD SEQUENCES",
    "DISCARD TEMP": "CREATE TEMP TABLE short (i int); DISCARD TEMP",
    "DISCARD ALL": "PREPARE one AS SELECT 1; DISCARD ALL",
    "RESET ALL": "RESET ALL",
}


@pytest.mark.parametrize("statement", SESSIONS.values(), ids=SESSIONS)
def test_what_a_session_may_do_to_itself_hinders_nothing(hold: Hold, statement: str) -> None:
    hold(
        f"CREATE TABLE prices (net int); {statement}; COMMENT ON TABLE prices IS 'there'",
        "ALTER TABLE prices ADD COLUMN gross int",
    ).assert_exact("prices")


LEFT = {
    "a prepared statement": "PREPARE one AS SELECT 1",
    "a cursor": "DECLARE one CURSOR WITH HOLD FOR SELECT 1",
    "a temporary table": "CREATE TEMP TABLE one (i int)",
    "a temporary view": "CREATE TEMP VIEW one AS SELECT 1",
    "a setting": "SET search_path = nowhere",
    "an advisory lock": "SELECT pg_advisory_lock(1)",
    "a channel": "LISTEN one",
}


@pytest.mark.parametrize("statement", LEFT.values(), ids=LEFT)
def test_what_a_file_leaves_in_its_session_ends_with_it(hold: Hold, statement: str) -> None:
    nothing_left = (
        "DO $$ BEGIN ASSERT 0 = (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        " AND pid = pg_backend_pid() AND mode = 'ExclusiveLock');"
        " ASSERT 0 = (SELECT count(*) FROM pg_listening_channels()); END $$"
    )
    hold(
        f"CREATE TABLE public.prices (net int); {statement}",
        f"{nothing_left}; ALTER TABLE prices ADD COLUMN gross int; {statement}",
    ).assert_exact("prices")


@pytest.mark.parametrize(
    "copy", ["COPY prices TO STDOUT", "COPY (SELECT 1) TO stdout WITH (FORMAT csv)", "TABLE prices"]
)
def test_rows_that_come_back_are_not_kept(hold: Hold, copy: str) -> None:
    hold(f"CREATE TABLE prices (net int); ALTER TABLE prices ADD gross int; {copy}", copy).assert_exact(
        "prices"
    )


def test_a_copy_that_fails_is_told_once_in_our_words(
    database: Target, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MigrationFailedError, match="no_such") as raised:
        trace(catalog_of("CREATE TABLE prices (net int); COPY no_such TO STDOUT"), database)
    assert "psycopg" not in str(raised.value)
    assert capfd.readouterr().err == ""


def test_a_backslash_escapes_where_the_file_says_so_as_in_psql(hold: Hold, server: Server) -> None:
    source = (
        "CREATE TABLE notes (t text DEFAULT 'a\\\\b');\nSET standard_conforming_strings = off;\n"
        "INSERT INTO notes VALUES ('one\\ntwo; it\\'s'), (E'x\\ty'), ('plain'),\n"
        "  ('left\\''\n  ' right\\t');\n"
        "COMMENT ON TABLE notes IS'said\\t';\nSET standard_conforming_strings TO on;\n"
        "INSERT INTO notes VALUES ('C:\\new');\n"
    )
    court = hold(source)
    court.assert_exact("notes")
    with server.target(court.database).connect() as connection:
        ours = connection.execute("SELECT t FROM notes ORDER BY t").fetchall()
    assert ours == as_psql_has_it(server, source)
    assert ("C:\\new",) in ours


def as_psql_has_it(server: Server, source: str) -> list[tuple[str]]:
    """The rows of ``notes`` after psql ran the source."""
    with server.create_database("by_psql") as target:
        quiet = {**os.environ, "PGOPTIONS": "-c escape_string_warning=off"}
        command = ["psql", "-XqvON_ERROR_STOP=1", target.dsn]
        subprocess.run(command, input=source, text=True, check=True, env=quiet)
        with target.connect() as connection:
            found = connection.execute("SELECT t FROM notes ORDER BY t").fetchall()
    server.drop_database("by_psql")
    return found
