"""Under load, and with everything going wrong: what the client accepted is there once, and nothing twice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.sql import SQL
from tests.datastorage import goose

from datastorage import AuditClient
from datastorage.chain import verify_chain
from datastorage.e2e.proxy import BadNetwork
from datastorage.grants import grant
from datastorage.infrastructure.process import ServiceProcess
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

ROLE = "datastorage_faults"
EVENTS = 1500


@pytest.fixture(scope="module")
def durable_server() -> Iterator[Server]:
    """What it committed it still has after a crash."""
    with Server.start(durable=True) as server:
        yield server


@pytest.fixture
def database(durable_server: Server) -> Iterator[Target]:
    with durable_server.create_database("faults") as target:
        with target.connect(autocommit=True) as owner:
            for file in goose.read_all():
                if file.version in {13, 23, 24, 1000}:
                    goose.run(owner, file, file.up)
            grant(owner, ROLE)
        yield target
    durable_server.drop_database("faults")


@pytest.fixture
def network(durable_server: Server) -> Iterator[BadNetwork]:
    """Between the service and the database."""
    with BadNetwork(durable_server.port) as network:
        yield network


@pytest.fixture
def service(network: BadNetwork, database: Target, tmp_path: Path) -> Iterator[ServiceProcess]:
    dsn = f"host=127.0.0.1 port={network.port} dbname=faults"
    arguments = ["--dsn", f"{dsn} user={ROLE}", "--owner-dsn", f"{dsn} user=postgres"]
    with ServiceProcess(arguments, tmp_path / "service.log") as service:
        yield service


class Load:
    """Records events from two threads; ``halfway`` is set when half of them are recorded."""

    def __init__(self, client: AuditClient) -> None:
        self.halfway = threading.Event()
        self.ids: set[str] = set()
        self._client = client

    def run(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            for ids in pool.map(self._record, range(2)):
                self.ids |= ids

    def _record(self, thread: int) -> set[str]:
        ids = set()
        for number in range(EVENTS // 2):
            ids.add(
                str(
                    self._client.record(
                        event_type="gateway.signal.received",
                        event_category="signal",
                        event_action="received",
                        event_outcome="success",
                        correlation_id=f"rr-{thread}",
                        event_data={"number": number},
                    )
                )
            )
            # Once some were sent, so that the fault comes between requests that worked and those that don't.
            if number == EVENTS // 4:
                self._client.flush(1.0)
                self.halfway.set()
        return ids


@pytest.fixture
def client(service: ServiceProcess, tmp_path: Path) -> Iterator[AuditClient]:
    with AuditClient(
        service.url, spool=tmp_path / "spool.sqlite", memory_events=300, batch_events=50, timeout=3.0
    ) as client:
        yield client


def everything_is_there_once(
    load: Load, client: AuditClient, database: Target, service: ServiceProcess
) -> bool:
    """All that was accepted arrives within a minute, once, in a chain that is intact."""
    assert client.flush(60.0), f"{client.counts()} {client.trouble}\n{service.logs()[-4000:]}"
    assert client.refused() == []
    with database.connect(autocommit=True) as connection:
        ids = [str(one) for (one,) in connection.execute("SELECT event_id FROM audit_events")]
        assert verify_chain(connection).ok
    return len(ids) == len(load.ids) and set(ids) == load.ids


def under_load(client: AuditClient, fault: threading.Thread) -> Load:
    """Runs the load, and the fault in the middle of it."""
    load = Load(client)

    def strike() -> None:
        load.halfway.wait(timeout=30)
        fault.run()

    striking = threading.Thread(target=strike)
    striking.start()
    load.run()
    striking.join()
    return load


def test_the_database_crashes_and_recovers(
    client: AuditClient, service: ServiceProcess, database: Target
) -> None:
    def crash() -> None:
        # A backend that is killed makes PostgreSQL throw all of them out and recover from its log.
        with database.connect() as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT pg_sleep(10)")

    load = under_load(client, threading.Thread(target=crash))

    assert everything_is_there_once(load, client, database, service)


def test_the_service_is_killed_and_started_again(
    client: AuditClient, service: ServiceProcess, database: Target
) -> None:
    def kill() -> None:
        service.kill()
        service.restart()

    load = under_load(client, threading.Thread(target=kill))

    assert everything_is_there_once(load, client, database, service)


def test_the_database_cannot_be_reached_for_a_while(
    client: AuditClient, service: ServiceProcess, database: Target, network: BadNetwork
) -> None:
    load = under_load(client, threading.Thread(target=network.cut))
    assert not client.flush(0.5)
    network.mend()

    assert everything_is_there_once(load, client, database, service)


def test_the_network_to_the_database_is_slow(
    client: AuditClient, service: ServiceProcess, database: Target, network: BadNetwork
) -> None:
    load = under_load(client, threading.Thread(target=lambda: network.slow(0.05)))

    assert everything_is_there_once(load, client, database, service)


def test_answers_come_too_late_for_a_while(service: ServiceProcess, database: Target, tmp_path: Path) -> None:
    # What the client gave up on was stored all the same: it is sent again, and must not be there twice.
    with (
        BadNetwork(httpx.URL(service.url).port or 0) as network,
        AuditClient(
            f"http://127.0.0.1:{network.port}",
            spool=tmp_path / "late.sqlite",
            memory_events=300,
            batch_events=50,
            timeout=0.5,
        ) as client,
    ):
        load = under_load(client, threading.Thread(target=lambda: network.slow(0.6, only_answers=True)))
        with database.connect(autocommit=True) as connection:
            for _ in range(10):
                assert not client.flush(3.0)
                stored = connection.execute("SELECT count(*) FROM audit_events").fetchone()
                assert stored is not None
                if unheard := stored[0] > client.counts().sent:
                    break
        network.mend()

        assert unheard
        assert client.counts().retries > 0
        assert everything_is_there_once(load, client, database, service)


@pytest.fixture
def small_space(small_disk: Path, durable_server: Server) -> Iterator[Path]:
    """The tablespace ``small``, on a disk of its own."""
    folder = small_disk / "space"
    folder.mkdir()
    owner = durable_server.data.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    with durable_server.target().connect(autocommit=True) as admin:
        admin.execute(SQL("CREATE TABLESPACE small LOCATION {}").format(str(folder)))
        yield small_disk
        admin.execute("DROP TABLESPACE small")


def test_the_disk_is_full_for_a_while(
    small_space: Path, database: Target, client: AuditClient, service: ServiceProcess
) -> None:
    with database.connect(autocommit=True) as owner:
        for kind in ("TABLE", "INDEX"):
            owner.execute(f"ALTER {kind} ALL IN TABLESPACE pg_default SET TABLESPACE small".encode())
    ballast = small_space / "ballast"
    room = os.statvfs(small_space)
    ballast.write_bytes(bytes(room.f_bavail * room.f_frsize))

    load = Load(client)
    load.run()
    assert not client.flush(0.5)
    trouble = client.trouble or ""
    ballast.unlink()

    assert "No space left on device" in trouble
    assert everything_is_there_once(load, client, database, service)
