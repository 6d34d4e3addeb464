"""The SMS worker, put together: settings, connections, provider, pipeline."""

from contextlib import AsyncExitStack

from redis.asyncio import Redis
from tornado.web import Application

from services.sms.consumer import SendCodeConsumer
from services.sms.delivery import Courier, text_composer
from services.sms.doubts import DoubtPolicy, Doubts
from services.sms.intake import Intake
from services.sms.ladder import Ladder
from services.sms.ledger import PatientLedger, RedisLedger
from services.sms.outlet import Outlet
from services.sms.provider_setup import ProviderParts, open_provider
from services.sms.settings import SmsSettings
from services.sms.traced import traced
from shared import ops, redis_client, tracing
from shared.health import Health
from shared.http_server import DrainableServer
from shared.lifecycle import Service
from shared.message_status import now
from shared.metrics import ProviderMetrics, SmsMetrics, new_registry
from shared.sealing import Sealer
from shared.tracing import Tracer


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
    intake = _pipeline(settings, redis, provider, SmsMetrics(registry), tracer)
    health = Health(
        required={"rabbitmq": intake.link.check, "redis": redis_client.check(redis)},
        alive=lambda: intake.alive() and provider.watch.alive(),
    )
    server = DrainableServer(Application(list(ops.routes(health, registry))), settings.sms_port)
    stack.push_async_callback(server.close)
    stack.push_async_callback(intake.close)
    intake.start()
    return Service(health, lambda: None, intake.stop, intake.in_flight)


def _pipeline(
    settings: SmsSettings, redis: Redis, provider: ProviderParts, metrics: SmsMetrics, tracer: Tracer
) -> Intake:
    outlet = Outlet(settings.sms_retry_delays, tracer)
    sealer = Sealer(settings.message_secret.get_secret_value().split(","))
    consumer = SendCodeConsumer(_courier(settings, redis, provider).deliver, outlet, sealer, metrics)
    return Intake(
        settings.amqp_url.get_secret_value().split(","),
        traced(consumer.handle, tracer),
        outlet,
        provider.breaker,
        settings.sms_concurrency,
        metrics,
    )


def _courier(settings: SmsSettings, redis: Redis, provider: ProviderParts) -> Courier:
    compose = text_composer(settings.sms_signature, settings.sms_template)
    policy = DoubtPolicy(settings.sms_filter_window, settings.sms_record_lag)
    return Courier(
        provider=provider.provider,
        ledger=PatientLedger(RedisLedger(redis)),
        doubts=Doubts(provider.provider, compose, policy, now),
        compose=compose,
        ladder=Ladder(settings.sms_retry_delays),
        clock=now,
    )
