"""What the handlers are given: the adapters behind their ports, and the rules from the settings."""

from dataclasses import dataclass, field

from services.auth.codes.service import CodePolicy
from services.auth.http.schemas import InputRules
from services.auth.ports import (
    Challenges,
    Codes,
    Journal,
    Passwords,
    Sessions,
    SignInGuard,
    SmsQueue,
    Statuses,
    Tokens,
    Users,
)
from services.auth.sessions.revocations import EndedSessions
from services.auth.sessions.rotation import SessionPolicy
from services.auth.tokens.key_ring import KeyRing
from shared.clock import Clock
from shared.http.in_flight import InFlight
from shared.observability.access_log import AccessLog
from shared.observability.metrics import AuthMetrics, HttpMetrics
from shared.observability.tracing import OFF, Tracer


@dataclass(frozen=True, slots=True)
class Auth:
    """Everything that an endpoint may use."""

    users: Users
    sessions: Sessions
    ended_sessions: EndedSessions
    codes: Codes
    challenges: Challenges
    statuses: Statuses
    queue: SmsQueue
    passwords: Passwords
    sign_in_guard: SignInGuard
    tokens: Tokens
    journal: Journal
    keys: KeyRing
    clock: Clock
    code_policy: CodePolicy
    session_policy: SessionPolicy
    login_code_creates_accounts: bool
    input_rules: InputRules
    access_log: AccessLog
    metrics: AuthMetrics
    http_metrics: HttpMetrics
    tracer: Tracer = OFF
    in_flight: InFlight = field(default_factory=InFlight)
