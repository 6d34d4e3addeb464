"""A connection to RabbitMQ that reconnects in the background.

This replaces aio-pika's robust connection: a closed channel, a consumer cancelled by the broker and a
lost connection are all handled the same way, by connecting and running the set-up again.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import DeliveryError
from yarl import URL

from shared.amqp.failures import AMQP_FAILURES, broker_failures
from shared.security.tls import explain
from shared.tasks import cancel, supervise

__all__ = ["AMQP_FAILURES", "AmqpLink"]

_CONNECT_SECONDS = 3.0
# aiormq closes the connection after three heartbeats and three seconds of silence.
_HEARTBEAT_SECONDS = 5
_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 2.0
_MIN_SECONDS_BETWEEN_RESETS = 0.2

log = structlog.get_logger()


class ConnectionBlocked(ConnectionError):
    """The broker takes no messages from publishers: its alarm for memory or disk is on."""


class AmqpLink:
    """Keeps one connection to the broker open and runs a set-up function on each new one.

    Args:
        urls: the broker's nodes, tried in turn; `amqps://…?cafile=FILE` for TLS, which verifies
            certificate and host name.
        set_up: opens channels and consumers on a new connection; any exception counts as a failed
            attempt.
        name: the connection's name in the broker's list of connections.
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
        self._connection: AbstractConnection | None = None
        self._setup_failing_since: float | None = None

    def start(self) -> None:
        """Start to connect in the background."""
        self._task = asyncio.create_task(supervise(f"broker:{self._name}", self._keep_up))

    async def wait_up(self) -> None:
        """Wait until the link is up; there is no time limit."""
        await self._up.wait()

    @property
    def up(self) -> bool:
        """Whether the connection is open and set up."""
        return self._up.is_set()

    @property
    def running(self) -> bool:
        """Whether the background task runs; False after `start` means a defect."""
        return self._task is not None and not self._task.done()

    def setup_failing_for(self, seconds: float) -> bool:
        """Return whether the broker has been reachable for `seconds` while each set-up failed."""
        return self._setup_failing_since is not None and _now() - self._setup_failing_since > seconds

    async def check(self) -> None:
        """Health check: raise `ConnectionError` while the link is down."""
        if not self.up:
            raise ConnectionError("not connected to the broker")

    async def check_writes(self) -> None:
        """Health check: raise `ConnectionError` while the link is down or its connection blocked."""
        await self.check()
        await self.refuse_if_blocked()

    async def refuse_if_blocked(self) -> None:
        """Check that the broker has not blocked the connection; this does not wait.

        The broker tells so once a connection publishes (https://www.rabbitmq.com/docs/connection-blocked).
        What was written to a blocked connection is stored when the alarm is over, so that nothing may be.

        Raises:
            ConnectionBlocked: it has, because of its memory or disk alarm.
        """
        transport = self._connection.transport if self._connection else None
        if transport is None:
            return
        try:
            async with asyncio.timeout(0):
                await transport.connection.ready()
        except TimeoutError:
            raise ConnectionBlocked from None

    def reset(self, *_: object) -> None:
        """Reconnect, because a channel or consumer of the link was closed."""
        self._up.clear()
        self._lost.set()

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Reconnect if the broker rejects the message that the block publishes, or the connection ends.

        A channel opened while a quorum queue elects its leader can reject every message from then on,
        while other channels work (seen with RabbitMQ 3.10 and `reject-publish`).

        Raises:
            Exception: one of `AMQP_FAILURES`.
        """
        set_up_at = self._set_up_at
        try:
            with broker_failures():
                yield
        except DeliveryError:
            # Rate limited: a new channel does not help where the cause is a full disk, for instance.
            if set_up_at == self._set_up_at and _now() > set_up_at + _MIN_SECONDS_BETWEEN_RESETS:
                self.reset()
            raise
        except AMQP_FAILURES as error:
            # The library tells the publisher before it tells the link; a slow answer is no end.
            if set_up_at == self._set_up_at and (not isinstance(error, TimeoutError) or error.errno):
                self.reset()
            raise

    async def close(self) -> None:
        """Stop reconnecting and close the connection."""
        if self._task is not None:
            await cancel(self._task)

    async def _keep_up(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                with broker_failures():
                    await self._connect_and_wait()
                backoff = _FIRST_BACKOFF_SECONDS
            except Exception as error:  # noqa: BLE001 - the link must keep trying
                reason = explain(error)
                details = {"reason": reason} if reason else {}
                log.warning("broker_unreachable", error=type(error).__name__, retry_in=backoff, **details)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)

    async def _connect_and_wait(self) -> None:
        """Connect, set up, and return when the connection is lost."""
        connection = await self._connect()
        try:
            self._lost.clear()
            connection.close_callbacks.add(self.reset)
            self._setup_failing_since = self._setup_failing_since or _now()
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._set_up(connection)
            self._connection = connection
            self._set_up_at = _now()
            self._setup_failing_since = None
            self._up.set()
            log.info("broker_connected")
            await self._lost.wait()
            log.warning("broker_connection_lost")
        finally:
            self._up.clear()
            self._connection = None
            await _close(connection)

    async def _connect(self) -> AbstractConnection:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await aio_pika.connect(self._next_url())
        except BaseException:
            self._setup_failing_since = None
            raise

    def _next_url(self) -> URL:
        query = {"heartbeat": str(_HEARTBEAT_SECONDS), "name": self._name}
        return URL(next(self._urls)).update_query(query)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _close(connection: AbstractConnection) -> None:
    with suppress(*AMQP_FAILURES), broker_failures():
        async with asyncio.timeout(_CONNECT_SECONDS):
            await connection.close()
