"""Each test has a database of its own; the marker says which tables it holds."""

import psycopg
import pytest


@pytest.mark.tables("orders")
def test_an_order_needs_a_customer(pgslate_database):
    with pgslate_database.connect() as connection, pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute("INSERT INTO orders (customer, total) VALUES (1, 9.90)")


@pytest.mark.tables("orders")
def test_an_order_costs_something(pgslate_database):
    with pgslate_database.connect() as connection:
        connection.execute("INSERT INTO customers (name) VALUES ('Ada')")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO orders (customer, total) VALUES (1, 0)")


@pytest.mark.contract("till")
def test_a_contract_names_tables_too(pgslate_database):
    with pgslate_database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
        assert connection.execute("SELECT to_regclass('suppliers')").fetchone() == (None,)


def test_without_a_marker_every_table_is_there(pgslate_database):
    with pgslate_database.connect() as connection:
        assert connection.execute("SELECT to_regclass('suppliers')::text").fetchone() == ("suppliers",)
