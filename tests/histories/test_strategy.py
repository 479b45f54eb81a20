"""The histories that the slices are tried on are valid themselves: PostgreSQL takes every one of them."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from tests.histories.model import Choices, Model, quoted
from tests.histories.strategy import PRELUDE, catalogs, written

from pgslate.catalog import session
from pgslate.catalog.catalog import Catalog
from pgslate.targets.embedded.server import Server

_SETTINGS = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


def apply_as_written(server: Server, catalog: Catalog) -> None:
    """Each migration as one message, as most tools send it, on a new database."""
    with server.create_database("history") as target, target.connect(autocommit=True) as connection:
        connection.execute(PRELUDE.encode())
        for migration in catalog:
            connection.execute(migration.source.encode())
            connection.execute(session.RESET.encode())
    server.drop_database("history")


@given(catalog=catalogs())
@_SETTINGS
def test_every_history_is_valid_when_it_is_applied_in_order(server: Server, catalog: Catalog) -> None:
    apply_as_written(server, catalog)


@given(catalog=catalogs(most=12))
@settings(_SETTINGS, max_examples=30)
def test_every_history_is_split_into_statements_of_known_kinds(catalog: Catalog) -> None:
    kinds = {statement.kind for migration in catalog.parse() for statement in migration.statements}
    assert "Unparsed" not in kinds


def test_a_history_is_a_function_of_what_was_drawn() -> None:
    drawn = [[(0, b"\x01\x02"), (40, b"\x03")], [(60, b"")]]
    assert written(drawn) == written(drawn)


def test_an_empty_choice_is_the_first_of_each() -> None:
    assert Choices(b"").pick(["first", "second"]) == "first"


def test_a_name_is_quoted_where_it_must_be() -> None:
    assert [quoted(name) for name in ("users", "Users", "order", "día", 'we"ird')] == [
        "users",
        '"Users"',
        '"order"',
        '"día"',
        '"we""ird"',
    ]


def test_a_name_is_given_again_once_it_is_free() -> None:
    model = Model()
    assert model.fresh("public", Choices(b"")) == model.fresh("public", Choices(b"")) == "users"
