"""One proof, and the final DDL, of what a project's user asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pgslate.dump.kept_snapshot import definitions_of
from pgslate.errors import ProofError
from pgslate.project.project import Project, Selection
from pgslate.slices.lockfile import units_of
from pgslate.slices.proof import Proof, prove_one
from pgslate.slices.slice import Form


@dataclass(frozen=True)
class Proven:
    """A proof of the slice for ``tables``, for people and programs."""

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


def prove(project: Project, selection: Selection, *, form: Form = "files") -> Proven:
    """Apply the slice for the selection to an empty scratch database, and compare it with the whole catalog.

    Raises ProofError where the two differ and no widening mends it, TargetError where no server can be
    started.
    """
    tables = selection.tables or ("*",)
    asked = units_of(project.catalog, project.trace, tables)
    proof = prove_one(project.catalog, project.prelude, project.trace, asked, form)
    if proof.unproved:
        raise ProofError(
            f"the slice for {', '.join(tables)} could not be proved: {proof.unproved}",
            fix="make the migrations independent of time, chance and what is already there",
        )
    return Proven(tables, proof)


def snapshot(project: Project, selection: Selection, *, major: int | None = None) -> str:
    """The final DDL, and the rows that migrations seeded, of what the selection requires, as SQL to run.

    ``major`` is the version of the server that it is meant for. Raises TargetError where no server with
    pg_dump can be started.
    """
    chosen = project.slice(selection, form="objects")
    return definitions_of(chosen, prelude=project.prelude, major=major)
