"""The SMS worker, put together: settings, connections, provider, consumer."""

from contextlib import AsyncExitStack
from functools import partial

from tornado.web import Application

from services.sms.consumer import SendCodeConsumer
from services.sms.delivery import deliver, text_composer
from services.sms.ledger import PatientLedger
from services.sms.provider_setup import open_provider
from services.sms.settings import SmsSettings
from shared import ops, redis_client
from shared.health import Health
from shared.http_server import DrainableServer
from shared.lifecycle import Service
from shared.message_status import MessageStatuses, now
from shared.metrics import ProviderMetrics, SmsMetrics, new_registry
from shared.sealing import Sealer


async def build(settings: SmsSettings, stack: AsyncExitStack) -> Service:
    """Construct everything, begin to consume, and return what the lifecycle drives.

    Raises:
        CannotListen: the port is taken.
    """
    registry = new_registry()
    metrics = SmsMetrics(registry)
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    stack.push_async_callback(redis.aclose)
    provider = await open_provider(settings, redis, ProviderMetrics(registry), stack)
    consumer = SendCodeConsumer(
        settings.amqp_url.get_secret_value().split(","),
        partial(
            deliver,
            provider=provider.provider,
            ledger=PatientLedger(MessageStatuses(redis)),
            compose=text_composer(settings.sms_signature, settings.sms_template),
            clock=now,
        ),
        settings.sms_concurrency,
        Sealer(settings.message_secret.get_secret_value().split(",")),
        metrics,
    )
    health = Health(
        required={"rabbitmq": consumer.link.check, "redis": redis_client.check(redis)},
        alive=lambda: consumer.link.running,
    )
    server = DrainableServer(Application(list(ops.routes(health, registry))), settings.sms_port)
    stack.push_async_callback(server.close)
    stack.push_async_callback(consumer.close)
    consumer.link.start()
    return Service(health, lambda: None, consumer.stop_consuming, consumer.in_flight)
