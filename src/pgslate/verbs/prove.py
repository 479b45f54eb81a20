"""``prove``: apply a slice to an empty scratch database, and compare the outcome with the whole catalog's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pgslate.dump.definitions import unavailable
from pgslate.errors import ProofError
from pgslate.slices.lockfile import units_of
from pgslate.slices.proof import Proof, prove_one
from pgslate.slices.slice import Slice


@dataclass(frozen=True)
class ProveResult:
    """A proof of the slice for ``tables``; it may have had to be wider than the slice that was asked for."""

    tables: tuple[str, ...]
    proof: Proof

    def as_json(self) -> dict[str, Any]:
        """The proof for programs."""
        found = self.proof.slice
        return {
            "tables": list(self.tables),
            "form": found.form,
            "server": self.proof.server,
            "statements": len(found.effects),
            "of": len(found.trace.effects),
            "required": [str(found.trace.units[unit]) for unit in sorted(found.required)],
            "migrations": [migration.file for migration in found.files],
            "failures": list(self.proof.failures),
            "fell_back": self.proof.fell_back,
        }


def prove(slice_: Slice) -> ProveResult:
    """Prove ``slice_`` now, in its form, whatever the lock or the cache say of it.

    Raises ProofError where its outcome differs from the whole catalog's and no widening mends it, TargetError
    where no scratch server can be started.
    """
    tables = slice_.tables or ("*",)
    asked = units_of(slice_.catalog, slice_.trace, tables)
    proof, _ = prove_one(slice_.catalog, slice_.prelude, slice_.trace, asked, slice_.form)
    if proof.is_unavailable:
        raise unavailable(tables, proof.unproved)
    if proof.unproved:
        raise ProofError(
            f"the slice for {', '.join(tables)} could not be proved: {proof.unproved}",
            fix="make the migrations independent of time, chance and what is already there",
        )
    return ProveResult(tables, proof)
