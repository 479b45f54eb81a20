"""What /metrics shows: requests, events stored, and the pool, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Seconds; fine where a single post should be (under 25 ms), coarse beyond.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The service's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "datastorage_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "datastorage_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.events = Counter(
            "datastorage_events_total",
            "Events taken, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        self._pool = Gauge("datastorage_pool", "psycopg_pool's statistics.", ["what"], registry=self.registry)

    def render(self, pool: dict[str, int]) -> bytes:
        """The page, with the pool's numbers as they are now."""
        for what, value in pool.items():
            self._pool.labels(what).set(value)
        return generate_latest(self.registry)
