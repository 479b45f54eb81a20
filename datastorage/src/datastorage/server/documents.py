"""What the OpenAPI document says about bodies that are read and written by hand."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from pydantic import TypeAdapter

from datastorage.events import AuditEvent

Responses = dict[int | str, dict[str, Any]]


class ProblemDocument(TypedDict):
    """RFC 9457; ``errors``, ``missing`` and ``fix`` are there where they help."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
        "fix": {"type": "string"},
    },
}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _PROBLEM}}}


PROBLEMS: Responses = {
    400: _problem("Not HTTP as it should be"),
    401: _problem("No token, or one that is not known"),
    403: _problem("The token has not the scope"),
    404: _problem("There is nothing by this id"),
    409: _problem("Something else has this id"),
    413: _problem("The body is too large"),
    415: _problem("The body is not JSON"),
    422: _problem("Which items and fields are wrong, and why"),
    503: _problem("The database, a table, or a partition is missing; `fix` is the command that makes it"),
}


def body(kind: Any, *, max_items: int | None = None) -> dict[str, Any]:
    """The request body of ``kind``, as OpenAPI 3.1 has it, without references to elsewhere."""
    schema = TypeAdapter(AuditEvent).json_schema()
    if kind is not AuditEvent:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": max_items}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def batch_json(created: int, existing: int, event_ids: Sequence[uuid.UUID]) -> str:
    """The answer to a batch."""
    return json.dumps(
        {"created": created, "existing": existing, "event_ids": [str(one) for one in event_ids]}
    )


@dataclass(frozen=True, slots=True)
class Pagination:
    """``next_cursor`` is null on the last page."""

    limit: int
    has_more: bool
    next_cursor: str | None


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _page_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": ["data"], "properties": {"data": {"type": "array", "items": item}}}


# The columns as they are stored: nothing is left out, what says nothing is null.
_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["event_id", "event_date", "event_timestamp", "event_type", "correlation_id", "event_hash"],
    "properties": {
        "event_id": {"type": "string", "format": "uuid"},
        "event_date": TypeAdapter(dt.date).json_schema(),
        "event_timestamp": TypeAdapter(dt.datetime).json_schema(),
        "event_hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
}
_BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["created", "existing", "event_ids"],
    "properties": {
        "created": {"type": "integer"},
        "existing": {"type": "integer"},
        "event_ids": {"type": "array", "items": {"type": "string", "format": "uuid"}},
    },
}
_PAGE = _page_of(_EVENT)
_PAGE["properties"]["pagination"] = TypeAdapter(Pagination).json_schema()
_OBJECT: dict[str, Any] = {"type": "object"}

EVENT: Responses = {200: _answer("The event", _EVENT)}
EVENT_CREATED: Responses = {201: _answer("Stored", _EVENT), 200: _answer("Stored before", _EVENT)}
BATCH_CREATED: Responses = {201: _answer("Stored", _BATCH), 200: _answer("All stored before", _BATCH)}
EVENT_PAGE: Responses = {200: _answer("A page", _PAGE)}
WORKFLOW: Responses = {200: _answer("The workflow", _OBJECT), 201: _answer("Added", _OBJECT)}
WORKFLOWS: Responses = {200: _answer("The workflows", _page_of(_OBJECT))}
HOLD: Responses = {201: _answer("Recorded", _OBJECT)}
HOLDS: Responses = {200: _answer("The correlations on hold", _page_of(_OBJECT))}
METRICS: Responses = {
    200: {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
