"""The connection to RabbitMQ: kept up in the background, its topology in one place.

Reconnection is ours and not aio-pika's robust one: a closed channel, a consumer that the broker
cancels and a lost connection all take the same path here, which sets everything up anew.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue
from aio_pika.exceptions import AMQPError, DeliveryError
from yarl import URL

from shared.tasks import cancel

SMS_EXCHANGE = "sms"
SEND_CODE_QUEUE = "sms.send_code"
DEAD_QUEUE = "sms.dead_letters"
# The routing key of the dead; as an argument of the work queue it can never change.
DEAD_KEY = "sms.dead"

# What a caller can see when the broker is down, hangs or breaks off.
AMQP_FAILURES = (AMQPError, OSError, TimeoutError, asyncio.InvalidStateError)

# Had the key before, without a limit to its messages' life. What is in it stays; nothing is added.
_FORMER_DEAD_QUEUE = "sms.dead"
_DEAD_LIFETIME_SECONDS = 7 * 24 * 3600
_ANY_NUMBER = 1_000_000_000
# At-least-once dead-lettering needs the queue to refuse rather than drop.
_SAFE_DEAD_LETTERING = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
_CONNECT_SECONDS = 3.0
# The library gives a silent peer three of these, and three seconds.
_HEARTBEAT_SECONDS = 5
_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 2.0
_REFUSAL_SECONDS = 0.2

log = structlog.get_logger()


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


class AmqpLink:
    """Keeps one connection to the broker up and runs a set-up on each new one.

    Args:
        urls: the broker's nodes, tried in turn.
        set_up: opens channels and consumers on a new connection; whatever it raises counts as a
            failed attempt.
        name: shown in the broker's list of connections.
    """

    def __init__(
        self,
        urls: Sequence[str],
        set_up: Callable[[AbstractConnection], Awaitable[None]],
        name: str,
    ) -> None:
        self._urls = itertools.cycle(urls)
        self._set_up = set_up
        self._name = name
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._set_up_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._stuck_since: float | None = None

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._task = asyncio.create_task(self._keep_up())

    async def wait_up(self) -> None:
        """Return once the link is up; the caller bounds the wait."""
        await self._up.wait()

    @property
    def up(self) -> bool:
        """Whether the connection is there and set up."""
        return self._up.is_set()

    @property
    def running(self) -> bool:
        """Whether the link is up or being worked on; false would mean a defect."""
        return self._task is not None and not self._task.done()

    def stuck(self, seconds: float) -> bool:
        """Whether the broker has been reached for so long, while setting up failed each time."""
        return self._stuck_since is not None and _now() - self._stuck_since > seconds

    async def check(self) -> None:
        """Health check: raises `ConnectionError` while the link is down."""
        if not self.up:
            raise ConnectionError("not connected to the broker")

    def lost(self, *_: object) -> None:
        """Report that a channel or consumer of the link has gone; everything is set up anew."""
        self._up.clear()
        self._lost.set()

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Have the link set up anew where the broker refuses the message that the block publishes.

        A channel that was opened while a quorum queue elected its leader can refuse every message from
        then on, though other channels work (seen with RabbitMQ 3.10 and `reject-publish`).
        """
        set_up_at = self._set_up_at
        try:
            yield
        except DeliveryError:
            # Not for ever: a broker may have its reasons, a full disk for instance.
            if set_up_at == self._set_up_at and _now() > set_up_at + _REFUSAL_SECONDS:
                self.lost()
            raise

    async def close(self) -> None:
        """Stop reconnecting and close the connection."""
        if self._task is not None:
            await cancel(self._task)

    async def _keep_up(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                await self._connect_and_wait()
                backoff = _FIRST_BACKOFF_SECONDS
            except Exception as error:  # noqa: BLE001 - the link must never stop trying
                log.warning("broker_unreachable", error=type(error).__name__, retry_in=backoff)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)

    async def _connect_and_wait(self) -> None:
        """Return when a connection that had come up is lost."""
        connection = await self._connect()
        try:
            self._lost.clear()
            connection.close_callbacks.add(self.lost)
            self._stuck_since = self._stuck_since or _now()
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._set_up(connection)
            self._set_up_at = _now()
            self._stuck_since = None
            self._up.set()
            log.info("broker_connected")
            await self._lost.wait()
            log.warning("broker_connection_lost")
        finally:
            self._up.clear()
            await _close(connection)

    async def _connect(self) -> AbstractConnection:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await aio_pika.connect(self._next_url())
        except BaseException:
            self._stuck_since = None
            raise

    def _next_url(self) -> URL:
        query = {"heartbeat": str(_HEARTBEAT_SECONDS), "name": self._name}
        return URL(next(self._urls)).update_query(query)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _close(connection: AbstractConnection) -> None:
    with suppress(*AMQP_FAILURES):
        async with asyncio.timeout(_CONNECT_SECONDS):
            await connection.close()
