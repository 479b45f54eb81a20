"""Databases for tests: the pytest plugin, unittest, ``with`` blocks, and the HTTP service.

    from pgslate.testing import database, DatabaseTestCase

Names are imported when they are first used: pytest loads the plugin in this package in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgslate.testing.case import Clone, DatabaseTestCase, Settings, configure, database, transaction

__all__ = ["Clone", "DatabaseTestCase", "Settings", "configure", "database", "transaction"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pgslate.testing import case

    return getattr(case, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
