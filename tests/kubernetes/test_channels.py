"""The frames of a forwarded port: whatever way they are cut up, what comes out is the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong

from pgslate.targets.kubernetes.channels import PodChannels
from pgslate.targets.kubernetes.frames import BINARY, NO_MASK, frame

PORT = (5432).to_bytes(2, "little")


class Node:
    """The other side: a wsproto server connection after its handshake."""

    def __init__(self) -> None:
        self._connection = Connection(ConnectionType.SERVER)

    def says(self, message: bytes, *, fragments: int = 1) -> bytes:
        step = -(-len(message) // fragments) or 1
        parts = [message[at : at + step] for at in range(0, len(message), step)] or [b""]
        return b"".join(
            self._connection.send(BytesMessage(data=part, message_finished=number == len(parts)))
            for number, part in enumerate(parts, 1)
        )

    def closes(self) -> bytes:
        return self._connection.send(CloseConnection(code=1000))

    def pings(self, payload: bytes = b"hello") -> bytes:
        return self._connection.send(Ping(payload=payload))

    def hears(self, channels: PodChannels) -> list[object]:
        for data in channels.outgoing:
            self._connection.receive_data(bytes(data))
        return list(self._connection.events())


def opened() -> tuple[PodChannels, Node]:
    return PodChannels(), Node()


def received(channels: PodChannels) -> bytes:
    return b"".join(channels.incoming)


@settings(deadline=None)
@given(
    payloads=st.lists(st.binary(max_size=70_000), max_size=5),
    fragments=st.integers(1, 3),
    cut=st.integers(1, 40_000),
)
def test_data_comes_out_whole_however_it_was_cut(payloads: list[bytes], fragments: int, cut: int) -> None:
    channels, node = opened()
    stream = node.says(b"\x00" + PORT) + node.says(b"\x01" + PORT)
    stream += b"".join(node.says(b"\x00" + payload, fragments=fragments) for payload in payloads)
    for at in range(0, len(stream), cut):
        channels.feed(stream[at : at + cut])
    assert received(channels) == b"".join(payloads)
    assert channels.error == ""


def test_the_port_numbers_are_no_data_even_one_byte_at_a_time() -> None:
    channels, node = opened()
    for piece in (b"\x00" + PORT[:1], b"\x00" + PORT[1:], b"\x01" + PORT, b"\x00E"):
        channels.feed(node.says(piece))
    assert received(channels) == b"E"


def test_the_error_channel_says_what_went_wrong() -> None:
    channels, node = opened()
    channels.feed(node.says(b"\x01" + PORT) + node.says(b"\x01no such pod\n") + node.closes())
    assert channels.error == "no such pod"
    assert channels.closed


def test_a_ping_is_answered_and_a_goodbye_too() -> None:
    channels, node = opened()
    channels.feed(node.pings() + node.closes())
    assert node.hears(channels) == [Pong(payload=b"hello"), CloseConnection(code=1000, reason="")]


@settings(deadline=None)
@given(st.binary(max_size=200_000), st.one_of(st.just(NO_MASK), st.binary(min_size=4, max_size=4)))
def test_what_is_sent_is_one_message_in_one_frame(data: bytes, key: bytes) -> None:
    channels, node = PodChannels(mask=lambda: key), Node()
    channels.send(data)
    parts = [event for event in node.hears(channels) if isinstance(event, BytesMessage)]
    assert b"".join(bytes(part.data) for part in parts) == b"\x00" + data
    assert [part.message_finished for part in parts if part.frame_finished] == [True]


def test_a_frame_has_the_masking_key_it_was_given_and_else_one_that_nobody_foresees() -> None:
    assert frame(BINARY, b"data", key=NO_MASK) == b"\x82\x84" + NO_MASK + b"data"
    keys = set()
    for _ in range(8):
        channels = PodChannels()
        channels.send(b"data")
        keys.add(bytes(channels.outgoing[0])[2:6])
    assert len(keys) > 1


def test_after_the_end_nothing_more_is_sent() -> None:
    channels, node = opened()
    channels.feed(node.closes())
    channels.outgoing.clear()
    channels.send(b"too late")
    channels.ping()
    assert not channels.outgoing


def test_what_came_with_the_handshake_counts_too() -> None:
    node = Node()
    channels = PodChannels(node.says(b"\x00" + PORT) + node.says(b"\x00E"))
    assert received(channels) == b"E"


@pytest.mark.parametrize(
    "nonsense", [b"\x82\x80....", b"\xf2\x01x", b"\x09\x01x", b"\x89\x7e\x01\x00"], ids=repr
)
def test_what_is_no_frame_ends_the_connection_with_a_reason(nonsense: bytes) -> None:
    channels, _ = opened()
    channels.feed(nonsense)
    assert channels.closed
    assert "doesn't speak websocket" in channels.error


@settings(deadline=None)
@given(st.binary(max_size=125), st.integers(1, 130))
def test_a_ping_that_comes_in_pieces_is_answered_whole(payload: bytes, cut: int) -> None:
    channels, node = opened()
    stream = node.pings(payload)
    for at in range(0, len(stream), cut):
        channels.feed(stream[at : at + cut])
    assert node.hears(channels) == [Pong(payload=payload)]
