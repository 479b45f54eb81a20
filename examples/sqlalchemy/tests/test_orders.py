import pytest
from shop import Order, place_order
from sqlalchemy import func, select
from sqlalchemy.orm import Session

pytestmark = pytest.mark.tables("orders")


def test_an_order_brings_its_customer(engine):
    with Session(engine) as session:
        place_order(session, "Ada", 9.90)
    with Session(engine) as another:
        assert another.scalars(select(Order)).one().customer.name == "Ada"


@pytest.mark.parametrize("name", ["Ada", "Grace"])
def test_commits_are_rolled_back_too(rolled_back, name):
    place_order(rolled_back, name, 9.90)
    assert rolled_back.scalar(select(func.count()).select_from(Order)) == 1
