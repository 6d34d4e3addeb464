"""Metrics of every process that serves HTTP."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.observability.metrics.registry import expose

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def known_method(method: str | None) -> str:
    """Return the method as a label value, "other" if it is not a known one: clients can send any word."""
    return method if method in METHODS else "other"


class HttpMetrics:
    """Rate, errors, duration and number of the HTTP requests that a process serves."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "dialpass_http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "dialpass_http_request_seconds",
            "Time from the request's head to its answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "dialpass_http_requests_in_flight", "Requests being answered.", registry=registry
        )
        # labels() costs more than the increment itself, and there are few label sets.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record one answered request and its duration in seconds."""
        key = (method, route, status)
        children = self._children.get(key)
        if children is None:
            children = (
                self._requests.labels(method, route, str(status)),
                self._seconds.labels(route),
            )
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Export the number of requests being answered, which `count` returns."""
        self._in_flight.set_function(count)


class HealthMetrics:
    """The checks of `/readyz`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge(
            "dialpass_dependency_up",
            "1 while a check of /readyz passes, by its name; *_writes: it is there and takes writes.",
            ("dependency",),
            registry=registry,
        )


class ConnectionMetrics:
    """The connections of clients, and what their limits did."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge("dialpass_http_connections", "Open connections of clients.", registry=registry)
        self._limit = Gauge(
            "dialpass_http_connections_limit",
            "Connections of clients that are accepted at most.",
            registry=registry,
        )
        self.refused = Counter(
            "dialpass_http_connections_refused_total",
            "Connections closed at once because their address had too many.",
            registry=registry,
        )
        self.pauses = Counter(
            "dialpass_http_accept_pauses_total",
            "Times that no connection was accepted for a while: limit, descriptors, error.",
            ("reason",),
            registry=registry,
        )
        expose(self.pauses, ("limit", "descriptors", "error"))
        self.malformed = Counter(
            "dialpass_http_malformed_requests_total",
            "Requests that could not be read, by their problem.",
            ("problem",),
            registry=registry,
        )
        self.timeouts = Counter(
            "dialpass_http_connections_timed_out_total",
            "Connections closed because of their client: head (a request's head took too long), "
            "body (its body did), idle (no request), write (it did not read a response).",
            ("reason",),
            registry=registry,
        )
        expose(self.timeouts, ("head", "idle", "write"))

    def watch(self, count: Callable[[], int], limit: int) -> None:
        """Export the number of open connections, which `count` returns, and their limit."""
        self._open.set_function(count)
        self._limit.set(limit)
