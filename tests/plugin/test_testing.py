"""pgslate.testing: unittest, and plain Python."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgslate.errors import UsageError
from pgslate.targets.embedded.server import Server
from pgslate.testing import case
from pgslate.testing.settings import NAMES, option, settings

from .conftest import ROOT

SHOP = ROOT / "examples" / "plain"


@pytest.fixture(autouse=True)
def configured(server: Server) -> Iterator[None]:
    """The settings of a run on the session's server, in the example's folder."""
    case.configure(case.Settings(dsn=server.dsn(), start=str(SHOP), keep="none"))
    yield
    case.configure(case.Settings())


def test_a_database_is_there_within_a_block_and_gone_after_it() -> None:
    with case.database("customers") as database, database.connect() as connection:
        connection.execute("INSERT INTO customers (name) VALUES ('Ada')")
    with case.database("customers") as other, other.connect() as connection:
        assert connection.execute("SELECT * FROM customers").fetchall() == []
    assert other.name != database.name


def test_a_contract_can_be_named() -> None:
    with case.database(contract="till") as database, database.connect() as connection:
        connection.execute("SELECT FROM orders, customers")


def test_what_a_transaction_does_is_undone() -> None:
    for _ in range(2):
        with case.transaction("customers") as connection:
            connection.execute("INSERT INTO customers (name) VALUES ('Ada')")
            assert connection.execute("SELECT count(*) FROM customers").fetchone() == (1,)


def test_a_commit_within_a_transaction_is_an_error() -> None:
    with case.transaction("customers") as connection, pytest.raises(psycopg.ProgrammingError):
        connection.commit()


def test_a_test_case_finds_its_database() -> None:
    class OrdersTest(case.DatabaseTestCase):
        tables = ("orders",)

        def test_nobody_ordered_yet(self) -> None:
            with self.database.connect() as connection:
                row = connection.execute("SELECT count(*) FROM orders, customers").fetchone()
            self.assertEqual(row, (0,))  # noqa: PT009  unittest is what this is about

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(OrdersTest).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def test_the_first_place_that_says_something_wins() -> None:
    found = settings(
        given={"ahead": "1"}.get,
        environ={"PGSLATE_AHEAD": "2", "PGSLATE_KEEP": "all"},
        ini={"ahead": "3", "keep": "none", "keep_at_most": "7"}.get,
    )
    assert (found.ahead, found.keep, found.keep_at_most) == (1, "all", 7)


def test_reuse_can_be_switched_off() -> None:
    assert settings(environ={}).reuse
    assert not settings(environ={"PGSLATE_REUSE": "no"}).reuse


def test_a_server_named_earlier_wins_over_any_named_later() -> None:
    found = settings(environ={"PGSLATE_KUBE": "shop"}, ini={"dsn": "postgresql://ini"}.get)
    assert (found.kube, found.dsn) == ("shop", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keep", "some"),
        ("isolation", "table"),
        ("ahead", "-1"),
        ("as_of", "May"),
        ("major", "x"),
        ("reuse", "on"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=option(name)):
        settings(given={name: value}.get, environ={})


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    for name, _, _ in NAMES:
        assert f"`{option(name)} " in page
        assert f"`PGSLATE_{name.upper()}`" in page
        assert f"`pgslate_{name}`" in page


def test_every_example_is_documented() -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    for folder in (path for path in (ROOT / "examples").iterdir() if (path / "tests").is_dir()):
        assert f"(../examples/{Path(folder).name})" in page
