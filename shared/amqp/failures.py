"""What aio-pika, aiormq and the event loop raise for a broker that is gone, as failures of ours."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AMQPError, ChannelInvalidStateError

# Raised to callers when the broker is down, hangs or closes the connection.
AMQP_FAILURES = (AMQPError, OSError, TimeoutError, asyncio.InvalidStateError, ChannelInvalidStateError)


class BrokerLost(ConnectionError):
    """The connection or the channel ended during a call, which may have been carried out."""


class ChannelGone(BrokerLost):
    """The connection or the channel had ended before the call, which was certainly not carried out."""


@contextmanager
def broker_failures() -> Iterator[None]:
    """Raise only `AMQP_FAILURES` for what calls of the library in the block fail with.

    aiormq rejects whatever waits on a connection that ends, with the reason of the end: with a
    `CancelledError` after missed heartbeats, although nobody has cancelled the caller, or with a bare
    `Exception` after an orderly end. uvloop raises a plain `RuntimeError` for a closed transport. A
    cancellation of the caller stays one, also where the library raises something else for it.

    Raises:
        ChannelGone: the call was not carried out.
        BrokerLost: the connection ended.
    """
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        yield
    except (Exception, asyncio.CancelledError) as error:
        if task and task.cancelling() > cancellations:
            raise asyncio.CancelledError from error
        if isinstance(error, ChannelInvalidStateError):
            raise ChannelGone(str(error)) from error
        if not isinstance(error, AMQP_FAILURES) and _is_of_the_connection(error):
            raise BrokerLost(type(error).__name__) from error
        raise


def _is_of_the_connection(error: BaseException) -> bool:
    bare = type(error) is Exception
    return bare or isinstance(error, (asyncio.CancelledError, *CONNECTION_EXCEPTIONS))
