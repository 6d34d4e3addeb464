"""Every metric of the system: names, labels and buckets in one place.

Labels come from closed sets only (route templates, not paths; outcomes, not messages).
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PROVIDER_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16)
_DELIVERY_SECONDS = (1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600)


def new_registry() -> CollectorRegistry:
    """Return a registry with the process's own metrics in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class HttpMetrics:
    """Rate, errors and duration of the HTTP requests that a process answers."""

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
            buckets=_HTTP_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "dialpass_http_requests_in_flight", "Requests being answered.", registry=registry
        )
        # labels() costs more than the increment itself; the label sets are few.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request and its duration in seconds."""
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

    def track_in_flight(self, count: int) -> None:
        """Set the number of requests being answered."""
        self._in_flight.set(count)


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


class AuthMetrics:
    """What the auth service decides."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.codes = Counter(
            "dialpass_codes_total",
            "Codes by what became of them: requested, refused, unsent, verified, wrong.",
            ("purpose", "outcome"),
            registry=registry,
        )
        self.code_refusals = Counter(
            "dialpass_code_refusals_total",
            "Requests for a code that met a used-up budget: refused for cooldown, number, dial_code, spend; "
            "asked for a challenge for address, network, prefix, global, conversion.",
            ("budget",),
            registry=registry,
        )
        self.challenges = Counter(
            "dialpass_challenges_total",
            "Proof-of-work challenges: asked, solved (and needed), replayed, wrong.",
            ("outcome",),
            registry=registry,
        )
        self.conversion = Counter(
            "dialpass_code_conversion_total",
            "Codes requested and verified, by dial code and the first three digits of mainland numbers.",
            ("dial_code", "prefix", "outcome"),
            registry=registry,
        )
        self.registrations = Counter(
            "dialpass_registrations_total",
            "Registrations by outcome.",
            ("outcome",),
            registry=registry,
        )
        self.account_changes = Counter(
            "dialpass_account_changes_total",
            "Changes of an account by its user, by outcome.",
            ("change", "outcome"),
            registry=registry,
        )
        self.sign_ins = Counter(
            "dialpass_sign_ins_total", "Sign-ins by outcome.", ("outcome",), registry=registry
        )
        self.refreshes = Counter(
            "dialpass_token_refreshes_total",
            "Refreshes of sessions by outcome.",
            ("outcome",),
            registry=registry,
        )
        self.throttled = Counter(
            "dialpass_attempts_throttled_total",
            "Attempts refused because of failed ones: of account and address, account, address or network.",
            ("kind", "subject"),
            registry=registry,
        )
        self.unthrottled = Counter(
            "dialpass_sign_ins_unthrottled_total",
            "Sign-ins that were let through unthrottled, because Redis did not answer.",
            registry=registry,
        )
        self.hashes = Counter(
            "dialpass_password_hashes_total",
            "bcrypt computations: done, or refused because the queue was full.",
            ("outcome",),
            registry=registry,
        )
        self.hash_queue = Gauge(
            "dialpass_password_hash_queue",
            "bcrypt computations waiting or running.",
            registry=registry,
        )
        self.key_failures = Counter(
            "dialpass_signing_key_failures_total",
            "Changes of the folder of signing keys that could not be used; the keys before stay in force.",
            registry=registry,
        )
        self.events = Counter(
            "dialpass_events_total",
            "Domain events by what became of a try to publish them: published, failed.",
            ("type", "outcome"),
            registry=registry,
        )
        self.outbox_depth = Gauge(
            "dialpass_outbox_depth", "Domain events that wait to be published.", registry=registry
        )
        self.outbox_age = Gauge(
            "dialpass_outbox_age_seconds",
            "Age of the oldest event that waits, 0 for none.",
            registry=registry,
        )
        self.dependency_failures = Counter(
            "dialpass_dependency_failures_total",
            "Requests that failed because a dependency did.",
            ("dependency",),
            registry=registry,
        )


class SmsMetrics:
    """What the SMS worker does with each message."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "dialpass_sms_messages_total",
            "Send-code messages taken from the queue, by outcome. Ends: accepted, limited, failed, expired,"
            " unreadable; duplicate: it had ended before; waiting, halted, in_doubt, superseded: it comes"
            " again.",
            ("outcome",),
            registry=registry,
        )
        self.doubts = Counter(
            "dialpass_sms_doubts_total",
            "Doubts whether a provider had accepted a message, by how they were settled: filtered, found,"
            " resent, unresolved.",
            ("resolution",),
            registry=registry,
        )
        self.second_texts = Counter(
            "dialpass_sms_second_texts_total",
            "Messages that a provider has accepted twice.",
            registry=registry,
        )
        self.in_flight = Gauge("dialpass_sms_messages_in_flight", "Messages being sent.", registry=registry)


class ProviderMetrics:
    """What the SMS worker sees of its provider, and what holds it back from calling it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter(
            "dialpass_sms_provider_answers_total",
            "Calls that send, by the provider's code or what happened, and by its class in the code table.",
            ("account", "channel", "code", "class"),
            registry=registry,
        )
        self.seconds = Histogram(
            "dialpass_sms_provider_seconds",
            "Duration of the calls that send.",
            ("account", "channel"),
            buckets=_PROVIDER_SECONDS,
            registry=registry,
        )
        self.halted = Gauge(
            "dialpass_sms_account_halted",
            "1 while an account sends nothing by a channel, with the code that says why.",
            ("account", "channel", "code"),
            registry=registry,
        )
        self.breaker_open = Gauge(
            "dialpass_sms_breaker_open", "1 while no message is consumed.", registry=registry
        )
        self.balance = Gauge(
            "dialpass_sms_account_balance", "Money on the account, RMB.", ("account",), registry=registry
        )
        self.budget_seconds = Histogram(
            "dialpass_sms_budget_wait_seconds",
            "How long a call waited for a slot of the shared budget of sends.",
            buckets=_PROVIDER_SECONDS,
            registry=registry,
        )
        self.budget_missed = Counter(
            "dialpass_sms_budget_missed_total",
            "Calls that got no slot in time; their messages wait in the queue.",
            registry=registry,
        )
        self.spend = Counter(
            "dialpass_sms_spend_rmb_total",
            "Money spent by this worker, as the provider says.",
            ("account",),
            registry=registry,
        )
        self.spend_today = Gauge(
            "dialpass_sms_spend_today_rmb",
            "Money spent by all workers since midnight, UTC+8, reservations included.",
            registry=registry,
        )
        self.spend_cap = Gauge(
            "dialpass_sms_spend_cap_rmb", "The daily spend cap, 0 where there is none.", registry=registry
        )
        self.spend_capped = Counter(
            "dialpass_sms_spend_capped_total",
            "Calls that were not made because of the daily spend cap.",
            registry=registry,
        )


class ReportMetrics:
    """What became of accepted messages at the phone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.accepted = Counter(
            "dialpass_sms_accepted_total",
            "Messages that the provider accepted, by dial code and the first three digits of mainland"
            " numbers: what the verified codes of dialpass_code_conversion_total are measured against.",
            ("dial_code", "prefix"),
            registry=registry,
        )
        self.ended = Counter(
            "dialpass_sms_ended_total",
            "Accepted messages that were reported delivered or failed, by the same labels.",
            ("dial_code", "prefix", "outcome"),
            registry=registry,
        )
        self.failures = Counter(
            "dialpass_sms_report_failures_total",
            "Messages that were reported failed, by the class of the carrier's code.",
            ("class",),
            registry=registry,
        )
        self.delivery_seconds = Histogram(
            "dialpass_sms_delivery_seconds",
            "Time from a message's acceptance to its delivery, as far as the provider tells.",
            buckets=_DELIVERY_SECONDS,
            registry=registry,
        )
        self.reports = Counter(
            "dialpass_sms_reports_total",
            "Status reports by what they did: applied; duplicate; unknown: kept for a message that may be"
            " recorded later; unreadable.",
            ("effect",),
            registry=registry,
        )
        self.pulls = Counter(
            "dialpass_sms_report_pulls_total",
            "Tries to pull status reports: reports, empty, failed.",
            ("outcome",),
            registry=registry,
        )


class BacklogMetrics:
    """How much waits for the SMS worker; each worker shows the whole, so take the maximum."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = Gauge(
            "dialpass_sms_queue_depth", "Messages that wait in a queue.", ("queue",), registry=registry
        )
        self.open_messages = Gauge(
            "dialpass_sms_open_messages",
            "Messages on record without an end, in work or in a queue.",
            registry=registry,
        )
        self.oldest_seconds = Gauge(
            "dialpass_sms_oldest_message_seconds",
            "Age of the oldest message without an end, 0 for none.",
            registry=registry,
        )
