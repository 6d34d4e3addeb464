"""Requests of several kinds of clients, and upstreams that answer them in parts, or break off."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from tests.support.gateway import Gateway, Handler
from tests.support.judge import Judgement, judge

REQUESTS = {
    "1.1": b"GET /code/a HTTP/1.1\r\nHost: x\r\n\r\n",
    "1.1 keep-alive": b"GET /code/a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    "1.1 close": b"GET /code/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "1.0": b"GET /code/a HTTP/1.0\r\n\r\n",
    "1.0 keep-alive": b"GET /code/a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "1.0 keep-alive, te": b"GET /code/a HTTP/1.0\r\nConnection: keep-alive, te\r\n\r\n",
    "HEAD": b"HEAD /code/a HTTP/1.1\r\nHost: x\r\n\r\n",
}
BODY = b'{"ok":true}'
HEAD_1_1 = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = (
    HEAD_1_1 + b"Transfer-Encoding: chunked\r\n\r\n6\r\n" + BODY[:6] + b"\r\n5\r\n" + BODY[6:] + b"\r\n0\r\n"
)
UNTIL_CLOSE = HEAD_1_1 + b"\r\n" + BODY
RESET = struct.pack("ii", 1, 0)


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


def answering(
    *parts: bytes, end: Callable[[asyncio.StreamWriter], object] | None = None, pause: float = 0.02
) -> Handler:
    """Return a handler that writes parts with pauses, and then ends the connection."""

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            with suppress(OSError):
                await writer.drain()
            await asyncio.sleep(pause)
        if end is not None:
            end(writer)

    return handle


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def judged(gateway: Gateway, client: str) -> Judgement:
    return await judge(gateway.port, REQUESTS[client])
