"""One runner at a time."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.execution.conftest import SliceOf
from tests.execution.looking import index_is_valid, ledger, rows, run, tables
from tests.execution.wiretap import Wiretap

from pgslate.errors import LockLostError, LockTimeoutError, TargetError
from pgslate.execution import locks
from pgslate.execution.planner import Step
from pgslate.execution.progress import Silent
from pgslate.targets.dsn import wait_for
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target, dsn_with
from pgslate.verbs.apply import apply

ONE = {"001_a.sql": "CREATE TABLE a(i int);"}
CONCURRENT = {"001_a.sql": "CREATE TABLE a(i int); CREATE INDEX CONCURRENTLY i ON a (i);"}


@pytest.fixture
def holder(database: Target) -> Iterator[psycopg.Connection]:
    """Another runner, which holds the lock."""
    with database.connect(autocommit=True, application_name="the other") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (locks.RUNNER,))
        yield connection


def test_a_runner_gives_up_after_the_timeout_and_says_who_holds_the_lock(
    slice_for: SliceOf, database: Target, holder: psycopg.Connection
) -> None:
    with pytest.raises(LockTimeoutError) as caught:
        apply(slice_for(ONE), database, lock_timeout=0.05)
    assert f"pid {holder.info.backend_pid}, application_name the other" in caught.value.holder
    assert "connected since 20" in caught.value.holder
    assert "longer than 0.05 s" in str(caught.value)
    assert tables(database) == []


def test_a_runner_goes_on_when_the_lock_is_let_go(
    slice_for: SliceOf, database: Target, holder: psycopg.Connection
) -> None:
    class LetsGo(Silent):
        told: tuple[str, ...] = ()

        def waiting(self, holding: str) -> None:
            self.told = (*self.told, holding)
            holder.execute("SELECT pg_advisory_unlock_all()")

    progress = LetsGo()
    apply(slice_for(ONE), database, progress=progress)
    assert len(progress.told) == 1
    assert tables(database) == ["a"]


def test_what_another_runner_did_while_we_waited_is_not_done_again(
    slice_for: SliceOf, database: Target, holder: psycopg.Connection
) -> None:
    slice_ = slice_for(ONE)

    class Overtaken(Silent):
        def waiting(self, holding: str) -> None:
            holder.execute("SELECT pg_advisory_unlock_all()")
            apply(slice_, database)
            # held again until it was seen that the other one is done
            holder.execute("SELECT pg_advisory_lock(%s)", (locks.RUNNER,))
            holder.execute("SELECT pg_advisory_unlock_all()")

    assert apply(slice_, database, progress=Overtaken()).nothing_to_do


def test_no_lock_is_asked_for_where_nothing_is_pending(
    slice_for: SliceOf, database: Target, holder: psycopg.Connection
) -> None:
    slice_ = slice_for(ONE)
    holder.execute("SELECT pg_advisory_unlock_all()")
    apply(slice_, database)
    holder.execute("SELECT pg_advisory_lock(%s)", (locks.RUNNER,))
    assert apply(slice_, database, lock_timeout=0).nothing_to_do


def test_another_database_of_the_server_does_not_wait(
    slice_for: SliceOf, database: Target, holder: psycopg.Connection
) -> None:
    name = f"{holder.info.dbname}_other"
    run(database, f"CREATE DATABASE {name}")
    apply(slice_for(ONE), Target(dsn_with(database.dsn, dbname=name)), lock_timeout=0)


def test_a_lock_that_is_lost_during_the_run_is_noticed_before_the_commit(
    slice_for: SliceOf, database: Target
) -> None:
    kill = (
        "SELECT pg_terminate_backend(l.pid, 10000) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND a.datname = current_database() AND l.objid = KEY"
    ).replace("KEY", str(locks.RUNNER % (1 << 32)))

    class Kills(Silent):
        def started(self, step: Step) -> None:
            assert rows(database, kill) == [(True,)]

    with pytest.raises(LockLostError, match="nothing more was committed"):
        apply(slice_for(ONE), database, progress=Kills())
    assert tables(database) == []
    assert ledger(database) == []


def test_an_index_built_concurrently_does_not_wait_for_a_waiting_runner(
    slice_for: SliceOf, database: Target
) -> None:
    slice_ = slice_for(CONCURRENT)
    done: list[bool] = []
    waiting = threading.Event()

    class Waits(Silent):
        def waiting(self, holder: str) -> None:
            waiting.set()

    def second() -> None:
        done.append(apply(slice_, database, progress=Waits()).nothing_to_do)

    thread = threading.Thread(target=second)

    class Starts(Silent):
        def started(self, step: Step) -> None:
            thread.start()
            assert waiting.wait(timeout=20)

    apply(slice_, database, progress=Starts())
    thread.join(timeout=20)
    assert done == [True]
    assert index_is_valid(database, "i")


def test_the_next_runner_waits_for_what_a_killed_one_left_running(
    slice_for: SliceOf, database: Target
) -> None:
    with database.connect(autocommit=True, application_name="orphan") as orphan:
        orphan.execute("SELECT pg_advisory_lock(%s)", (locks.WORK,))
        with pytest.raises(LockTimeoutError, match="application_name orphan"):
            apply(slice_for(ONE), database, lock_timeout=0.02)


def test_sixteen_runners_at_once_apply_each_migration_once(slice_for: SliceOf, database: Target) -> None:
    files = {f"{n:03}_t.sql": f"CREATE TABLE t{n} AS SELECT 1 AS i;" for n in range(1, 9)}
    files["009_i.sql"] = "CREATE INDEX CONCURRENTLY i ON t1 (i);"
    slice_ = slice_for(files)
    gate = threading.Barrier(16)
    ran: list[tuple[str, ...]] = []

    def one() -> None:
        gate.wait()
        ran.append(tuple(each.version for each in apply(slice_, database).applied))

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = tuple(f"{n:03}" for n in range(1, 10))
    assert sorted(ran) == [()] * 15 + [everything]
    assert ledger(database) == list(everything)
    assert rows(database, "SELECT count(*) FROM t1") == [(1,)]


# -- poolers


@pytest.fixture
def pooled(database: Target, server: Server, request: pytest.FixtureRequest) -> Iterator[Target]:
    """The database behind PgBouncer, in the mode that the test asks for."""
    account = server._how.account  # the one the server runs as
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        os.chown(folder, account.uid, account.gid)
        settings = Path(folder) / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"auth_type = any\nunix_socket_dir =\npool_mode = {request.param}\n"
        )
        settings.chmod(0o644)
        probe.close()
        command = [shutil.which("pgbouncer") or "", str(settings)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, **account.popen_options()) as pgbouncer:
            try:
                yield wait_for(dsn_with(database.dsn, port=str(port)))
            finally:
                pgbouncer.kill()


needs_pgbouncer = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("pgbouncer"), reason="drops to another user to run PgBouncer"
)


@needs_pgbouncer
@pytest.mark.parametrize("pooled", ["transaction", "statement"], indirect=True)
def test_a_pooler_that_shares_sessions_is_refused(slice_for: SliceOf, pooled: Target) -> None:
    with pytest.raises(TargetError, match="behind a pooler") as caught:
        apply(slice_for(CONCURRENT), pooled)
    assert "name the server itself" in caught.value.fix


@needs_pgbouncer
@pytest.mark.parametrize("pooled", ["session"], indirect=True)
def test_a_pooler_in_session_mode_is_as_good_as_the_server(
    slice_for: SliceOf, pooled: Target, database: Target
) -> None:
    apply(slice_for(CONCURRENT), pooled)
    assert index_is_valid(database, "i")


def test_no_message_is_spent_on_poolers_where_the_server_is_reached_directly(
    slice_for: SliceOf, database: Target, tmp_path: Path
) -> None:
    wire = Wiretap(database, tmp_path)
    apply(slice_for(ONE), wire)
    assert wire.connections == 2  # the run's, and its lock's


# -- locks on tables


def test_the_wait_for_a_tables_lock_ends_with_the_timeout_and_names_the_holder(
    slice_for: SliceOf, database: Target
) -> None:
    first = {"001_users.sql": "CREATE TABLE users (id int);"}
    apply(slice_for(first), database)
    slice_ = slice_for({**first, "002_email.sql": "ALTER TABLE users ADD email text;"})
    with database.connect(application_name="long report") as other:
        other.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        with pytest.raises(LockTimeoutError, match="application_name long report") as caught:
            apply(slice_, database, lock_timeout=0.2)
    assert str(caught.value.place) == "002_email.sql:1:1"
    assert "Nothing of this run was kept." in caught.value.message
    assert "lock_timeout in [session]" in caught.value.fix
    apply(slice_, database, lock_timeout=0.2)


def test_an_index_made_concurrently_waits_for_old_transactions_however_long(
    slice_for: SliceOf, database: Target
) -> None:
    first = {"001_users.sql": "CREATE TABLE users (id int);"}
    apply(slice_for(first), database)
    index = "-- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY i ON users (id);"
    slice_ = slice_for({**first, "002_i.sql": index})
    with database.connect() as other:
        other.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
        release = threading.Timer(0.6, other.rollback)
        release.start()
        apply(slice_, database, lock_timeout=0.2)
        release.join()
