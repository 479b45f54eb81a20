"""Definitions and rows that need the search path under which the migrations made them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.dump.test_contents import made, made_of
from tests.slices.judging import Court, catalog_of, court

from pgslate.clones.databases import Databases
from pgslate.dump.search_paths import SERVERS_OWN, search_paths
from pgslate.errors import FormUnavailableError, ProofError
from pgslate.project.project import Project
from pgslate.report import lock as report
from pgslate.targets.embedded.server import Server
from pgslate.verbs.lock import lock

CATALOGS = {
    "an inlined function of a generated column and an index": """
        CREATE FUNCTION low(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(t)';
        CREATE FUNCTION cut(t text, n int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left(low(t), n)';
        CREATE TABLE t (id int PRIMARY KEY, name text, short text GENERATED ALWAYS AS (cut(name, 2)) STORED);
        CREATE INDEX ON t (low(name)); INSERT INTO t VALUES (1, 'ABC');
    """,
    "an operator of an extension in another schema": """
        CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; SET search_path = public, ext;
        CREATE TABLE t (id int PRIMARY KEY, a citext, b citext, CHECK (a IS DISTINCT FROM b));
        CREATE VIEW v AS SELECT nullif(a, b) AS c, a IN (b, 'x') AS d FROM t;
        INSERT INTO t VALUES (1, 'A', 'b');
    """,
    "a check that reads a table whose rows come later": """
        CREATE TABLE z (n int); INSERT INTO z VALUES (5);
        CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(n) FROM z); END';
        CREATE TABLE t (id int CHECK (total() = 5)); INSERT INTO t VALUES (1);
        ALTER TABLE t ADD CONSTRAINT there CHECK (total() IS NOT NULL);
    """,
    "an index whose operator class calls functions by bare names": """
        CREATE TYPE pair AS (a int, b int);
        CREATE FUNCTION size(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a + $1.b';
        CREATE FUNCTION cmp(pair, pair) RETURNS int LANGUAGE sql IMMUTABLE
            AS 'SELECT size($1) - size($2)';
        CREATE FUNCTION lt(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT size($1) < size($2)';
        CREATE OPERATOR <<< (LEFTARG = pair, RIGHTARG = pair, FUNCTION = lt);
        CREATE OPERATOR CLASS by_size FOR TYPE pair USING btree AS OPERATOR 1 <<<, FUNCTION 1 cmp(pair, pair);
        CREATE TABLE t (id int, p pair); CREATE INDEX ON t (p by_size);
        INSERT INTO t VALUES (1, (1, 2)), (2, (0, 1));
    """,
    "a domain whose check calls a function by its bare name": """
        CREATE FUNCTION even(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 % 2 = 0; END';
        CREATE FUNCTION fine(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN even($1); END';
        CREATE DOMAIN number AS int CHECK (fine(VALUE)); CREATE TABLE t (id number, n number DEFAULT 2);
        INSERT INTO t VALUES (4);
    """,
    "a generated column that reads under the path of its file": """
        CREATE SCHEMA app; CREATE TABLE app.rates (n int); INSERT INTO app.rates VALUES (7);
        SET search_path = app, public;
        CREATE FUNCTION rate() RETURNS int LANGUAGE plpgsql IMMUTABLE
            AS 'BEGIN RETURN (SELECT n FROM rates); END';
        CREATE TABLE public.t (id int, r int GENERATED ALWAYS AS (rate()) STORED);
        INSERT INTO public.t VALUES (1);
    """,
}


@pytest.mark.parametrize("name", CATALOGS)
def test_they_are_made_as_the_migrations_made_them(any_server: Server, name: str) -> None:
    with court(any_server, CATALOGS[name]) as case:
        proof = case.proof("t", "objects")
        assert not proof.unproved
        assert case.difference_of(proof.slice, "t") == ""
        with made_of(case, proof.slice) as part, case.server.target(case.database).connect() as whole:
            assert part.execute("TABLE t").fetchall() == whole.execute("TABLE t").fetchall()


def test_a_session_that_begins_with_another_path_has_it_for_rows(server: Server) -> None:
    sources = (
        "CREATE SCHEMA app; CREATE TABLE limits (n int); INSERT INTO limits VALUES (3);"
        "CREATE FUNCTION most() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT n FROM limits); END';",
        "CREATE TABLE t (id int CHECK (id <= most())); INSERT INTO t VALUES (3);",
    )
    with court(server, *sources, settings={"search_path": "app"}) as case, made(case, "app.t") as part:
        assert part.execute("TABLE app.t").fetchall() == [(3,)]


OUTGROWN = """
    CREATE TABLE aisles (n int); INSERT INTO aisles VALUES (1);
    CREATE FUNCTION free() RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN RETURN (SELECT count(*) FROM public.aisles) < 2; END';
    CREATE TABLE booked (id int, CONSTRAINT room CHECK (free())); INSERT INTO booked VALUES (1);
    INSERT INTO aisles VALUES (2); CREATE TABLE other (id int);
    CREATE TABLE guests (id int, booked booked);
"""


def test_rows_that_a_check_no_longer_allows_are_refused_by_name(server: Server) -> None:
    with court(server, OUTGROWN) as case:
        for table in ("booked", "guests"):
            with pytest.raises(FormUnavailableError) as raised:
                case.script(table)
            assert raised.value.form == "objects"
            assert raised.value.cause.startswith('rows of table "public"."booked": ')
            assert 'violates check constraint "room"' in raised.value.cause
        case.assert_exact("other")


def test_a_proof_says_that_a_form_cannot_be_had_and_why(server: Server) -> None:
    with court(server, OUTGROWN) as case:
        proof = case.proof("booked", "objects")
        assert proof.is_unavailable
        assert 'violates check constraint "room"' in proof.unproved
        assert case.proof("booked", "statements").unproved == ""


def test_a_lock_proves_the_other_forms_and_says_which_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "001_seats.sql").write_text(OUTGROWN)
    project = Project.open(tmp_path)
    locked = lock(project, workers=1)
    assert not locked.unproved
    assert set(locked.unavailable) == {"table public.booked (objects)", "table public.guests (objects)"}
    assert "can't be had: table public.booked (objects): rows of table" in report.text(locked)
    again = Project.open(tmp_path)
    with pytest.raises(ProofError, match='violates check constraint "room"'):
        again.slice("booked", form="objects")
    assert again.slice("booked", form="statements").required


@pytest.mark.parametrize("locked", [True, False])
def test_a_clone_of_what_the_objects_form_cannot_make_says_which_form_it_takes(
    server: Server, tmp_path: Path, locked: bool
) -> None:
    (tmp_path / "001_seats.sql").write_text(OUTGROWN)
    if locked:
        lock(Project.open(tmp_path), workers=1)
    notes: list[str] = []
    project = Project.open(tmp_path)
    with (
        Databases(server.target(), project, ahead=0, note=notes.append) as databases,
        databases.database("booked").connect() as connection,
    ):
        assert connection.execute("TABLE booked").fetchall() == [(1,)]
    assert any("statements form" in note and 'check constraint "room"' in note for note in notes), notes


def test_every_path_that_a_catalog_sets_is_found() -> None:
    catalog = catalog_of(
        "SET search_path = a, \"B c\"; SELECT set_config('search_path', 'd,e', false);"
        "ALTER ROLE x SET search_path = f; SET SCHEMA 'g'; SELECT 'search_path = h';",
        "SET LOCAL search_path TO DEFAULT; SET search_path = ''; NOT SQL OF THIS VERSION search_path;",
        "CREATE FUNCTION j() RETURNS int LANGUAGE sql SET search_path = i AS 'SELECT 1';",
    )
    assert search_paths(catalog) == (SERVERS_OWN, '"a", "B c"', "d,e", '"f"', '"g"', '"i"')


def test_members_that_alter_extension_added_belong_to_it(any_server: Server) -> None:
    with court(
        any_server,
        "CREATE EXTENSION citext; CREATE FUNCTION own(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE TABLE list (id int PRIMARY KEY); CREATE VIEW seen AS TABLE list;",
        "ALTER EXTENSION citext ADD FUNCTION own(int); ALTER EXTENSION citext ADD TABLE list;"
        "ALTER EXTENSION citext ADD VIEW seen;",
        "CREATE TABLE t (id int DEFAULT own(1), name citext);",
    ) as case:
        members(case)


def test_a_member_that_alter_extension_dropped_is_none(server: Server) -> None:
    with court(
        server,
        "CREATE EXTENSION unaccent; ALTER EXTENSION unaccent DROP FUNCTION unaccent(regdictionary, text);",
        "CREATE TABLE t (id int); CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT unaccent(''x'')';",
    ) as case:
        members(case)


def members(case: Court) -> None:
    """The extensions of the objects form have the members that they have after the whole catalog."""
    query = (
        "SELECT e.extname, pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d"
        " JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass"
        " WHERE d.deptype = 'e' ORDER BY 1, 2"
    )
    with case.server.target(case.database).connect() as whole:
        wanted = whole.execute(query).fetchall()
    with made(case) as connection:
        assert connection.execute(query).fetchall() == wanted
