"""The program under test: it knows a schema that migrations make, and makes none itself."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column("customer", ForeignKey("customers.id"))
    total: Mapped[float]
    customer: Mapped[Customer] = relationship(back_populates="orders")


def place_order(session, name, total):
    """Commits: an order is an order."""
    session.add(Order(customer=Customer(name=name), total=total))
    session.commit()
