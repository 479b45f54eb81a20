"""What the objects form brings: names, rows and bodies byte by byte, and what belongs to no table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from tests.slices.judging import Court, court

from pgslate.catalog.prelude import run_prelude
from pgslate.dump.archive import read_archive
from pgslate.dump.definitions import script_of
from pgslate.slices.slice import Slice, whole
from pgslate.targets.embedded.server import Server

TRAPS = (
    "one\nALTER TABLE a OWNER TO postgres;\nSET default_tablespace = '';\ntwo",
    "--\n-- TOC entry 5 (class 1259 OID 16400)\n-- Name: x; Type: TABLE; Schema: public; Owner: y\n--\n",
    "\\restrict abc\n\\.\n\\unrestrict abc\n-- Completed on 2026-01-01\n-- PostgreSQL database dump complete",
    "(s)::text = ANY ((ARRAY['a'::character varying])::text[]) DEFAULT NULL,\n",
    "$$ $pgslate$ \\ ' '' \" ; \x01 \u2028 \U0001f418\r\n\t",
    "",
    "\n\n",
)


@contextmanager
def made(case: Court, *tables: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database that holds the objects form of these tables, or of everything."""
    chosen = (
        case.slice(*tables, form="objects") if tables else whole(case.catalog, case.trace, form="objects")
    )
    with made_of(case, chosen) as connection:
        yield connection


@contextmanager
def made_of(case: Court, chosen: Slice) -> Iterator[psycopg.Connection[Any]]:
    """The same for a slice."""
    script = script_of(chosen, case.snapshot())
    try:
        target = case.server.create_database("made", template="template0")
        with target.connect(autocommit=True) as connection:
            run_prelude(connection, case.prelude)
            with connection.transaction():
                connection.execute(script.encode())
            yield connection
    finally:
        case.server.drop_database("made")


def literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def test_rows_and_comments_come_out_byte_by_byte(any_server: Server) -> None:
    rows = "".join(
        f"INSERT INTO notes SELECT {number}, {literal(text)};" for number, text in enumerate(TRAPS)
    )
    comments = "".join(
        f"CREATE TABLE t{number} (); COMMENT ON TABLE t{number} IS {literal(text)};"
        for number, text in enumerate(TRAPS)
        if text
    )
    with (
        court(any_server, "CREATE TABLE notes (id int, body text);", rows, comments) as case,
        made(case) as connection,
    ):
        found = connection.execute("SELECT body FROM notes ORDER BY id").fetchall()
        assert [body for (body,) in found] == list(TRAPS)
        found = connection.execute(
            "SELECT obj_description(oid) FROM pg_class WHERE relname ~ '^t[0-9]' ORDER BY relname"
        ).fetchall()
        assert [text for (text,) in found] == [text for text in TRAPS if text]


def test_function_bodies_come_out_byte_by_byte(any_server: Server) -> None:
    functions = "".join(
        f"CREATE FUNCTION f{number}() RETURNS text LANGUAGE plpgsql AS {literal(f'BEGIN /* {text} */ END')};"
        for number, text in enumerate(TRAPS)
    )
    with court(any_server, functions) as case, made(case) as connection:
        found = connection.execute(
            "SELECT prosrc FROM pg_proc WHERE proname ~ '^f[0-9]' ORDER BY proname"
        ).fetchall()
        assert [body for (body,) in found] == [f"BEGIN /* {text} */ END" for text in TRAPS]


@pytest.mark.parametrize(
    "name", ["new\nline", 'quo"te', "semi;colon", "-- comment", "\u00fc\U0001f418", "a.b", "it's", "\\"]
)
def test_names_come_out_as_they_are(server: Server, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    with (
        court(
            server,
            f"CREATE SCHEMA {quoted}; CREATE TYPE {quoted}.{quoted} AS ENUM ({literal(name)});"
            f"CREATE TABLE {quoted} ({quoted} serial PRIMARY KEY, kind {quoted}.{quoted});"
            f"CREATE INDEX ON {quoted} (kind); COMMENT ON COLUMN {quoted}.{quoted} IS {literal(name)};",
            f"INSERT INTO {quoted} (kind) VALUES ({literal(name)});",  # noqa: S608  that is what is tried
        ) as case,
        made(case) as connection,
    ):
        assert connection.execute(f"TABLE {quoted}".encode()).fetchall() == [(1, name)]


def test_what_another_role_owns_stays_its_own(server: Server) -> None:
    with court(
        server,
        'CREATE ROLE "the\nowner"; CREATE TABLE "new\nline" (id int);'
        'ALTER TABLE "new\nline" OWNER TO "the\nowner";'
        "CREATE FUNCTION f(a int, b text DEFAULT ')') RETURNS int LANGUAGE sql AS 'SELECT 1';"
        'ALTER FUNCTION f OWNER TO "the\nowner";',
    ) as case:
        try:
            with made(case) as connection:
                assert (
                    connection.execute(
                        "SELECT relowner::regrole::text FROM pg_class WHERE relname = E'new\\nline'"
                        " UNION ALL SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'f'"
                    ).fetchall()
                    == [('"the\nowner"',)] * 2
                )
        finally:
            case.close()
            with server.target().connect(autocommit=True) as connection:
                connection.execute('DROP ROLE "the\nowner"')


def test_large_objects_come_along(any_server: Server) -> None:
    with (
        court(
            any_server,
            "CREATE TABLE images (id int, data oid);",
            "SELECT lo_from_bytea(990001, 'hello'); SELECT lo_create(990003);"
            "COMMENT ON LARGE OBJECT 990001 IS 'a greeting'; GRANT SELECT ON LARGE OBJECT 990003 TO PUBLIC;"
            "INSERT INTO images VALUES (1, 990001), (2, lo_from_bytea(990002, 'abc'));",
        ) as case,
        made(case, "images") as connection,
    ):
        assert connection.execute("SELECT id, lo_get(data) FROM images ORDER BY 1").fetchall() == [
            (1, b"hello"),
            (2, b"abc"),
        ]
        assert connection.execute(
            "SELECT oid, obj_description(oid, 'pg_largeobject'), lomacl IS NULL"
            " FROM pg_largeobject_metadata ORDER BY 1"
        ).fetchall() == [(990001, "a greeting", True), (990002, None, True), (990003, None, False)]


def test_publications_and_user_mappings_come_along(any_server: Server) -> None:
    schemas = "CREATE PUBLICATION inside FOR TABLES IN SCHEMA app;" if any_server.major >= 15 else ""
    with (
        court(
            any_server,
            "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY);CREATE TABLE u (id int PRIMARY KEY);",
            f"CREATE PUBLICATION live FOR TABLE u; CREATE PUBLICATION every FOR ALL TABLES; {schemas}",
            "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;"
            "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'x');"
            "CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'y');",
        ) as case,
        made(case) as connection,
    ):
        assert connection.execute(
            "SELECT pubname, tablename FROM pg_publication_tables ORDER BY 1, 2"
        ).fetchall() == [("every", "t"), ("every", "u"), ("inside", "t"), ("live", "u")]
        assert connection.execute("SELECT umoptions FROM pg_user_mappings ORDER BY umuser").fetchall() == [
            (["user=x"],),
            (["user=y"],),
        ]


def test_a_child_whose_parent_dropped_the_default_has_none(any_server: Server) -> None:
    with court(
        any_server,
        "CREATE TABLE base (id int, made varchar(10) DEFAULT 'x'); CREATE TABLE kid () INHERITS (base);"
        "CREATE TABLE grand () INHERITS (kid);"
        "CREATE TABLE last (made varchar(10) DEFAULT 'y') INHERITS (grand);"
        "ALTER TABLE ONLY kid ALTER made DROP DEFAULT;"
        "ALTER TABLE ONLY grand ALTER made SET DEFAULT 'z';"
        "ALTER TABLE ONLY base ALTER made SET DEFAULT 'w';",
    ) as case:
        case.assert_exact("base", "kid", "grand", "last")


def test_the_columns_of_a_child_keep_their_order(any_server: Server) -> None:
    with court(
        any_server,
        "CREATE TABLE base (id int NOT NULL); CREATE TABLE kid (own int) INHERITS (base);"
        "CREATE TABLE grand (last int DEFAULT 3) INHERITS (kid);",
        """ALTER TABLE base ADD late varchar(9) COLLATE "C" DEFAULT 'x' NOT NULL;
        ALTER TABLE kid ADD more int;
        ALTER TABLE base ADD twice int GENERATED ALWAYS AS (id * 2) STORED; ALTER TABLE base ADD t date;
        INSERT INTO grand VALUES (1, 2, 3, 'a', 4); INSERT INTO kid VALUES (5, 6, 'b', 7);""",
        "CREATE TABLE two (id int NOT NULL, late date); CREATE TABLE three (x int);"
        "CREATE TABLE attached (own int, x int DEFAULT 4, id int NOT NULL, late date DEFAULT '2026-01-01');"
        "ALTER TABLE attached INHERIT two; ALTER TABLE attached INHERIT three;"
        "INSERT INTO attached VALUES (1, 2, 3);",
    ) as case:
        with made(case) as part, case.server.target(case.database).connect() as whole:
            for table in ("base", "kid", "grand", "two", "attached"):
                query = f"TABLE {table}".encode()
                assert part.execute(query).fetchall() == whole.execute(query).fetchall()
        case.assert_exact("base", "kid", "grand", "two", "attached")


def test_a_childs_own_columns_stay_between_those_that_its_parent_got_later(any_server: Server) -> None:
    with court(
        any_server,
        "CREATE TABLE base (id int); CREATE TABLE kid (own int) INHERITS (base);"
        "ALTER TABLE base ADD late int;",
        "ALTER TABLE kid ADD mine jsonb DEFAULT '{}' NOT NULL;"
        "ALTER TABLE kid ADD twice int GENERATED ALWAYS AS (own * 2) STORED;"
        "ALTER TABLE base ADD last date;"
        "INSERT INTO kid (id, own, late, last) VALUES (1, 2, 3, '2026-01-01');",
    ) as case:
        with made(case) as part, case.server.target(case.database).connect() as whole:
            for table in ("base", "kid"):
                query = f"TABLE {table}".encode()
                assert part.execute(query).fetchall() == whole.execute(query).fetchall()
        case.assert_exact("base", "kid")


def test_the_sequence_of_a_copied_identity_keeps_its_type(any_server: Server) -> None:
    with court(
        any_server,
        "CREATE TABLE one (id int GENERATED BY DEFAULT AS IDENTITY (START 5), v text, s smallint NOT NULL"
        " GENERATED ALWAYS AS IDENTITY);",
        "CREATE TABLE two (LIKE one INCLUDING ALL);",
    ) as case:
        sequences = "SELECT seqtypid::regtype::text, seqstart, seqmax FROM pg_sequence ORDER BY 1, 2, 3"
        with made(case) as connection, case.server.target(case.database).connect() as whole_one:
            found = connection.execute(sequences).fetchall()
            assert found == whole_one.execute(sequences).fetchall()


def test_a_text_that_is_no_archive_is_refused() -> None:
    with pytest.raises(ValueError, match="not an archive"):
        read_archive(b"-- PostgreSQL database dump")
    with pytest.raises(ValueError, match="ends too early"):
        read_archive(b"PGDMP\x01\x10\x00\x04\x08\x01\x00")
    with pytest.raises(ValueError, match="compressed"):
        read_archive(b"PGDMP\x01\x10\x00\x04\x08\x01\x01")
