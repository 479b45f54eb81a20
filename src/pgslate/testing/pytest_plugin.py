"""The pytest plugin: a database of its own for every test that asks for one.

    @pytest.mark.tables("orders")
    def test_an_order_needs_a_customer(pgslate_database):
        with pgslate_database.connect() as connection:
            ...

pytest loads it in every run of an environment that has pgslate. So it imports next to nothing, and starts no
server, before a test wants a database.
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
_SUMMARY: pytest.StashKey[dict[str, Any]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pgslate", "databases for tests (pgslate)")
    for name, value, about in NAMES:
        group.addoption(option(name), dest=f"pgslate_{name}", metavar=value, default=None, help=about)
        parser.addini(f"pgslate_{name}", f"{about}; {option(name)} and PGSLATE_{name.upper()} win")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "tables(*names): the tables of pgslate_database, with everything that they need (pgslate)"
    )
    config.addinivalue_line(
        "markers", "contract(*names): the contracts whose tables pgslate_database has (pgslate)"
    )


# -- fixtures


@pytest.fixture(scope="session")
def pgslate_server(pytestconfig: pytest.Config) -> Target:
    """The server that the databases are on: ``.dsn`` and ``.connect()`` lead to its maintenance database."""
    with _without_our_frames():
        return _run(pytestconfig).server


@pytest.fixture
def pgslate_database(request: pytest.FixtureRequest) -> Iterator[Clone]:
    """A database of this test's own: ``.dsn``, ``.connect()``, ``await .async_connect()``.

    It has the tables that the markers name; without a marker, every table.
    """
    item = request.node
    item.stash[_FAILED] = False  # plugins that run a test again use the same item
    with _without_our_frames():
        tables, contracts = _selection(item)
        run = _run(request.config)
        clone = item.stash[_CLONE] = run.database(tables, contracts, item.nodeid)
    try:
        yield clone
    finally:
        del item.stash[_CLONE]
        with _without_our_frames():
            run.finish(clone, item.nodeid, failed=item.stash[_FAILED])


@pytest.fixture
def pgslate_shared_database(request: pytest.FixtureRequest) -> Clone:
    """A database that all tests of this process with the same markers share; they undo what they do."""
    with _without_our_frames():
        tables, contracts = _selection(request.node)
        return _run(request.config).shared(tables, contracts)


@pytest.fixture
def pgslate_transaction(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a transaction that is rolled back after the test; a commit in it is an error.

    The database is that of ``pgslate_shared_database``. Sequences are not set back.
    """
    with _without_our_frames():
        tables, contracts = _selection(request.node)
        _run(request.config).shared(tables, contracts)
    with _run(request.config).transaction(tables, contracts) as connection:
        yield connection


@contextmanager
def _without_our_frames() -> Iterator[None]:
    """Report an error of ours by its text alone, once, without a traceback through our functions."""
    try:
        yield
    except Exception as error:
        from pgslate.errors import PgslateError

        if isinstance(error, PgslateError):
            raise pytest.fail.Exception(f"{type(error).__name__}: {error}", pytrace=False) from None
        raise


def _selection(item: pytest.Item) -> tuple[list[str], list[str]]:
    """The tables and contracts that the markers of a test, its class and its module name.

    Raises UsageError for a marker with a list, with keywords, or without names.
    """
    from pgslate.errors import UsageError
    from pgslate.testing.run import require_names

    def named(marker: str) -> list[str]:
        found: set[str] = set()
        for mark in item.iter_markers(marker):
            if mark.kwargs or not mark.args:
                raise UsageError(
                    f"@pytest.mark.{marker} names nothing"
                    if not mark.kwargs
                    else f"@pytest.mark.{marker} takes names, and no keyword {next(iter(mark.kwargs))}",
                    fix=f'write @pytest.mark.{marker}("NAME"); without a marker the database has every table',
                )
            require_names(f"@pytest.mark.{marker}", mark.args)
            found.update(mark.args)
        return sorted(found)

    return named("tables"), named("contract")


def _run(config: pytest.Config) -> Run:
    """This process's share of the run, made now if this is the first time."""
    if _RUN not in config.stash:
        from pgslate.testing.run import Run
        from pgslate.testing.settings import settings

        chosen = settings(
            given=lambda name: config.getoption(f"pgslate_{name}", None),
            ini=lambda name: config.getini(f"pgslate_{name}"),
            start=str(config.rootpath),
        )
        worker = getattr(config, "workerinput", {})
        config.stash[_RUN] = Run(
            chosen,
            broker=worker.get("pgslate_broker"),
            first=worker.get("workerid", "gw0") == "gw0",
            name=f"pytest {worker.get('workerid', '')}".strip(),
        )
    return config.stash[_RUN]


# -- a test that failed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not report.failed or _RUN not in item.config.stash:
        return report
    run = item.config.stash[_RUN]
    sentences = []
    if _CLONE in item.stash:  # that is, until the fixture gives it back
        item.stash[_FAILED] = True
        if run.keeps(failed=True):
            sentences.append(run.about_kept(item.stash[_CLONE]))
    if call.excinfo is not None and call.when == "call":
        hint = run.hint(call.excinfo.value, *_selection(item))
        if hint is not None:
            sentences.append(hint)
    if sentences:
        report.sections.append(("pgslate", "\n".join(sentences)))
    return report


# -- the end of the run, and the server that all workers share


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if _RUN in config.stash:
        run = config.stash[_RUN]
        if not hasattr(config, "workerinput"):
            run.close()
            _collect(config, run.notes, run.kept, run.how_to_look)
            return
        summary = {"notes": run.notes, "kept": run.kept, "how_to_look": run.how_to_look}
        config.workeroutput["pgslate"] = summary  # type: ignore[attr-defined]  # xdist's
        run.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist is about to start a worker: give it the address of the process that starts servers."""
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
    summary = getattr(node, "workeroutput", {}).get("pgslate")
    if summary:
        _collect(node.config, summary["notes"], summary["kept"], summary["how_to_look"])


def _collect(config: pytest.Config, notes: list[str], kept: dict[str, str], how_to_look: str) -> None:
    so_far = config.stash.setdefault(_SUMMARY, {"notes": [], "kept": {}, "how_to_look": how_to_look})
    so_far["notes"] += [note for note in notes if note not in so_far["notes"]]
    so_far["kept"].update(kept)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    summary = config.stash.get(_SUMMARY, None)
    if summary is None or not (summary["notes"] or summary["kept"]):
        return
    terminalreporter.section("pgslate")
    for note in summary["notes"]:
        terminalreporter.line(note)
    if summary["kept"]:
        terminalreporter.line(f"{len(summary['kept'])} kept; {summary['how_to_look']}")
    for name, test in summary["kept"].items():
        terminalreporter.line(f"  {name}  {test}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _BROKER in config.stash:
        config.stash[_BROKER].close(keep=config.stash.get(_SUMMARY, {}).get("kept", {}))
        del config.stash[_BROKER]
    if _RUN in config.stash:
        config.stash[_RUN].close()
