"""Metrics of the SMS worker."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.observability.metrics.registry import expose

_PROVIDER_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16)
_MESSAGE_OUTCOMES = (
    "accepted", "limited", "failed", "expired", "unreadable", "duplicate", "waiting", "halted", "in_doubt",
    "superseded",
)  # fmt: skip
_DELIVERY_SECONDS = (1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600)


_REPORT_EFFECTS = ("applied", "duplicate", "recovered", "unknown", "unreadable", "undecided", "reply")


class SmsMetrics:
    """The messages that the worker handles."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "dialpass_sms_messages_total",
            "Send-code messages taken from the queue, by outcome. Final: accepted, limited, failed, expired,"
            " unreadable; duplicate: it was final before; waiting, halted, in_doubt, superseded: it is tried"
            " again.",
            ("outcome",),
            registry=registry,
        )
        expose(self.messages, _MESSAGE_OUTCOMES)
        self.resolutions = Counter(
            "dialpass_sms_doubts_total",
            "Attempts of unknown outcome, by how they were resolved: filtered, found, resent, unresolved; and"
            " messages that were refused because their number has the same text by another one: same_text.",
            ("resolution",),
            registry=registry,
        )
        expose(self.resolutions, ("filtered", "found", "resent", "unresolved"))
        self.sent_twice = Counter(
            "dialpass_sms_second_texts_total",
            "Messages that a provider has accepted twice.",
            registry=registry,
        )
        self.in_flight = Gauge("dialpass_sms_messages_in_flight", "Messages being sent.", registry=registry)


class _LimitMetrics:
    """The rate limit and the spend cap."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rate_limit_seconds = Histogram(
            "dialpass_sms_budget_wait_seconds",
            "How long a call waited for a slot of the shared rate limit.",
            buckets=_PROVIDER_SECONDS,
            registry=registry,
        )
        self.rate_limit_timeouts = Counter(
            "dialpass_sms_budget_missed_total",
            "Calls that got no slot in time; their messages wait in the queue.",
            registry=registry,
        )
        self.spend = Counter(
            "dialpass_sms_spend_rmb_total",
            "Money spent by this worker, from the provider's answers.",
            ("account",),
            registry=registry,
        )
        self.spend_today = Gauge(
            "dialpass_sms_spend_today_rmb",
            "Money spent by all workers since midnight, UTC+8, reservations included.",
            registry=registry,
        )
        self.spend_cap = Gauge(
            "dialpass_sms_spend_cap_rmb", "The daily spend cap, 0 for none.", registry=registry
        )
        self.spend_capped = Counter(
            "dialpass_sms_spend_capped_total",
            "Calls that were not made because of the daily spend cap.",
            registry=registry,
        )


class ProviderMetrics(_LimitMetrics):
    """The provider's answers and accounts, and the limits of calling it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.answers = Counter(
            "dialpass_sms_provider_answers_total",
            "Calls that send, by the provider's code or what happened, and by the class of that code.",
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
        self.circuit_open = Gauge(
            "dialpass_sms_account_halted",
            "1 while an account sends nothing by a channel to a destination: home, foreign or all numbers;"
            " with the code that says why.",
            ("account", "channel", "destination", "code"),
            registry=registry,
        )
        self.breaker_open = Gauge(
            "dialpass_sms_breaker_open", "1 while no message is consumed.", registry=registry
        )
        self.balance = Gauge(
            "dialpass_sms_account_balance", "Money on the account, RMB.", ("account",), registry=registry
        )


class _PullMetrics:
    """Pulls of status reports."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pulls = Counter(
            "dialpass_sms_report_pulls_total",
            "Pulls of status reports: reports, empty, failed.",
            ("outcome",),
            registry=registry,
        )
        expose(self.pulls, ("reports", "empty", "failed"))


class ReportMetrics(_PullMetrics):
    """Status reports: what became of accepted messages at the phone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
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
            "Time from a message's acceptance to its delivery, from the provider's reports.",
            buckets=_DELIVERY_SECONDS,
            registry=registry,
        )
        self.reports = Counter(
            "dialpass_sms_reports_total",
            "Status reports by effect: applied; duplicate; recovered: of a message whose answer was lost;"
            " unknown: kept for a message that may be recorded later; unreadable; undecided: nothing is known"
            " yet; reply: from a phone, dropped.",
            ("effect",),
            registry=registry,
        )
        expose(self.reports, _REPORT_EFFECTS)


class BacklogMetrics:
    """The messages that wait; each worker shows all of them, so take the maximum."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = Gauge(
            "dialpass_sms_queue_depth", "Messages that wait in a queue.", ("queue",), registry=registry
        )
        self.open_messages = Gauge(
            "dialpass_sms_open_messages",
            "Messages on record without a final state, in work or in a queue.",
            registry=registry,
        )
        self.oldest_seconds = Gauge(
            "dialpass_sms_oldest_message_seconds",
            "Age of the oldest message without a final state, 0 for none.",
            registry=registry,
        )
