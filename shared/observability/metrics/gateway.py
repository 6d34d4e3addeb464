"""What the gateway measures."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class UpstreamMetrics:
    """What the gateway sees of the services behind it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "dialpass_upstream_failures_total",
            "Forwarded requests without a usable answer.",
            ("upstream", "reason"),
            registry=registry,
        )
        self.connections = Counter(
            "dialpass_upstream_connections_total",
            "Connections opened to upstreams.",
            ("upstream",),
            registry=registry,
        )


class AccessMetrics:
    """What the gateway makes of access tokens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.token_checks = Counter(
            "dialpass_token_checks_total",
            "Token checks by outcome: accepted, anonymous, missing, invalid, ended, unavailable.",
            ("outcome",),
            registry=registry,
        )
        self.ended_age = Gauge(
            "dialpass_ended_sessions_age_seconds",
            "Seconds since the list of ended sessions was right.",
            registry=registry,
        )
        self.ended_sessions = Gauge(
            "dialpass_ended_sessions", "Entries in the list of ended sessions.", registry=registry
        )
        self.ended_failures = Counter(
            "dialpass_ended_sessions_failures_total",
            "Looks at the list of ended sessions that failed; what is known stays in force.",
            registry=registry,
        )
        self.key_set_fetches = Counter(
            "dialpass_key_set_fetches_total",
            "Fetches of the keys that verify tokens: done or failed.",
            ("outcome",),
            registry=registry,
        )
