"""A DSN's server is waited for, a refusal is told from a delay, and a pooler from a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.targets.pooler import Pooler

from pgslate.errors import ServerNotReadyError, TargetError, UsageError
from pgslate.targets.dsn import attempts_in, session_is_pooled, wait_by, wait_for
from pgslate.targets.embedded.launch import free_port
from pgslate.targets.embedded.server import Server
from pgslate.targets.environment import check_environment, from_environment
from pgslate.targets.target import Target, label_of

HBA = """
local all all trust
host all guarded 127.0.0.1/32 scram-sha-256
host all unlisted 127.0.0.1/32 reject
host all postgres 127.0.0.1/32 trust
host all sleeper 127.0.0.1/32 trust
"""


class Clock:
    """Time that passes only in pauses; keeps how long each was."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self._then = then

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        self._then()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server with a role ``guarded``, who needs his password, and others who may not come in."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        rules = Path(folder) / "pg_hba.conf"
        rules.write_text(HBA)
        with Server.start(settings={"hba_file": str(rules)}) as server:
            with server.target().connect(autocommit=True) as connection:
                connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'open sesame'")
                connection.execute("CREATE ROLE sleeper NOLOGIN")
                connection.execute("CREATE ROLE unlisted LOGIN")
                connection.execute("CREATE DATABASE closed ALLOW_CONNECTIONS false")
            yield server


def with_password(server: Server, password: str) -> str:
    return f"host=127.0.0.1 port={server.port} dbname=postgres user=guarded password='{password}'"


def test_a_server_that_is_there_is_connected_to(server: Server) -> None:
    with wait_for(server.dsn()) as target, target.connect() as connection:
        assert connection.execute("SELECT current_setting('application_name')").fetchone() == ("pgslate",)
        assert target.label == f"postgres on 127.0.0.1:{server.port} as postgres"


def test_an_application_name_in_the_dsn_wins(server: Server) -> None:
    with wait_for(server.dsn() + "&application_name=mine") as target, target.connect() as connection:
        assert connection.info.get_parameters()["application_name"] == "mine"


def test_a_server_that_is_not_there_is_tried_until_the_timeout_and_every_attempt_is_told() -> None:
    clock = Clock()
    port = free_port()
    with pytest.raises(ServerNotReadyError, match=r"within 3 s\n.*refused.*\(8 times\)") as raised:
        wait_by(f"postgresql://app@127.0.0.1:{port}/app", timeout=3, clock=clock, pause=clock.pause)
    assert clock.pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1, 0.45])
    assert len(raised.value.attempts) == 8
    assert raised.value.attempts[0].startswith(f"127.0.0.1:{port}: Connection refused")


def test_every_host_of_a_dsn_is_told() -> None:
    first, second = free_port(), free_port()
    with pytest.raises(ServerNotReadyError) as raised:
        wait_for(f"postgresql://app@127.0.0.1:{first},127.0.0.1:{second}/app", timeout=0)
    assert [attempt.split(": ")[0] for attempt in raised.value.attempts] == [
        f"127.0.0.1:{second}",
        f"127.0.0.1:{first}",
    ]


def test_a_socket_that_is_not_there_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ServerNotReadyError) as raised:
        wait_for(f"host={tmp_path} port=5999 user=app", timeout=0)
    assert raised.value.attempts[0].startswith(f"{tmp_path}/.s.PGSQL.5999: No such file")


def test_a_host_without_an_address_is_tried_again() -> None:
    clock = Clock()
    with pytest.raises(ServerNotReadyError, match=r"nosuchhost\.invalid"):
        wait_by("host=nosuchhost.invalid user=app", timeout=0.1, clock=clock, pause=clock.pause)
    assert clock.pauses


def test_a_server_that_comes_up_meanwhile_is_connected_to() -> None:
    with Server.start() as server:
        server._end.detach()
        server._watcher.stop_cleanly()
        clock = Clock(then=lambda: server._launch(server.port))
        with wait_by(server.dsn(), clock=clock, pause=clock.pause) as target:
            target.connect().close()
        assert len(clock.pauses) == 1


@pytest.mark.parametrize(
    ("user", "dbname", "said", "fix"),
    [
        (
            "nosuchrole",
            "postgres",
            'no pg_hba.conf entry for host "127.0.0.1", user "nosuchrole"',
            "pg_hba.conf",
        ),
        ("postgres", "nosuchdatabase", 'database "nosuchdatabase" does not exist', "create it"),
        ("unlisted", "postgres", "pg_hba.conf rejects connection", "pg_hba.conf"),
        ("sleeper", "postgres", 'role "sleeper" is not permitted to log in', "ALTER ROLE ... LOGIN"),
        ("guarded", "postgres", "no password supplied", "PGPASSWORD"),
        ("postgres", "closed", "not currently accepting connections", "ALLOW_CONNECTIONS true"),
    ],
)
def test_a_refusal_that_waiting_cannot_heal_ends_it_at_once(
    guarded: Server, user: str, dbname: str, said: str, fix: str
) -> None:
    clock = Clock()
    with pytest.raises(TargetError) as raised:
        wait_by(guarded.dsn(dbname, user), clock=clock, pause=clock.pause)
    assert not isinstance(raised.value, ServerNotReadyError)
    assert said in raised.value.message
    assert fix in raised.value.fix
    assert clock.pauses == []


def test_a_role_that_does_not_exist_is_told_at_once(server: Server) -> None:
    with pytest.raises(TargetError, match=r'role "nosuchrole" does not exist\nfix: create the role'):
        wait_for(server.dsn(user="nosuchrole"))


def test_the_right_password_opens(guarded: Server) -> None:
    target = wait_for(with_password(guarded, "open sesame"))
    assert target.label == f"postgres on 127.0.0.1:{guarded.port} as guarded"


def test_a_wrong_password_is_told_at_once_and_not_shown(guarded: Server) -> None:
    with pytest.raises(TargetError, match="password authentication failed") as raised:
        wait_for(with_password(guarded, "hunter2"))
    assert "hunter2" not in str(raised.value) + repr(raised.value.as_json()) + repr(vars(raised.value))


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:hunter2@x@host:5432/db",
        "host=x password=a hunter2",
        "postgresql://a:b:hunter2@[::1/x",
        "postgresql://app:x/hunter2@host:5432/db",
        "postgresql://app:x@y:hunter2@host:5432/db",
    ],
)
def test_a_malformed_dsn_is_told_without_its_password(dsn: str) -> None:
    with pytest.raises(UsageError, match="percent-encoded") as raised:
        wait_for(dsn)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_server_that_needs_ssl_it_does_not_have_is_told_at_once(server: Server) -> None:
    with pytest.raises(TargetError, match="does not support SSL"):
        wait_for(server.dsn().replace("disable", "require"))


def test_a_server_before_14_is_refused(server: Server) -> None:
    refused = pytest.raises(TargetError, match=r"is PostgreSQL 13\.20; pgslate needs 14 or later")
    with Pooler(server.port, says_version="13.20") as old, refused:
        wait_for(old.dsn)


def test_the_label_of_a_dsn_has_no_password() -> None:
    assert label_of("postgresql://deploy:hunter2@db.example/app") == "app on db.example:5432 as deploy"
    assert label_of("host=a,b port=1,2 password=hunter2 dbname=d") == "d on a:1, b:2"
    assert "hunter2" not in repr(Target("postgresql://deploy:hunter2@db.example/app"))


def test_the_label_of_a_dsn_is_filled_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGHOST": "db.example", "PGPORT": "6432", "PGUSER": "deploy"}.items():
        monkeypatch.setenv(name, value)
    assert label_of("dbname=app") == "app on db.example:6432 as deploy"
    assert label_of("postgresql://tester@/app") == "app on db.example:6432 as tester"


@pytest.mark.parametrize(
    ("environment", "dsn"),
    [
        ({}, None),
        ({"PGUSER": "me", "PGPORT": "5433"}, None),
        ({"PGHOST": "db.example"}, ""),
        ({"PGSERVICE": "prod"}, ""),
        ({"PGSLATE_DSN": "postgresql://x", "PGHOST": "db.example"}, "postgresql://x"),
        ({"PGSLATE_DSN": ""}, None),
    ],
)
def test_the_environment_names_a_server(environment: dict[str, str], dsn: str | None) -> None:
    assert from_environment(environment) == dsn


def test_an_empty_dsn_is_read_from_libpqs_variables(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HOST", "127.0.0.1"), ("PORT", str(server.port)), ("USER", "postgres")):
        monkeypatch.setenv(f"PG{name}", value)
    assert wait_for("").label == f"postgres on 127.0.0.1:{server.port} as postgres"


def test_a_timeout_without_a_host_is_an_attempt_on_the_label() -> None:
    (attempt,) = attempts_in("connection timeout expired", "app on db:5432")
    assert str(attempt) == "app on db:5432: connection timeout expired"


def test_a_direct_session_is_not_pooled(any_server: Server) -> None:
    target = any_server.target()
    with target.connect(autocommit=True) as connection:
        assert not session_is_pooled(connection, target)


def test_a_session_of_a_transaction_pooler_is_pooled(server: Server) -> None:
    with Pooler(server.port) as pooler:
        target = Target(pooler.dsn)
        with target.connect(autocommit=True) as connection:
            assert session_is_pooled(connection, target)


def test_a_session_of_a_session_pooler_holds_its_backend(server: Server) -> None:
    with Pooler(server.port, keep_session=True) as pooler:
        target = Target(pooler.dsn)
        with target.connect(autocommit=True) as connection:
            assert not session_is_pooled(connection, target)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("pgbouncer"), reason="drops to another user to run PgBouncer"
)
@pytest.mark.parametrize(("mode", "pooled"), [("transaction", True), ("statement", True), ("session", False)])
def test_pgbouncer_is_told_by_its_mode(server: Server, mode: str, pooled: bool) -> None:
    account = server._how.account
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, account.uid, account.gid)
        settings = Path(folder) / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"auth_type = any\nunix_socket_dir =\npool_mode = {mode}\n"
        )
        settings.chmod(0o644)
        command = [shutil.which("pgbouncer") or "", str(settings)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, **account.popen_options()) as pgbouncer:
            try:
                target = wait_for(f"host=127.0.0.1 port={port} user=postgres dbname=postgres")
                with target.connect(autocommit=True) as connection:
                    assert session_is_pooled(connection, target) == pooled
            finally:
                pgbouncer.kill()


def test_a_target_closes_once() -> None:
    closed = []
    with Target("host=x", on_close=lambda: closed.append("closed")) as target:
        target.close()
    assert closed == ["closed"]


def test_another_database_of_the_same_server_is_a_target_too(server: Server, database: Target) -> None:
    with database.with_dbname("postgres").connect() as connection:
        assert connection.info.dbname == "postgres"


def test_keywords_of_connect_win(database: Target) -> None:
    with database.connect(application_name="mine", autocommit=True) as connection:
        assert connection.autocommit
        assert connection.info.get_parameters()["application_name"] == "mine"
        assert isinstance(connection, psycopg.Connection)


def test_a_reference_that_kubernetes_left_as_it_was_is_told_apart_from_a_host() -> None:
    with pytest.raises(TargetError, match="no address for a service 'orders-db'") as caught:
        check_environment({"PGHOST": "$(ORDERS_DB_SERVICE_HOST)", "PGPORT": "5432"})
    assert "older than the pod" in caught.value.fix
    check_environment({"PGHOST": "10.96.0.7", "PGPORT": "5432"})


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("postgresql+psycopg://u@h/d", r"leave out \+psycopg"),
        ("postgres+asyncpg://u@h/d", r"leave out \+asyncpg"),
        ("port=abc", "port is no number"),
        ("postgresql://h:99999/d", "port is no number"),
    ],
)
def test_a_dsn_that_can_not_work_is_an_error_of_usage(dsn: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wait_for(dsn)


def test_a_url_without_anything_in_it_means_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(server.port))
    monkeypatch.setenv("PGUSER", "postgres")
    assert wait_for("postgresql://").label == f"postgres on 127.0.0.1:{server.port} as postgres"


def test_a_host_of_the_environment_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "nosuch.invalid")
    with pytest.raises(ServerNotReadyError, match=r"nosuch\.invalid") as raised:
        wait_for("", timeout=0.1)
    assert "host None" not in str(raised.value)


def test_who_waits_is_told_so_after_a_second() -> None:
    clock, said = Clock(), list[str]()
    with pytest.raises(ServerNotReadyError):
        wait_by("host=127.0.0.1 port=1", timeout=3, waiting=said.append, clock=clock, pause=clock.pause)
    (line,) = said
    assert "waiting for" in line
    assert "--timeout" in line
