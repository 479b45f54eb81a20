"""Databases for tests: sealed templates, clones of them, and a pool of clones made ahead.

    with Databases(target, Project.open()) as databases:
        with databases.database("users") as database:
            database.connect()

Names are imported when they are first used: a pytest session that needs no database pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgslate.clones.cloning import Clone
    from pgslate.clones.databases import Databases
    from pgslate.clones.lending import clone
    from pgslate.clones.reaper import Reaped, reap
    from pgslate.clones.serving import serve

__all__ = ["Clone", "Databases", "Reaped", "clone", "reap", "serve"]

_HOMES = {
    "Clone": "cloning",
    "Databases": "databases",
    "Reaped": "reaper",
    "clone": "lending",
    "reap": "reaper",
    "serve": "serving",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
