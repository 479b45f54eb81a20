"""Tables without a key, foreign keys without an index, indexes made twice."""

from __future__ import annotations

from .conftest import Folder, Found


def test_a_table_without_a_primary_key_is_found_where_it_is_made(folder: Folder, found: Found) -> None:
    project = folder({"1_a.sql": "CREATE TABLE a (i int PRIMARY KEY);\nCREATE TABLE b (i int);"})
    (finding,) = found("no-primary-key", project)
    assert (finding.file, finding.line, finding.object) == ("1_a.sql", 2, "public.b")


def test_partitions_and_what_was_there_before_are_not_blamed(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_a.sql": "CREATE TABLE a (d date PRIMARY KEY) PARTITION BY RANGE (d);"
            "CREATE TABLE a1 PARTITION OF a FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');",
            "../prelude.sql": "CREATE TABLE theirs (i int);",
        },
        '[prelude]\nfiles = ["prelude.sql"]\n',
    )
    assert found("no-primary-key", project) == []


def test_a_foreign_key_needs_an_index_that_begins_with_its_columns(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_a.sql": "CREATE TABLE a (x int, y int, PRIMARY KEY (x, y));"
            "CREATE TABLE one (i int PRIMARY KEY);",
            "2_good.sql": """CREATE TABLE good
                (x int, y int, o int REFERENCES one, FOREIGN KEY (x, y) REFERENCES a);
                CREATE INDEX ON good (y, x, o); CREATE INDEX ON good (o) WHERE o IS NOT NULL;""",
            "3_bad.sql": """CREATE TABLE bad (x int, y int, o int);
                CREATE INDEX ON bad (x); CREATE INDEX ON bad (lower(o::text), o);
                CREATE INDEX ON bad (o) WHERE o > 5;
ALTER TABLE bad ADD FOREIGN KEY (x, y) REFERENCES a;
ALTER TABLE bad ADD FOREIGN KEY (o) REFERENCES one;""",
        }
    )
    findings = found("foreign-key-index", project)
    assert [(each.file, each.line) for each in findings] == [("3_bad.sql", 4), ("3_bad.sql", 5)]
    assert findings[0].fix == "CREATE INDEX ON public.bad (x, y)"


def test_an_index_made_twice_is_found_and_the_one_with_a_duty_is_kept(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_a.sql": "CREATE TABLE a (i int PRIMARY KEY, n text); CREATE INDEX by_n ON a (n);",
            "2_b.sql": "CREATE INDEX by_i ON a (i);\nCREATE INDEX by_n_again ON a USING btree (n ASC);"
            "CREATE INDEX other ON a (n DESC);",
        }
    )
    assert [(f.line, f.message) for f in found("duplicate-index", project)] == [
        (1, "public.by_i indexes what public.a_pkey does"),
        (2, "public.by_n_again indexes what public.by_n does"),
    ]


def test_of_two_constraints_that_say_the_same_the_primary_key_stays(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_w.sql": "CREATE TABLE w (name text NOT NULL CONSTRAINT a_unique UNIQUE);"
            "CREATE TABLE v (id int PRIMARY KEY, w text REFERENCES w (name));"
            "ALTER TABLE w ADD CONSTRAINT w_pkey PRIMARY KEY (name);",
        }
    )
    (finding,) = found("duplicate-index", project)
    assert finding.message == "public.a_unique indexes what public.w_pkey does"
    assert finding.fix.startswith("ALTER TABLE public.w DROP CONSTRAINT a_unique")
