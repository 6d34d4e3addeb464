"""Closing a connection whose client is still sending."""

import asyncio
from contextlib import suppress

from tornado.iostream import IOStream, StreamClosedError

_LINGER_SECONDS = 2.0


async def linger(stream: IOStream) -> None:
    """Read and drop what the client still sends, then close.

    Closing at once would reset the connection and could take the answer with it (RFC 9112 §9.6).
    """
    with suppress(StreamClosedError, TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while True:
                await stream.read_bytes(65536, partial=True)
    stream.close()
