"""``affected``: the contracts whose slice changed since a git revision."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgslate.errors import CatalogError, UsageError
from pgslate.project.project import Project
from pgslate.slices import lockfile
from pgslate.slices.slice import slice_of
from pgslate.trace.effects import Trace


@dataclass(frozen=True, slots=True)
class AffectedContract:
    """A contract whose slice is another than it was: statements that are new to it, and how many are gone.

    ``statements`` are (file, line, the statement's opening).
    """

    contract: str
    statements: tuple[tuple[str, int, str], ...]
    gone: int
    note: str = ""


@dataclass(frozen=True)
class AffectedResult:
    """The contracts whose statements changed since ``revision``, and those whose did not."""

    revision: str
    changes: tuple[AffectedContract, ...]
    untouched: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """``affected`` is a list of contracts, as a CI matrix wants it; ``changes`` says why."""
        return {
            "since": self.revision,
            "affected": [change.contract for change in self.changes],
            "untouched": list(self.untouched),
            "changes": [
                {
                    "contract": change.contract,
                    "statements": [
                        {"file": file, "line": line, "statement": text}
                        for file, line, text in change.statements
                    ],
                    "gone": change.gone,
                    "note": change.note,
                }
                for change in self.changes
            ],
        }


def affected(project: Project, revision: str) -> AffectedResult:
    """The contracts whose statements changed since a git revision, from its lock and today's catalog.

    A contract that the revision's lock doesn't have, or every one where the revision has no lock, counts as
    changed. Raises UsageError for an unknown revision, or outside a git checkout.
    """
    before = _lock_at(project, revision)
    changes: list[AffectedContract] = []
    untouched: list[str] = []
    for name, tables in project.contract_tables().items():
        change = _change(project, name, tables, before, revision)
        if change is None:
            untouched.append(name)
        else:
            changes.append(change)
    return AffectedResult(revision, tuple(changes), tuple(untouched))


def _change(
    project: Project, name: str, tables: tuple[str, ...], before: lockfile.Lock | None, revision: str
) -> AffectedContract | None:
    trace = project.trace
    asked = lockfile.units_of(project.catalog, trace, tables)
    now = slice_of(project.catalog, trace, asked, form="statements").effects
    if before is None:
        return AffectedContract(name, (), 0, f"not comparable: {revision} has no lock that can be read")
    known = before.slices.get(f"contract {name}", {}).get("statements")
    if known is None:
        return AffectedContract(name, (), 0, "the contract is new")
    then = [before.trace.effects[index].digest for index in sorted(known.replays)]
    today = [trace.effects[index].digest for index in sorted(now)]
    if then == today:
        return None
    new = [index for index in sorted(now) if trace.effects[index].digest not in then]
    places = tuple(_place(project, trace, index) for index in new)
    note = "" if places or len(then) != len(today) else "the statements stand in another order"
    return AffectedContract(name, places, sum(digest not in today for digest in then), note)


def _place(project: Project, trace: Trace, index: int) -> tuple[str, int, str]:
    effect = trace.effects[index]
    migration = project.catalog.migrations[effect.migration]
    return migration.file, effect.line, migration.statements[effect.statement].first_line


def _lock_at(project: Project, revision: str) -> lockfile.Lock | None:
    folder = project.lock_file.parent
    if _git(folder, "rev-parse", "--is-inside-work-tree") is None:
        raise UsageError(f"{folder} is not in a git checkout", fix="run it in the checkout of your project")
    if _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") is None:
        raise UsageError(
            f"git knows no revision {revision!r}",
            fix="give a commit, tag or branch; in CI, fetch the history first (fetch-depth: 0)",
        )
    text = _git(folder, "show", f"{revision}:./{project.lock_file.name}")
    try:
        return None if text is None else lockfile.loads(text, f"{project.lock_file.name} of {revision}")
    except CatalogError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, or None where it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607  whichever git the user has
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UsageError("git is not installed", fix="install git") from None
    return done.stdout.decode() if done.returncode == 0 else None
