"""AIAnalysis's environment: its tests need the workflow catalog beside the audit events."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from datastorage.infrastructure.environment import Environment, create_environment
from datastorage.infrastructure.migrations import apply_migrations, verify_migrations


@contextmanager
def aianalysis_environment(writer: TextIO = sys.stderr) -> Iterator[Environment]:
    """PostgreSQL with pgvector, the audit tables and the workflow catalog, and the Data Storage service.

    Each step is written to ``writer``. Raises pgslate's errors where PostgreSQL can't be started or reached,
    a migration fails, or a table is missing.
    """
    with create_environment("aianalysis") as environment:
        tables = ("audit_events", "remediation_workflow_catalog", "workflows", "workflow_versions")
        apply_migrations(environment.migrations(*tables), writer)
        verify_migrations(environment.migrations(*tables), writer)
        environment.deploy()
        yield environment
