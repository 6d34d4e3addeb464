"""The auth service, put together: settings, connections, repositories, endpoints."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis

from services.auth.accounts.repository import MysqlUsers
from services.auth.audit.repository import MysqlAudit
from services.auth.codes.challenges import AltchaChallenges
from services.auth.codes.publisher import RabbitSmsQueue
from services.auth.codes.quotas import Budgets
from services.auth.codes.redis_errors import RedisStatuses
from services.auth.codes.repository import RedisCodes
from services.auth.codes.service import CodePolicy
from services.auth.db.cleanup import keep_house
from services.auth.db.database import Database
from services.auth.http.schemas import InputRules
from services.auth.keyed_hash import CodeSecrets
from services.auth.outbox.events import MysqlEvents
from services.auth.outbox.publisher import RabbitEvents
from services.auth.outbox.relay import Relay
from services.auth.outbox.repository import MysqlOutbox
from services.auth.passwords.common_passwords import load_common_passwords
from services.auth.passwords.hasher import BcryptPasswords
from services.auth.ports import Journal
from services.auth.pseudonyms import Pseudonyms
from services.auth.routes import make_application
from services.auth.sessions.repository import MysqlSessions
from services.auth.sessions.revocations import EndedSessions
from services.auth.sessions.rotation import SessionPolicy
from services.auth.settings import AuthSettings
from services.auth.sign_in.throttle import RedisSignInGuard, SignInLimits
from services.auth.tokens.issuer import JwtTokens
from services.auth.tokens.key_ring import KeyPolicy, KeyRing
from services.auth.wiring import Auth
from shared.clock import now
from shared.contracts.message_status import MessageStatuses
from shared.health import Health
from shared.http import ops
from shared.http.server import DrainableServer
from shared.lifecycle import Service
from shared.observability import tracing
from shared.observability.access_log import AccessLog
from shared.observability.metrics import AuthMetrics, HttpMetrics, new_registry
from shared.observability.tracing import Tracer
from shared.redis import client as redis_client
from shared.security.sealing import Sealer
from shared.tasks import cancel

# The gateway forwards at most 64 KiB; this is the net below it.
_MAX_BODY_BYTES = 128 * 1024
_BODY_SECONDS = 10.0
# Longer than the gateway keeps an idle connection, so that it is never the one surprised.
_IDLE_SECONDS = 75.0


async def build(settings: AuthSettings, stack: AsyncExitStack) -> Service:
    """Construct everything, open the port, and return what the lifecycle drives.

    Raises:
        NoSigningKey: the folder of signing keys cannot be used.
        CannotListen: the port is taken.
    """
    registry = new_registry()
    metrics = AuthMetrics(registry)
    keys = _key_ring(settings, metrics, stack)
    tracer = tracing.open_tracer(settings, "auth", stack)
    connections = _connect(settings, metrics, tracer, stack)
    auth = _wire(settings, connections, keys, metrics, HttpMetrics(registry), tracer)
    auth.http_metrics.watch_in_flight(auth.in_flight)
    health = Health(
        required={"mysql": connections.database.check, "redis": redis_client.check(connections.redis)},
        # Signing in goes on without the broker; taking this process out of service would end that.
        observed={"rabbitmq": connections.queue.link.check},
    )
    server = DrainableServer(
        make_application(auth, ops.routes(health, registry)),
        settings.auth_port,
        max_body_size=_MAX_BODY_BYTES,
        body_timeout=_BODY_SECONDS,
        idle_connection_timeout=_IDLE_SECONDS,
    )
    stack.push_async_callback(server.close)
    return Service(health, server.begin_drain, server.stop_listening, auth.in_flight)


def _key_ring(settings: AuthSettings, metrics: AuthMetrics, stack: AsyncExitStack) -> KeyRing:
    policy = KeyPolicy(settings.token_algorithm, timedelta(seconds=settings.signing_key_delay))
    keys = KeyRing(settings.signing_keys_dir, policy, metrics)
    stack.push_async_callback(cancel, asyncio.create_task(keys.watch()))
    return keys


@dataclass(frozen=True, slots=True)
class _Connections:
    """What has to be closed again."""

    database: Database
    redis: Redis
    queue: RabbitSmsQueue
    passwords: BcryptPasswords
    relay: Relay
    access_log: AccessLog


def _connect(
    settings: AuthSettings, metrics: AuthMetrics, tracer: Tracer, stack: AsyncExitStack
) -> _Connections:
    access_log = AccessLog("auth", settings.log_format, settings.log_level)
    stack.callback(access_log.flush)
    database = Database(settings.mysql_url.get_secret_value(), settings.mysql_pool_size)
    stack.push_async_callback(database.close)
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    stack.push_async_callback(redis.aclose)
    sealer = Sealer(settings.message_secrets)
    queue = RabbitSmsQueue(settings.amqp_urls, sealer, metrics, tracer)
    stack.push_async_callback(queue.link.close)
    queue.link.start()
    passwords = BcryptPasswords(
        rounds=settings.bcrypt_rounds,
        workers=settings.bcrypt_workers,
        max_wait=settings.bcrypt_max_wait,
        metrics=metrics,
    )
    stack.callback(passwords.close)
    house = keep_house(database, now, timedelta(days=settings.audit_retention_days))
    stack.push_async_callback(cancel, asyncio.create_task(house))
    relay = _start_relay(settings, database, metrics, stack)
    return _Connections(database, redis, queue, passwords, relay, access_log)


def _wire(
    settings: AuthSettings,
    connections: _Connections,
    keys: KeyRing,
    metrics: AuthMetrics,
    http_metrics: HttpMetrics,
    tracer: Tracer,
) -> Auth:
    journal = _journal(settings, connections)
    code_secrets = CodeSecrets(settings.code_secret.get_secret_value(), settings.code_length)
    return Auth(
        users=MysqlUsers(connections.database),
        sessions=MysqlSessions(connections.database, journal.events),
        ended_sessions=EndedSessions(connections.database),
        codes=_codes(settings, connections.redis, code_secrets, metrics),
        challenges=AltchaChallenges(code_secrets, cost=settings.challenge_cost, metrics=metrics),
        statuses=RedisStatuses(MessageStatuses(connections.redis), metrics),
        queue=connections.queue,
        passwords=connections.passwords,
        sign_in_guard=_sign_in_guard(settings, connections.redis, code_secrets, metrics),
        tokens=JwtTokens(
            keys,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
        ),
        journal=journal,
        keys=keys,
        clock=now,
        code_policy=CodePolicy(settings.code_ttl, settings.code_cooldown),
        session_policy=_session_policy(settings),
        login_code_creates_accounts=settings.login_code_creates_accounts,
        input_rules=InputRules(settings.sms_regions, load_common_passwords()),
        access_log=connections.access_log,
        metrics=metrics,
        http_metrics=http_metrics,
        tracer=tracer,
    )


def _journal(settings: AuthSettings, connections: _Connections) -> Journal:
    database = connections.database
    return Journal(
        database.transaction,
        MysqlEvents(database, connections.relay.wake),
        MysqlAudit(database, Pseudonyms(settings.code_secret.get_secret_value())),
    )


def _session_policy(settings: AuthSettings) -> SessionPolicy:
    return SessionPolicy(
        access=timedelta(seconds=settings.access_token_ttl),
        refresh=timedelta(seconds=settings.refresh_token_ttl),
        total=timedelta(seconds=settings.session_max_age),
        grace=timedelta(seconds=settings.refresh_grace),
    )


def _start_relay(
    settings: AuthSettings, database: Database, metrics: AuthMetrics, stack: AsyncExitStack
) -> Relay:
    """Start publishing events, on connections of its own: requests and events do not wait for each other."""
    own = Database(settings.mysql_url.get_secret_value(), pool_size=1)
    stack.push_async_callback(own.close)
    exchange = RabbitEvents(settings.amqp_urls, metrics)
    stack.push_async_callback(exchange.link.close)
    exchange.link.start()
    relay = Relay(MysqlOutbox(own), MysqlOutbox(database), exchange, now, metrics)
    for work in (relay.run(), relay.measure()):
        stack.push_async_callback(cancel, asyncio.create_task(work))
    return relay


def _sign_in_guard(
    settings: AuthSettings, redis: Redis, secrets: CodeSecrets, metrics: AuthMetrics
) -> RedisSignInGuard:
    limits = SignInLimits(
        settings.sign_in_limit_account, settings.sign_in_limit_address, settings.sign_in_limit_network
    )
    return RedisSignInGuard(redis, secrets, limits, metrics)


def _codes(settings: AuthSettings, redis: Redis, secrets: CodeSecrets, metrics: AuthMetrics) -> RedisCodes:
    return RedisCodes(
        redis,
        secrets,
        Budgets.of(settings),
        ttl=settings.code_ttl,
        cooldown=settings.code_cooldown,
        max_tries=settings.code_max_tries,
        metrics=metrics,
    )
