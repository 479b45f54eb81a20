"""The client: ``record`` never waits for the network and never loses an event.

An event goes into bounded memory, and a thread sends it from there, in batches. Where memory is full, or the
service doesn't take events, they go to a spool on disk, and are sent from there when it does again; also by
the next process. An event that the service will never take is kept apart, with the reason.
"""

from __future__ import annotations

from datastorage.client.asynchronous import AsyncAuditClient
from datastorage.client.client import AuditClient
from datastorage.client.counters import Counts

__all__ = ["AsyncAuditClient", "AuditClient", "Counts"]
