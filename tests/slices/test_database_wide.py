"""Objects that act on the whole database come and go in a slice as they do in the whole catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.slices.judging import court

from pgslate import apply
from pgslate.project.project import Project
from pgslate.slices.slice import FORMS, Form
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

NOTE_EVERY_TABLE = """CREATE TABLE made (name text);
CREATE FUNCTION note_table() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO made SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE';
END $$;
CREATE EVENT TRIGGER note_table ON ddl_command_end EXECUTE FUNCTION note_table();
"""  # noqa: E501  one statement
FORMS_OF_STATEMENTS: tuple[Form, ...] = ("files", "statements")


@pytest.mark.parametrize("form", FORMS_OF_STATEMENTS)
def test_an_event_trigger_is_dropped_where_a_later_file_drops_it(server: Server, form: Form) -> None:
    with court(
        server,
        NOTE_EVERY_TABLE + "CREATE TABLE users (id int);",
        "DROP EVENT TRIGGER note_table;",
        "CREATE TABLE other (id int);",
    ) as case:
        assert "DROP EVENT TRIGGER note_table" in case.statements("users")
        assert case.files("users") == ["1", "2"]
        assert case.difference("users", form) == ""


def test_an_event_trigger_is_disabled_where_a_later_file_disables_it(server: Server) -> None:
    with court(
        server,
        NOTE_EVERY_TABLE + "CREATE TABLE users (id int);",
        "CREATE TABLE other (id int);",
        "ALTER EVENT TRIGGER note_table DISABLE;",
    ) as case:
        assert case.files("users") == ["1", "3"]
        assert "ALTER EVENT TRIGGER note_table DISABLE" in case.statements("users")


def test_an_event_trigger_of_the_prelude_is_dropped_in_each_slice(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE early (id int);",
        "DROP EVENT TRIGGER note_table;",
        "CREATE TABLE late (id int);",
        prelude=[NOTE_EVERY_TABLE],
    ) as case:
        assert case.files("early") == ["1", "2"]
        assert case.files("late") == ["2", "3"]
        assert "drops" in case.slice("late").causes[1].how


def test_a_default_privilege_is_revoked_where_a_later_file_revokes_it(server: Server) -> None:
    grant = "ALTER DEFAULT PRIVILEGES IN SCHEMA public {} ON SEQUENCES {} PUBLIC;"
    with court(
        server,
        grant.format("GRANT USAGE", "TO") + "CREATE TABLE users (id serial);",
        "CREATE TABLE other (id int);",
        grant.format("REVOKE USAGE", "FROM"),
    ) as case:
        assert case.files("users") == ["1", "3"]
        for form in FORMS:
            assert case.difference("users", form) == ""


def test_a_publication_that_comes_along_is_dropped_where_a_later_file_drops_it(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int); CREATE PUBLICATION everything FOR ALL TABLES;",
        "CREATE TABLE other (id int);",
        "DROP PUBLICATION everything;",
    ) as case:
        assert case.files("users") == ["1", "3"]
        assert len(case.statements("users")) == 1


def test_a_database_that_grows_does_not_keep_what_acts_on_new_tables(
    tmp_path: Path, database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "001_trigger.sql").write_text(NOTE_EVERY_TABLE + "CREATE TABLE users (id int);\n")
    (folder / "002_drop.sql").write_text("DROP EVENT TRIGGER note_table;\n")
    (folder / "003_plain.sql").write_text("CREATE TABLE plain (id int);\n")
    apply(Project.open(folder).slice("users"), database)
    apply(Project.open(folder).slice("plain"), database)
    with database.connect(autocommit=True) as connection:
        assert connection.execute("SELECT name FROM made").fetchall() == [("public.users",)]
