"""Two ways to a session: on a database of the test's own, and in a transaction that is rolled back."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool


def engine_for(database):
    return create_engine(database.dsn.replace("postgresql:", "postgresql+psycopg:", 1), poolclass=NullPool)


@pytest.fixture
def engine(pgslate_database):
    """An engine on a database of this test's own: anything goes, commits and several connections too."""
    return engine_for(pgslate_database)


@pytest.fixture
def rolled_back(pgslate_shared_database):
    """A session whose commits are savepoints, in a transaction that is rolled back."""
    with engine_for(pgslate_shared_database).connect() as connection:
        transaction = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()
