"""The pytest plugin: a database of its own for every test that asks for one.

    @pytest.mark.tables("orders")
    def test_an_order_needs_a_customer(pgslate_database):
        with pgslate_database.connect() as connection:
            ...

Loaded into every pytest run of an environment that has pgslate, so next to nothing is imported here, and
no server is started, before a test asks for a database.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pgslate.testing.settings import NAMES, option

if TYPE_CHECKING:
    import psycopg

    from pgslate.clones.clone import Clone
    from pgslate.targets.target import Target
    from pgslate.testing.run import Run
    from pgslate.testing.shared_server import Broker

_RUN: pytest.StashKey[Run] = pytest.StashKey()
_BROKER: pytest.StashKey[Broker] = pytest.StashKey()
_CLONE: pytest.StashKey[Clone] = pytest.StashKey()
_FAILED: pytest.StashKey[bool] = pytest.StashKey()
_TOLD: pytest.StashKey[dict[str, Any]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pgslate", "databases for tests (pgslate)")
    for name, looks, said in NAMES:
        group.addoption(option(name), dest=f"pgslate_{name}", metavar=looks, default=None, help=said)
        parser.addini(f"pgslate_{name}", f"{said}; {option(name)} and PGSLATE_{name.upper()} win")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "tables(*names): what pgslate_database holds: these tables and all they need (pgslate)"
    )
    config.addinivalue_line(
        "markers", "contract(*names): what pgslate_database holds: the tables of contracts (pgslate)"
    )


# -- fixtures


@pytest.fixture(scope="session")
def pgslate_server(pytestconfig: pytest.Config) -> Target:
    """The server that the databases are on: ``.dsn`` and ``.connect()`` lead to its maintenance database."""
    with _without_our_frames():
        return _run(pytestconfig).server


@pytest.fixture
def pgslate_database(request: pytest.FixtureRequest) -> Iterator[Clone]:
    """A database of this test's own, with what its markers name: ``.dsn``, ``.connect()``,
    ``await .async_connect()``.

    Without a marker it holds every table.
    """
    item = request.node
    tables, contracts = _selection(item)
    with _without_our_frames():
        run = _run(request.config)
        clone = item.stash[_CLONE] = run.database(tables, contracts, item.nodeid)
    try:
        yield clone
    finally:
        failed = item.stash.get(_FAILED, False)
        run.finish(clone, item.nodeid, failed=failed)


@pytest.fixture
def pgslate_shared_database(request: pytest.FixtureRequest) -> Clone:
    """A database that this process's tests with the same markers share: for those that undo what they do."""
    tables, contracts = _selection(request.node)
    with _without_our_frames():
        return _run(request.config).shared(tables, contracts)


@pytest.fixture
def pgslate_transaction(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a transaction that is rolled back after the test; a commit in it is an error.

    The database is that of ``pgslate_shared_database``. Sequences keep what they have given out.
    """
    tables, contracts = _selection(request.node)
    with _without_our_frames():
        _run(request.config).shared(tables, contracts)
    with _run(request.config).transaction(tables, contracts) as connection:
        yield connection


@contextmanager
def _without_our_frames() -> Iterator[None]:
    """What we have to say to who wrote the test, and not through which of our functions it came."""
    try:
        yield
    except Exception as error:
        from pgslate.errors import PgslateError

        if isinstance(error, PgslateError):
            pytest.fail(f"{type(error).__name__}: {error}", pytrace=False)
        raise


def _selection(item: pytest.Item) -> tuple[list[str], list[str]]:
    """The tables and contracts that the markers of a test, its class and its module name."""

    def named(marker: str) -> list[str]:
        found = [str(name) for mark in item.iter_markers(marker) for name in mark.args]
        return sorted(set(found))

    return named("tables"), named("contract")


def _run(config: pytest.Config) -> Run:
    """This process's share of the run; found out now if this is the first time."""
    if _RUN not in config.stash:
        from pgslate.testing.run import Run
        from pgslate.testing.settings import settings

        told = settings(
            given=lambda name: config.getoption(f"pgslate_{name}", None),
            ini=lambda name: config.getini(f"pgslate_{name}"),
            start=str(config.rootpath),
        )
        worker = getattr(config, "workerinput", {})
        config.stash[_RUN] = Run(
            told,
            broker=worker.get("pgslate_broker"),
            first=worker.get("workerid", "gw0") == "gw0",
            name=f"pytest {worker.get('workerid', '')}".strip(),
        )
    return config.stash[_RUN]


# -- what happened to a test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and _CLONE in item.stash and report.when != "teardown":
        item.stash[_FAILED] = True
        run = item.config.stash[_RUN]
        if run.keeps(failed=True):
            report.sections.append(("pgslate", _how_to_look(run, item.stash[_CLONE])))
    return report


def _how_to_look(run: Run, clone: Clone) -> str:
    if run.embedded:
        return f"The database of this test is kept. To start it again: pgslate clone --kept {clone.name}"
    from pgslate.testing.kept import psql_command

    return f"The database of this test is kept. To look into it: {psql_command(clone.dsn)}"


# -- the end of the run, and the server that all workers share


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if _RUN in config.stash:
        run = config.stash[_RUN]
        if not hasattr(config, "workerinput"):
            run.close()
            _tell(config, run.notes, run.kept, run.looking)
            return
        told = {"notes": run.notes, "kept": run.kept, "looking": run.looking}
        config.workeroutput["pgslate"] = told  # type: ignore[attr-defined]  # xdist's
        run.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist is about to start a worker: tell it whom to ask for a server."""
    if sys.platform == "win32":  # each worker then starts a server of its own
        return
    config = node.config
    if _BROKER not in config.stash:
        from pgslate.testing.shared_server import Broker

        try:
            config.stash[_BROKER] = Broker()
        except OSError:  # as on Windows
            return
    node.workerinput["pgslate_broker"] = config.stash[_BROKER].address


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker of pytest-xdist has ended."""
    told = getattr(node, "workeroutput", {}).get("pgslate")
    if told:
        _tell(node.config, told["notes"], told["kept"], told["looking"])


def _tell(config: pytest.Config, notes: list[str], kept: dict[str, str], looking: str) -> None:
    so_far = config.stash.setdefault(_TOLD, {"notes": [], "kept": {}, "looking": looking})
    so_far["notes"] += [note for note in notes if note not in so_far["notes"]]
    so_far["kept"].update(kept)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    told = config.stash.get(_TOLD, None)
    if told is None or not (told["notes"] or told["kept"]):
        return
    terminalreporter.section("pgslate")
    for note in told["notes"]:
        terminalreporter.line(note)
    if told["kept"]:
        terminalreporter.line(f"{len(told['kept'])} kept, {told['looking']}:")
    for name, what in told["kept"].items():
        terminalreporter.line(f"  {name}  {what}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _BROKER in config.stash:
        config.stash[_BROKER].close(keep=config.stash.get(_TOLD, {}).get("kept", {}))
        del config.stash[_BROKER]
    if _RUN in config.stash:
        config.stash[_RUN].close()
