"""What Prometheus may know: base units, prefix `ronda_`, and never a device as a label (a fleet would drown it)."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST

# From a cached answer to the longest wait for the store.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# A client may invent others; each would be a time series.
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class Measures:
    """The API's counters. With several workers each writes into `directory` and any of them can tell the sum."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "ronda_http_requests_total", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "ronda_http_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.readings = Counter(
            "ronda_ingest_readings_total", "Readings posted over HTTP", ["outcome"], registry=self.registry
        )
        self.simulations = Counter("ronda_simulations_total", "Simulated faults", ["fault"], registry=self.registry)
        self.dropped = Counter(
            "ronda_stream_dropped_total", "Live events dropped for slow listeners", registry=self.registry
        )
        self.listeners = Gauge(
            "ronda_stream_listeners", "Live listeners", registry=self.registry, multiprocess_mode="livesum"
        )
        self.agents = Gauge(
            "ronda_agents_online", "Agents online", registry=self.registry, multiprocess_mode="livemostrecent"
        )

        self._redis_away = Gauge(
            "ronda_redis_away",
            "1 while the Redis that is set does not answer",
            registry=self.registry,
            multiprocess_mode="livemax",
        )

    def redis_away(self, away: bool) -> None:
        """Redis went away, or came back."""
        self._redis_away.set(away)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def page(self) -> bytes:
        """The exposition."""
        if self._directory is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._directory))  # type: ignore[no-untyped-call]  # untyped there
        return generate_latest(registry)
