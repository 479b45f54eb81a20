"""One difference between what a database should hold and what it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from .model import Name

MISSING = "missing"
"""A difference's ``found`` where the object is not there at all."""

NOTHING = "nothing"
"""A difference's ``expected`` where no migration makes the object."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be.

    ``object`` and ``kind`` name it as ``pg_identify_object`` does; ``expected`` and ``found`` say what should
    be and what is, in a few words or as SQL; ``fix`` says what to do. ``of`` names the top-level
    object that it is about, where that is known.
    """

    object: str
    kind: str
    expected: str
    found: str
    fix: str
    of: Name | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.object}: expected {self.expected}, found {self.found}"

    def as_json(self) -> dict[str, str]:
        """The difference for programs."""
        return {
            "object": self.object,
            "kind": self.kind,
            "expected": self.expected,
            "found": self.found,
            "fix": self.fix,
        }
