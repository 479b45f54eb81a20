"""The reaper: what nobody needs goes, what somebody needs stays, and what isn't ours is never touched."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.databases import Databases
from pgslate.clones.reaper import reap_in
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.verbs.reap import reap

from .conftest import SHOP, Open
from .looking import clones, templates
from .runners import OPEN, ask, runner
from .test_pool import until

# Takes a database of stock and waits to be killed.
HOLDERS = (
    OPEN
    + """
for line in sys.stdin:
    dsn, catalog, lease, ahead = json.loads(line)
    databases = opened(dsn, catalog, lease=lease, ahead=ahead)
    say(databases.database("stock").name)
"""
)


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process to ``ask`` to hold a database."""
    with runner(HOLDERS) as process:
        yield process


def hold(process: subprocess.Popen[str], server: Server, lease: float, *, ahead: int = 2) -> str:
    return str(ask(process, server.dsn(), str(SHOP / "migrations"), lease, ahead))


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_what_a_killed_runner_held_goes_when_its_lease_is_over(
    server: Server, databases: Databases, holder: subprocess.Popen[str]
) -> None:
    name = hold(holder, server, 0.05)
    end(holder)
    until(lambda: name in reap_in(databases.registry).clones)
    assert name not in clones(server)


def test_what_a_running_runner_holds_stays_though_its_lease_is_over(
    server: Server, databases: Databases, holder: subprocess.Popen[str]
) -> None:
    name = hold(holder, server, 0.01, ahead=0)  # and no reaping of its own, which it could be stopped in
    holder.send_signal(signal.SIGSTOP)  # not even a sign of life
    for _ in range(3):
        assert name not in reap_in(databases.registry).clones
    assert name in clones(server)


def test_what_a_killed_runner_held_stays_while_its_lease_lasts(
    server: Server, databases: Databases, holder: subprocess.Popen[str]
) -> None:
    name = hold(holder, server, 3600)
    end(holder)
    assert name not in reap_in(databases.registry).clones
    assert name in clones(server)
    assert name in reap_in(databases.registry, force=True).clones


def test_what_somebody_is_connected_to_stays(
    server: Server, databases: Databases, holder: subprocess.Popen[str]
) -> None:
    name = hold(holder, server, 0.01)
    with psycopg.connect(server.dsn(name)):
        end(holder)
        until(lambda: name in reap_in(databases.registry).in_use)
        assert name in clones(server)
    until(lambda: name in reap_in(databases.registry).clones)


def test_a_book_that_a_crash_has_just_emptied_makes_nothing_due(server: Server, databases: Databases) -> None:
    held = databases.database("stock")
    databases.registry.run(lambda connection: connection.execute("DELETE FROM life; DELETE FROM clone"))
    try:
        assert held.name not in reap_in(databases.registry).clones
        assert held.name in clones(server)
    finally:
        databases.registry.run(lambda connection: connection.execute("INSERT INTO life VALUES (now())"))
    databases.close()
    assert held.name in reap(server.target(), force=True).clones


def test_what_was_lent_goes_when_its_time_is_over(server: Server, databases: Databases) -> None:
    short, long = databases.database("stock"), databases.database("stock")
    databases.hand_over(short, 0.01)
    databases.hand_over(long, 3600)
    databases.close()

    def is_gone() -> bool:  # the pool reaps, too, and may have come first
        reap(server.target())
        return short.name not in clones(server)

    until(is_gone)
    assert long.name in clones(server)
    assert long.name in reap(server.target(), force=True).clones


def test_a_kept_database_goes_only_when_asked_for(server: Server, databases: Databases) -> None:
    kept = databases.database("stock")
    databases.keep(kept, "a failed test", at_most=5)
    databases.close()
    assert kept.name not in reap(server.target(), force=True).clones
    assert kept.name in reap(server.target(), kept=True).clones


def test_of_the_kept_databases_the_newest_stay(server: Server, databases: Databases) -> None:
    made = [databases.database("stock") for _ in range(4)]
    for each in made:
        databases.keep(each, each.name, at_most=2)
    databases.close()
    assert [one.name in clones(server) for one in made] == [False, False, True, True]
    reap(server.target(), kept=True)


def test_a_template_nobody_used_for_long_goes(server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(server, shop, ahead=0)
    template = databases.prepare("countries").name
    assert template not in reap_in(databases.registry, unused_for=3600).templates
    assert template in reap_in(databases.registry, unused_for=0.0).templates
    assert template not in templates(server)


def test_a_template_whose_clone_is_used_stays(server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(server, shop, ahead=0)
    with databases.database("countries"):
        reap_in(databases.registry, unused_for=0.0)
        assert databases.prepare("countries").name in templates(server)


def test_what_a_builder_left_behind_goes(server: Server, databases: Databases) -> None:
    name = f"pgslate_{'0' * 12}_building"
    server.create_database(name)
    assert name in reap_in(databases.registry, unused_for=0.0).templates
    assert name not in templates(server)


def test_a_clone_that_the_book_forgot_goes_by_its_own_age(server: Server, databases: Databases) -> None:
    old = f"pgslate_{'0' * 12}_0193{'0' * 8}7000800000000000000{0}"
    assert database_names.parse(old) is not None
    server.create_database(old)
    with databases.registry.connect() as registry:
        registry.execute("UPDATE life SET began = began - interval '1 day'")
    assert old in reap_in(databases.registry).clones


OLD = f"pgslate_{'0' * 12}_0193{'0' * 8}70008000000000000001"


def test_a_clone_of_another_version_goes_when_its_lease_is_over_and_nobody_is_in_it(
    server: Server, databases: Databases
) -> None:
    """Another version may keep its registry elsewhere: then only the clone's name says when it was made."""
    with databases.registry.connect() as registry:
        registry.execute("UPDATE life SET began = began - interval '1 day'")
        row = registry.execute(
            f"SELECT 'pgslate_000000000000_' || {database_names.NEW_UUID7}".encode()
        ).fetchone()
    assert row is not None
    young = str(row[0])
    for name in (OLD, young):
        server.create_database(name)
    with psycopg.connect(server.dsn(OLD)):
        assert OLD in reap_in(databases.registry).in_use
    done = reap_in(databases.registry)
    assert OLD in done.clones
    assert young not in done.clones
    assert young in reap_in(databases.registry, force=True).clones


@pytest.mark.parametrize(
    "name",
    [
        "pgslate",
        "pgslate_production",
        "pgslate_0123456789AB",
        "pgslate_0123456789ab_backup",
        "pgslate_0123456789ab_019364b2f1004abc8123456789abcdef",  # a UUID, but of version 4
        "my_pgslate_0123456789ab",
    ],
)
def test_a_database_that_is_not_ours_is_never_dropped(
    server: Server, databases: Databases, name: str
) -> None:
    server.create_database(name)
    reap_in(databases.registry, unused_for=0.0, kept=True, force=True)
    with server.target().connect(autocommit=True) as connection:
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_what_another_role_made_is_left_to_it(server: Server, shop: Project, databases_on: Open) -> None:
    theirs = databases_on(server, shop, ahead=0).database("stock")
    with server.target().connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE somebody LOGIN CREATEDB")
    somebody = Target(server.dsn(user="somebody"))
    with Databases(somebody, shop, ahead=0) as own:
        mine = own.database("stock")
        assert mine.name.rpartition("_")[0] != theirs.name.rpartition("_")[0]
        reap_in(own.registry, unused_for=0.0, kept=True, force=True)
        assert theirs.name in clones(server)
        own.close()
    reap(somebody, unused_for=0.0)
    with server.target().connect(autocommit=True) as connection:
        connection.execute("DROP ROLE somebody")


def test_what_a_role_that_one_is_a_member_of_made_is_left_to_it(server: Server, shop: Project) -> None:
    with server.target().connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE team LOGIN CREATEDB")
        connection.execute("CREATE ROLE member LOGIN CREATEDB IN ROLE team")
    team, member = Target(server.dsn(user="team")), Target(server.dsn(user="member"))
    with Databases(team, shop, ahead=0) as theirs, Databases(member, shop, ahead=0, lease=0.0) as own:
        held = theirs.database("stock")
        with server.target(database_names.REGISTRY).connect(autocommit=True) as registry:
            registry.execute("UPDATE pgslate.life SET began = began - interval '1 day'")
        reap_in(own.registry, unused_for=0.0)
        assert held.name in clones(server)
    for role in (member, team):
        reap(role, unused_for=0.0, force=True)
    with server.target().connect(autocommit=True) as connection:
        connection.execute("DROP ROLE member")
        connection.execute("DROP ROLE team")


def test_the_next_run_drops_what_a_killed_one_left(
    server: Server, databases: Databases, holder: subprocess.Popen[str]
) -> None:
    name = hold(holder, server, 0.01)
    end(holder)
    databases.database("stock").close()
    until(lambda: name not in clones(server))
