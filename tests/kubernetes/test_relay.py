"""One connection's bytes, between two sockets: much at once, a client that reads late, one that leaves."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from pgslate.targets.kubernetes.channels import PodChannels
from pgslate.targets.kubernetes.relay import Ending, relay

Ends = tuple[socket.socket, socket.socket, socket.socket, socket.socket]
PORT = b"\x82\x03\x00\x15\x38\x82\x03\x01\x15\x38"
GOODBYE = b"\x88\x02\x03\xe8"
BULK = random.Random(11).randbytes(12 * 1024 * 1024)  # noqa: S311  # the same bytes in each run


def messages(data: bytes, *, size: int = 32 * 1024) -> bytes:
    """As the node says it: each message in one frame, unmasked."""
    parts = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(b"\x82\x7f" + (1 + len(part)).to_bytes(8, "big") + b"\0" + part for part in parts)


def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


@contextmanager
def relayed(
    client: socket.socket, node: socket.socket
) -> Iterator[tuple[Future[Ending], ThreadPoolExecutor]]:
    """A relay in a thread of its own, which closes the sockets when it is over, as the forwarder does."""

    def run() -> Ending:
        with client, node:
            return relay(client, node, PodChannels())

    with ThreadPoolExecutor() as pool:
        yield pool.submit(run), pool


@pytest.fixture
def sockets() -> Iterator[Ends]:
    """The client's end and the relay's; the relay's and the node's."""
    with ExitStack() as stack:
        ends = (*socket.socketpair(), *socket.socketpair())
        for sock in ends:
            stack.enter_context(sock)
            sock.settimeout(30)
        yield ends


def test_what_comes_in_bulk_arrives_in_order(sockets: Ends) -> None:
    outside, client, node, pod = sockets
    with relayed(client, node) as (ending, pool):
        said = pool.submit(pod.sendall, PORT + messages(BULK) + GOODBYE)
        assert read_all(outside) == BULK
        said.result()
    assert ending.result() == Ending(answered=True)


def test_a_client_that_reads_late_gets_all_of_what_came_before_the_node_hung_up(sockets: Ends) -> None:
    outside, client, node, pod = sockets
    data = BULK[: 512 * 1024]
    with relayed(client, node) as (ending, _):
        pod.sendall(PORT + messages(data))  # more than fits in buffers: the relay holds the rest
        pod.close()
        assert read_all(outside) == data
    assert ending.result().answered


def test_what_comes_while_a_client_reads_nothing_leaves_alone_what_waits_for_it(sockets: Ends) -> None:
    outside, client, node, pod = sockets
    rows = [b"%07d " % number * 128 for number in range(1024)]
    with relayed(client, node) as (ending, _):
        pod.sendall(PORT)
        for row in rows:  # many small reads: they share a buffer with what is not written yet
            pod.sendall(messages(row))
        said = b"".join(rows)
        assert read(outside, len(said)) == said
        pod.sendall(GOODBYE)
    assert ending.result() == Ending(answered=True)


def test_a_client_that_leaves_in_the_middle_ends_it_with_a_goodbye(sockets: Ends) -> None:
    outside, client, node, pod = sockets
    with relayed(client, node) as (ending, pool):
        said = pool.submit(pod.sendall, PORT + messages(BULK))
        assert read(outside, 1000) == BULK[:1000]
        outside.close()
        assert ending.result(timeout=30) == Ending(answered=True)
        with pytest.raises(OSError):  # noqa: PT011  # reset or broken, as the system likes
            said.result()


def test_a_client_that_reads_nothing_holds_the_node_back(sockets: Ends) -> None:
    outside, client, node, pod = sockets
    pod.settimeout(0.5)
    with relayed(client, node) as (ending, _):
        with pytest.raises(TimeoutError):
            pod.sendall(PORT + messages(BULK))
        outside.close()
    assert ending.result() == Ending(answered=True)
