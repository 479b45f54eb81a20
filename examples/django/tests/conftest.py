"""Django, whose default connection leads to the database of the test that runs."""

import django
import pytest
from django.conf import settings
from django.db import connections, transaction
from psycopg.conninfo import conninfo_to_dict

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "of no test"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()


def lead_to(database):
    """Let Django connect to a database from now on."""
    connection = connections["default"]
    connection.close()
    where = conninfo_to_dict(database.dsn)
    connection.settings_dict.update(
        HOST=where.get("host", ""),
        PORT=where.get("port", ""),
        NAME=where["dbname"],
        USER=where.get("user", ""),
        PASSWORD=where.get("password", ""),
    )


@pytest.fixture
def db(pgslate_database):
    """A database of this test's own: anything goes, commits and several connections too."""
    lead_to(pgslate_database)
    yield pgslate_database
    connections["default"].close()


@pytest.fixture
def rolled_back(pgslate_shared_database):
    """Django's own way, ``TestCase``: a database that is shared, in a transaction that is rolled back."""
    lead_to(pgslate_shared_database)
    with transaction.atomic():
        yield pgslate_shared_database
        transaction.set_rollback(True)
    connections["default"].close()
