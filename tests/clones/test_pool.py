"""The pool: clones are there when they are asked for, whatever happens to the server or to other runners."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgslate.clones.connections import connect_patiently
from pgslate.clones.databases import Databases
from pgslate.clones.template import Template
from pgslate.errors import ServerNotReadyError, TargetError
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.verbs.reap import reap

from .conftest import Open
from .looking import clones, tables_of


@pytest.fixture
def small_server() -> Iterator[Server]:
    """A server of its own, with a dozen connections."""
    settings = {"superuser_reserved_connections": "0", "reserved_connections": "0"}
    with Server.start(major=18, max_connections=12, settings=settings) as server:
        yield server


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or process is about to do."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be within 30 s"
        threading.Event().wait(0.002)


def ready(databases: Databases, template: Template) -> bool:
    return any(one.template == template.name for one in databases.registry.clones("ready"))


def coming(databases: Databases, template: Template) -> int:
    """How many clones of a template are ready, or being made."""
    return sum(one.template == template.name for one in databases.registry.clones("making", "ready"))


def test_a_clone_that_is_taken_is_replaced(server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(server, shop, ahead=2)
    template = databases.prepare("stock")
    databases.database("stock").close()
    until(lambda: ready(databases, template))
    before = clones(server)
    assert databases.database("stock").name in before


def test_another_process_takes_what_the_first_made(server: Server, shop: Project, databases_on: Open) -> None:
    maker, taker = databases_on(server, shop, ahead=2), databases_on(server, shop, ahead=0)
    template = maker.prepare("stock")
    maker.database("stock").close()
    until(lambda: ready(maker, template))
    before = clones(server)
    assert taker.database("stock").name in before


def test_never_more_are_made_ahead_than_allowed(server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(server, shop, ahead=2)
    template = databases.prepare("stock")
    for _ in range(10):
        databases.database("stock").close()
        assert coming(databases, template) <= 3  # one of them may be just in the making
    databases.close()


def test_nothing_is_made_ahead_where_that_is_not_wanted(
    server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(server, shop, ahead=0)
    template = databases.prepare("customers")
    databases.database("customers").close()
    assert coming(databases, template) == 0


@pytest.fixture
def durable_server() -> Iterator[Server]:
    """A server of its own that syncs what it writes, to memory."""
    with Server.start(settings={"fsync": "on"}) as server:
        yield server


def test_where_data_is_durable_no_database_is_left_for_a_checkpoint(
    durable_server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(durable_server, shop, ahead=0)
    for _ in range(3):
        databases.database("stock").close()
        assert clones(durable_server) == []


def test_where_data_is_durable_only_one_is_made_ahead(
    durable_server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(durable_server, shop, ahead=4)
    for _ in range(8):
        databases.database("stock")
        assert len(databases.registry.clones("making", "ready")) <= 1


def test_many_threads_never_get_the_same_database(server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(server, shop, threads=True)
    names: list[str] = []

    def use() -> None:
        for _ in range(4):
            database = databases.database("stock")
            names.append(database.name)
            database.close()

    threads = [threading.Thread(target=use) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == len(set(names)) == 20


def test_a_crash_of_the_server_costs_the_pool_nothing_but_time(
    small_server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(small_server, shop)
    held = databases.database("stock")
    with small_server.target().connect() as victim, small_server.target().connect() as other_session:
        os.kill(victim.info.backend_pid, signal.SIGKILL)  # the server ends every session, and recovers
        until(lambda: has_ended(other_session))
    until(lambda: takes_connections(small_server))
    with databases.database("stock") as other:
        assert tables_of(other.dsn) == ["stock"]
        assert other.name != held.name
    assert held.name in {one.name for one in databases.registry.clones("taken")}
    held.close()
    databases.close()
    reap(small_server.target(), force=True)  # what was ready when the registry was lost
    assert clones(small_server) == []


def takes_connections(server: Server) -> bool:
    try:
        server.target().connect().close()
    except psycopg.OperationalError:
        return False
    return True


def has_ended(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def test_a_restart_of_the_server_costs_the_pool_nothing_but_time(
    small_server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(small_server, shop)
    databases.database("stock").close()
    small_server.keep("a restart in the tests of the pool")
    with databases.database("stock") as database:
        assert tables_of(database.dsn) == ["stock"]


def test_where_no_connection_is_left_one_is_waited_for(
    small_server: Server, shop: Project, databases_on: Open
) -> None:
    notes: list[str] = []
    databases = databases_on(small_server, shop, ahead=0, note=notes.append)
    with databases.database("stock") as database:
        everything = fill_up(small_server)

        def leave(said: str) -> None:
            notes.append(said)
            everything.pop().close()

        connection = connect_patiently(Target(database.dsn), note=leave)
        connection.close()
        for each in everything:
            each.close()
    assert any("every connection of the server is taken" in note for note in notes)


def test_where_no_connection_gets_free_that_is_said(
    small_server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(small_server, shop, ahead=0)
    with databases.database("stock") as database:
        everything = fill_up(small_server)
        with pytest.raises(ServerNotReadyError, match="had no connection left") as caught:
            connect_patiently(Target(database.dsn), timeout=0.05)
        assert "max_connections" in caught.value.fix
        for each in everything:
            each.close()


def fill_up(server: Server) -> list[psycopg.Connection[Any]]:
    """Take every connection that is left."""
    taken: list[psycopg.Connection[Any]] = []
    while True:
        try:
            taken.append(server.target().connect())
        except psycopg.OperationalError:
            return taken


def test_a_full_disk_is_told_as_such(
    small_disk: Path, shop: Project, databases_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with Server.start(tmpfs=False) as server:
        databases = databases_on(server, shop, ahead=0)
        databases.prepare("stock")
        ballast = small_disk / "ballast"
        room = os.statvfs(small_disk)
        ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - (4 << 20)))
        with pytest.raises(TargetError, match="no room") as caught:
            databases.database("stock")
        assert "reap" in caught.value.fix
        ballast.unlink()
        with databases.database("stock") as database:
            assert tables_of(database.dsn) == ["stock"]
        databases.close()
        assert clones(server) == []


def test_on_a_full_disk_what_tests_gave_back_is_dropped_and_tried_again(
    small_disk: Path, shop: Project, databases_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with Server.start(tmpfs=False) as server:
        databases = databases_on(server, shop, ahead=0)
        given_back = [databases.database("stock") for _ in range(3)]
        for each in given_back:
            each.close()  # fewer than are dropped at once
        assert {each.name for each in given_back} & set(clones(server))
        ballast = small_disk / "ballast"
        room = os.statvfs(small_disk)
        ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - (4 << 20)))
        with databases.database("stock") as database:
            assert tables_of(database.dsn) == ["stock"]
        assert not {each.name for each in given_back} & set(clones(server))
        ballast.unlink()
