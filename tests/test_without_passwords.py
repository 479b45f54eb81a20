"""Passwords are masked wherever an error is told."""

from __future__ import annotations

import pytest

from pgslate.catalog.statements import split
from pgslate.errors import MigrationFailedError, Place, without_passwords


@pytest.mark.parametrize(
    "said",
    [
        "postgresql://me:hush@host/db",
        "postgresql://me:hu@sh@host/db",
        "host=db password=hush user=me",
        "host=db password='hush hush' user=me",
        "PGPASSWORD=hush",
        '{"user": "me", "password": "hush"}',
        "CREATE ROLE app PASSWORD 'hush'",
        "CREATE ROLE app ENCRYPTED PASSWORD E'hu\\'sh'",
        "ALTER ROLE app PASSWORD 'hu''sh';",
        "postgresql://host/db?password=hush&user=me",
        "EXECUTE 'CREATE ROLE app PASSWORD ''hush'''",
        "EXECUTE 'CREATE ROLE app PASSWORD ''hush'' LOGIN'",
    ],
)
def test_a_password_is_masked(said: str) -> None:
    masked = without_passwords(said)
    assert "***" in masked
    assert not {"hush", "sh'", "sh@"} & {word for word in ("hush", "sh'", "sh@") if word in masked}


@pytest.mark.parametrize(
    "said",
    [
        "password authentication failed for user me",
        "ALTER TABLE users ADD COLUMN password text NOT NULL DEFAULT ''",
        "INSERT INTO users (email, password) VALUES ($1, $2)",
        "see https://example.com/docs: it is said there",
    ],
)
def test_what_is_no_password_stays(said: str) -> None:
    assert without_passwords(said) == said


def test_a_statement_is_told_without_its_password() -> None:
    (statement,) = split("CREATE ROLE app LOGIN PASSWORD 'hush'")
    assert statement.first_line == "CREATE ROLE app LOGIN PASSWORD ***"


def test_the_line_that_an_error_shows_has_no_password() -> None:
    line = "CREATE ROLE app PASSWORD 'hush' LOGGIN;"
    error = MigrationFailedError(
        "syntax error", migration="1", statement=line, sqlstate="42601", place=Place("1.sql", 1, 33, line)
    )
    assert "hush" not in str(error)
    assert "CREATE ROLE app PASSWORD ***" in str(error)
