"""The seven services: the tables and indexes of each one's contract, and the events that each emits."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from datastorage.events import AuditEvent, Outcome

#: The catalog's configuration, beside this file.
CONFIG = Path(__file__).with_name("pgslate.toml")


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a typical run: ``category`` and ``action`` are the last two parts of its type."""

    event_type: str
    outcome: Outcome = "success"
    severity: str = "info"

    @property
    def category(self) -> str:
        """The subject of the event."""
        return self.event_type.split(".")[-2]

    @property
    def action(self) -> str:
        """What happened to the subject."""
        return self.event_type.split(".")[-1]


@dataclass(frozen=True, slots=True)
class Service:
    """``tables`` and ``indexes`` are the contract's; ``events`` are the types of events that it emits.

    ``run`` are the events that it emits in the course of one remediation.
    """

    name: str
    tables: tuple[str, ...]
    indexes: tuple[str, ...]
    events: tuple[str, ...]
    run: tuple[Step, ...]

    @property
    def readiness(self) -> tuple[str, ...]:
        """The tables without which the Data Storage service can't serve this one."""
        return ALL_TABLES if self.tables == ("*",) else self.tables

    def typical_run(self, correlation_id: str, **fields: Any) -> Iterator[AuditEvent]:
        """The events of one run, in order; ``fields`` are given to each."""
        for number, step in enumerate(self.run, start=1):
            yield AuditEvent(
                event_type=step.event_type,
                event_category=step.category,
                event_action=step.action,
                event_outcome=step.outcome,
                severity=step.severity,
                correlation_id=correlation_id,
                actor_type="service",
                actor_id=f"{self.name}-controller",
                resource_type="RemediationRequest",
                resource_id=correlation_id,
                event_data={"step": number, "of": len(self.run)},
                **fields,
            )


#: What the datastorage contract's "*" means to a client of the HTTP API.
ALL_TABLES = ("audit_events", "remediation_workflow_catalog", "workflows", "workflow_versions")

_NEED_VECTOR = frozenset({"*", "remediation_workflow_catalog", "workflows", "workflow_versions"})

#: The types of the events that each service emits; ``*`` at the end stands for any.
_EVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "workflowexecution": (
            "workflowexecution.workflow.started",
            "workflowexecution.workflow.completed",
            "workflowexecution.workflow.failed",
        ),
        "gateway": ("gateway.signal.*",),
        "aianalysis": ("aianalysis.analysis.*",),
        "notification": ("notification.sent.*",),
        "remediationorchestrator": ("orchestrator.remediation.*",),
        "signalprocessing": ("signalprocessing.categorization.*",),
        "datastorage": ("datastorage.workflow.*",),
    }
)

_RUNS: Mapping[str, tuple[Step, ...]] = MappingProxyType(
    {
        "workflowexecution": (
            Step("workflowexecution.workflow.started"),
            Step("workflowexecution.workflow.failed", "failure", "high"),
            Step("workflowexecution.workflow.completed"),
        ),
        "gateway": (
            Step("gateway.signal.received"),
            Step("gateway.signal.deduplicated"),
            Step("gateway.signal.accepted"),
        ),
        "aianalysis": (
            Step("aianalysis.analysis.started"),
            Step("aianalysis.analysis.workflow_selected"),
            Step("aianalysis.analysis.completed"),
        ),
        "notification": (
            Step("notification.sent.slack"),
            Step("notification.sent.email", "failure", "medium"),
            Step("notification.sent.email"),
        ),
        "remediationorchestrator": (
            Step("orchestrator.remediation.started"),
            Step("orchestrator.remediation.approved"),
            Step("orchestrator.remediation.completed"),
        ),
        "signalprocessing": (
            Step("signalprocessing.categorization.started", "pending"),
            Step("signalprocessing.categorization.completed"),
        ),
        "datastorage": (
            Step("datastorage.workflow.created"),
            Step("datastorage.workflow.searched"),
        ),
    }
)

NAMES = tuple(_RUNS)


def service(name: str) -> Service:
    """The service of that name. Raises ``ValueError``, which says which there are."""
    if name not in _RUNS:
        raise ValueError(f"there is no service {name!r}: use one of {', '.join(NAMES)}")
    contract = _contracts()[name]
    return Service(
        name=name,
        tables=tuple(contract["tables"]),
        indexes=tuple(contract["indexes"]),
        events=_EVENTS[name],
        run=_RUNS[name],
    )


def needs_vector(service: Service) -> bool:
    """Whether the service's contract needs a server that has pgvector."""
    return bool(_NEED_VECTOR & set(service.tables))


@cache
def _contracts() -> dict[str, dict[str, list[str]]]:
    # Read as it is, rather than by pgslate: a client that replays a run needs no catalog.
    contracts: dict[str, dict[str, list[str]]] = tomllib.loads(CONFIG.read_text(encoding="utf-8"))[
        "contracts"
    ]
    return contracts
