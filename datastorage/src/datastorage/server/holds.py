"""Legal holds: a journal of what was placed and released, by correlation."""

from __future__ import annotations

from typing import Any, Literal

from psycopg.sql import SQL
from pydantic.dataclasses import dataclass

from datastorage.events import Name, Text
from datastorage.server.store import Store

_CONFIG: Any = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class NewHold:
    """One entry of the journal; the last on a correlation says whether it is on hold."""

    correlation_id: Name
    action: Literal["placed", "released"]
    reason: Text
    actor: Name


_RECORD = SQL(
    "INSERT INTO audit_legal_holds (correlation_id, action, reason, actor) VALUES (%s, %s, %s, %s)"
    " RETURNING row_to_json(audit_legal_holds)::text"
).as_bytes()
_ON_HOLD = SQL(
    "SELECT json_build_object('data', COALESCE(json_agg(h ORDER BY h.recorded_at), '[]'))::text"
    " FROM audit_correlations_on_hold AS h"
).as_bytes()


async def record(store: Store, entry: NewHold) -> str:
    """Adds the entry; its JSON."""
    rows = await store.fetch(_RECORD, [entry.correlation_id, entry.action, entry.reason, entry.actor])
    return str(rows[0][0])


async def on_hold(store: Store) -> str:
    """The correlations on hold, oldest first, as a JSON document with ``data``."""
    return str((await store.fetch(_ON_HOLD))[0][0])
