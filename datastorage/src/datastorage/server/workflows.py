"""The remediation workflows: added by version, listed, and searched by labels and by meaning."""

from __future__ import annotations

import uuid
from dataclasses import field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier
from pydantic import AfterValidator, AllowInfNan
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticSerializationError, to_json

from datastorage.events import Name, Text
from datastorage.server.problems import Problem
from datastorage.server.store import Store

#: What 016 made of remediation_workflow_catalog.embedding.
DIMENSIONS = 768

Coordinate = Annotated[float, AllowInfNan(False), Ge(-1e6), Le(1e6)]
Embedding = Annotated[list[Coordinate], MinLen(DIMENSIONS), MaxLen(DIMENSIONS)]
# Texts with a length: pydantic looks into those, and refuses half of a surrogate pair. A search has two
# parameters a label, and a statement at most 65,535.
Labels = Annotated[dict[Name, Annotated[str, MaxLen(1_000)]], MaxLen(100)]


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    try:
        to_json(value)
    except PydanticSerializationError:
        raise ValueError("a text holds half of a surrogate pair") from None
    return value


Parameters = Annotated[dict[str, Any], AfterValidator(_storable)]
Status = Literal["active", "disabled", "deprecated", "archived"]
TABLES = ("remediation_workflow_catalog", "workflows", "workflow_versions")

_CONFIG: Any = {"extra": "forbid"}

_COLUMNS = SQL(
    "w.workflow_id, w.workflow_name, w.version, w.title, w.description, w.content,"
    " encode(w.content_hash, 'hex') AS content_hash, w.labels, w.parameters, w.execution_engine,"
    " w.container_image, w.signal_type, w.severity, w.environment, w.status, w.status_reason,"
    " w.is_latest_version, w.created_by, w.created_at"
)
_JSON = SQL("(SELECT row_to_json(r)::text FROM (SELECT {columns}) AS r)").format(columns=_COLUMNS)


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class NewWorkflow:
    """One version of a workflow. ``embedding`` has 768 numbers; without it, search goes by labels only."""

    workflow_name: Name
    version: Name
    title: Name
    content: Annotated[str, MinLen(1), MaxLen(1_000_000)]
    description: Text = ""
    labels: Labels = field(default_factory=dict)
    parameters: Parameters = field(default_factory=dict)
    execution_engine: Name = "tekton"
    container_image: Name | None = None
    embedding: Embedding | None = None
    created_by: Name | None = None
    change_note: Text | None = None


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Search:
    """Active, latest workflows that carry all of ``labels``, nearest to ``embedding`` first.

    ``labels`` match the columns signal_type, severity and environment by those names, and ``labels``
    otherwise. ``min_similarity`` is a cosine, from -1 to 1. Without an embedding the newest come first.
    """

    labels: Labels = field(default_factory=dict)
    embedding: Embedding | None = None
    min_similarity: Annotated[float, AllowInfNan(False), Ge(-1), Le(1)] | None = None
    limit: Annotated[int, Ge(1), Le(100)] = 10


# The catalog's trigger retires the version before; insert is all this needs.
_CREATE = (
    SQL("""
    WITH workflow AS (
        INSERT INTO workflows (workflow_name, title, owner)
        VALUES (%(workflow_name)s, %(title)s, %(created_by)s)
        ON CONFLICT (workflow_name) DO NOTHING
    ), w AS (
        INSERT INTO remediation_workflow_catalog
            (workflow_name, version, title, description, content, labels, parameters, execution_engine,
             container_image, embedding, signal_type, severity, environment, created_by)
        VALUES
            (%(workflow_name)s, %(version)s, %(title)s, %(description)s, %(content)s, %(labels)s::jsonb,
             %(parameters)s::jsonb, %(execution_engine)s, %(container_image)s, %(embedding)s::vector,
             %(labels)s::jsonb ->> 'signal_type', %(labels)s::jsonb ->> 'severity',
             %(labels)s::jsonb ->> 'environment', %(created_by)s)
        RETURNING *
    ), version AS (
        INSERT INTO workflow_versions (workflow_name, version, workflow_id, change_note)
        SELECT workflow_name, version, workflow_id, %(change_note)s FROM w
    )
    SELECT {json} FROM w
""")
    .format(json=_JSON)
    .as_bytes()
)


async def create(store: Store, new: NewWorkflow) -> str:
    """Adds a version, which becomes the latest; its JSON. Raises Problem 409 where that version is there."""
    parameters = {
        "workflow_name": new.workflow_name,
        "version": new.version,
        "title": new.title,
        "description": new.description,
        "content": new.content,
        "labels": to_json(new.labels).decode(),
        "parameters": to_json(new.parameters).decode(),
        "execution_engine": new.execution_engine,
        "container_image": new.container_image,
        "embedding": _vector(new.embedding),
        "created_by": new.created_by,
        "change_note": new.change_note,
    }
    try:
        rows = await store.fetch(_CREATE, parameters)
    except errors.UniqueViolation:
        detail = f"workflow {new.workflow_name} has a version {new.version} already"
        raise Problem(409, "workflow-exists", detail) from None
    return str(rows[0][0])


async def get(store: Store, workflow_id: uuid.UUID) -> str | None:
    """One version of a workflow as JSON, or None."""
    statement = SQL("SELECT {json} FROM remediation_workflow_catalog AS w WHERE w.workflow_id = %s")
    rows = await store.fetch(statement.format(json=_JSON).as_bytes(), [workflow_id])
    return rows[0][0] if rows else None


async def listing(store: Store, status: Status | None, name: str | None, limit: int) -> str:
    """The newest versions first, as a JSON document with ``data``."""
    conditions: list[Composable] = []
    parameters: list[object] = []
    for column, value in (("status", status), ("workflow_name", name)):
        if value is not None:
            conditions.append(SQL("w.{} = %s").format(Identifier(column)))
            parameters.append(value)
    where = SQL("WHERE {}").format(SQL(" AND ").join(conditions)) if conditions else SQL("")
    statement = SQL(
        "SELECT {json} FROM remediation_workflow_catalog AS w {where}"
        " ORDER BY w.created_at DESC, w.workflow_id LIMIT %s"
    )
    rows = await store.fetch(statement.format(json=_JSON, where=where).as_bytes(), [*parameters, limit])
    return f'{{"data":[{",".join(row[0] for row in rows)}]}}'


async def search(store: Store, wanted: Search) -> str:
    """The workflows found, as a JSON document: ``data``, each with its ``similarity`` or null."""
    conditions: list[Composable] = [SQL("w.status = 'active' AND w.is_latest_version")]
    parameters: list[object] = []
    for label, value in wanted.labels.items():
        if label in ("signal_type", "severity", "environment"):
            conditions.append(SQL("w.{} = %s").format(Identifier(label)))
            parameters.append(value)
        else:
            conditions.append(SQL("w.labels @> jsonb_build_object(%s::text, %s::text)"))
            parameters.extend((label, value))
    embedding = _vector(wanted.embedding)
    distance = SQL("(w.embedding <=> %s::vector)") if embedding else SQL("NULL::float8")
    shown: list[object] = [embedding] if embedding else []
    if embedding:
        conditions.append(SQL("w.embedding IS NOT NULL"))
        if wanted.min_similarity is not None:
            conditions.append(SQL("1 - {distance} >= %s").format(distance=distance))
            parameters.extend((embedding, wanted.min_similarity))
    statement = SQL(
        "SELECT (SELECT row_to_json(r)::text FROM (SELECT {columns}, 1 - {distance} AS similarity) AS r)"
        " FROM remediation_workflow_catalog AS w WHERE {where} ORDER BY {order} LIMIT %s"
    ).format(
        columns=_COLUMNS,
        distance=distance,
        where=SQL(" AND ").join(conditions),
        order=distance if embedding else SQL("w.created_at DESC, w.workflow_id"),
    )
    ordered: list[object] = [embedding] if embedding else []
    rows = await store.fetch(statement.as_bytes(), [*shown, *parameters, *ordered, wanted.limit])
    return f'{{"data":[{",".join(row[0] for row in rows)}]}}'


def _vector(embedding: list[float] | None) -> str | None:
    """pgvector's text form, as its README gives it: ``[1,2,3]``."""
    return None if embedding is None else to_json(embedding).decode()
