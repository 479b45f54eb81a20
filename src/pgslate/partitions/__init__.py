"""Rolling partitions, by policy: which a table should have, which it has, and making what is missing.

The policy is plain data and can be planned without a database; what talks to one is imported when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .policy import PartitionPolicy, Planned, Window

if TYPE_CHECKING:
    from .coverage import Coverage, Survey, survey_of
    from .detaching import detach, finish_detaching
    from .ensuring import Ensured, ensure, survey
    from .standing import Partition, PartitionedTable, list_partitions

__all__ = [
    "Coverage",
    "Ensured",
    "Partition",
    "PartitionPolicy",
    "PartitionedTable",
    "Planned",
    "Survey",
    "Window",
    "detach",
    "ensure",
    "finish_detaching",
    "list_partitions",
    "survey",
    "survey_of",
]

_LATER = {
    "Coverage": "coverage",
    "Survey": "coverage",
    "survey_of": "coverage",
    "detach": "detaching",
    "finish_detaching": "detaching",
    "Ensured": "ensuring",
    "ensure": "ensuring",
    "survey": "ensuring",
    "Partition": "standing",
    "PartitionedTable": "standing",
    "list_partitions": "standing",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATER[name]}", __name__), name)
