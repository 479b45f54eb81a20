"""The application: routes, and what each answers. Everything they do is in the modules they call."""

import datetime as dt
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import psycopg
from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from datastorage.events import AuditEvent, Name, Outcome
from datastorage.server import documents, holds, ingest, query, workflows
from datastorage.server.around import Around
from datastorage.server.auth import Gate, Scope, read_tokens
from datastorage.server.health import Readiness
from datastorage.server.metrics import Metrics
from datastorage.server.months import Maker, Months
from datastorage.server.problems import Problem, instance_of, of_database_error
from datastorage.server.settings import Settings
from datastorage.server.store import Store

log = logging.getLogger("datastorage")

PREFIX = "/api/v1"
JSON = "application/json"


def utc_now() -> dt.datetime:
    """The clock that limits how old or new an event may be; the time that is stored is the database's."""
    return dt.datetime.now(dt.UTC)


def create_app(
    settings: Settings, *, make_partitions: Maker | None = None, now: Callable[[], dt.datetime] = utc_now
) -> FastAPI:
    """The service as an ASGI application.

    ``make_partitions`` makes the partitions for some days; without it a month that has none is a 503. Raises
    ``ValueError`` or ``OSError`` where the file of tokens can't be read.
    """
    store = Store(settings)
    months = Months(store, make_partitions)
    readiness = Readiness(store, settings.tables, settings.ready_cache_s)
    gate = Gate(read_tokens(settings.tokens_file) if settings.tokens_file else None)
    metrics = Metrics()
    limits = settings.limits
    on = settings.telemetry

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await store.open()
        yield
        await store.close()

    app = FastAPI(
        title="Data Storage",
        summary="Audit events of seven services, kept in PostgreSQL, and the remediation workflows.",
        version="1",
        lifespan=lifespan,
        openapi_url="/openapi.json",
        responses=documents.PROBLEMS,
        # OpenTelemetry, by FastAPI's own instrumentation and OTEL_* variables.
        telemetry={"tracing": on, "metrics": on, "logs": on, "operation_spans": on},
    )
    app.add_middleware(Around, metrics=metrics, body_bytes=limits.body_bytes)
    _answer_with_problems(app, settings.tables)

    def may(scope: Scope) -> Any:
        def admitted(authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> str:
            return gate.admit(authorization, scope)

        return Depends(admitted)

    # ---- events: the bodies are read by hand, since pydantic parses JSON itself, and once

    @app.post(
        f"{PREFIX}/audit/events",
        status_code=201,
        tags=["audit"],
        dependencies=[may("write")],
        openapi_extra=documents.body(AuditEvent),
        responses=documents.EVENT_CREATED,
    )
    async def record_event(request: Request) -> Response:
        """Store one event: 201, or 200 with the stored one where the same was stored before."""
        event = ingest.parse_one(await _json_of(request), limits, now())
        created, text = await ingest.store_one(store, months, event)
        metrics.events.labels("created" if created else "existing").inc()
        return Response(text, 201 if created else 200, media_type=JSON)

    @app.post(
        f"{PREFIX}/audit/events/batch",
        status_code=201,
        tags=["audit"],
        dependencies=[may("write")],
        openapi_extra=documents.body(list[AuditEvent], max_items=limits.batch_events),
        responses=documents.BATCH_CREATED,
    )
    async def record_batch(request: Request) -> Response:
        """Store all events or none: 201, or 200 where every one was stored before."""
        events = ingest.parse_many(await _json_of(request), limits, now())
        stored = await ingest.store_many(store, months, events)
        metrics.events.labels("created").inc(stored.created)
        metrics.events.labels("existing").inc(stored.existing)
        answer = documents.batch_json(stored.created, stored.existing, stored.event_ids)
        return Response(answer, 201 if stored.created else 200, media_type=JSON)

    @app.get(
        f"{PREFIX}/audit/events", tags=["audit"], dependencies=[may("read")], responses=documents.EVENT_PAGE
    )
    async def list_events(
        correlation_id: Name | None = None,
        event_type: Annotated[Name | None, Query(description="May end in * for a prefix")] = None,
        event_category: Name | None = None,
        event_outcome: Outcome | None = None,
        severity: Name | None = None,
        namespace: Name | None = None,
        actor: Annotated[Name | None, Query(description="TYPE:ID, or an id")] = None,
        resource: Annotated[Name | None, Query(description="TYPE:ID, or an id")] = None,
        since: Annotated[dt.datetime | None, Query(description="Inclusive; with a time zone")] = None,
        until: Annotated[dt.datetime | None, Query(description="Exclusive; with a time zone")] = None,
        cursor: Annotated[
            str | None, Query(max_length=200, description="next_cursor of the page before")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=limits.page_events)] = 100,
    ) -> Response:
        """Events, newest first; each page names the cursor of the next."""
        filters = query.Filters(
            correlation_id=correlation_id,
            event_type=event_type,
            event_category=event_category,
            event_outcome=event_outcome,
            severity=severity,
            namespace=namespace,
            actor=actor,
            resource=resource,
            since=query.zoned("since", since),
            until=query.zoned("until", until),
        )
        after = query.Cursor.decode(cursor) if cursor else None
        return Response(await query.page(store, filters, after, limit), media_type=JSON)

    @app.get(
        f"{PREFIX}/audit/events/{{event_id}}",
        tags=["audit"],
        dependencies=[may("read")],
        responses=documents.EVENT,
    )
    async def get_event(event_id: uuid.UUID) -> Response:
        """One event."""
        return _found(await query.by_id(store, event_id), f"no event has the id {event_id}")

    @app.post(
        f"{PREFIX}/audit/legal-holds",
        status_code=201,
        tags=["audit"],
        dependencies=[may("hold")],
        responses=documents.HOLD,
    )
    async def record_hold(entry: holds.NewHold) -> Response:
        """Put a correlation on legal hold, or release it: retention keeps the months of one on hold."""
        return Response(await holds.record(store, entry), 201, media_type=JSON)

    @app.get(
        f"{PREFIX}/audit/legal-holds",
        tags=["audit"],
        dependencies=[may("read")],
        responses=documents.HOLDS,
    )
    async def list_holds() -> Response:
        """The correlations on hold."""
        return Response(await holds.on_hold(store), media_type=JSON)

    # ---- workflows

    @app.post(
        f"{PREFIX}/workflows",
        status_code=201,
        tags=["workflows"],
        dependencies=[may("write")],
        responses=documents.WORKFLOW,
    )
    async def create_workflow(new: workflows.NewWorkflow) -> Response:
        """Add a version of a workflow; it becomes the latest."""
        return Response(await workflows.create(store, new), 201, media_type=JSON)

    @app.get(
        f"{PREFIX}/workflows",
        tags=["workflows"],
        dependencies=[may("read")],
        responses=documents.WORKFLOWS,
    )
    async def list_workflows(
        status: workflows.Status | None = None,
        workflow_name: Name | None = None,
        limit: Annotated[int, Query(ge=1, le=limits.page_events)] = 100,
    ) -> Response:
        """Versions of workflows, newest first."""
        return Response(await workflows.listing(store, status, workflow_name, limit), media_type=JSON)

    @app.get(
        f"{PREFIX}/workflows/{{workflow_id}}",
        tags=["workflows"],
        dependencies=[may("read")],
        responses=documents.WORKFLOW,
    )
    async def get_workflow(workflow_id: uuid.UUID) -> Response:
        """One version of a workflow."""
        return _found(await workflows.get(store, workflow_id), f"no workflow has the id {workflow_id}")

    @app.post(
        f"{PREFIX}/workflows/search",
        tags=["workflows"],
        dependencies=[may("read")],
        responses=documents.WORKFLOWS,
    )
    async def search_workflows(wanted: workflows.Search) -> Response:
        """Active workflows by labels, nearest in meaning first where an embedding is given."""
        return Response(await workflows.search(store, wanted), media_type=JSON)

    # ---- operation

    @app.get("/health/live", tags=["operation"])
    async def live() -> dict[Literal["status"], Literal["live"]]:
        """The process answers."""
        return {"status": "live"}

    @app.get("/health/ready", tags=["operation"])
    async def ready() -> dict[str, str | list[str]]:
        """The database answers, and every table is there; otherwise a 503 that says what to run."""
        await readiness.check()
        return {"status": "ready", "tables": list(settings.tables)}

    @app.get("/metrics", tags=["operation"], response_class=Response, responses=documents.METRICS)
    async def show_metrics() -> Response:
        """Prometheus' text format."""
        return Response(metrics.render(store.gauges()), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


async def _json_of(request: Request) -> bytes:
    """The body; Problem 415 where it says to be something else than JSON.

    What a form can send, any web page can send to the machine it is looked at on, without asking.
    """
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind != JSON and not kind.endswith("+json"):
        raise Problem(415, "not-json", f"send Content-Type: {JSON}, not {kind}")
    return await request.body()


def _found(text: str | None, otherwise: str) -> Response:
    if text is None:
        raise Problem(404, "not-found", otherwise)
    return Response(text, media_type=JSON)


def _answer_with_problems(app: FastAPI, tables: tuple[str, ...]) -> None:
    @app.exception_handler(Problem)
    async def of_problem(request: Request, problem: Problem) -> Response:
        return problem.response(instance_of(request))

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> Response:
        wrong = [
            {"field": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]}
            for fault in error.errors()
        ]
        return Problem(422, "invalid-request", "the request can't be understood", errors=wrong).response(
            instance_of(request)
        )

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        kind = str(error.detail).lower().replace(" ", "-")
        response = Problem(error.status_code, kind, str(error.detail)).response(instance_of(request))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(psycopg.Error)
    async def of_database(request: Request, error: psycopg.Error) -> Response:
        problem = of_database_error(error, tables)
        if problem is None:
            raise error
        if problem.status >= 500:
            log.warning("database", extra={"problem": problem.kind, "detail": problem.detail})
        return problem.response(instance_of(request))

    @app.exception_handler(Exception)
    async def of_fault(request: Request, error: Exception) -> Response:
        log.error("fault", exc_info=error)
        return Problem(500, "fault", "a fault of the service; its log says more").response(
            instance_of(request)
        )
