"""Tests that don't commit can share a database: each runs in a transaction that is rolled back."""

import pytest

pytestmark = pytest.mark.tables("customers")


@pytest.mark.parametrize("name", ["Ada", "Grace", "Edsger"])
def test_nobody_sees_what_another_test_wrote(pgslate_transaction, name):
    pgslate_transaction.execute("INSERT INTO customers (name) VALUES (%s)", [name])
    assert pgslate_transaction.execute("SELECT name FROM customers").fetchall() == [(name,)]
