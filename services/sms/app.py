"""The SMS worker, put together: settings, connections, provider, pipeline."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from redis.asyncio import Redis
from tornado.web import Application

from services.sms.backlog import BacklogMonitor
from services.sms.delivery.ladder import Ladder
from services.sms.delivery.open_messages import OpenMessages
from services.sms.delivery.reconciliation import DoubtPolicy, Doubts
from services.sms.delivery.repository import PatientLedger, RedisLedger
from services.sms.delivery.service import Courier, text_composer
from services.sms.messaging.consumer import Intake
from services.sms.messaging.handler import SendCodeConsumer
from services.sms.messaging.publisher import Outlet
from services.sms.provider.setup import ProviderParts, open_provider
from services.sms.reports import webhook as callbacks
from services.sms.reports.setup import open_reports
from services.sms.reports.webhook import Callbacks
from services.sms.settings import SmsSettings
from services.sms.tracing import traced
from shared.clock import now
from shared.health import Health
from shared.http import ops
from shared.http.server import DrainableServer
from shared.lifecycle import Service
from shared.observability import tracing
from shared.observability.line_log import LineLog
from shared.observability.metrics import BacklogMetrics, ProviderMetrics, SmsMetrics, new_registry
from shared.observability.tracing import Tracer
from shared.redis import client as redis_client
from shared.security.sealing import Sealer

# The gateway forwards at most 512 KiB; this is the net below it.
_MAX_BODY_BYTES = 1024 * 1024
_BODY_SECONDS = 10.0
# Longer than the gateway keeps an idle connection, so that it is never the one surprised.
_IDLE_SECONDS = 75.0


async def build(settings: SmsSettings, stack: AsyncExitStack) -> Service:
    """Construct everything, begin to consume, and return what the lifecycle drives.

    Raises:
        CannotListen: the port is taken.
    """
    registry = new_registry()
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    stack.push_async_callback(redis.aclose)
    tracer = tracing.open_tracer(settings, "sms", stack)
    provider = await open_provider(settings, redis, ProviderMetrics(registry), stack, tracer)
    reports = open_reports(settings, provider.accounts, redis, registry, stack)
    ledger = PatientLedger(RedisLedger(redis, reports.tally))
    lines = LineLog("sms", "message", settings.log_format, settings.log_level)
    stack.callback(lines.flush)
    intake = _pipeline(settings, ledger, provider, SmsMetrics(registry), tracer, lines)
    health = Health(
        required={"rabbitmq": intake.link.check, "redis": redis_client.check(redis)},
        alive=lambda: intake.alive() and provider.watch.alive(),
    )
    server = _server(settings, reports.callbacks, ops.routes(health, registry))
    stack.push_async_callback(server.close)
    stack.push_async_callback(intake.close)
    intake.start()
    monitor = _monitor(settings, redis, BacklogMetrics(registry))
    stack.push_async_callback(monitor.close)
    monitor.start()

    async def stop_intake() -> None:
        reports.stop()
        await intake.stop()
        await server.stop_listening()

    return Service(health, server.begin_drain, stop_intake, lambda: intake.in_flight() + reports.in_flight())


def _server(settings: SmsSettings, reports: Callbacks, operators: Sequence[ops.Route]) -> DrainableServer:
    return DrainableServer(
        Application(
            [*operators, *callbacks.routes(reports)],
            default_handler_class=callbacks.NotFoundHandler,
            default_handler_args={"callbacks": reports},
        ),
        settings.sms_port,
        max_body_size=_MAX_BODY_BYTES,
        body_timeout=_BODY_SECONDS,
        idle_connection_timeout=_IDLE_SECONDS,
    )


def _monitor(settings: SmsSettings, redis: Redis, metrics: BacklogMetrics) -> BacklogMonitor:
    return BacklogMonitor(settings.amqp_urls, settings.sms_retry_delays, OpenMessages(redis), metrics)


def _pipeline(
    settings: SmsSettings,
    ledger: PatientLedger,
    provider: ProviderParts,
    metrics: SmsMetrics,
    tracer: Tracer,
    lines: LineLog,
) -> Intake:
    outlet = Outlet(settings.sms_retry_delays, tracer)
    sealer = Sealer(settings.message_secrets)
    consumer = SendCodeConsumer(_courier(settings, ledger, provider).deliver, outlet, sealer, metrics, lines)
    return Intake(
        settings.amqp_urls,
        traced(consumer.handle, tracer),
        outlet,
        provider.breaker,
        settings.sms_concurrency,
        metrics,
    )


def _courier(settings: SmsSettings, ledger: PatientLedger, provider: ProviderParts) -> Courier:
    compose = text_composer(settings.sms_signature, settings.sms_template)
    policy = DoubtPolicy(settings.sms_filter_window, settings.sms_record_lag)
    return Courier(
        provider=provider.provider,
        ledger=ledger,
        doubts=Doubts(provider.provider, compose, policy, now),
        compose=compose,
        ladder=Ladder(settings.sms_retry_delays),
        clock=now,
    )
