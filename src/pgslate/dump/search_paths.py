"""The search paths that a catalog's statements set: under these its expressions were made.

pg_dump qualifies each name in a definition, but not those in a function's body, and for IS DISTINCT FROM,
IN or NULLIF there is no way to qualify the operator. Such a definition can only be made again under a search
path like the one that it was made under.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pgslate.catalog import statements
from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.errors import PgslateError

SERVERS_OWN = '"$user", public'
"""The search path of a session that nobody has given another."""


def search_paths(catalog: Catalog, prelude: Iterable[PreludeFile] = ()) -> tuple[str, ...]:
    """The paths, as search_path takes them: first the one that each file begins with, then those it sets."""
    found = {catalog.settings.get("search_path", SERVERS_OWN): None}
    texts = [statement.text for migration in catalog for statement in migration.statements]
    for text in (*(file.text for file in prelude), *texts):
        lower = text.lower()
        if "search_path" in lower or "schema" in lower.split(None, 2)[1:2]:
            found |= dict.fromkeys(_paths_in(text))
    return tuple(path for path in found if path.strip(" \"'"))


def _paths_in(text: str) -> Iterator[str]:
    """The paths that a statement sets; none where only a newer PostgreSQL can read it.

    >>> list(_paths_in("SET search_path = app, 'public'"))
    ['"app", "public"']
    >>> list(_paths_in("SELECT set_config('search_path', 'app,public', false)"))
    ['app,public']
    """
    try:
        nodes = statements.parse(text)
    except PgslateError:
        return
    for node in _nodes_in(nodes):
        match node:
            case {"VariableSetStmt": {"name": "search_path", "args": args}} | {
                "setstmt": {"name": "search_path", "args": args}
            }:
                yield ", ".join('"' + name.replace('"', '""') + '"' for name in _strings_in(args))
            case {"FuncCall": {"funcname": [*_, {"String": {"sval": "set_config"}}], "args": args}}:
                strings = list(_strings_in(args))
                if len(strings) == 2 and strings[0].lower() == "search_path":
                    yield strings[1]
            case _:
                pass


def _nodes_in(tree: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for below in tree.values():
            yield from _nodes_in(below)
    elif isinstance(tree, list | tuple):
        for below in tree:
            yield from _nodes_in(below)


def _strings_in(args: Iterable[Any]) -> Iterator[str]:
    for arg in args:
        match arg:
            case {"A_Const": {"sval": {"sval": value}}}:
                yield value
            case _:
                pass
