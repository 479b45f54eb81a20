"""What a failed proof adds: as much as its failure names, and not the whole catalog."""

from __future__ import annotations

from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

# No table is needed for this to work, and yet what it says of one hangs on the others.
BY_COUNT = """DO $$ DECLARE found text; BEGIN
    FOR found IN SELECT relname FROM pg_class WHERE relname LIKE 'part\\_%' AND relkind = 'r' LOOP
        EXECUTE format('COMMENT ON COLUMN %I.id IS %L', found,
            (SELECT count(*) FROM pg_class WHERE relname LIKE 'part\\_%' AND relkind = 'r'));
    END LOOP; END $$"""


def test_what_a_statement_swept_together_comes_together_where_no_name_helps(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE part_one (id int);",
        "CREATE TABLE part_two (id int);",
        "CREATE TABLE other (id int);",
        BY_COUNT,
        "CREATE TABLE one_more (id int);",
    ) as case:
        proof = case.proof("part_one", "statements")
        assert not proof.fell_back
        assert len(proof.slice.effects) == 3
        assert case.difference_of(proof.slice, "part_one") == ""


def test_a_partition_in_the_way_whose_name_has_a_quote_is_found(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE items (id int) PARTITION BY RANGE (id); CREATE TABLE users (id int);",
        'CREATE TABLE "we""ird" (id int);'
        'ALTER TABLE items ATTACH PARTITION "we""ird" FOR VALUES FROM (1) TO (9);'
        "ALTER TABLE users ADD COLUMN name text;",
        'ALTER TABLE items DETACH PARTITION "we""ird";',
        "CREATE TABLE more PARTITION OF items FOR VALUES FROM (1) TO (9);"
        "ALTER TABLE users ADD COLUMN at date;",
        "DROP TABLE more;",
    ) as case:
        proof = case.proof("users", "files")
        assert not proof.fell_back
        assert case.difference_of(proof.slice, "users") == ""
