"""Ready databases over HTTP, for tests in any language.

    POST   /databases          {"tables": ["orders"], "seconds": 600}   201  {"name": ..., "dsn": ..., ...}
                               {"contract": "till"}
    GET    /databases          200  {"databases": [{"name": ..., "what": ..., "until": ...}]}
    DELETE /databases/NAME     204
    GET    /healthz            200, or 503 if PostgreSQL can't be reached
    GET    /metrics            in the text format of Prometheus

The process keeps nothing: the registry on the server records who has which database, so that any replica can
answer, before and after a restart. An error is a JSON document with ``error``, ``message``, ``place`` and
``fix``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from pgslate.clones.databases import Databases
from pgslate.clones.registry import STATES
from pgslate.errors import UsageError
from pgslate.targets.url import url_with

if TYPE_CHECKING:
    pass

#: The lease of a database in seconds, if the request names none, and the longest.
HOUR = 3600.0
LONGEST = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: a status, and a document or a text of some type. ``allow`` lists methods, for a 405."""

    status: HTTPStatus
    document: Any = None
    text: str = ""
    type: str = "application/json"
    allow: str = ""

    @property
    def body(self) -> bytes:
        if self.document is not None:
            return (json.dumps(self.document) + "\n").encode()
        return self.text.encode()


class Service:
    """The answers of the service, without HTTP. ``advertise`` is a DSN with the host and port for clients."""

    def __init__(self, databases: Databases, *, advertise: str | None = None) -> None:
        self._databases = databases
        self._advertise = advertise
        self.requests: Counter[tuple[str, int]] = Counter()

    def create(self, document: Any) -> Answer:
        """Lease a database to a client."""
        tables, contracts, bundles, seconds, purpose = _read(document)
        clone = self._databases.database(*tables, contracts=contracts, bundles=bundles, purpose=purpose)
        self._databases.hand_over(clone, seconds, purpose)
        dsn = url_with(self._advertise or clone.dsn, dbname=clone.name)
        given = conninfo_to_dict(dsn)
        parts = {part: given.get(part) for part in ("host", "port", "dbname", "user", "password")}
        made = {"name": clone.name, "dsn": dsn, **parts, "seconds": seconds, "form": clone.form}
        return Answer(HTTPStatus.CREATED, made)

    def give_back(self, name: str) -> Answer:
        """Drop a database that this replica or another one leased."""
        if not self._databases.give_back(name):
            error = UsageError(f"no database {name!r} is leased", fix="see GET /databases")
            return Answer(HTTPStatus.NOT_FOUND, error.as_json())
        return Answer(HTTPStatus.NO_CONTENT)

    def list(self) -> Answer:
        """The databases that all replicas have leased."""
        leased = self._databases.registry.clones("taken")
        return Answer(
            HTTPStatus.OK,
            {
                "databases": [
                    {"name": one.name, "what": one.purpose, "until": one.until.isoformat()} for one in leased
                ]
            },
        )

    def health(self) -> Answer:
        """200 if PostgreSQL answers. Raises psycopg.Error if it doesn't."""
        self._databases.registry.ping()
        return Answer(HTTPStatus.OK, {"ok": True})

    def metrics(self) -> Answer:
        """The databases by state, from the registry that all replicas share; and the requests to this one."""
        states = Counter(one.state for one in self._databases.registry.clones(*STATES))
        lines = ["# TYPE pgslate_databases gauge"]
        lines += [f'pgslate_databases{{state="{state}"}} {states[state]}' for state in STATES]
        lines.append("# TYPE pgslate_requests_total counter")
        lines += [
            f'pgslate_requests_total{{method="{method}",status="{status}"}} {count}'
            for (method, status), count in sorted(self.requests.items())
        ]
        text = "\n".join(lines) + "\n"
        return Answer(HTTPStatus.OK, text=text, type="text/plain; version=0.0.4; charset=utf-8")


def _read(document: Any) -> tuple[list[str], list[str], list[str], float, str]:
    """The tables, contracts, bundles, seconds and purpose of a request. Raises UsageError."""
    if not isinstance(document, dict):
        raise UsageError("the body is no JSON object", fix='send {"tables": ["..."]} or {"contract": "..."}')
    known = ("tables", "table", "contract", "contracts", "bundle", "bundles", "seconds", "what")
    for name in document:
        if name not in known:
            raise UsageError(f"{name!r} is unknown", fix=f"use {', '.join(known)}")

    def names(plural: str, singular: str) -> list[str]:
        given = document.get(plural, [])
        if not (isinstance(given, list) and all(map(_is_text, given))):
            raise UsageError(f"{plural} is no list of names", fix=f'send "{plural}": ["..."]')
        one = document.get(singular)
        if one is not None and not _is_text(one):
            raise UsageError(f"{singular} is no name", fix=f'send "{singular}": "..."')
        return [*given, *([one] if one else [])]

    seconds = document.get("seconds", HOUR)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST:
        raise UsageError(f"seconds is {seconds!r}", fix=f"send a number from 1 to {LONGEST:.0f}")
    purpose = document.get("what", "")
    if not _is_text(purpose):
        raise UsageError("what is no text", fix='send "what": "..."')
    tables, contracts, bundles = (
        names("tables", "table"),
        names("contracts", "contract"),
        names("bundles", "bundle"),
    )
    if tables and (contracts or bundles):
        raise UsageError(
            "tables and a contract or bundle are in one request",
            fix="send the tables, or the contract or bundle",
        )
    return tables, contracts, bundles, float(seconds), purpose


def _is_text(value: Any) -> bool:
    """Whether PostgreSQL can hold the value as text: no NUL, and no half of a surrogate pair."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
