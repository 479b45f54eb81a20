"""``pgslate.lock`` of a project: written, checked, and compared with that of a git revision."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgslate.errors import CatalogError, ConfigError, LockVersionError, PgslateError, UnseenError, UsageError
from pgslate.project.project import Project
from pgslate.slices import lockfile
from pgslate.slices.slice import FORMS, Form, slice_of
from pgslate.trace.effects import Trace

Steps = Callable[[int, int], None]
"""Told after each proof how many are done, and how many there are."""


@dataclass(frozen=True)
class Locked:
    """A lock as it was written to ``path``; ``changed`` says whether the file is another than before."""

    path: Path
    lock: lockfile.Lock
    changed: bool

    @property
    def widened(self) -> Mapping[str, tuple[str, ...]]:
        """The slices that a failed proof made larger, each with what the failures said."""
        return {
            f"{subject} ({form})": proved.widening.why
            for subject, form, proved in self._sorted()
            if proved.widening.why and not proved.unproved
        }

    @property
    def unproved(self) -> Mapping[str, str]:
        """The slices that could not be proved, each with why; these can't be used."""
        return {
            f"{subject} ({form})": proved.unproved
            for subject, form, proved in self._sorted()
            if proved.unproved
        }

    def _sorted(self) -> Iterator[tuple[lockfile.Subject, Form, lockfile.Proved]]:
        """The slices by kind, name and form, as the lock has them."""
        for subject, forms in sorted(self.lock.slices.items()):
            yield from ((subject, form, forms[form]) for form in FORMS if form in forms)

    @property
    def unseen(self) -> tuple[tuple[str, int, str], ...]:
        """What observation can't see and no hint answers: (file, line, what) of each."""
        return _unseen(self.lock.trace, self.lock.files)

    def as_json(self) -> dict[str, Any]:
        """The outcome for programs."""
        return {
            "lock": str(self.path),
            "changed": self.changed,
            "migrations": len(self.lock.trace.migrations),
            "slices": sum(map(len, self.lock.slices.values())),
            "widened": {name: list(why) for name, why in self.widened.items()},
            "unproved": dict(self.unproved),
            "unseen": [{"file": file, "line": line, "what": what} for file, line, what in self.unseen],
        }


def lock(
    project: Project, *, workers: int | None = None, proving: Steps | None = None, strict: bool = False
) -> Locked:
    """Trace, slice and prove the project's catalog, and write its lock; what has not changed is kept.

    ``workers`` is how many servers prove side by side (None: one a core). Raises MigrationFailedError where a
    migration fails, TargetError where no server can be started, ConfigError where the lock can't be written;
    and with ``strict`` UnseenError where something can't be seen by tracing and no hint answers it. Raises
    UsageError where the lock in the place of this one is another catalog's.
    """
    _refuse_anothers(project)
    found = lockfile.lock(
        project.catalog,
        path=project.lock_file,
        contracts=_contracts(project),
        prelude=project.prelude,
        workers=workers or os.cpu_count() or 1,
        tracing=project.progress,
        proving=proving,
    )
    if strict:
        _refuse(found.trace, project)
    path, text = project.lock_file, lockfile.dumps(found)
    changed = not path.exists() or path.read_bytes() != text.encode()
    if changed:
        try:
            _write(path, text)
        except OSError as error:
            raise ConfigError(
                f"{path} can't be written: {error.strerror}", fix="make its folder writable"
            ) from None
    return Locked(path, found, changed)


def _refuse_anothers(project: Project) -> None:
    """Raise UsageError where two folders without a configuration would share the lock beside them."""
    if project.config.file is not None:
        return
    try:
        there = lockfile.read(project.lock_file)
    except PgslateError:
        return
    own = {migration.checksum for migration in project.catalog}
    if there is not None and own.isdisjoint(checksum for _, checksum in there.trace.migrations):
        raise UsageError(
            f"{project.lock_file} is another catalog's: it has no migration of {project.catalog.root}",
            fix="give each of the catalogs a pgslate.toml of its own; or remove it",
        )


def _write(path: Path, text: str) -> None:
    """Write the file so that whoever interrupts it finds the old one; a link stays one, the mode stays."""
    place = path.resolve()
    aside = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        if place.exists():
            shutil.copymode(place, aside)
        aside.replace(place)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def refuse_unseen(project: Project) -> None:
    """Raise UnseenError where the project's trace is uncertain and no hint answers."""
    _refuse(project.trace, project)


def _refuse(trace: Trace, project: Project) -> None:
    places = _unseen(trace, {m.version: m.file for m in project.catalog})
    if places:
        listed = "".join(f"\n  {file}:{line}: {what}" for file, line, what in places)
        raise UnseenError(
            f"tracing can't see all that the migrations do:{listed}",
            fix="say it in a comment above the statement: `-- pgslate: requires TABLE[, TABLE]`, "
            "`-- pgslate: provides TABLE`, or `-- pgslate: requires nothing`",
            places=places,
        )


def _unseen(trace: Trace, files: Mapping[str, str]) -> tuple[tuple[str, int, str], ...]:
    return tuple(
        (files.get(trace.migrations[each.migration][0], ""), each.line, each.what) for each in trace.uncertain
    )


def stale(project: Project) -> list[str]:
    """What has changed since the project's lock was written, a sentence each; nothing is traced."""
    try:
        found = lockfile.read(project.lock_file)
    except LockVersionError as error:
        return [error.message]
    if found is None:
        return [f"there is no {project.lock_file}"]
    return found.stale(project.catalog, _contracts(project), project.prelude)


@dataclass(frozen=True, slots=True)
class Change:
    """A contract whose slice is another than it was: statements that are new to it, and how many are gone.

    ``statements`` are (file, line, the statement's opening).
    """

    contract: str
    statements: tuple[tuple[str, int, str], ...]
    gone: int
    note: str = ""


@dataclass(frozen=True)
class Affected:
    """The contracts whose statements changed since ``revision``, and those whose did not."""

    revision: str
    changes: tuple[Change, ...]
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


def affected(project: Project, revision: str) -> Affected:
    """The contracts whose statements changed since a git revision, from its lock and today's catalog.

    A contract that the revision's lock doesn't have, or every one where the revision has no lock, counts as
    changed. Raises UsageError for an unknown revision, or outside a git checkout.
    """
    before = _lock_at(project, revision)
    changes: list[Change] = []
    untouched: list[str] = []
    for name, tables in _contracts(project).items():
        change = _change(project, name, tables, before)
        if change is None:
            untouched.append(name)
        else:
            changes.append(change)
    return Affected(revision, tuple(changes), tuple(untouched))


def _change(
    project: Project, name: str, tables: tuple[str, ...], before: lockfile.Lock | None
) -> Change | None:
    trace = project.trace
    asked = lockfile.units_of(project.catalog, trace, tables)
    now = slice_of(project.catalog, trace, asked, form="statements").effects
    if before is None:
        return Change(name, (), 0, "there was no lock that can be read")
    known = before.slices.get(f"contract {name}", {}).get("statements")
    if known is None:
        return Change(name, (), 0, "the contract is new")
    then = [before.trace.effects[index].digest for index in sorted(known.replays)]
    today = [trace.effects[index].digest for index in sorted(now)]
    if then == today:
        return None
    new = [index for index in sorted(now) if trace.effects[index].digest not in then]
    places = tuple(_place(project, trace, index) for index in new)
    note = "" if places or len(then) != len(today) else "the statements stand in another order"
    return Change(name, places, sum(digest not in today for digest in then), note)


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


def _contracts(project: Project) -> dict[str, tuple[str, ...]]:
    """The contracts' tables, by name; a partition that only a policy makes stands for its table."""
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(project.config.contracts):
        chosen = project.selection(contracts=[name])
        found[name] = tuple(sorted(chosen.tables)) or ("*",)
    return found
