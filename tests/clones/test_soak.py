"""A thousand tests over eight workers, some of them killed: nothing leaks, nobody sees another's data."""

from __future__ import annotations

import json
import os
import random
import signal
from dataclasses import dataclass, field

from pgslate.clones import database_names
from pgslate.clones.databases import Databases
from pgslate.clones.reaper import reap_in
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server

from .conftest import SHOP
from .looking import clones
from .runners import OPEN, runner, says
from .test_pool import until

LONG = bool(os.environ.get("PGSLATE_LONG"))
TESTS, WORKERS, KILLS = (1000, 8, 60) if LONG else (120, 4, 6)
LEASE = 0.3

# For each line it forks a worker, which runs so many tests and says of each what it found.
NURSERY = (
    OPEN  # noqa: S608  # a program, with SQL in it
    + """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)

def work(dsn, catalog, lease, tests):
    databases = opened(dsn, catalog, lease=lease, ahead=2)
    for number in range(tests):
        with databases.database("stock") as database, database.connect(autocommit=True) as connection:
            found = connection.execute("SELECT article FROM stock").fetchall()
            connection.execute("INSERT INTO stock VALUES (%s, 1)", [f"{os.getpid()} {number}"])
            own = connection.execute("SELECT count(*) FROM stock").fetchone()[0]
        line = json.dumps({"worker": os.getpid(), "name": database.name, "found": found, "own": own})
        os.write(1, (line + "\\n").encode())
    databases.close()
    os.write(1, (json.dumps({"worker": os.getpid(), "name": None}) + "\\n").encode())

for line in sys.stdin:
    told = json.loads(line)
    if not os.fork():
        try:
            work(*told)
        except BaseException as error:
            os.write(1, (json.dumps({"worker": os.getpid(), "error": repr(error)}) + "\\n").encode())
        os._exit(0)
"""
)


@dataclass
class Soak:
    """What the workers have said so far."""

    names: list[str] = field(default_factory=list)
    strange: list[object] = field(default_factory=list)
    killed: set[int] = field(default_factory=set)
    ended: int = 0


def test_workers_that_are_killed_leak_nothing_and_disturb_nobody(server: Server, shop: Project) -> None:
    dice = random.Random(7)  # noqa: S311  # no secret
    soak = Soak()
    with Databases(server.target(), shop, lease=LEASE, ahead=0) as ours, runner(NURSERY) as nursery:
        prefix = database_names.clone_prefix(ours.prepare("stock").name)
        assert nursery.stdin is not None

        def start(tests: int) -> None:
            assert nursery.stdin is not None
            nursery.stdin.write(json.dumps([server.dsn(), str(SHOP / "migrations"), LEASE, tests]) + "\n")
            nursery.stdin.flush()

        share = TESTS // WORKERS
        for _ in range(WORKERS):
            start(share)
        kills = sorted(dice.sample(range(TESTS // 2), KILLS))
        while soak.ended < WORKERS:  # each that is killed has another take its place
            said = says(nursery)
            if said["worker"] in soak.killed:
                continue
            assert "error" not in said, said
            if said["name"] is None:
                soak.ended += 1
                continue
            soak.names.append(said["name"])
            if said["found"] or said["own"] != 1:
                soak.strange.append(said)
            if kills and len(soak.names) > kills[0]:
                kills.pop(0)
                soak.killed.add(said["worker"])
                os.kill(said["worker"], signal.SIGKILL)
                start(share // 2)
        assert soak.strange == []
        assert len(set(soak.names)) == len(soak.names)
        assert len(soak.killed) == KILLS

        def nothing_is_left() -> bool:
            reap_in(ours.registry)
            return not [name for name in clones(server) if name.startswith(prefix)]

        until(nothing_is_left)
