"""Eight tests on two workers: all count customers, and none sees another's."""

import pytest

pytestmark = pytest.mark.tables("customers")


@pytest.mark.parametrize("many", range(1, 9))
def test_only_our_own_customers_are_there(pgslate_database, many):
    with pgslate_database.connect() as connection:
        for number in range(many):
            connection.execute("INSERT INTO customers (name) VALUES (%s)", [f"customer {number}"])
        connection.commit()
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (many,)
