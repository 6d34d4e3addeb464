"""The exchange and the queues of the SMS pipeline, declared by auth and by the worker."""

from collections.abc import Sequence

from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

SMS_EXCHANGE = "sms"
SEND_CODE_QUEUE = "sms.send_code"
DEAD_QUEUE = "sms.dead_letters"
# The routing key of dead letters: an argument of the work queue, so it can never change.
DEAD_KEY = "sms.dead"

# The former dead-letter queue had no message TTL. Its messages stay; it is unbound.
_FORMER_DEAD_QUEUE = "sms.dead"
_DEAD_LETTER_TTL_SECONDS = 7 * 24 * 3600
_UNLIMITED_DELIVERIES = 1_000_000_000
# At-least-once dead-lettering requires that the queue rejects rather than drops.
_SAFE_DEAD_LETTERING = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


async def declare_sms_topology(channel: AbstractChannel) -> tuple[AbstractExchange, AbstractQueue]:
    """Declare the exchange and the queues of the SMS pipeline; idempotent.

    Both services declare the same topology, so that messages are kept before a worker has ever run.
    Messages that the worker dead-letters, and those that exceed the delivery limit, go to the dead-letter
    queue and expire there after seven days. Arguments of an existing queue cannot change: a queue with
    other arguments needs another name.

    Returns:
        the exchange to publish to and the queue to consume from.
    """
    exchange = await channel.declare_exchange(SMS_EXCHANGE, "direct", durable=True)
    dead = await channel.declare_queue(
        DEAD_QUEUE,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": _DEAD_LETTER_TTL_SECONDS * 1000,
            # Listing dead letters counts as a delivery, and RabbitMQ 4 allows 20 by default.
            "x-delivery-limit": _UNLIMITED_DELIVERIES,
        },
    )
    await dead.bind(exchange, DEAD_KEY)
    underlay = await channel.get_underlay_channel()
    await underlay.queue_unbind(_FORMER_DEAD_QUEUE, SMS_EXCHANGE, DEAD_KEY)
    queue = await channel.declare_queue(
        SEND_CODE_QUEUE,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": SMS_EXCHANGE,
            "x-dead-letter-routing-key": DEAD_KEY,
            **_SAFE_DEAD_LETTERING,
            # RabbitMQ before 4.0 has no default limit and would redeliver a crashing message endlessly.
            "x-delivery-limit": 20,
        },
    )
    await queue.bind(exchange, SEND_CODE_QUEUE)
    return exchange, queue


async def declare_wait_queues(channel: AbstractChannel, delays: Sequence[float]) -> None:
    """Declare a queue for each delay (seconds), from which messages return to the work queue.

    The TTL is the queue's and not the messages', because a queue expires messages only at its head.
    """
    for delay in delays:
        queue = await channel.declare_queue(
            wait_queue(delay),
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-message-ttl": round(delay * 1000),
                "x-dead-letter-exchange": SMS_EXCHANGE,
                "x-dead-letter-routing-key": SEND_CODE_QUEUE,
                **_SAFE_DEAD_LETTERING,
            },
        )
        await queue.bind(SMS_EXCHANGE, wait_queue(delay))


def wait_queue(delay: float) -> str:
    """Return the name of the wait queue for a delay in seconds; it is also its routing key."""
    return f"sms.wait.{round(delay * 1000)}ms"


def sms_queues(delays: Sequence[float]) -> list[str]:
    """Return the names of the work queue, the wait queue of each delay, and the dead-letter queue."""
    return [SEND_CODE_QUEUE, *map(wait_queue, delays), DEAD_QUEUE]
