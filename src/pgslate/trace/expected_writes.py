"""Which system catalogs a statement will write to, as those like it did: learned while a catalog is traced.

So they can be asked for in the message that the statement goes in. A wrong guess costs time and nothing else.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from pgslate.catalog.statements import Statement

_LOOKED_AT = 4000  # characters
_WORD = re.compile(r"[A-Za-z]+")
_KEYWORDS = frozenset(
    """
    ADD AS BIGSERIAL CHECK COLUMN COMMENT CONSTRAINT DEFAULT DROP EXCLUDE FOREIGN IDENTITY INDEX KEY NOT NULL
    OWNER PARTITION PRIMARY REFERENCES RENAME SERIAL SET TABLE TYPE UNIQUE VALIDATE VALUE
    """.split()  # noqa: SIM905
)

Shape = tuple[str, frozenset[str]]
"""What makes statements alike: their kind, and which of some words they have."""


class ExpectedWrites:
    """What was written by statements of each shape so far."""

    def __init__(self) -> None:
        self._written: dict[Shape, set[str]] = defaultdict(set)

    def of(self, statement: Statement) -> frozenset[str]:
        """The names of the catalogs that ``statement`` may write to."""
        return frozenset(self._written[_shape(statement)])

    def learn(self, statement: Statement, written: Iterable[str]) -> None:
        """Take in which catalogs ``statement`` wrote to."""
        self._written[_shape(statement)].update(written)


def _shape(statement: Statement) -> Shape:
    words = _WORD.findall(statement.text[:_LOOKED_AT].upper())
    return statement.kind, _KEYWORDS.intersection(words)
