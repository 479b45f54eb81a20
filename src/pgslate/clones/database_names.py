"""The names of the databases that pgslate makes. A name alone says who made the database and when.

pgslate_registry                 the registry of one server
pgslate_<hash12>                 a template; one that has this name is complete
pgslate_<hash12>_building        a template that is being made
pgslate_<hash12>_<uuid7>         a clone; the UUID (RFC 9562, version 7) begins with the time it was made
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

REGISTRY = "pgslate_registry"

_TEMPLATE = re.compile(r"pgslate_[0-9a-f]{12}")
_CLONE = re.compile(r"pgslate_([0-9a-f]{12})_([0-9a-f]{12})7[0-9a-f]{3}[89ab][0-9a-f]{15}")

CLONES = r"^pgslate_[0-9a-f]{12}_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$"
"""A regular expression, for PostgreSQL, that matches the names of clones."""

TEMPLATES = r"^pgslate_[0-9a-f]{12}(_building)?$"
"""A regular expression, for PostgreSQL, that matches the names of templates, complete or not."""

NEW_UUID7 = (
    "lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::int8), 12, '0')"
    " || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14)"
)
"""An SQL expression for a new UUID of version 7 by the server's clock, without hyphens."""


@dataclass(frozen=True, slots=True)
class CloneName:
    """The parts of a clone's name: its template, and when it was made by the server's clock."""

    template: str
    made: datetime


def template_name(key: str) -> str:
    """The name of the template with that key (64 hexadecimal digits).

    >>> template_name("0123456789abcdef" * 4)
    'pgslate_0123456789ab'
    """
    return f"pgslate_{key[:12]}"


def building_name(template: str) -> str:
    """The name that a template has until it is complete."""
    return f"{template}_building"


def clone_prefix(template: str) -> str:
    """The beginning of the names of a template's clones."""
    return f"{template}_"


def parse(name: str) -> CloneName | None:
    """The parts of a clone's name; None if the name is not that of a clone.

    >>> parse("pgslate_0123456789ab_019364b2f1007abc8123456789abcdef").made.isoformat()
    '2024-11-25T19:01:08.992000+00:00'
    >>> parse("pgslate_0123456789ab") is None and parse("pgslate_production") is None
    True
    """
    found = _CLONE.fullmatch(name)
    if found is None:
        return None
    milliseconds = int(found[2], 16)
    return CloneName(f"pgslate_{found[1]}", datetime.fromtimestamp(milliseconds / 1000, UTC))


def is_template(name: str) -> bool:
    """Whether the name is that of a complete template."""
    return _TEMPLATE.fullmatch(name) is not None
