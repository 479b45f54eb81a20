"""The audit event: one definition, for the client that records it and the service that checks it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import ipaddress
import json
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

#: An event that is to be kept longer than PostgreSQL's partitions go is a mistake of the caller's clock.
RETENTION_DAYS_MAX = 36_500

Name = Annotated[str, MinLen(1), MaxLen(200)]
Text = Annotated[str, MaxLen(10_000)]
Int4 = Annotated[int, Ge(0), Le(2**31 - 1)]
Outcome = Literal["success", "failure", "pending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What one service did, for whom, and how it ended; the columns of ``audit_events`` by their names.

    ``event_id`` makes sending it twice harmless; without one the service gives it one. ``event_timestamp``
    has a time zone; without one the database's clock is taken when it is stored. ``parent_event_date`` is the
    UTC day of the parent's timestamp, and comes with ``parent_event_id``. ``retention_days`` is in days.
    """

    # Read by pydantic in the service; the client doesn't need pydantic.
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    event_type: Name
    event_category: Name
    event_action: Name
    event_outcome: Outcome
    correlation_id: Name
    event_id: uuid.UUID | None = None
    event_timestamp: dt.datetime | None = None
    event_version: Name = "1.0"
    actor_type: Name | None = None
    actor_id: Name | None = None
    actor_ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    resource_type: Name | None = None
    resource_id: Name | None = None
    resource_name: Name | None = None
    parent_event_id: uuid.UUID | None = None
    parent_event_date: dt.date | None = None
    trace_id: Name | None = None
    span_id: Name | None = None
    namespace: Name | None = None
    cluster_name: Name | None = None
    event_data: dict[str, Any] = field(default_factory=dict)
    event_metadata: dict[str, Any] | None = None
    severity: Name | None = None
    duration_ms: Int4 | None = None
    error_code: Name | None = None
    error_message: Text | None = None
    retention_days: Annotated[int, Ge(1), Le(RETENTION_DAYS_MAX)] = 2555
    is_sensitive: bool = False
    legal_hold: bool = False

    def as_json(self) -> str:
        """The event as the service takes it: a JSON object without the fields that say nothing.

        Raises ``TypeError`` or ``ValueError`` where ``event_data`` or ``event_metadata`` is no JSON.
        """
        return json.dumps(
            {name: value for name in FIELDS if (value := getattr(self, name)) is not None},
            default=_text_of,
            allow_nan=False,
        )


#: The names of all fields, in order.
FIELDS = tuple(f.name for f in dataclasses.fields(AuditEvent))


def _text_of(value: object) -> str:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, uuid.UUID | ipaddress.IPv4Address | ipaddress.IPv6Address):
        return str(value)
    raise TypeError(f"{type(value).__name__} can't be written as JSON: give text, numbers, lists and dicts")
