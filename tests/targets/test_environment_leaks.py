"""Nothing of this shell's environment, and no setting of a role, reaches a trace or an embedded server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import pq, sql

from pgslate import apply
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server
from pgslate.targets.session_settings import PINNED
from pgslate.targets.target import Target
from pgslate.trace.document import dumps
from pgslate.trace.tracer import trace
from pgslate.verbs.lock import lock

HOSTILE = {
    "PGOPTIONS": "-c search_path=app -c default_transaction_read_only=on -c statement_timeout=1",
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "127.0.0.9",
    "PGPORT": "1",
    "PGDATABASE": "nosuch",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGPASSFILE": "/etc/passwd",
    "PGSERVICE": "nosuch",
    "PGSERVICEFILE": "/nonexistent",
    "PGSYSCONFDIR": "/nonexistent",
    "PGCONNECT_TIMEOUT": "junk",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGLOADBALANCEHOSTS": "random",
    "PGCHANNELBINDING": "require",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "nobody",
    "PGGSSENCMODE": "require",
    "PGGSSDELEGATION": "1",
    "PGGSSLIB": "gssapi",
    "PGKRBSRVNAME": "none",
    "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLCERT": "/nonexistent",
    "PGSSLKEY": "/nonexistent",
    "PGSSLROOTCERT": "/nonexistent",
    "PGSSLCRL": "/nonexistent",
    "PGSSLCRLDIR": "/nonexistent",
    "PGSSLCERTMODE": "require",
    "PGSSLSNI": "0",
    "PGSSLCOMPRESSION": "1",
    "PGSSLMINPROTOCOLVERSION": "TLSv1.3",
    "PGSSLMAXPROTOCOLVERSION": "TLSv1",
    "PGMINPROTOCOLVERSION": "latest",
    "PGMAXPROTOCOLVERSION": "junk",
    "PGCLIENTENCODING": "SQL_ASCII",
    "PGAPPNAME": "someone",
    "PGTZ": "Nonsense/Zone",
    "PGDATESTYLE": "German, DMY",
    "PGGEQO": "junk",
    "PGDATA": "/nonexistent",
    "PGCTLTIMEOUT": "0",
    "LC_ALL": "de_DE.UTF-8",
    "LANGUAGE": "de",
}

FIRST = (
    "CREATE SCHEMA app; CREATE TABLE days (id int PRIMARY KEY, d date DEFAULT '02/01/2024', "
    "note text DEFAULT 'ä', at timestamptz DEFAULT '2024-01-02 03:04:05');"
)
SECOND = "ALTER TABLE days ADD COLUMN more interval DEFAULT '26 hours'; INSERT INTO days (id) VALUES (1);"


def test_each_variable_that_libpq_knows_is_tried() -> None:
    known = {(option.envvar or b"").decode() for option in pq.Conninfo.parse(b"")} - {""}
    assert known <= HOSTILE.keys()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "1_days.sql").write_text(FIRST)
    (tmp_path / "2_more.sql").write_text(SECOND)
    return tmp_path


@pytest.fixture
def locked(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], bytes]:
    """Make the lock with an empty cache of traces; gives its bytes."""

    def make() -> bytes:
        cache = tmp_path_factory.mktemp("cache")
        monkeypatch.setenv("PGSLATE_CACHE", str(cache))
        project = Project.open(folder)
        lock(project, workers=1)
        text = project.lock_file.read_bytes()
        project.lock_file.unlink()
        return text

    return make


def test_the_lock_is_the_same_under_every_hostile_variable(
    locked: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = locked()
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    assert locked() == expected


@pytest.mark.parametrize(("name", "value"), HOSTILE.items(), ids=HOSTILE)
def test_each_variable_by_itself_reaches_no_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    shown = (
        "SELECT current_user, current_database(), current_setting('search_path'),"
        " current_setting('timezone'), current_setting('datestyle'),"
        " current_setting('client_encoding'), current_setting('geqo')"
    )
    with server.target().connect() as connection:
        expected = connection.execute(shown).fetchone()
    monkeypatch.setenv(name, value)
    with server.target().connect() as connection:
        assert connection.execute(shown).fetchone() == expected
    with server.target().with_dbname("postgres").connect(settings={}) as connection:
        connection.execute("CREATE TEMP TABLE written (i int)")
    assert os.environ[name] == value
    assert capfd.readouterr().err == ""


SET_FOR_THE_ROLE = {
    "search_path": "app",
    "default_tablespace": "nosuch",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "300ms",
    "lock_timeout": "300ms",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "check_function_bodies": "off",
    "row_security": "off",
    "session_replication_role": "replica",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "xmloption": "document",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "default_toast_compression": "pglz",
    "default_table_access_method": "heap",
    "lc_messages": "C",
    "client_min_messages": "error",
}


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server whose roles may be spoiled."""
    with Server.start(major=18) as server:
        yield server


def spoil(server: Server, role: str) -> None:
    """Give a role, in every database, values that change what migrations do."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for name, value in SET_FOR_THE_ROLE.items():
            setting = sql.SQL("ALTER ROLE {} SET {} = {}").format(
                sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
            )
            if name == "search_path":
                setting = sql.SQL("ALTER ROLE {} SET search_path = app").format(sql.Identifier(role))
            connection.execute(setting)


def test_the_settings_of_a_role_reach_no_trace(own_server: Server, folder: Path) -> None:
    catalog = Project.open(folder).catalog
    files = {migration.version: migration.file for migration in catalog}
    with own_server.create_database("before") as target:
        expected = dumps(trace(catalog, target).trace, files, {})
    spoil(own_server, "postgres")
    after = own_server.target("after")
    with psycopg.connect(
        own_server.dsn(),
        autocommit=True,
        options="-c default_transaction_read_only=off -c statement_timeout=0",
    ) as admin:
        admin.execute("CREATE DATABASE after")
    assert dumps(trace(catalog, after).trace, files, {}) == expected


def test_on_a_server_of_ones_own_the_settings_of_the_role_change_nothing(
    own_server: Server, folder: Path
) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE theirs")
        connection.execute("CREATE ROLE owner LOGIN SUPERUSER")
    spoil(own_server, "owner")
    theirs = Target(own_server.dsn("theirs", user="owner"))
    with theirs.connect(settings={}) as connection:
        for name, value in PINNED.items():
            if name in SET_FOR_THE_ROLE:
                assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)
    apply(Project.open(folder).slice(), theirs)
    with psycopg.connect(own_server.dsn("theirs")) as connection:
        found = connection.execute("SELECT d::text, note FROM public.days").fetchall()
    assert found == [("2024-02-01", "ä")]


def test_what_a_dsn_asks_for_wins_over_what_is_pinned(own_server: Server) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        connection.execute("ALTER ROLE postgres SET search_path = nowhere")
    asked = Target(f"{own_server.dsn()}&options=-csearch_path%3Dpg_temp")
    with asked.connect(settings={"timezone": "Asia/Kathmandu"}) as connection:
        connection.execute("RESET ALL")
        found = connection.execute("SELECT current_setting('search_path'), current_setting('timezone')")
        assert found.fetchone() == ("pg_temp", "Asia/Kathmandu")
