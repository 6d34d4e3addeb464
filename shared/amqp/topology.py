"""The exchange and the queues of the SMS pipeline, as both of its sides declare them."""

from collections.abc import Sequence

from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

SMS_EXCHANGE = "sms"
SEND_CODE_QUEUE = "sms.send_code"
DEAD_QUEUE = "sms.dead_letters"
# The routing key of the dead; as an argument of the work queue it can never change.
DEAD_KEY = "sms.dead"

# Had the key before, without a limit to its messages' life. What is in it stays; nothing is added.
_FORMER_DEAD_QUEUE = "sms.dead"
_DEAD_LIFETIME_SECONDS = 7 * 24 * 3600
_ANY_NUMBER = 1_000_000_000
# At-least-once dead-lettering needs the queue to refuse rather than drop.
_SAFE_DEAD_LETTERING = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


async def declare_sms_topology(channel: AbstractChannel) -> tuple[AbstractExchange, AbstractQueue]:
    """Declare the exchange and the queues of the SMS pipeline; harmless where they exist.

    Both sides declare the same, so that messages wait for a worker that has never run. What the
    worker gives up on, and what crashes workers again and again, goes to the dead queue and is
    dropped from there after seven days. Arguments of a queue that exists cannot change: another
    argument takes another name.

    Returns:
        the exchange to publish to and the queue to consume from.
    """
    exchange = await channel.declare_exchange(SMS_EXCHANGE, "direct", durable=True)
    dead = await channel.declare_queue(
        DEAD_QUEUE,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": _DEAD_LIFETIME_SECONDS * 1000,
            # Each look at a message counts as a delivery, of which RabbitMQ 4 allows 20 by default.
            "x-delivery-limit": _ANY_NUMBER,
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
            # Without it RabbitMQ before 4.0 redelivers a message that kills its worker for ever.
            "x-delivery-limit": 20,
        },
    )
    await queue.bind(exchange, SEND_CODE_QUEUE)
    return exchange, queue


async def declare_wait_queues(channel: AbstractChannel, delays: Sequence[float]) -> None:
    """Declare a queue for each delay (seconds), from which messages go back to the work queue.

    The delay is the queue's and not the messages': a queue expires its messages at its head alone.
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
    """Return the name, and routing key, of the queue in which messages wait so many seconds."""
    return f"sms.wait.{round(delay * 1000)}ms"


def sms_queues(delays: Sequence[float]) -> list[str]:
    """Return the names of the pipeline's queues: the work queue, a wait queue for each delay, the dead."""
    return [SEND_CODE_QUEUE, *map(wait_queue, delays), DEAD_QUEUE]
