"""The imports between the files of a package, lazy and type-only ones included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Imports = Mapping[str, frozenset[str]]


def imports_of(source: Path, package: str) -> Imports:
    """For each module of ``package``, by its dotted name, the modules of the package that it imports.

    ``__main__`` is left out, since nothing imports it.
    """
    files = {_dotted(path.relative_to(source)): path for path in sorted((source / package).rglob("*.py"))}
    return {
        name: frozenset(_imported(name, path, files)) - {name}
        for name, path in files.items()
        if path.stem != "__main__"
    }


def circle_in(imports: Imports) -> tuple[str, ...]:
    """One circle of modules that import each other, in their order; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()


def floors_of(imports: Imports) -> dict[str, int]:
    """The floor of each module: 1 where it imports nothing, else one above the highest that it imports."""
    floors: dict[str, int] = {}
    for name in TopologicalSorter(imports).static_order():
        floors[name] = 1 + max((floors[below] for below in imports.get(name, ())), default=0)
    return floors


def rooms_of(imports: Imports) -> Imports:
    """The rooms (folders of the package, and its own files) that each room imports.

    Rooms that import each other count as one; its name is that of all of them.
    """
    used: dict[str, set[str]] = {}
    for name, modules in imports.items():
        if "." in name:
            used.setdefault(_room(name), set()).update(_room(module) for module in modules if "." in module)
    reached = {room: _reached(room, used) for room in used}
    one = {room: "+".join(sorted({r for r in reached[room] if room in reached[r]} | {room})) for room in used}
    return {
        one[room]: frozenset(one[u] for r in used if one[r] == one[room] for u in used[r]) - {one[room]}
        for room in used
    }


def _room(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _reached(room: str, used: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = [room]
    while ahead:
        for below in used[ahead.pop()] - found:
            found.add(below)
            ahead.append(below)
    return found


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name: str, path: Path, files: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(name, path, node)
            for alias in node.names:
                module = f"{origin}.{alias.name}"
                if module in files:
                    yield module
                elif origin in files:
                    yield origin


def _origin(name: str, path: Path, node: ast.ImportFrom) -> str:
    """The module that ``from ... import`` names, with the leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *filter(None, [node.module])])
