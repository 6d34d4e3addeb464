"""What the auth service reaches the outside by: MySQL, Redis, RabbitMQ, signing keys, threads for hashes."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from redis.asyncio import Redis

from services.auth.codes.publisher import SendCodePublisher
from services.auth.db.cleanup import Cleanup
from services.auth.db.database import Database
from services.auth.outbox.repository import OutboxRepository
from services.auth.passwords.costs import learn_highest_cost
from services.auth.passwords.hasher import PasswordHasher
from services.auth.passwords.repository import PasswordRepository
from services.auth.sessions.repository import SessionRepository
from services.auth.settings import AuthSettings
from services.auth.tokens.key_ring import KeyPolicy, KeyRing
from services.auth.work_queue import Places
from shared import clock
from shared.health import Check
from shared.observability.metrics import AuthMetrics
from shared.observability.tracing import Tracer
from shared.redis import client as redis_client
from shared.security.sealing import Sealer
from shared.tasks import start


@dataclass(frozen=True, slots=True)
class Connections:
    """What the services reach the outside by, and what has to be closed."""

    database: Database
    redis: Redis
    publisher: SendCodePublisher
    hasher: PasswordHasher
    keys: KeyRing

    def required(self) -> Mapping[str, Check]:
        """Return the checks of what every process needs."""
        return {"mysql": self.database.check, "redis": redis_client.check(self.redis)}

    def observed(self) -> Mapping[str, Check]:
        """Return the checks of what part of the work goes on without."""
        link = self.publisher.link
        return {
            "rabbitmq": link.check,
            # Sign-ins are throttled by each process alone where Redis takes no writes, and need no new row.
            "mysql_writes": self.database.check_writes,
            "redis_writes": redis_client.check_writes(self.redis),
            "rabbitmq_writes": link.check_writes,
        }


def connect(
    settings: AuthSettings, metrics: AuthMetrics, tracer: Tracer, stack: AsyncExitStack
) -> Connections:
    """Open the connections, and start what works on them in the background; the stack closes both."""
    keys = KeyRing(settings.signing_keys_dir, _key_policy(settings), metrics)
    start("signing_keys", keys.watch, stack)
    on_failure = metrics.dependency_failures.labels("mysql").inc
    database = Database(settings.mysql_url.get_secret_value(), settings.mysql_pool_size, on_failure)
    stack.push_async_callback(database.close)
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    stack.push_async_callback(redis.aclose)
    publisher = SendCodePublisher(settings.amqp_urls, Sealer(settings.message_secrets), metrics, tracer)
    stack.push_async_callback(publisher.link.close)
    publisher.link.start()
    hasher = PasswordHasher(
        rounds=settings.bcrypt_rounds,
        workers=settings.bcrypt_workers,
        max_wait=settings.bcrypt_max_wait,
        metrics=metrics,
        places=places(settings),
    )
    stack.callback(hasher.close)
    start("password_costs", partial(learn_highest_cost, PasswordRepository(database), hasher), stack)
    marked = SessionRepository(database, OutboxRepository(database)).remove_marked
    cleanup = Cleanup(database, timedelta(days=settings.audit_retention_days), clock.now, marked)
    start("cleanup", cleanup.run, stack)
    return Connections(database, redis, publisher, hasher, keys)


def places(settings: AuthSettings) -> Places:
    """Return how much work may be in progress for one account, and for one address."""
    return Places(settings.checks_in_progress_account, settings.checks_in_progress_address)


def _key_policy(settings: AuthSettings) -> KeyPolicy:
    return KeyPolicy(settings.token_algorithm, timedelta(seconds=settings.signing_key_delay))
