"""What a statement reads and writes through another relation: partitions, inheritance children, views."""

# ruff: noqa: S608  the SQL written here is the test itself

from __future__ import annotations

import pytest
from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

SALES = (
    "CREATE TABLE sales (region text, total int) PARTITION BY LIST (region);"
    "CREATE TABLE sales_eu PARTITION OF sales FOR VALUES IN ('eu');"
    "CREATE TABLE noise (i int);"
    "INSERT INTO sales VALUES ('eu', 10);"
)
US = "CREATE TABLE sales_us PARTITION OF sales FOR VALUES IN ('us'); INSERT INTO sales_us VALUES ('us', 32);"
READ = "CREATE TABLE yearly (total int); INSERT INTO yearly SELECT sum(total) FROM sales;"


@pytest.mark.parametrize(
    "between",
    [
        [US],
        [US, "ALTER TABLE sales DETACH PARTITION sales_us;"],
        [US, "DROP TABLE sales_us;"],
        [US, "TRUNCATE sales_us;"],
        [US, "UPDATE sales_us SET total = 5;"],
        [US, "DELETE FROM sales WHERE region = 'us';"],
        [US, "TRUNCATE sales;"],
        [
            "CREATE TABLE apart (region text, total int); INSERT INTO apart VALUES ('us', 7);",
            "ALTER TABLE sales ATTACH PARTITION apart FOR VALUES IN ('us');",
        ],
        ["CREATE TABLE rest PARTITION OF sales DEFAULT;", "INSERT INTO sales VALUES ('jp', 9);"],
        [
            "CREATE TABLE us PARTITION OF sales FOR VALUES IN ('us') PARTITION BY RANGE (total);",
            "CREATE TABLE us_low PARTITION OF us FOR VALUES FROM (0) TO (100);",
            "INSERT INTO us_low VALUES ('us', 40);",
        ],
    ],
)
def test_a_partitioned_table_is_read_through_its_partitions(server: Server, between: list[str]) -> None:
    with court(server, SALES, *between, "CREATE TABLE unrelated (i int);", READ) as case:
        case.assert_same_rows("yearly", "sales_eu")
        assert str(len(between) + 2) not in case.files("yearly")
        assert not any("noise" in text for text in case.statements("yearly"))


@pytest.mark.parametrize(
    "between",
    ["ALTER TABLE sales DETACH PARTITION sales_us;", "DROP TABLE sales_us;", "TRUNCATE sales_us;"],
)
def test_a_partition_of_the_same_file_is_not_read_after_it_went(server: Server, between: str) -> None:
    with court(server, SALES + US, between, READ) as case:
        assert case.files("yearly") == ["1", "2", "3"]
        case.assert_same_rows("yearly")
        case.assert_exact("sales")


def test_a_subpartition_that_went_is_not_read_through_its_grandparent(server: Server) -> None:
    with court(
        server,
        SALES + "CREATE TABLE us PARTITION OF sales FOR VALUES IN ('us') PARTITION BY RANGE (total);"
        "CREATE TABLE us_low PARTITION OF us FOR VALUES FROM (0) TO (100);"
        "INSERT INTO us_low VALUES ('us', 40);",
        "ALTER TABLE us DETACH PARTITION us_low;",
        READ,
    ) as case:
        case.assert_same_rows("yearly")


ANIMALS = "CREATE TABLE animals (name text); INSERT INTO animals VALUES ('any');"
DOGS = "CREATE TABLE dogs (breed text) INHERITS (animals); INSERT INTO dogs VALUES ('rex', 'lab');"


@pytest.mark.parametrize(
    "sources",
    [
        [ANIMALS, DOGS],
        [ANIMALS, DOGS, "INSERT INTO dogs VALUES ('pip', 'pug');"],
        [ANIMALS, DOGS, "ALTER TABLE dogs NO INHERIT animals;"],
        [ANIMALS + DOGS, "ALTER TABLE dogs NO INHERIT animals;"],
        [ANIMALS + DOGS, "DROP TABLE dogs;"],
        [
            ANIMALS,
            "CREATE TABLE cats (name text); INSERT INTO cats VALUES ('tom');",
            "ALTER TABLE cats INHERIT animals;",
        ],
        [ANIMALS, DOGS, "CREATE TABLE pups () INHERITS (dogs); INSERT INTO pups VALUES ('bit', 'lab');"],
        [ANIMALS, DOGS, "UPDATE animals SET name = upper(name);"],
        [ANIMALS, DOGS, "DELETE FROM animals WHERE name = 'rex';"],
    ],
)
@pytest.mark.parametrize(
    "read",
    [
        "CREATE TABLE names AS SELECT name FROM animals;",
        "CREATE TABLE names (name text); DO $$ BEGIN INSERT INTO names SELECT name FROM animals; END $$;",
        "CREATE TABLE names (name text); MERGE INTO names USING animals ON false"
        " WHEN NOT MATCHED THEN INSERT VALUES (animals.name);",
    ],
)
def test_a_parent_is_read_with_its_children(server: Server, sources: list[str], read: str) -> None:
    with court(server, *sources, "CREATE TABLE unrelated (i int);", read) as case:
        case.assert_same_rows("names")
        assert str(len(sources) + 1) not in case.files("names")


def test_only_a_parent_is_read_without_its_children(server: Server) -> None:
    with court(server, ANIMALS, DOGS, "CREATE TABLE names AS SELECT name FROM ONLY animals;") as case:
        assert case.files("names") == ["1", "3"]
        case.assert_same_rows("names")


def test_a_view_is_read_with_the_rows_of_its_tables(server: Server) -> None:
    with court(
        server,
        ANIMALS + "CREATE VIEW all_animals AS SELECT * FROM animals;"
        "CREATE VIEW short_names AS SELECT left(name, 2) AS name FROM all_animals;",
        "INSERT INTO animals VALUES ('pig');",
        DOGS,
        "CREATE TABLE unrelated (i int);",
        "CREATE TABLE names AS SELECT name FROM short_names;",
    ) as case:
        assert case.files("names") == ["1", "2", "3", "5"]
        case.assert_same_rows("names")


def test_a_materialized_view_is_filled_from_its_tables(any_server: Server) -> None:
    with court(
        any_server,
        ANIMALS + "CREATE MATERIALIZED VIEW kept AS SELECT name FROM animals;",
        DOGS,
        "REFRESH MATERIALIZED VIEW kept;",
        "INSERT INTO animals VALUES ('late');",
        "CREATE TABLE names AS SELECT name FROM kept;",
    ) as case:
        assert case.files("names") == ["1", "2", "3", "5"]
        case.assert_same_rows("names")


def test_a_function_reads_through_the_parent_that_it_names(server: Server) -> None:
    with court(
        server,
        ANIMALS + "CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM animals';",
        DOGS,
        "CREATE TABLE counted (n bigint); INSERT INTO counted SELECT how_many();",
    ) as case:
        assert case.files("counted") == ["1", "2", "3"]
        case.assert_same_rows("counted")


def test_truncate_cascade_empties_what_refers_to_the_table(any_server: Server) -> None:
    with court(
        any_server,
        "CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users VALUES (1);"
        "CREATE TABLE orders (user_id int REFERENCES users); INSERT INTO orders VALUES (1);",
        "TRUNCATE users CASCADE;",
    ) as case:
        case.assert_same_rows("orders", "users")
        assert case.files("orders") == ["1", "2"]
