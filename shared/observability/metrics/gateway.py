"""Metrics of the gateway."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.observability.metrics.registry import expose


class UpstreamMetrics:
    """Forwarded requests and the connections to the services behind the gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "dialpass_upstream_failures_total",
            "Forwarded requests without a usable response.",
            ("upstream", "reason"),
            registry=registry,
        )
        self.connections = Counter(
            "dialpass_upstream_connections_total",
            "Connections opened to upstreams.",
            ("upstream",),
            registry=registry,
        )


class TokenMetrics:
    """Checks of access tokens, and what they are based on: the ended sessions and the published keys."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.token_checks = Counter(
            "dialpass_token_checks_total",
            "Token checks by outcome: accepted, anonymous, missing, invalid, limited, ended, unavailable.",
            ("outcome",),
            registry=registry,
        )
        self.revocations_age = Gauge(
            "dialpass_ended_sessions_age_seconds",
            "Seconds since the last update of the list of ended sessions.",
            registry=registry,
        )
        self.revocations = Gauge(
            "dialpass_ended_sessions", "Entries in the list of ended sessions.", registry=registry
        )
        self.revocations_failures = Counter(
            "dialpass_ended_sessions_failures_total",
            "Failed updates of the list of ended sessions.",
            registry=registry,
        )
        self.jwks_fetches = Counter(
            "dialpass_key_set_fetches_total",
            "Fetches of the keys that verify tokens: done or failed.",
            ("outcome",),
            registry=registry,
        )
        expose(self.jwks_fetches, ("done", "failed"))
