"""One difference between what a database should hold and what it holds."""

from __future__ import annotations

from dataclasses import dataclass

MISSING = "missing"
"""A difference's ``found`` where the object is not there at all."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be.

    ``object`` and ``kind`` name it as ``pg_identify_object`` does; ``expected`` and ``found`` say what should
    be and what is, in a few words or as SQL; ``fix`` says what to do.
    """

    object: str
    kind: str
    expected: str
    found: str
    fix: str

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
