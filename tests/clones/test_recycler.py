"""Returning: what a pool does with what it is given back, whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pgslate.clones import database_names, pool
from pgslate.clones.clone import Clone
from pgslate.clones.databases import Databases
from pgslate.clones.pool import FRUITLESS, MAKERS, Demand
from pgslate.clones.reaper import reap_in
from pgslate.clones.recycler import Recycler
from pgslate.clones.template import Template
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server

from .conftest import SHOP, Open
from .looking import clones
from .runners import OPEN, ask, runner
from .stall import Stall, name_of, oid_of
from .test_pool import durable_server, has_ended, ready, small_server, takes_connections, until

__all__ = ["durable_server", "small_server"]  # fixtures

STEPS = ["record", "end sessions", "rename", "forget", "prove", "undo", "ready", "over"]


def use(databases: Databases, *statements: str) -> int:
    """What a test does: a row, and what else is said, in a database without any; the database's OID."""
    with databases.database("stock") as database, database.connect(autocommit=True) as connection:
        assert connection.execute("SELECT * FROM stock").fetchall() == []
        connection.execute("INSERT INTO stock VALUES ('nails', 100)")
        for statement in statements:
            connection.execute(statement.encode())
        oid = oid_of(databases, database.name)
    assert oid is not None
    return oid


@pytest.fixture
def stall(server: Server, shop: Project, databases_on: Open) -> Stall:
    """The shop's databases, given back one at a time."""
    return Stall(databases_on(server, shop, ahead=0))


def held_for_a_test(databases: Databases) -> tuple[Clone, int]:
    """A database that a test has, of a template whose new copies are known; and its OID."""
    template = databases.prepare("stock")
    use(databases)
    until(lambda: ready(databases, template))
    held = databases.database("stock")
    oid = oid_of(databases, held.name)
    assert oid is not None
    return held, oid


@pytest.mark.parametrize("ahead", [1, 4])
def test_tests_one_after_the_other_have_two_databases_in_turns(
    any_server: Server, shop: Project, databases_on: Open, ahead: int
) -> None:
    databases = databases_on(any_server, shop, ahead=ahead)
    template = databases.prepare("stock")
    use(databases)
    until(lambda: ready(databases, template))
    assert len({use(databases) for _ in range(12)}) <= 2


def test_where_data_is_durable_too(durable_server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(durable_server, shop)
    template = databases.prepare("stock")
    use(databases)
    until(lambda: ready(databases, template))
    assert len({use(databases) for _ in range(12)}) <= 2


def test_a_test_that_makes_something_has_its_database_dropped(
    server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(server, shop)
    oids = {use(databases, "CREATE TABLE mine ()") for _ in range(10)}
    assert len(oids) == 10
    databases.close()
    with Databases(server.target(), shop, ahead=0) as others:
        assert [oid for oid in oids if name_of(others, oid)] == []


def test_a_test_that_makes_something_is_followed_by_one_with_a_new_database(
    server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(server, shop)
    for number in range(12):
        use(databases, *(["CREATE TABLE mine ()"] if number % 3 else []))


def test_after_three_resets_in_a_row_that_failed_only_one_in_sixteen_is_tried() -> None:
    demand = Demand(Template("pgslate_0123456789ab", "stock", "objects"))
    tried = []
    for number in range(1, 36):
        if demand.is_worth_a_try():
            tried.append(number)
            demand.begin_reset()
            demand.end_reset(succeeded=False)
    assert tried == [1, 2, 3, 19, 35]


def test_a_reset_that_succeeds_makes_the_next_ones_worth_a_try() -> None:
    demand = Demand(Template("pgslate_0123456789ab", "stock", "objects"), fruitless=FRUITLESS)
    while not demand.is_worth_a_try():
        pass
    demand.begin_reset()
    demand.end_reset(succeeded=True)
    assert all(demand.is_worth_a_try() for _ in range(20))


@pytest.mark.parametrize("how", [{"reuse": False}, {"ahead": 0}])
def test_nothing_is_reused_where_that_is_not_wanted(
    server: Server, shop: Project, databases_on: Open, how: dict[str, Any]
) -> None:
    databases = databases_on(server, shop, **how)
    assert len({use(databases) for _ in range(5)}) == 5


def test_a_role_that_is_no_superuser_gets_new_databases(server: Server, shop: Project) -> None:
    with server.target().connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE maker LOGIN CREATEDB")
    from pgslate.targets.target import Target

    with Databases(Target(server.dsn(user="maker")), shop) as databases:
        assert len({use(databases) for _ in range(5)}) == 5
        reap_in(databases.registry, unused_for=0.0)
        databases.close()
    with Databases(Target(server.dsn(user="maker")), shop, ahead=0) as databases:
        reap_in(databases.registry, unused_for=0.0, force=True)
    with server.target().connect(autocommit=True) as connection:
        connection.execute("DROP ROLE maker")


def test_never_more_stand_than_were_used_at_once_and_are_made_ahead(
    server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(server, shop, ahead=2, threads=True)
    prefix = database_names.clone_prefix(databases.prepare("stock").name)

    def work() -> None:
        for _ in range(6):
            use(databases)

    for _ in range(3):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(6):
            use(databases)
    standing = {one.name for one in databases.registry.clones("making", "ready", "taken", "returning")}
    assert len([name for name in clones(server) if name.startswith(prefix) and name in standing]) <= 4 + 2


def test_what_another_runner_took_is_dropped(server: Server, shop: Project, databases_on: Open) -> None:
    one, other = databases_on(server, shop), databases_on(server, shop)
    lent = one.database("stock")
    one.hand_over(lent, 3600)
    oid = oid_of(one, lent.name)
    assert oid is not None
    assert other.give_back(lent.name)
    other.close()
    assert name_of(one, oid) is None


def test_what_was_lent_and_given_back_is_reused(server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(server, shop)
    lent, oid = held_for_a_test(databases)
    databases.hand_over(lent, 3600)
    assert databases.give_back(lent.name)
    until(lambda: name_of(databases, oid) not in (None, lent.name))
    until(lambda: name_of(databases, oid) in {one.name for one in databases.registry.clones("ready")})


def test_nobody_waits_for_what_a_closing_pool_will_not_put_back(
    small_server: Server, shop: Project, databases_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases = databases_on(small_server, shop, threads=True, ahead=1)
    template = databases.prepare("stock")
    use(databases)
    until(lambda: ready(databases, template))
    given = [databases.database("stock") for _ in range(4)]
    may_go_on = threading.Event()
    reset = Recycler.reset

    def slow(*args: Any, **more: Any) -> str:
        may_go_on.wait(60)
        return reset(*args, **more)

    monkeypatch.setattr(Recycler, "reset", slow)
    for each in given:
        each.close()
    takers = [threading.Thread(target=lambda: databases.database("stock")) for _ in given]
    for taker in takers:
        taker.start()
    closing = threading.Thread(target=databases.close)
    closing.start()
    may_go_on.set()
    for thread in (*takers, closing):
        thread.join(15)  # half of what a taker waits at most for one that is coming
        assert not thread.is_alive()


@pytest.mark.parametrize("lost_at", STEPS[:-1])
def test_what_a_lost_connection_left_half_returned_is_to_be_dropped(stall: Stall, lost_at: str) -> None:
    clone = stall.used("INSERT INTO stock VALUES ('nails', 100)")
    oid = oid_of(stall.databases, clone.name)
    assert oid is not None
    stall.registry.mark_returning(clone.name)
    with stall.registry.connect() as connection:

        def lose_it(step: str) -> None:
            if step == lost_at:
                stall.registry.run(
                    lambda c: c.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
                )
                until(lambda: has_ended(connection))

        with pytest.raises(psycopg.OperationalError):
            stall.recycler.reset(connection, clone.name, step=lose_it)
    name = name_of(stall.databases, oid)
    assert name is not None
    assert stall.states()[name] == "done"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_in_some_returns_stops_no_other(
    server: Server, shop: Project, databases_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases = databases_on(server, shop, ahead=1)
    with monkeypatch.context() as patch:
        patch.setattr(Recycler, "reset", lambda *_: 1 // 0)
        for _ in range(MAKERS):  # as many faults as there are workers
            use(databases)
    held, oid = held_for_a_test(databases)
    held.close()
    until(lambda: name_of(databases, oid) in {one.name for one in databases.registry.clones("ready")})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_waits_behind_faults_of_ours_is_returned(
    server: Server, shop: Project, databases_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases = databases_on(server, shop, ahead=1)
    use(databases)
    held = [held_for_a_test(databases) for _ in range(MAKERS + 1)]
    reset = Recycler.reset
    failed: list[str] = []

    def fails_at_first(recycler: Recycler, connection: Any, name: str) -> str:
        if len(failed) < MAKERS:
            failed.append(name)
            raise ZeroDivisionError
        return reset(recycler, connection, name)

    monkeypatch.setattr(Recycler, "reset", fails_at_first)
    for clone, _ in held:
        clone.close()
    oids = [oid for _, oid in held]
    until(lambda: any(oid_of(databases, one.name) in oids for one in databases.registry.clones("ready")))


def test_what_is_given_back_does_not_wait_for_the_reaper(
    small_server: Server, shop: Project, databases_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = databases_on(small_server, shop, ahead=1)
    held_for_a_test(maker)
    template = maker.prepare("stock")
    until(lambda: ready(maker, template))
    reaps, may_go_on = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> None:
        reaps.set()
        may_go_on.wait(60)

    monkeypatch.setattr(pool, "reap_in", slow)
    taker = databases_on(small_server, shop, ahead=1)
    clone = taker.database("stock")
    oid = oid_of(taker, clone.name)
    assert reaps.wait(30)
    try:
        clone.close()
        until(lambda: oid in {oid_of(taker, one.name) for one in taker.registry.clones("ready")})
    finally:
        may_go_on.set()


def test_where_every_test_makes_something_few_are_tried(
    server: Server, shop: Project, databases_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases = databases_on(server, shop)
    tried = []
    reset = Recycler.reset

    def counted(recycler: Recycler, connection: Any, name: str) -> str:
        tried.append(name)
        return reset(recycler, connection, name)

    monkeypatch.setattr(Recycler, "reset", counted)
    for _ in range(40):
        use(databases, "CREATE TABLE mine ()")
    assert 3 <= len(tried) <= 10


def test_what_was_held_while_the_server_crashed_is_dropped(
    small_server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(small_server, shop)
    held, oid = held_for_a_test(databases)
    with held.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE mine ()")
    with small_server.target().connect() as victim, small_server.target().connect() as other_session:
        os.kill(victim.info.backend_pid, signal.SIGKILL)  # the server ends every session, and recovers
        until(lambda: has_ended(other_session))
    until(lambda: takes_connections(small_server))
    held.close()
    assert oid not in {use(databases) for _ in range(4)}
    databases.close()
    with Databases(small_server.target(), shop, ahead=0) as others:
        reap_in(others.registry, force=True)
        assert name_of(others, oid) is None


def test_what_was_held_while_the_server_restarted_is_dropped(
    small_server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(small_server, shop)
    held, oid = held_for_a_test(databases)
    small_server.keep("a restart in the tests of returning")
    held.close()
    use(databases)
    databases.close()
    with Databases(small_server.target(), shop, ahead=0) as others:
        assert name_of(others, oid) is None


# For each line it forks a runner that gives a database back, and is killed at a step.
RETURNERS = (
    OPEN  # noqa: S608  # a program, with SQL in it
    + """
from pgslate.clones.recycler import Recycler

def give_back(dsn, catalog, fatal, extra):
    databases = opened(dsn, catalog, lease=0.01, ahead=1)
    registry, template = databases.registry, databases.prepare("stock")
    clone = databases.database("stock")
    steps = []

    def step(name):
        steps.append(name)
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    with registry.connect() as connection:
        recycler = Recycler(registry)
        (origin,) = connection.execute(
            "SELECT oid::int8 FROM pg_database WHERE datname = %s", [template.name]).fetchone()
        recycler.learn(connection, clone.name, template.name, origin)
        with clone.connect(autocommit=True) as inside:
            inside.execute("INSERT INTO stock VALUES ('nails', 100)")
            inside.execute(extra)
        registry.mark_returning(clone.name)
        recycler.reset(connection, clone.name, step=step)
    return steps

for line in sys.stdin:
    told = json.loads(line)
    child = os.fork()
    if not child:
        give_back(*told)
        os._exit(0)
    say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
)


@pytest.fixture(scope="module")
def returner() -> Iterator[subprocess.Popen[str]]:
    """A process to ``ask`` to give back a database, and to be killed at a step."""
    with runner(RETURNERS) as process:
        yield process


@pytest.mark.parametrize("extra", ["SELECT 1", "CREATE TABLE mine ()"])
@pytest.mark.parametrize("fatal", STEPS)
def test_a_runner_killed_at_any_step_leaves_nothing_that_is_not_as_new(
    server: Server, databases: Databases, returner: subprocess.Popen[str], fatal: str, extra: str
) -> None:
    template = databases.prepare("stock").name
    status = ask(returner, server.dsn(), str(SHOP / "migrations"), fatal, extra)
    reached = extra == "SELECT 1" or fatal not in ("ready", "over")
    assert status == (-signal.SIGKILL if reached else 1)
    for one in databases.registry.clones("ready"):
        if one.template == template:
            with psycopg.connect(server.dsn(one.name)) as connection:
                assert connection.execute("SELECT * FROM stock").fetchall() == []
                assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
    databases.close()

    def nothing_is_left() -> bool:
        with Databases(server.target(), databases.project, ahead=0) as others:
            reap_in(others.registry, force=True)
        return not [name for name in clones(server) if name.startswith(database_names.clone_prefix(template))]

    until(nothing_is_left)
