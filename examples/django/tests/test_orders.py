from decimal import Decimal

import pytest
from django.db import IntegrityError
from shop import Customer, Order, place_order

pytestmark = pytest.mark.tables("orders")


def test_an_order_brings_its_customer(db):
    place_order("Ada", Decimal("9.90"))
    with db.connect() as another:
        assert another.execute("SELECT name FROM customers").fetchall() == [("Ada",)]
    assert Customer.objects.get().orders.count() == 1


def test_the_schema_refuses_an_order_that_costs_nothing(db):
    with pytest.raises(IntegrityError):
        place_order("Ada", Decimal(0))
    assert Customer.objects.count() == 0


@pytest.mark.parametrize("name", ["Ada", "Grace"])
def test_what_is_done_is_undone(rolled_back, name):
    place_order(name, Decimal("9.90"))
    assert Order.objects.count() == 1
