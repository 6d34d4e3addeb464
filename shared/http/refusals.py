"""Answers to requests that could not be read, and the end of their connections."""

import asyncio
import socket
from contextlib import suppress
from http import HTTPStatus

from tornado.iostream import IOStream, StreamClosedError

from shared.errors import AppError
from shared.http import problems, request_ids
from shared.http.dates import http_date

LINGERING_SECONDS = 2.0


async def refuse(stream: IOStream, error: AppError) -> None:
    """Answer a request that could not be read, and close its connection."""
    with suppress(StreamClosedError):
        stream.write(encode_refusal(error))
    await lingering_close(stream)


def encode_refusal(error: AppError, request_id: str | None = None) -> bytes:
    """Return the response to a request that could not be read.

    Args:
        error: the reason.
        request_id: the request's own id, if it is known.
    """
    request_id = request_ids.accept_or_create(request_id)
    headers, body = problems.render(error, request_id, "en")
    headers |= {
        request_ids.HEADER: request_id,
        "Date": http_date(),
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode("latin1") + body


async def lingering_close(stream: IOStream) -> None:
    """Close a connection whose client is still sending.

    It sees the end of the connection at once, and what it sends is read and dropped for a while: closing
    both directions would reset the connection, and the client could lose the response (RFC 9112 §9.6).
    """
    end_writing(stream)
    try:
        async with asyncio.timeout(LINGERING_SECONDS):
            while True:
                await stream.read_bytes(65536, partial=True)
                await asyncio.sleep(0)  # data that has arrived is read without a pause
    except (StreamClosedError, TimeoutError):
        pass
    finally:
        stream.close()


def end_writing(stream: IOStream) -> None:
    """Show the client the end of the connection, while it can still send."""
    if not (stream.closed() or stream.writing()):
        with suppress(OSError):  # the client has gone
            stream.socket.shutdown(socket.SHUT_WR)
