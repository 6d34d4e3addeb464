"""What the auth service measures."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.observability.metrics.registry import expose

_REFUSING = ("cooldown", "number", "dial_code", "spend", "reserve")
_CHALLENGING = ("strangers", "address", "network", "site", "prefix", "global", "conversion")
# Of these, a second limit refuses.
_LIMITED = (
    "strangers_limit",
    "address_limit",
    "network_limit",
    "site_limit",
    "prefix_limit",
    "conversion_limit",
)


class _CodeMetrics:
    """Codes and what guards them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.codes = Counter(
            "dialpass_codes_total",
            "Codes by what became of them: requested, refused, unsent, verified, wrong; repeated: right, and "
            "the same answer again; used: right, but used before; void: given up before Redis had it; "
            "withheld: decided on after the answer, and then requested, refused, unsent or, without an "
            "account, nothing.",
            ("purpose", "outcome"),
            registry=registry,
        )
        self.code_refusals = Counter(
            "dialpass_code_refusals_total",
            "Requests for a code that met a used-up budget: refused for cooldown, number, dial_code, spend, "
            "*_limit; asked for a challenge for strangers, address, network, site, prefix, global, "
            "conversion; either for reserve.",
            ("budget",),
            registry=registry,
        )
        expose(self.code_refusals, (*_REFUSING, *_CHALLENGING, *_LIMITED))
        self.challenges = Counter(
            "dialpass_challenges_total",
            "Proof-of-work challenges: asked, solved (and needed), replayed, wrong.",
            ("outcome",),
            registry=registry,
        )
        expose(self.challenges, ("asked", "solved", "replayed", "wrong"))
        self.conversion = Counter(
            "dialpass_code_conversion_total",
            "Codes requested and verified, by dial code and the first three digits of mainland numbers.",
            ("dial_code", "prefix", "outcome"),
            registry=registry,
        )


class _SignInMetrics:
    """Signing in, and what slows it down."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sign_ins = Counter(
            "dialpass_sign_ins_total", "Sign-ins by outcome.", ("outcome",), registry=registry
        )
        self.refreshes = Counter(
            "dialpass_token_refreshes_total",
            "Refreshes of sessions by outcome.",
            ("outcome",),
            registry=registry,
        )
        self.reauthentications = Counter(
            "dialpass_reauthentications_total",
            "Step-ups by outcome: a signed-in user gave the password or a code again.",
            ("outcome",),
            registry=registry,
        )
        self.throttled = Counter(
            "dialpass_attempts_throttled_total",
            "Attempts refused, by kind (sign_in, code, in_progress: at the same time, change, refresh) and "
            "by whose limit is used up: account and address, account, address, network, newcomers, all "
            "checks of either, session.",
            ("kind", "subject"),
            registry=registry,
        )
        self.unthrottled = Counter(
            "dialpass_sign_ins_unthrottled_total",
            "Sign-ins that only the process itself throttled, because Redis was down.",
            registry=registry,
        )
        self.undecided = Counter(
            "dialpass_sign_ins_undecided_total",
            "Sign-ins refused with 503, because Redis was there, but this process was late for its answer.",
            registry=registry,
        )


class _HashMetrics:
    """The computation of password hashes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.hashes = Counter(
            "dialpass_password_hashes_total",
            "bcrypt computations: done, or refused because the queue was full.",
            ("outcome",),
            registry=registry,
        )
        expose(self.hashes, ("done", "refused"))
        self.hash_queue = Gauge(
            "dialpass_password_hash_queue",
            "bcrypt computations waiting or running.",
            registry=registry,
        )


class _AccountMetrics:
    """Accounts and the events that tell of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
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
        self.changes_counted_locally = Counter(
            "dialpass_changes_counted_locally_total",
            "Changes of accounts that a process counted by itself, because Redis did not answer.",
            registry=registry,
        )
        self.notices = Counter(
            "dialpass_notices_total",
            "Notices to owners by what became of them: published, failed.",
            ("kind", "outcome"),
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


class AuthMetrics(_CodeMetrics, _SignInMetrics, _HashMetrics, _AccountMetrics):
    """What the auth service decides."""

    def __init__(self, registry: CollectorRegistry) -> None:
        _CodeMetrics.__init__(self, registry)
        _SignInMetrics.__init__(self, registry)
        _HashMetrics.__init__(self, registry)
        _AccountMetrics.__init__(self, registry)
        self.key_failures = Counter(
            "dialpass_signing_key_failures_total",
            "Changes of the folder of signing keys that could not be used; the keys before stay in force.",
            registry=registry,
        )
        self.dependency_failures = Counter(
            "dialpass_dependency_failures_total",
            "Calls of a dependency that failed; some are repeated, most fail a request.",
            ("dependency",),
            registry=registry,
        )
        expose(self.dependency_failures, ("mysql", "redis", "rabbitmq"))
        self.late_requests = Counter(
            "dialpass_late_requests_total",
            "Requests that were not begun, because their gateway had given them up: this process was stopped "
            "or has too much to do.",
            registry=registry,
        )
        self.forwarded_refused = Counter(
            "dialpass_forwarded_refused_total",
            "Requests that named a client's address, but were not the gateway's: its secret or network is"
            " missing, or somebody reaches auth past the gateway.",
            registry=registry,
        )
