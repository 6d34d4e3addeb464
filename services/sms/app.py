"""Constructs the SMS worker: connections, provider, delivery, consumer, HTTP server."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from tornado.web import Application

from services.sms.backlog import BacklogMonitor
from services.sms.delivery.reconciliation import Reconciler, ReconciliationPolicy
from services.sms.delivery.repository import MessageRepository
from services.sms.delivery.retries import RetrySchedule
from services.sms.delivery.service import DeliveryService
from services.sms.delivery.texts import text_composer, text_keys
from services.sms.messaging.consumer import MessageConsumer
from services.sms.messaging.handler import MessageHandler
from services.sms.messaging.publisher import MessagePublisher
from services.sms.provider.setup import ProviderParts, open_provider
from services.sms.reports import webhook
from services.sms.reports.service import ReportService
from services.sms.reports.setup import open_reports
from services.sms.settings import SmsSettings
from services.sms.tracing import traced
from shared.clock import now
from shared.health import Health
from shared.http import ops
from shared.http.limits import ConnectionLimits
from shared.http.server import DrainableServer
from shared.lifecycle import Service
from shared.observability import tracing
from shared.observability.line_log import LineLog
from shared.observability.metrics import (
    BacklogMetrics,
    HealthMetrics,
    ProviderMetrics,
    SmsMetrics,
    new_registry,
)
from shared.observability.tracing import Tracer
from shared.redis import client as redis_client
from shared.security.sealing import Sealer

# The gateway forwards at most 512 KiB; this is a second limit behind it.
_MAX_BODY_BYTES = 1024 * 1024
# Longer than the gateway keeps an idle connection, so that the gateway is the one to close it.
_IDLE_SECONDS = 75.0


async def build(settings: SmsSettings, stack: AsyncExitStack) -> Service:
    """Construct the worker, start to consume, and return what the lifecycle needs.

    Raises:
        CannotListen: the port is taken.
    """
    registry = new_registry()
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    stack.push_async_callback(redis.aclose)
    tracer = tracing.open_tracer(settings, "sms", stack)
    provider = await open_provider(settings, redis, ProviderMetrics(registry), stack, tracer)
    repository = MessageRepository(redis)
    reports = open_reports(settings, provider.accounts, repository, redis, registry, stack)
    lines = LineLog("sms", "message", settings.log_format, settings.log_level)
    stack.callback(lines.flush)
    delivery = _delivery_service(settings, repository, reports.service, provider)
    consumer = _consumer(settings, delivery, provider, SmsMetrics(registry), tracer, lines)
    health = Health(
        required={"rabbitmq": consumer.link.check, "redis": redis_client.check(redis)},
        # Status reports are taken, and what was accepted is finished.
        observed={
            "redis_writes": redis_client.check_writes(redis),
            "rabbitmq_writes": consumer.link.check_writes,
        },
        metrics=HealthMetrics(registry),
        alive=lambda: consumer.alive() and provider.monitor.alive(),
    )
    server = _server(settings, reports.webhook, ops.routes(health, registry))
    stack.push_async_callback(server.close)
    stack.push_async_callback(consumer.close)
    consumer.start()
    backlog = BacklogMonitor(
        settings.amqp_urls, settings.sms_retry_delays, repository, BacklogMetrics(registry)
    )
    stack.push_async_callback(backlog.close)
    backlog.start()

    async def stop() -> None:
        reports.stop()
        await consumer.stop()
        await server.stop_listening()

    return Service(health, server.begin_drain, stop, lambda: consumer.in_flight() + reports.in_flight())


def _delivery_service(
    settings: SmsSettings, repository: MessageRepository, reports: ReportService, provider: ProviderParts
) -> DeliveryService:
    compose = text_composer(
        settings.sms_signature,
        settings.sms_template,
        settings.sms_templates,
        foreign_signature=settings.sms_foreign_signature,
        foreign_template=settings.sms_foreign_template,
        by_region=settings.sms_region_templates,
    )
    policy = ReconciliationPolicy(settings.sms_filter_window, settings.sms_record_lag)
    return DeliveryService(
        provider=provider.provider,
        repository=repository,
        reports=reports,
        reconciler=Reconciler(provider.provider, compose, policy, now),
        compose=compose,
        schedule=RetrySchedule(settings.sms_retry_delays),
        clock=now,
        text_key=text_keys(settings.message_secrets[0]),
    )


def _consumer(
    settings: SmsSettings,
    delivery: DeliveryService,
    provider: ProviderParts,
    metrics: SmsMetrics,
    tracer: Tracer,
    lines: LineLog,
) -> MessageConsumer:
    publisher = MessagePublisher(settings.sms_retry_delays, tracer)
    sealer = Sealer(settings.message_secrets)
    handler = MessageHandler(delivery, publisher, sealer, metrics, lines, accept_v1=settings.sms_accept_v1)
    return MessageConsumer(
        settings.amqp_urls,
        traced(handler.handle, tracer),
        publisher,
        provider.breaker,
        settings.sms_concurrency,
        metrics,
    )


def _server(
    settings: SmsSettings, reports: webhook.Webhook, operators: Sequence[ops.Route]
) -> DrainableServer:
    return DrainableServer(
        Application(
            [*operators, *webhook.routes(reports)],
            default_handler_class=webhook.NotFoundHandler,
            default_handler_args={"webhook": reports},
        ),
        settings.sms_port,
        settings.bind_address,
        max_body_size=_MAX_BODY_BYTES,
        limits=ConnectionLimits(idle_seconds=_IDLE_SECONDS),
    )
