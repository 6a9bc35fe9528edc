"""What ``/metrics`` tells about one listener, beside what the process tells of itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


class HttpMetrics:
    """Counters of one listener; labels hold route patterns, never paths that a client made up."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()  # its own: a process may have several listeners
        self._responses = Counter(
            "fimble_http_responses",
            "HTTP requests that have ended; status 499: the client was gone.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "fimble_http_request_seconds",
            "Seconds from an HTTP request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take in how one request ended."""
        self._responses.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self._registry)
