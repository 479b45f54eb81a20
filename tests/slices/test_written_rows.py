"""Rows are checked against what their table leans on at that moment, and that comes along."""

from __future__ import annotations

from tests.slices.judging import court

from pgslate.targets.embedded.server import Server


def test_a_written_row_brings_the_labels_that_its_type_had_by_then(server: Server) -> None:
    with court(
        server,
        "CREATE TYPE mood AS ENUM ('calm'); CREATE TABLE users (id int, m mood);",
        "-- no transaction\nALTER TYPE mood ADD VALUE 'glad';",
        "INSERT INTO users SELECT 1, ('gl' || 'ad')::text::mood;",
        "ALTER TABLE users ALTER COLUMN m TYPE text;",
        "DROP TYPE mood;",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4"]
        case.assert_exact("users")


def test_a_written_row_brings_the_function_that_its_check_called_by_then(server: Server) -> None:
    with court(
        server,
        "CREATE FUNCTION fits(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 5';"
        "CREATE TABLE sizes (n int CHECK (fits(n)));",
        "CREATE OR REPLACE FUNCTION fits(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 50';",
        "INSERT INTO sizes VALUES (20);",
        "ALTER TABLE sizes DROP CONSTRAINT sizes_n_check; DROP FUNCTION fits(int);",
    ) as case:
        assert case.files("sizes") == ["1", "2", "3", "4"]
        case.assert_exact("sizes")
