"""The forwarder: each connection for itself, whatever happens to the others, to pods and to the network."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.kubernetes.conftest import TestCluster
from tests.kubernetes.standin.server import StandIn

from pgslate.errors import TargetError
from pgslate.targets.kubernetes import service_target
from pgslate.targets.kubernetes.relay import Pace
from pgslate.targets.kubernetes.service import forwarder_to
from pgslate.targets.target import Target

MANY = int(os.environ.get("PGSLATE_TEST_CONNECTIONS", "300"))
MEGABYTES = int(os.environ.get("PGSLATE_TEST_MEGABYTES", "64"))

SSL_REQUEST = struct.pack(">ii", 8, 80877103)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def settled(value: Callable[[], int], wanted: int) -> bool:
    """Whether a value comes down to what is wanted, within the time that a lingering connection has."""
    patience = threading.Event()
    for _ in range(100):
        if value() <= wanted:
            return True
        patience.wait(0.05)
    return False


@pytest.fixture
def quick(cluster: TestCluster, postgres: str) -> Iterator[Target]:
    """PostgreSQL as a target whose forward pings soon and gives up soon."""
    pace = Pace(ping=0.3, pong=0.5)
    with service_target(
        postgres, api=cluster.api, environ={}, patience=cluster.patience, pace=pace
    ) as target:
        yield target


def test_many_connections_one_after_another_leave_nothing_behind(target: Target) -> None:
    def connections() -> int:
        return sum(thread.name == "pgslate-forwarded" for thread in threading.enumerate())

    port = int(conninfo_to_dict(target.dsn)["port"] or 0)
    target.connect().close()
    assert settled(connections, 0)
    before = open_descriptors()
    for _ in range(MANY):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(SSL_REQUEST)
            assert client.recv(1) in (b"N", b"S")
    assert settled(connections, 0)
    assert settled(open_descriptors, before)


def test_sixty_four_connections_at_once_all_work(target: Target) -> None:
    together = threading.Barrier(64, timeout=60)

    def one(number: int) -> int:
        with closing(target.connect()) as connection:
            together.wait()
            row = connection.execute("SELECT %s + 1", (number,)).fetchone()
            assert row
            return int(row[0])

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(one, range(64))) == [number + 1 for number in range(64)]


def test_what_is_copied_out_and_in_is_the_same_to_the_byte(target: Target) -> None:
    block = random.Random(7).randbytes(1024 * 1024)  # noqa: S311  # the same bytes in each run
    sent, came = hashlib.sha256(), hashlib.sha256()
    with closing(target.connect()) as connection:
        connection.execute("CREATE TEMP TABLE blocks (number serial, block text)")
        connection.execute("ALTER TABLE blocks ALTER block SET STORAGE EXTERNAL")
        with connection.cursor().copy("COPY blocks (block) FROM STDIN") as copy:
            for number in range(MEGABYTES // 2):
                row = (number.to_bytes(4, "big") + block).hex().encode() + b"\n"
                sent.update(row)
                copy.write(row)
        with connection.cursor().copy("COPY (SELECT block FROM blocks ORDER BY number) TO STDOUT") as copy:
            for data in copy:
                came.update(data)
    assert came.digest() == sent.digest()


def test_a_statement_that_runs_long_outlives_the_pings(quick: Target) -> None:
    with closing(quick.connect()) as connection:
        assert connection.execute("SELECT 'done' FROM pg_sleep(1.2)").fetchone() == ("done",)


def test_a_client_that_reads_late_gets_everything(quick: Target) -> None:
    with closing(quick.connect()) as connection, closing(quick.connect()) as other:
        rows = "SELECT repeat('x', 1000) FROM generate_series(1, 20000)"
        with connection.cursor().copy(f"COPY ({rows}) TO STDOUT") as copy:
            came = len(copy.read())
            other.execute("SELECT pg_sleep(1.2)")  # longer than the pace would let a silent node be
            came += sum(len(data) for data in copy)
        assert came == 20_000 * 1001


def test_a_client_that_says_its_last_still_gets_the_answer(cluster: TestCluster, postgres: str) -> None:
    with (
        forwarder_to(postgres, api=cluster.api, patience=cluster.patience) as forwarder,
        socket.create_connection((forwarder.host, forwarder.port)) as client,
    ):
        client.sendall(SSL_REQUEST)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) in (b"N", b"S")


def test_a_client_that_vanishes_is_let_go_and_so_is_its_session(target: Target) -> None:
    def sessions() -> int:
        row = watcher.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gone'"
        ).fetchone()
        assert row
        return int(row[0])

    with closing(target.connect(autocommit=True)) as watcher:
        gone = target.connect(application_name="gone")
        assert sessions() == 1
        os.close(os.dup(gone.fileno()))
        with socket.socket(fileno=os.dup(gone.fileno())) as raw:
            raw.shutdown(socket.SHUT_RDWR)
        assert settled(sessions, 0)
        gone.close()


def test_a_query_can_be_cancelled(target: Target) -> None:
    with closing(target.connect()) as connection:
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(30)")
        timer.join()


def test_a_port_that_is_taken_is_said_so(cluster: TestCluster, postgres: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TargetError, match=f"port {port} of 127.0.0.1") as caught:
            forwarder_to(postgres, api=cluster.api, patience=cluster.patience, port=port)
    assert "another local port" in caught.value.fix


def test_closing_ends_the_connections_too(cluster: TestCluster, postgres: str) -> None:
    target = service_target(postgres, api=cluster.api, environ={}, patience=cluster.patience)
    with closing(target.connect()) as connection:
        target.close()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        target.connect()


def test_a_pod_replaced_in_the_middle_fails_the_statement_and_not_the_next_connection(
    cluster: TestCluster, namespace: str
) -> None:
    from tests.kubernetes import manifests

    from pgslate.targets.kubernetes.api import path_of

    cluster.apply(*manifests.postgres(namespace))
    with service_target(namespace, api=cluster.api, environ={}, patience=cluster.patience) as target:
        with closing(target.connect()) as connection:
            connection.execute("SELECT 1")
            pods = cluster.api.get(path_of("pods", namespace))["items"]
            cluster.api.delete(path_of("pods", namespace, pods[0]["metadata"]["name"]))
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT pg_sleep(20)")
        with closing(target.connect(connect_timeout=120)) as connection:
            assert connection.execute("SELECT 'again'").fetchone() == ("again",)


# from here on the network, the node or the API server goes wrong on demand


def test_a_reset_takes_one_connection_down_and_no_other(target: Target, faults: StandIn) -> None:
    with closing(target.connect()) as lucky:
        before = list(faults.forwards)
        with closing(target.connect()) as unlucky:
            (theirs,) = (websocket for websocket in faults.forwards if websocket not in before)
            theirs.sock.reset()
            with pytest.raises(psycopg.OperationalError):
                unlucky.execute("SELECT 1")
        assert lucky.execute("SELECT 1").fetchone() == (1,)


def test_a_node_that_falls_silent_is_given_up(quick: Target, faults: StandIn) -> None:
    with closing(quick.connect()) as connection:
        for websocket in faults.forwards:
            websocket.stalled.set()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


@pytest.mark.parametrize("fault", ["refused", "reset"])
def test_dialling_is_tried_again_until_the_pod_answers(target: Target, faults: StandIn, fault: str) -> None:
    faults.faults.forward(fault, times=2)
    with closing(target.connect()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_breaks_after_the_first_answer_is_not_repeated(
    target: Target, faults: StandIn
) -> None:
    faults.faults.forward("reset-later")
    with pytest.raises(psycopg.OperationalError):
        target.connect()


def test_a_server_error_of_the_api_is_ridden_out(target: Target, faults: StandIn) -> None:
    faults.faults.answer(500, "/pods$", times=1)
    faults.faults.answer(503, "/portforward$", times=2)
    with closing(target.connect()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_forward_that_is_forbidden_is_not_tried_again_and_the_client_is_told(
    target: Target, faults: StandIn
) -> None:
    faults.faults.forward("forbidden", times=1)
    with pytest.raises(psycopg.OperationalError, match="may not create pods/portforward"):
        target.connect()


def test_messages_are_never_fragmented_because_the_kubelet_would_take_the_parts_for_whole_ones(
    target: Target, faults: StandIn
) -> None:
    with closing(target.connect()) as connection:
        assert connection.execute("SELECT length(%s)", ("x" * 3_000_000,)).fetchone() == (3_000_000,)
        assert [websocket.fragments for websocket in faults.forwards] == [0] * len(faults.forwards)
