"""Liquibase: changesets in formatted SQL, in the order of a changelog in XML, YAML or JSON, or else by the
names of their files.

One migration is one changeset: a file grows by changesets, and each has its own identity, transaction and
rule of when to run again. Its version is what Liquibase calls it, ``file::id::author``, its name what the
annotation says, ``author:id``. A changeset in XML or YAML is a program, in the house's words.

Source: Liquibase, ``FormattedSqlChangeLogParser.java`` and ``DatabaseChangeLog.java`` (see
``liquibase_sql``, ``liquibase_changelog``); ``SqlChangeLogParser.java``: an SQL file that is not formatted is
one changeset, ``raw`` by ``includeAll``; ``ExpressionExpander.java``: an unknown ``${name}`` stays as it is,
which is an error where it can't be SQL. ``runOnChange`` and ``runAlways`` both run again when they change, in
their place; one that hasn't run is run wherever it stands. Preconditions ask what a database holds, and are
taken to be fulfilled by one that this catalog made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, CodeMigrationError, DuplicateVersionError, Place
from pgslate.formats import liquibase_changelog as changelogs
from pgslate.formats import liquibase_sql as formatted
from pgslate.formats import naming, templates
from pgslate.formats.listing import Listing, Options

name = "liquibase"
substitutes = True
adds_anywhere = True

_BUILT_IN = {
    "database.typeName": "postgresql",
    "database.defaultSchemaName": "public",
    "database.liquibaseSchemaName": "public",
    "database.databaseChangeLogTableName": "databasechangelog",
}


def recognise(listing: Listing) -> str | None:
    for file in listing.top:
        if file.lower().endswith(".sql") and _is_formatted(listing, file):
            return f"{file} begins with '--liquibase formatted sql'"
    changelog = next(iter(_changelogs(listing)), None)
    if changelog:
        return f"{changelog} is a changelog"
    below = next((f for f in listing.files if f.lower().endswith(".sql")), None)
    if below and not any(f.lower().endswith(".sql") for f in listing.top) and _is_formatted(listing, below):
        return f"{below} begins with '--liquibase formatted sql'"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    return tuple(_reading(listing, options).migrations.values())


def rollbacks(listing: Listing, options: Options) -> dict[str, str]:
    """The SQL that takes a changeset back, by its version; on the lines that the changeset is on."""
    reading = _reading(listing, options)
    migrations = {version: reading.migrations[version] for version in reading.rollbacks}
    return {
        version: reading.filled(reading.rollbacks[version], migration.file, migration.first_line)
        for version, migration in migrations.items()
    }


def _reading(listing: Listing, options: Options) -> _Reading:
    reading = _Reading(listing, options)
    root = _root(listing)
    if root:
        reading.changelog(root)
        _refuse_unnamed(listing, reading.files, root)
    else:
        for file in _by_name(listing):
            reading.file(file)
    return reading


@dataclass
class _Reading:
    """One pass over a folder: the changesets so far, and the properties set so far."""

    listing: Listing
    options: Options
    migrations: dict[str, Migration] = field(default_factory=dict)  # by version
    rollbacks: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    _properties: dict[str, str] = field(default_factory=dict)
    _open: tuple[str, ...] = ()

    def changelog(self, file: str) -> None:
        """The changesets that a changelog includes, and those that the changelogs it includes do."""
        if file in self._open:
            raise CatalogError(
                f"{file} includes itself, by way of {self._open[-1]}", fix="take out one of the includes"
            )
        before, self._open = self._open, (*self._open, file)
        self.files.append(file)
        entries = changelogs.entries(self.listing, file)
        if not self.options.skip_code:
            _refuse_code(file, entries)
        for entry in entries:
            context = entry["contextFilter"] or entry["context"]
            if entry.is_set("ignore") or not formatted.runs_without_contexts(context):
                continue
            if entry.kind == "property" and formatted.is_for_postgresql(entry["dbms"]):
                self._properties.setdefault(entry["name"], entry["value"])
            elif entry.kind in ("include", "includeAll"):
                for each in changelogs.included(self.listing, file, entry):
                    self._include(each, entry.place)
            elif entry.kind not in changelogs.PASSED_OVER:
                raise CatalogError(
                    f"pgslate doesn't know what {entry.kind} does to the changesets",
                    place=entry.place,
                    fix="write what it does into the changesets, and take it out",
                )
        self._open = before

    def _include(self, file: str, place: Place) -> None:
        if file.lower().endswith(".sql"):
            self.file(file)
        elif changelogs.is_changelog(self.listing, file):
            self.changelog(file)
        else:
            raise CatalogError(
                f"{file} is no changelog that pgslate reads",
                place=place,
                fix="write it as SQL, or take out the include",
            )

    def file(self, file: str) -> None:
        """The changesets of an SQL file."""
        self.files.append(file)
        if not _is_formatted(self.listing, file):
            stem = PurePosixPath(file).stem
            self._add(f"{file}::raw::includeAll", stem, file, self.listing.text(file), 1)
            return
        found = formatted.parse(self.listing.text(file), file)
        for key, value in found.properties.items():
            self._properties.setdefault(key, value)
        for each in found.changesets:
            if each.runs:
                self._add(
                    each.version,
                    f"{each.author}:{each.id}",
                    file,
                    each.source,
                    each.first_line,
                    transactional=each.transactional,
                    repeatable=each.repeatable,
                )
                if each.rollback:
                    self.rollbacks[each.version] = each.rollback

    def _add(
        self,
        version: str,
        name: str,
        file: str,
        source: str,
        first_line: int,
        *,
        transactional: bool = True,
        repeatable: bool = False,
    ) -> None:
        before = self.migrations.get(version)
        if before and (before.file, before.first_line) == (file, first_line):
            raise DuplicateVersionError(f"{file} is included twice", fix="include it once", files=(file,))
        if before:
            raise DuplicateVersionError(
                f"the changeset {version} stands twice: in {before.file}:{before.first_line - 1} and in"
                f" {file}:{first_line - 1}",
                fix="give one of them an id of its own, or include its file once",
                files=(before.file, file),
            )
        self.migrations[version] = Migration(
            version=version,
            name=name,
            file=file,
            source=self.filled(source, file, first_line),
            order=(len(self.migrations),),
            first_line=first_line,
            transactional=transactional,
            repeatable=repeatable,
        )

    def filled(self, source: str, file: str, first_line: int) -> str:
        """``source`` with its properties filled in."""
        values = {**_BUILT_IN, **self._properties, **self.options.defines}

        def value(found: re.Match[str]) -> str | None:
            given = values.get(found["name"])
            if given is None and not templates.stands_plainly(source, found.start()):
                return found.group()
            return given

        return templates.fill(source, templates.BRACED, value, file=file, first_line=first_line)


def _is_formatted(listing: Listing, file: str) -> bool:
    return formatted.HEADER.match(listing.text(file).lstrip()) is not None


def _by_name(listing: Listing) -> Iterator[str]:
    for file in listing.files:
        if not file.lower().endswith(".sql") or naming.is_among_undos(file):
            continue
        if _is_formatted(listing, file) or not _is_no_migration(file.rsplit("/", 1)[-1]):
            yield file


def _is_no_migration(name: str) -> bool:
    return naming.is_undo(name) or naming.is_bystander(name)


def _changelogs(listing: Listing) -> Iterator[str]:
    return (file for file in listing.top if changelogs.is_changelog(listing, file))


def _root(listing: Listing) -> str | None:
    """The changelog that no other includes. Raises CatalogError where there are several."""
    found = tuple(_changelogs(listing))
    named = {
        each
        for file in found
        for entry in changelogs.entries(listing, file)
        if entry.kind in ("include", "includeAll")
        for each in changelogs.included(listing, file, entry)
    }
    roots = [file for file in found if file not in named] or list(found[:1])
    if len(roots) > 1:
        raise CatalogError(
            f"there are {len(roots)} changelogs, and none includes another: {', '.join(roots)}",
            fix=f'leave out those that are not the root, such as ignore = ["{roots[-1]}"] in pgslate.toml',
        )
    return roots[0] if roots else None


def _refuse_code(file: str, entries: Iterable[changelogs.Entry]) -> None:
    code = [entry for entry in entries if entry.kind == "changeSet"]
    if code:
        language = "XML" if file.lower().endswith(".xml") else "JSON" if file.endswith(".json") else "YAML"
        some = ", ".join(f"{entry['author']}:{entry['id']}" for entry in code[:8])
        raise CodeMigrationError(
            f"changesets of {file} are written in {language}, which pgslate does not run: {some}",
            place=code[0].place,
            fix="write them as formatted SQL, or go on without them with --skip-code",
            files=(file,),
        )


def _refuse_unnamed(listing: Listing, named: Iterable[str], root: str) -> None:
    """Raise CatalogError for a file of changesets that no changelog includes."""
    taken = set(named)
    for file in listing.files:
        if file.lower().endswith(".sql") and file not in taken and _is_formatted(listing, file):
            raise CatalogError(
                f"{root} doesn't include {file}, and Liquibase would not run it",
                fix=f'include it, or leave it out: ignore = ["{file}"] in pgslate.toml',
            )
