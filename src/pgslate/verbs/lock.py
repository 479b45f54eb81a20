"""``lock``: trace a project's catalog, prove its slices, and write ``pgslate.lock``; or check that file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgslate.errors import ConfigError, LockVersionError, PgslateError, UnseenError, UsageError
from pgslate.project.project import Project
from pgslate.slices import lockfile
from pgslate.slices.slice import FORMS, Form
from pgslate.trace.effects import Trace

Steps = Callable[[int, int], None]
"""Called after each proof with how many are done, and how many there are."""


@dataclass(frozen=True)
class LockResult:
    """A lock as it was written to ``path``; ``changed`` says whether the file is another than before."""

    path: Path
    lock: lockfile.Lock
    changed: bool

    @property
    def widened(self) -> Mapping[str, tuple[str, ...]]:
        """The slices that a failed proof made larger, each with the messages of the failures."""
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
            if proved.unproved and not proved.is_unavailable
        }

    @property
    def unavailable(self) -> Mapping[str, str]:
        """The slices that PostgreSQL can't make in one form, each with the cause; other forms are proved."""
        return {
            f"{subject} ({form})": proved.unproved
            for subject, form, proved in self._sorted()
            if proved.is_unavailable
        }

    def _sorted(self) -> Iterator[tuple[lockfile.Subject, Form, lockfile.Proved]]:
        """The slices by kind, name and form, as the lock has them."""
        for subject, forms in sorted(self.lock.slices.items()):
            yield from ((subject, form, forms[form]) for form in FORMS if form in forms)

    @property
    def changing(self) -> tuple[str, ...]:
        """What came out otherwise on each replay of the catalog: ``public.users.created_at``, or a table's or
        sequence's name where that is true of all of it."""
        found: list[str] = []
        for name, columns in sorted(self.lock.reference.changing.items()):
            found += [name] if "*" in columns else [f"{name}.{column}" for column in columns]
        return tuple(found)

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
            "unavailable": dict(self.unavailable),
            "changing": list(self.changing),
            "unseen": [{"file": file, "line": line, "what": what} for file, line, what in self.unseen],
        }


def lock(
    project: Project, *, workers: int | None = None, proving: Steps | None = None, strict: bool = False
) -> LockResult:
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
        contracts=project.contract_tables(),
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
    return LockResult(path, found, changed)


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


@dataclass(frozen=True, slots=True)
class LockCheck:
    """Whether the lock at ``path`` is up to date; ``stale`` says what has changed, a sentence each."""

    path: Path
    stale: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing has changed since the lock was written."""
        return not self.stale

    def as_json(self) -> dict[str, Any]:
        """``ok`` and ``stale``."""
        return {"ok": self.ok, "stale": list(self.stale)}


def check_lock(project: Project, *, strict: bool = False) -> LockCheck:
    """Compare the project's lock with its catalog, prelude, session and contracts; nothing is traced.

    With ``strict`` raises UnseenError where something can't be seen by tracing and no hint answers it. Raises
    CatalogError where the lock is damaged.
    """
    path = project.lock_file
    try:
        found = lockfile.read(path)
    except LockVersionError as error:
        return LockCheck(path, (error.message,))
    if found is None:
        return LockCheck(path, (f"there is no {path}",))
    stale = found.stale(project.catalog, project.contract_tables(), project.prelude)
    if strict and not stale:
        _refuse(found.trace, project)
    return LockCheck(path, tuple(stale))
