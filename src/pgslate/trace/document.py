"""A trace as a JSON document, for the cache and for the lock: deterministic, and written to be read in diffs.

Units and effects are numbered in the order of the catalog, so that a new migration adds lines at the end of a
section and leaves those above alone. An effect is a list of its place and a mapping of what it did; what it
did not is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pgslate.trace import garbage_collector
from pgslate.trace.effects import Effect, Trace, Uncertainty, UnitInfo

VERSION = 13
"""Of the document's layout and of what tracing observes: another number, and traces are made anew."""

_UNITS = ("creates", "changes", "sweeps", "marks", "drops", "cascades", "writes", "reads")
_LINKS = ("links", "unlinks", "attaches", "ties", "calls")
_NAMES = ("takes", "frees", "passes")

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once for many lines


class OtherVersionError(ValueError):
    """The document is of another version of pgslate."""


def dumps(trace: Trace, files: Mapping[str, str], extra: Mapping[str, Iterable[str]] | None = None) -> str:
    """The document as text. ``files`` maps versions to file names; ``extra`` are sections of finished
    lines."""
    by_migration: dict[int, list[list[Any]]] = {}
    for effect in trace.effects:
        by_migration.setdefault(effect.migration, []).append(_effect(effect))
    migrations = [
        _nested([version, files.get(version, ""), checksum], by_migration.get(index, []))
        for index, (version, checksum) in enumerate(trace.migrations)
    ]
    sections = {
        "units": [_line([u.kind, u.name, u.made, u.dropped]) for u in trace.units],
        "migrations": migrations,
        "requires": [_line([unit, _grouped(targets)]) for unit, targets in sorted(trace.requires.items())],
        "uncertain": [_line([u.migration, u.statement, u.line, u.what]) for u in trace.uncertain],
        **({"expires": [_line(trace.expires)]} if trace.expires else {}),
        "definitions": [_definition(entry) for entry in trace.definitions["objects"]],
        **(extra or {}),
    }
    head = f'"pgslate": {VERSION},\n"server": {trace.server},\n"spelled": {trace.definitions["major"]}'
    body = ",\n".join(f'"{name}": [\n' + ",\n".join(lines) + "\n]" for name, lines in sections.items())
    return "{\n" + head + ",\n" + body + "\n}\n"


@garbage_collector.held_off()
def loads(text: str) -> tuple[Trace, Mapping[str, Any]]:
    """The trace in a document, and the whole document for its other sections.

    Raises ValueError where the text is no such document, and of that OtherVersionError where it is one of
    another version.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("nothing that pgslate wrote") from None
    if not isinstance(document, dict) or "pgslate" not in document:
        raise ValueError("nothing that pgslate wrote")
    if document["pgslate"] != VERSION:
        raise OtherVersionError("written by another version of pgslate")
    try:
        return _trace(document), document
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"a damaged pgslate document: {error!r}") from None


def _trace(document: Mapping[str, Any]) -> Trace:
    effects = [
        _to_effect(index, entry)
        for index, (_, _, _, statements) in enumerate(document["migrations"])
        for entry in statements
    ]
    return Trace(
        migrations=tuple((version, checksum) for version, _, checksum, _ in document["migrations"]),
        server=document["server"],
        units=tuple(UnitInfo(*unit) for unit in document["units"]),
        effects=tuple(effects),
        requires={
            unit: {target: how for how, targets in groups.items() for target in targets}
            for unit, groups in document["requires"]
        },
        definitions={"major": document["spelled"], "objects": document["definitions"]},
        uncertain=tuple(Uncertainty(*each) for each in document["uncertain"]),
        expires="".join(document.get("expires", ())),
    )


def _effect(effect: Effect) -> list[Any]:
    entry: dict[str, Any] = {}
    for name in (*_UNITS, *_NAMES):
        values = getattr(effect, name)
        if values:
            entry[name] = sorted(values)
    for name in _LINKS:
        links = getattr(effect, name)
        if links:
            entry[name] = [list(link) for link in sorted(links)]
    if effect.session:
        entry["session"] = True
    if effect.clock:
        entry["clock"] = True
    if effect.together:
        entry["together"] = list(effect.together)
    return [effect.statement, effect.line, effect.digest, entry]


def _to_effect(migration: int, entry: list[Any]) -> Effect:
    statement, line, digest, what = entry
    given: dict[str, Any] = {}
    for name, values in what.items():
        if name in ("session", "clock"):
            given[name] = values
        elif name == "together":
            given[name] = tuple(values)
        else:
            given[name] = frozenset(map(tuple, values) if name in _LINKS else values)
    return Effect(migration, statement, line, digest, **given)


def _grouped(targets: Mapping[int, str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for target, how in sorted(targets.items()):
        groups.setdefault(how, []).append(target)
    return dict(sorted(groups.items()))


def _definition(entry: list[Any]) -> str:
    """A schema object and, each on a line of its own, its parts: see ``Schema.to_json``."""
    if len(entry) != 4 or not entry[3]:
        return _line(entry)
    return _nested(entry[:3], entry[3])


def _nested(head: list[Any], items: list[Any]) -> str:
    if not items:
        return _line([*head, []])
    return _line(head)[:-1] + ",[\n" + ",\n".join(" " + _line(item) for item in items) + "]]"


def _line(value: Any) -> str:
    return _encode(value)
