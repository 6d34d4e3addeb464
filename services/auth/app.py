"""The auth service, put together: settings, connections, repositories, services, endpoints."""

from contextlib import AsyncExitStack
from datetime import timedelta

from services.auth.accounts.administration import AccountAdministration
from services.auth.accounts.repository import UserRepository
from services.auth.accounts.service import AccountService
from services.auth.audit.repository import AuditRepository
from services.auth.change_limits import ChangeLimiter, ChangeLimits, RefreshLimiter
from services.auth.codes.challenges import AltchaChallenges
from services.auth.codes.generator import CodeGenerator
from services.auth.codes.quotas import Quotas
from services.auth.codes.repository import CodeRepository
from services.auth.codes.service import CodeService
from services.auth.codes.voice import VoicePolicy
from services.auth.connections import Connections, connect, places
from services.auth.db.database import Database
from services.auth.http.fields import ValidationContext, load_common_passwords
from services.auth.http.gateway_trust import GatewayTrust
from services.auth.http.handler import HttpContext
from services.auth.keyed_hash import KeyedHash
from services.auth.notices.service import NoticeService
from services.auth.outbox.publisher import EventPublisher
from services.auth.outbox.relay import Relay
from services.auth.outbox.repository import OutboxRepository
from services.auth.passwords.service import PasswordService
from services.auth.reauthentication.service import ReauthenticationService
from services.auth.routes import Services, make_application
from services.auth.sessions.announcements import EndAnnouncements
from services.auth.sessions.refresh_tokens import SessionPolicy
from services.auth.sessions.repository import SessionRepository
from services.auth.sessions.revocations import Revocations
from services.auth.sessions.service import SessionService
from services.auth.settings import AuthSettings
from services.auth.sign_in.attempts import PasswordAttempts
from services.auth.sign_in.service import SignInService
from services.auth.sign_in.throttle import SignInLimits, SignInThrottle
from services.auth.tokens.issuer import AccessTokenIssuer
from services.auth.unit_of_work import UnitOfWork
from services.auth.weak_settings import warn_of_weak_settings
from shared import clock
from shared.clock import Clock
from shared.contracts.messages import NoticeKind
from shared.health import Health
from shared.http import ops
from shared.http.deadline import DeadlineReader
from shared.http.limits import ConnectionLimits
from shared.http.server import DrainableServer
from shared.lifecycle import Service
from shared.observability import tracing
from shared.observability.access_log import AccessLog
from shared.observability.metrics import AuthMetrics, HealthMetrics, HttpMetrics, new_registry
from shared.tasks import start

# The gateway forwards at most 64 KiB.
_MAX_BODY_BYTES = 128 * 1024
# Longer than the gateway keeps an idle connection, so that the gateway is the one that closes it.
_IDLE_SECONDS = 75.0


async def build(settings: AuthSettings, stack: AsyncExitStack) -> Service:
    """Construct everything, open the port, and return what the lifecycle drives.

    Raises:
        NoSigningKey: the folder of signing keys cannot be used.
        CannotListen: the port is taken.
    """
    registry = new_registry()
    metrics = AuthMetrics(registry)
    http_metrics = HttpMetrics(registry)
    tracer = tracing.open_tracer(settings, "auth", stack)
    access_log = AccessLog("auth", settings.log_format, settings.log_level)
    stack.callback(access_log.flush)
    connections = connect(settings, metrics, tracer, stack)
    relay = _start_relay(settings, connections.database, metrics, stack)
    services = build_services(
        settings, connections, OutboxRepository(connections.database, relay.wake), metrics
    )
    stack.push_async_callback(services.codes.close)
    keyed_hash = KeyedHash(settings.code_secret.get_secret_value())
    context = HttpContext(
        services.sessions.authenticate, services.change_limiter.charge,
        ValidationContext(settings.sms_regions, load_common_passwords(), settings.code_length),
        access_log,
        http_metrics,
        tracer,
        gateways=GatewayTrust(
            settings.gateway_secrets, settings.trusted_gateways, metrics.forwarded_refused.inc
        ),
        deadlines=DeadlineReader(on_late=metrics.late_requests.inc),
        pseudonym=keyed_hash.client,
    )  # fmt: skip
    http_metrics.watch_in_flight(context.in_flight)
    # Sign-ins work without the broker; an unready process would end that.
    health = Health(connections.required(), connections.observed(), metrics=HealthMetrics(registry))
    application = make_application(services, context, ops.routes(health, registry))
    limits = ConnectionLimits(idle_seconds=_IDLE_SECONDS)
    server = DrainableServer(
        application, settings.auth_port, settings.bind_address,
        max_body_size=_MAX_BODY_BYTES, limits=limits,
    )  # fmt: skip
    stack.push_async_callback(server.close)
    return Service(health, server.begin_drain, server.stop_listening, context.in_flight)


def build_services(
    settings: AuthSettings,
    connections: Connections,
    outbox: OutboxRepository,
    metrics: AuthMetrics,
    now: Clock = clock.now,
) -> Services:
    """Construct the repositories and services on open connections."""
    warn_of_weak_settings(settings)
    database, hasher = connections.database, connections.hasher
    keyed_hash = KeyedHash(settings.code_secret.get_secret_value())
    users, announcements = UserRepository(database), EndAnnouncements(connections.redis, metrics)
    sessions = SessionRepository(database, outbox, announcements.add)
    uow = UnitOfWork(database, outbox, AuditRepository(database, keyed_hash), now)
    administration = AccountAdministration(uow, users, sessions)
    throttle = SignInThrottle(connections.redis, keyed_hash, _sign_in_limits(settings), metrics, hasher)
    attempts = PasswordAttempts(uow, throttle)
    tokens = AccessTokenIssuer(
        connections.keys, issuer=settings.token_issuer, audience=settings.token_audience
    )
    code_service = _code_service(settings, connections, users, keyed_hash, metrics, now)
    notices = _notice_service(settings, connections, metrics, now)
    session_service = SessionService(
        uow, sessions, users, tokens, _session_policy(settings),
        RefreshLimiter(settings.refresh_limit, metrics), metrics,
    )  # fmt: skip
    password_service = PasswordService(
        uow, users, sessions, session_service, code_service, hasher, attempts, notices, metrics
    )
    account_service = AccountService(
        uow, users, administration, session_service, code_service, hasher, notices, metrics
    )
    sign_in_service = SignInService(
        uow, users, account_service, password_service, session_service, code_service, hasher, attempts,
        metrics, code_creates_accounts=settings.login_code_creates_accounts,
    )  # fmt: skip
    reauthentication = ReauthenticationService(uow, session_service, code_service, hasher, attempts, metrics)
    return Services(
        code_service, account_service, password_service, sign_in_service, reauthentication, session_service,
        Revocations(database, announcements), tokens, _change_limiter(settings, connections, metrics),
    )  # fmt: skip


def _start_relay(
    settings: AuthSettings, database: Database, metrics: AuthMetrics, stack: AsyncExitStack
) -> Relay:
    """Start to publish events, on connections of its own: requests and events do not wait for each other."""
    on_failure = metrics.dependency_failures.labels("mysql").inc
    own = Database(settings.mysql_url.get_secret_value(), 1, on_failure)
    stack.push_async_callback(own.close)
    publisher = EventPublisher(settings.amqp_urls, metrics)
    stack.push_async_callback(publisher.link.close)
    publisher.link.start()
    relay = Relay(OutboxRepository(own), OutboxRepository(database), publisher, clock.now, metrics)
    start("relay", relay.run, stack)
    start("outbox_gauges", relay.measure, stack)
    return relay


def _code_service(
    settings: AuthSettings,
    connections: Connections,
    users: UserRepository,
    keyed_hash: KeyedHash,
    metrics: AuthMetrics,
    now: Clock,
) -> CodeService:
    async def has_account(mobile: str) -> bool:
        user = await users.find_by_mobile(mobile)
        return user is not None and user.enabled

    codes = CodeRepository(
        connections.redis,
        keyed_hash,
        CodeGenerator(keyed_hash, settings.code_length),
        Quotas.of(settings),
        ttl=settings.code_ttl,
        cooldown=settings.code_cooldown,
        max_tries=settings.code_max_tries,
        metrics=metrics,
    )
    challenges = AltchaChallenges(
        keyed_hash, cost=settings.challenge_cost, metrics=metrics, places=places(settings)
    )
    return CodeService(
        codes,
        challenges,
        connections.publisher,
        has_account=has_account,
        cooldown=settings.code_cooldown,
        voice=VoicePolicy.parse(settings.voice_hours, settings.code_length),
        clock=now,
    )


def _notice_service(
    settings: AuthSettings, connections: Connections, metrics: AuthMetrics, now: Clock
) -> NoticeService:
    texts: dict[NoticeKind, str] = {
        "mobile_changed": settings.notice_mobile_changed,
        "password_reset": settings.notice_password_reset,
        "account_deleted": settings.notice_account_deleted,
    }
    return NoticeService(connections.publisher, texts, now, metrics)


def _change_limiter(settings: AuthSettings, connections: Connections, metrics: AuthMetrics) -> ChangeLimiter:
    limits = ChangeLimits(settings.change_limit_session, settings.change_limit_account)
    return ChangeLimiter(connections.redis, limits, metrics)


def _sign_in_limits(settings: AuthSettings) -> SignInLimits:
    return SignInLimits(
        settings.sign_in_limit_account,
        settings.sign_in_limit_address,
        settings.sign_in_limit_network,
        settings.sign_in_limit_newcomers,
        settings.sign_in_checks_account,
        settings.sign_in_checks_address,
    )


def _session_policy(settings: AuthSettings) -> SessionPolicy:
    return SessionPolicy(
        access=timedelta(seconds=settings.access_token_ttl),
        refresh=timedelta(seconds=settings.refresh_token_ttl),
        total=timedelta(seconds=settings.session_max_age),
        reuse_interval=timedelta(seconds=settings.refresh_grace),
        max_sessions=settings.max_sessions,
        max_proof_age=timedelta(seconds=settings.reauth_max_age),
    )
