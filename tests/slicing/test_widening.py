"""What a failed proof adds: as much as its failure names, and not the whole catalog."""

from __future__ import annotations

from tests.slicing.judging import court

from pgslate.targets.embedded.server import Server

# For each table that is called so, a trigger on another one: only the name ties the two together.
BY_NAME = """DO $$ DECLARE found text; BEGIN
    FOR found IN SELECT relname FROM pg_class WHERE relname LIKE '%\\_deleted' AND relkind = 'r' LOOP
        EXECUTE format('CREATE TRIGGER note_it AFTER DELETE ON %I FOR EACH ROW EXECUTE FUNCTION note_it(%L)',
            split_part(found, '_deleted', 1), found);
    END LOOP; END $$"""
NOTE_IT = """CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('INSERT INTO %I SELECT $1', TG_ARGV[0]) USING OLD.id; RETURN OLD; END $$"""


def test_a_trigger_that_only_a_name_calls_for_brings_the_table_of_that_name(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int);",
        "CREATE TABLE orders (id int);",
        "CREATE TABLE users_deleted (id int);",
        "CREATE TABLE orders_deleted (id int);",
        "CREATE TABLE other (id int);",
        NOTE_IT,
        BY_NAME,
    ) as case:
        for form, files in (("files", 4), ("statements", 4)):
            proof = case.proof("users", form)  # type: ignore[arg-type]
            assert not proof.fell_back
            assert len(proof.slice.migrations) == files
            assert case.difference_of(proof.slice, "users") == ""


def test_what_a_statement_swept_together_comes_together_where_no_name_helps(server: Server) -> None:
    by_count = """DO $$ DECLARE found text; BEGIN
        FOR found IN SELECT relname FROM pg_class WHERE relname LIKE 'part\\_%' AND relkind = 'r' LOOP
            EXECUTE format('COMMENT ON COLUMN %I.id IS %L', found,
                (SELECT count(*) FROM pg_class WHERE relname LIKE 'part\\_%' AND relkind = 'r'));
        END LOOP; END $$"""
    with court(
        server,
        "CREATE TABLE part_one (id int);",
        "CREATE TABLE part_two (id int);",
        "CREATE TABLE other (id int);",
        by_count,
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
