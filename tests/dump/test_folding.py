"""What the objects form puts into CREATE TABLE, what it leaves, and that pg_dump sees no difference."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.conftest import MAJORS
from tests.slices.judging import Court, court, dump

from pgslate.dump.definitions import script_of
from pgslate.dump.entries import Entry
from pgslate.dump.folding import MANY, fold
from pgslate.slices.slice import whole
from pgslate.targets.embedded.server import Server

USERS = "CREATE TABLE public.users (\n    id bigint NOT NULL,\n    team bigint\n);"
TEAMS = "CREATE TABLE public.teams (\n    id bigint NOT NULL,\n    lead bigint\n);"
USERS_KEY = "ALTER TABLE ONLY public.users\n    ADD CONSTRAINT users_pkey PRIMARY KEY (id);"
TEAMS_KEY = "ALTER TABLE ONLY public.teams\n    ADD CONSTRAINT teams_pkey PRIMARY KEY (id);"
TO_TEAMS = (
    "ALTER TABLE ONLY public.users\n    ADD CONSTRAINT to_teams FOREIGN KEY (team)"
    " REFERENCES public.teams(id) ON DELETE SET NULL;"
)
TO_USERS = (
    "ALTER TABLE ONLY public.teams\n    ADD CONSTRAINT to_users FOREIGN KEY (lead)"
    " REFERENCES public.users(id);"
)


def entries(*told: tuple[str, str] | tuple[str, str, int]) -> list[Entry]:
    """Entries by type and text, and the number of what they are of; numbered from 1."""
    return [Entry(number, one[0], "", None, one[2:], (), one[1]) for number, one in enumerate(told, start=1)]


def folded(*told: tuple[str, str] | tuple[str, str, int]) -> list[str]:
    return [entry.text for entry in fold(entries(*told))]


def test_a_table_comes_after_the_one_that_it_refers_to() -> None:
    assert folded(
        ("TABLE", USERS),
        ("COMMENT", "COMMENT ON TABLE public.users IS 'people';", 1),
        ("TABLE", TEAMS),
        ("CONSTRAINT", TEAMS_KEY),
        ("CONSTRAINT", USERS_KEY),
        ("FK CONSTRAINT", TO_TEAMS),
    ) == [
        "CREATE TABLE public.teams (\n    id bigint NOT NULL,\n    lead bigint,\n"
        "    CONSTRAINT teams_pkey PRIMARY KEY (id)\n);",
        "CREATE TABLE public.users (\n    id bigint NOT NULL,\n    team bigint,\n"
        "    CONSTRAINT users_pkey PRIMARY KEY (id),\n"
        "    CONSTRAINT to_teams FOREIGN KEY (team) REFERENCES public.teams(id) ON DELETE SET NULL\n);",
        "COMMENT ON TABLE public.users IS 'people';",
    ]


def test_of_a_circle_one_key_is_added_at_the_end() -> None:
    texts = folded(
        ("TABLE", TEAMS),
        ("TABLE", USERS),
        ("CONSTRAINT", TEAMS_KEY),
        ("CONSTRAINT", USERS_KEY),
        ("FK CONSTRAINT", TO_USERS),
        ("FK CONSTRAINT", TO_TEAMS),
    )
    assert texts[0].startswith("CREATE TABLE public.teams")
    assert "to_teams FOREIGN KEY" in texts[1]
    assert texts[2:] == [TO_USERS]


def test_a_table_of_which_a_view_is_made_stays_before_it() -> None:
    view = "CREATE VIEW public.u AS\n SELECT id FROM public.users;"
    of_view = "CREATE TABLE public.teams (\n    id bigint NOT NULL,\n    lead bigint,\n    u public.u\n);"
    texts = folded(
        ("TABLE", USERS),
        ("VIEW", view),
        ("TABLE", of_view),
        ("CONSTRAINT", TEAMS_KEY),
        ("FK CONSTRAINT", TO_TEAMS),
    )
    assert texts[:2] == [USERS, view]
    assert texts[3] == TO_TEAMS


def test_a_table_with_rows_gets_its_foreign_keys_after_them() -> None:
    rows = "INSERT INTO public.users (id, team) VALUES\n\t(1, 1);"
    texts = folded(
        ("TABLE", TEAMS),
        ("TABLE", USERS),
        ("TABLE DATA", rows, 2),
        ("CONSTRAINT", TEAMS_KEY),
        ("CONSTRAINT", USERS_KEY),
        ("FK CONSTRAINT", TO_TEAMS),
    )
    assert "PRIMARY KEY" in texts[1]
    assert texts[2:] == [rows, TO_TEAMS]


def test_keys_are_built_after_many_rows() -> None:
    rows = f"INSERT INTO public.users (id) VALUES\n\t({'1' * MANY});"
    told = [USERS, rows, USERS_KEY]
    assert folded(("TABLE", USERS), ("TABLE DATA", rows, 1), ("CONSTRAINT", USERS_KEY)) == told


@pytest.mark.parametrize(
    "text",
    [
        USERS_KEY + "\n\nALTER TABLE ONLY public.users REPLICA IDENTITY USING INDEX users_pkey;",
        "ALTER TABLE public.users\n    ADD CONSTRAINT a FOREIGN KEY (team) REFERENCES public.users(id)"
        " NOT VALID;",
        "ALTER TABLE ONLY public.users\n    ADD CONSTRAINT a EXCLUDE USING gist (team WITH =);",
        "ALTER TABLE ONLY public.users\n    ADD CONSTRAINT users_team_not_null UNIQUE (team);",
    ],
)
def test_what_is_not_plain_stays_as_it_is(text: str) -> None:
    assert folded(("TABLE", USERS), ("CONSTRAINT", text)) == [USERS, text]


def test_a_key_may_hang_on_an_operator_class_that_is_made_later() -> None:
    operators = "CREATE OPERATOR CLASS public.c DEFAULT FOR TYPE public.t USING btree AS STORAGE text;"
    told = (("TABLE", USERS), ("OPERATOR CLASS", operators), ("CONSTRAINT", USERS_KEY))
    assert folded(*told) == [USERS, operators, USERS_KEY]


def test_a_default_that_needs_a_later_function_stays_behind_it() -> None:
    function = "CREATE FUNCTION public.next() RETURNS bigint\n    LANGUAGE sql\n    AS $$ SELECT 1 $$;"
    default = "ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT public.next();"
    told = (("TABLE", USERS), ("FUNCTION", function), ("DEFAULT", default))
    assert folded(*told) == [USERS, function, default]
    assert "id bigint NOT NULL DEFAULT public.next()," in folded(told[1], told[0], told[2])[1]


def test_a_sequence_that_is_as_it_begins_is_not_set() -> None:
    sequence = "CREATE SEQUENCE public.numbers\n    START WITH 5\n    INCREMENT BY 1;"
    same = "SELECT pg_catalog.setval('public.numbers', 5, false);"
    other = "SELECT pg_catalog.setval('public.numbers', 6, false);"
    told = (("TABLE", USERS), ("SEQUENCE", sequence))
    assert folded(*told, ("SEQUENCE SET", same, 2)) == [USERS, sequence]
    assert folded(*told, ("SEQUENCE SET", other, 2)) == [USERS, sequence, other]


def assert_whole_is_exact(case: Court, server: Server) -> str:
    """Every table alone, and all of them together; the script of all."""
    tables = tables_of(case)
    everything = whole(case.catalog, case.trace, form="objects")
    for table in tables:
        assert case.difference(table, "objects") == "", table
        assert case.difference_of(everything, table) == "", table
    return script_of(everything, case.snapshot())


def test_nothing_but_the_tables_is_left_of_a_plain_schema() -> None:
    # A server of its own: the script makes the roles of a server, and other tests leave some on theirs.
    with (
        Server.start(major=18) as server,
        court(
            server,
            "CREATE TABLE zones (id serial PRIMARY KEY, code text UNIQUE, up integer REFERENCES zones);",
            "CREATE TABLE accounts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zone integer NOT NULL"
            " REFERENCES zones ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,"
            " code text REFERENCES zones (code));",
        ) as case,
    ):
        script = assert_whole_is_exact(case, server)
        assert script.partition("true);\n")[2] == (
            "CREATE TABLE public.zones (\n"
            "    id serial NOT NULL,\n"
            "    code text,\n"
            "    up integer,\n"
            "    CONSTRAINT zones_code_key UNIQUE (code),\n"
            "    CONSTRAINT zones_pkey PRIMARY KEY (id),\n"
            "    CONSTRAINT zones_up_fkey FOREIGN KEY (up) REFERENCES public.zones(id)\n"
            ");\n"
            "CREATE TABLE public.accounts (\n"
            "    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME public.accounts_id_seq),\n"
            "    zone integer NOT NULL,\n"
            "    code text,\n"
            "    CONSTRAINT accounts_pkey PRIMARY KEY (id),\n"
            "    CONSTRAINT accounts_code_fkey FOREIGN KEY (code) REFERENCES public.zones(code),\n"
            "    CONSTRAINT accounts_zone_fkey FOREIGN KEY (zone) REFERENCES public.zones(id)"
            " ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED\n"
            ");\n"
        )


CATALOGS = {
    "odd names": """
        CREATE SCHEMA "a.b";
        CREATE TABLE "a.b"."t(1), x" ("c,d" serial PRIMARY KEY, "e)" int UNIQUE, "line
    two bigint NOT NULL," int DEFAULT 1, "it's" bigserial);
        CREATE TABLE "z""y" ("q""r" int REFERENCES "a.b"."t(1), x" ("e)"), "order" bigserial,
            note text DEFAULT 'one
    id bigint NOT NULL,
);' CHECK (note <> '");'), path text DEFAULT E'a\\\\b''),\\n' COLLATE "C");
        COMMENT ON COLUMN "z""y"."q""r" IS ');
    CREATE TABLE public.no (';
    """,
    "two keys of the same columns": """
        CREATE TABLE a (id int NOT NULL, b int); ALTER TABLE a ADD CONSTRAINT first UNIQUE (id);
        ALTER TABLE a ADD PRIMARY KEY (id); ALTER TABLE a ADD CONSTRAINT second UNIQUE (id, b);
        ALTER TABLE a ADD CONSTRAINT third UNIQUE (id, b) DEFERRABLE;
    """,
    "options": """
        CREATE TABLE a (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, b int, c int, d int,
            UNIQUE NULLS NOT DISTINCT (b) INCLUDE (c, d), UNIQUE (c) WITH (fillfactor = 70))
            WITH (fillfactor = 50, autovacuum_enabled = false);
        ALTER TABLE a ALTER b SET STATISTICS 7;
        CREATE TABLE b (id int REFERENCES a (c) MATCH FULL ON UPDATE SET DEFAULT, c int, d int,
            FOREIGN KEY (c) REFERENCES a (c) ON DELETE SET NULL (c));
        CREATE UNIQUE INDEX ON a (d);
        ALTER TABLE b ADD FOREIGN KEY (d) REFERENCES a (d);
    """,
    "sequences of all kinds": """
        CREATE SEQUENCE plain; CREATE SEQUENCE owned START 5 INCREMENT 3 CYCLE;
        CREATE TABLE a (id int DEFAULT nextval('plain'), b bigint DEFAULT nextval('owned'),
            c smallserial, d int GENERATED BY DEFAULT AS IDENTITY (START 7 INCREMENT -2 MAXVALUE 9 CYCLE));
        ALTER SEQUENCE owned OWNED BY a.b;
        CREATE TABLE "B" (id serial, other bigint DEFAULT nextval('a_c_seq'));
        ALTER TABLE a RENAME TO c;
        COMMENT ON SEQUENCE "B_id_seq" IS 'numbers'; COMMENT ON SEQUENCE a_d_seq IS 'more';
        SELECT nextval('plain'), setval('"B_id_seq"', 40);
        CREATE TABLE d (id serial PRIMARY KEY); ALTER SEQUENCE d_id_seq OWNED BY NONE;
        CREATE UNLOGGED TABLE e (id serial PRIMARY KEY, f int GENERATED ALWAYS AS IDENTITY);
        CREATE TABLE f (id int GENERATED ALWAYS AS IDENTITY, again int);
        ALTER SEQUENCE e_id_seq OWNED BY NONE;
        ALTER TABLE f ALTER again SET DEFAULT nextval('f_id_seq');
    """,
    "a serial whose name is shortened": f"CREATE TABLE {'long_' * 12} (id serial, {'name_' * 10} serial);",
    "families": """
        CREATE TABLE a (id serial PRIMARY KEY, name text DEFAULT 'x');
        CREATE TABLE b (c int REFERENCES a) INHERITS (a);
        ALTER TABLE b ALTER id DROP DEFAULT; ALTER TABLE b ADD PRIMARY KEY (id);
        CREATE TABLE p (id bigserial, at int REFERENCES a, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2);
        CREATE TABLE q (id bigint, at int, FOREIGN KEY (id, at) REFERENCES p);
        CREATE TYPE pair AS (x int, y int); CREATE TABLE typed OF pair (PRIMARY KEY (x));
    """,
    "what leans on tables": """
        CREATE TABLE z (id int PRIMARY KEY, a int);
        CREATE TABLE a (id int PRIMARY KEY, z int REFERENCES z);
        CREATE FUNCTION of_a(a) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.id';
        CREATE TABLE b (id int DEFAULT of_a(NULL), was a CHECK (of_a(was) > 0), z int REFERENCES z);
        CREATE VIEW c AS SELECT id, was FROM b; CREATE MATERIALIZED VIEW d AS SELECT * FROM c;
        CREATE FUNCTION next_b() RETURNS int LANGUAGE sql AS 'SELECT max(id) FROM b';
        CREATE TABLE e (id int DEFAULT next_b(), of c, z int REFERENCES z, PRIMARY KEY (id));
        ALTER TABLE a ADD e int REFERENCES e; ALTER TABLE z ADD FOREIGN KEY (a) REFERENCES a;
        CREATE VIEW f AS SELECT id, z FROM a GROUP BY id;
        ALTER TABLE b ALTER id SET DEFAULT next_b();
    """,
    "rows": """
        CREATE TABLE a (id serial PRIMARY KEY, up int REFERENCES a DEFERRABLE, note text UNIQUE);
        SET CONSTRAINTS ALL DEFERRED; INSERT INTO a (up) VALUES (3), (1), (2);
        CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int REFERENCES a);
        INSERT INTO b (a) VALUES (1), (2); CREATE TABLE c (b int REFERENCES b);
    """,
    "names given by PostgreSQL that others have": """
        CREATE TABLE t (id int NOT NULL, other int); ALTER TABLE t RENAME id TO key;
        CREATE TABLE u (id int, CONSTRAINT t_key_not_null UNIQUE (id)); ALTER TABLE t ADD id int NOT NULL;
        COMMENT ON CONSTRAINT t_key_not_null ON u IS 'odd';
    """,
}


@pytest.mark.parametrize("name", CATALOGS)
def test_pg_dump_sees_no_difference(any_server: Server, name: str) -> None:
    with court(any_server, CATALOGS[name]) as case:
        assert_whole_is_exact(case, any_server)


@pytest.mark.parametrize("name", ["odd names", "options", "sequences of all kinds", "families"])
@pytest.mark.parametrize(("one", "other"), [(15, 18), (18, 15), (17, 18), (18, 17)])
def test_the_script_of_one_version_makes_the_same_on_another(
    servers: Callable[[int], Server], one: int, other: int, name: str
) -> None:
    if not {one, other} <= set(MAJORS):
        pytest.skip("is not installed")
    server = servers(other)
    with court(servers(one), CATALOGS[name]) as case, court(server, CATALOGS[name]) as wanted:
        everything = whole(case.catalog, case.trace, form="objects")
        script = script_of(everything, case.snapshot())
        with server.create_database("taken", template="template0").connect() as connection:
            connection.execute(script.encode())
        try:
            for table in tables_of(wanted):
                taken, meant = dump(server, "taken", table), dump(server, wanted.database, table)
                assert list(map(nameless, taken)) == list(map(nameless, meant))
        finally:
            server.drop_database("taken")


def tables_of(case: Court) -> list[str]:
    return [unit.name for unit in case.trace.units if unit.kind == "table" and unit.dropped is None]


def nameless(line: str) -> str:
    """A line without a name for NOT NULL: only 18 has those, and an older one can't tell them."""
    return re.sub(r" CONSTRAINT \S+ NOT NULL", " NOT NULL", line)


@pytest.mark.parametrize("table", ["x", '"X y"', "x" * 60])
def test_a_not_null_has_its_own_name_though_a_partition_has_it_from_its_parent(
    server: Server, table: str
) -> None:
    with court(
        server,
        f"CREATE SCHEMA app; CREATE TABLE app.{table} (id bigint NOT NULL, n int DEFAULT 1 NOT NULL)"
        " PARTITION BY RANGE (id);",
        f"CREATE TABLE log PARTITION OF app.{table} FOR VALUES FROM (1) TO (2);",
        f"CREATE TABLE {table} PARTITION OF app.{table} FOR VALUES FROM (2) TO (3);",
    ) as case:
        case.assert_exact(f"public.{table}", f"app.{table}", "log")


def test_a_default_waits_for_the_identity_that_it_counts_with(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE a (id int, b bigint); CREATE TABLE z (id bigint GENERATED ALWAYS AS IDENTITY, x a);"
        "ALTER TABLE a ALTER b SET DEFAULT nextval('z_id_seq');",
    ) as case:
        case.assert_exact("a", "z")


def test_only_what_is_stored_another_way_needs_that_way(server: Server) -> None:
    with court(
        server,
        "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;",
        "CREATE TABLE b (i int PRIMARY KEY);",
        "CREATE TABLE d (i int PRIMARY KEY) USING heap2;",
    ) as case:
        case.assert_exact("b", "d")
