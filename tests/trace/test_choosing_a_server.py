"""The scratch server is one that has what the catalog and its prelude need."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from tests.slices.judging import catalog_of

from pgslate.catalog.prelude import PreludeFile
from pgslate.catalog.server_needs import extensions, features
from pgslate.errors import MigrationFailedError, MissingExtensionError, SqlSyntaxError, TargetError
from pgslate.slices.proof import prove_one
from pgslate.slices.selection import select
from pgslate.targets.embedded import installations
from pgslate.targets.embedded.installations import Installation, features_of
from pgslate.targets.embedded.server import Server
from pgslate.trace.scratch_server import chosen, scratch_server
from pgslate.trace.trace_cache import trace_of

INSTALLED = installations.installations()


def of_major(major: int) -> Installation:
    found = [one for one in INSTALLED if one.major == major]
    if not found:
        pytest.skip(f"no PostgreSQL {major} is installed here")
    return found[0]


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("CREATE COLLATION c (provider = icu, locale = 'und')", {"icu"}),
        ('CREATE TABLE t (s text COLLATE "de-x-icu")', {"icu"}),
        ("CREATE TABLE t (doc xml DEFAULT '<a/>')", {"xml"}),
        ("CREATE VIEW v AS SELECT xmlelement(name a)", {"xml"}),
        ("CREATE TABLE t (s text COMPRESSION lz4)", {"lz4"}),
        ("CREATE TABLE t (xml int, icu int, lz4 int) -- provider = icu", set()),
    ],
)
def test_what_a_server_has_to_be_built_with_is_read_from_the_text(source: str, needed: set[str]) -> None:
    assert features(catalog_of(source)) == needed


@pytest.mark.parametrize("one", INSTALLED, ids=lambda one: one.version)
def test_what_a_server_was_built_with_is_what_it_does(one: Installation) -> None:
    tries = {
        "icu": "CREATE COLLATION built (provider = icu, locale = 'und')",
        "xml": "SELECT '<a/>'::xml",
        "lz4": "CREATE TABLE built (s text COMPRESSION lz4)",
    }
    found = set()
    with Server.start(installation=one) as server, server.target().connect(autocommit=True) as connection:
        for feature, statement in tries.items():
            try:
                connection.execute(statement)
            except psycopg.errors.FeatureNotSupported:
                continue
            found.add(feature)
    assert features_of(one) == found


def test_a_server_that_was_built_with_it_is_taken() -> None:
    able = [one for one in INSTALLED if "icu" in features_of(one)]
    if not able or len(able) == len(INSTALLED):
        pytest.skip("needs a server with ICU and one without")
    catalog = catalog_of('CREATE TABLE t (s text COLLATE "und-x-icu")')
    assert chosen(catalog, []) == able[0]


def test_the_prelude_counts_as_a_migration_does() -> None:
    catalog = catalog_of("CREATE TABLE t (i int)")
    prelude = [PreludeFile("pre.sql", "-- first\nCREATE EXTENSION IF NOT EXISTS pgcrypto;")]
    assert extensions(catalog, prelude) == {"pgcrypto": "pre.sql"}
    able = [one for one in INSTALLED if "pgcrypto" in one.extensions]
    if not able or "pgcrypto" in INSTALLED[0].extensions:
        pytest.skip("the best server has pgcrypto, or none has")
    with scratch_server(catalog, prelude) as server:
        assert server.installation.version == able[0].version


def test_a_prelude_whose_extension_nobody_has_is_named() -> None:
    prelude = [PreludeFile("pre.sql", "CREATE EXTENSION no_such_thing")]
    with pytest.raises(MissingExtensionError, match=r"no_such_thing, needed by pre\.sql"):
        chosen(catalog_of("SELECT 1"), prelude)


def test_the_major_asked_for_is_taken_also_where_code_mentions_an_extension() -> None:
    of_major(17)
    code = (
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN"
        " EXECUTE 'create extension vector'; END IF; END $$"
    )
    with scratch_server(catalog_of(code), major=17) as server:
        assert server.major == 17


def test_a_major_that_is_not_installed_is_an_error_but_not_where_it_is_only_preferred() -> None:
    catalog = catalog_of("CREATE TABLE t (i int)")
    with pytest.raises(TargetError, match="no PostgreSQL 9 is installed"), scratch_server(catalog, major=9):
        pass
    with scratch_server(catalog, like=9) as server:
        assert server.installation == chosen(catalog, []) or server.major == chosen(catalog, []).major


OLDER_ONLY = "CREATE TABLE t (i int); SELECT checkpoints_timed FROM pg_stat_bgwriter"
"""A column that PostgreSQL 17 moved to another view."""


def test_what_only_an_older_server_accepts_is_traced_and_proved_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_major(15)
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path))
    catalog = catalog_of(OLDER_ONLY)
    found = trace_of(catalog)
    assert found.server == 15
    for form in ("files", "objects"):
        proof, _ = prove_one(catalog, [], found, select(catalog, found, ["t"]), form)
        assert (proof.server, proof.unproved) == (15, "")


@pytest.mark.parametrize(
    ("source", "error"),
    [("SELECT no_such_function()", MigrationFailedError), ("SELECT FROM FROM x", SqlSyntaxError)],
)
def test_what_no_server_accepts_is_told_with_the_servers_that_were_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, error: type[Exception]
) -> None:
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path))
    with pytest.raises(error, match=r"No installed server runs it: PostgreSQL .*PGSLATE_POSTGRES"):
        trace_of(catalog_of(source))


HOLDING = {
    "a subscription": "CREATE SUBSCRIPTION held CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p"
    " WITH (connect = false, slot_name = 'elsewhere')",
    "a subscription that is enabled": "CREATE SUBSCRIPTION held CONNECTION 'host=127.0.0.1 port=1 dbname=x'"
    " PUBLICATION p WITH (connect = false); ALTER SUBSCRIPTION held ENABLE",
    "a replication slot": "SELECT pg_create_logical_replication_slot('held', 'pgoutput')",
}


@pytest.mark.parametrize("source", HOLDING.values(), ids=HOLDING)
def test_a_database_can_be_dropped_whatever_holds_it(source: str) -> None:
    with Server.start(settings={"wal_level": "logical", "max_wal_senders": "4"}) as server:
        held = server.create_database("held")
        with held.connect(autocommit=True) as connection:
            connection.execute(source)
        server.drop_database("held")
        with server.target().connect() as connection:
            left = connection.execute("SELECT FROM pg_database WHERE datname = 'held'").fetchall()
            slots = connection.execute("SELECT FROM pg_replication_slots").fetchall()
    assert (left, slots) == ([], [])


def test_a_database_with_a_prepared_transaction_can_be_dropped() -> None:
    with Server.start(settings={"max_prepared_transactions": "2"}) as server:
        with server.create_database("held").connect(autocommit=True) as connection:
            connection.execute("BEGIN; CREATE TABLE t (i int); PREPARE TRANSACTION 'held'")
        server.drop_database("held")


def test_a_catalog_with_a_subscription_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path))
    catalog = catalog_of(
        "CREATE TABLE t (i int)",
        "CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
    )
    found = trace_of(catalog)
    proof, _ = prove_one(catalog, [], found, select(catalog, found, []), "files")
    assert proof.unproved == ""
