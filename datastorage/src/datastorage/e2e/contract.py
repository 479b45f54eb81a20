"""Applying a service's contract to a database, with pgslate, and verifying it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from datastorage.services import CONFIG

if TYPE_CHECKING:
    from pgslate import Project, Target


@cache
def project() -> Project:
    """The catalog with its configuration; its trace is kept for the process."""
    from pgslate import Project

    return Project.open(config=CONFIG)


def apply_contract(service: str, target: Target) -> None:
    """Makes exactly what the contract needs, and today's partitions; raises pgslate's errors."""
    from pgslate import apply
    from pgslate.partitions.ensure import ensure

    ours = project()
    apply(ours.slice(contract=service), target)
    with target.connect(autocommit=True) as connection:
        for policy in ours.policies.values():
            ensure(connection, policy)
