"""A client's connection: its requests are read one after the other, and answered in order."""

import asyncio
import math
import secrets
import socket
from contextlib import suppress
from http import HTTPStatus

import structlog
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from shared.errors import AppError, PayloadTooLarge
from shared.http import problems, request_head, request_ids
from shared.http.client_stream import ClientStream
from shared.observability.metrics import ConnectionMetrics

# Of such a body no copy is made: many clients may be reading the same one.
LARGE_BODY = 16 * 1024
_LINGERING_TIMEOUT = 2.0
_MAX_IN_A_ROW = 16

log = structlog.get_logger()


class RequestConnection(HTTP1Connection):
    """Tornado's connection for one request and its response, with a strict reading of the request.

    Attributes:
        stream: the client's connection; None once it has been detached.
        error: why the body could not be read, or None.
    """

    stream: ClientStream
    error: AppError | None = None

    @property
    def body_has_arrived(self) -> bool:
        """Whether the body is here already, so that it can be dropped without waiting for the client."""
        headers = self._request_headers or HTTPHeaders()
        if "Transfer-Encoding" in headers or "Expect" in headers:
            return False
        return int(headers.get("Content-Length", "0")) <= self.stream.buffered

    def close_after_response(self) -> None:
        """Announce in the response that the connection will be closed, and do so after it."""
        self._disconnect_on_finish = True

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        """Tornado: write the head, and the body or its first part, which is not copied if it is large."""
        if chunk is None or len(chunk) <= LARGE_BODY:
            return super().write_headers(start_line, headers, chunk)
        super().write_headers(start_line, headers)
        return self.write(chunk)

    def _parse_headers(self, data: bytes) -> tuple[str, HTTPHeaders]:
        """Tornado: parse the head. An `AppError` ends the connection with a problem document."""
        self.stream.awaiting_since = math.inf
        parsed = request_head.parse(data, self.params.max_header_size)
        self.stream.fresh = False
        return parsed

    def _can_keep_alive(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> bool:
        """Tornado: whether another request may follow; `Connection` is a list (RFC 9110 §7.6.1)."""
        if self.params.no_keep_alive:
            return False
        if "Connection" not in headers:
            return start_line.version == "HTTP/1.1"
        options = {option.strip().lower() for option in headers["Connection"].split(",")}
        return "close" not in options and (start_line.version == "HTTP/1.1" or "keep-alive" in options)

    async def _read_chunked_body(self, delegate: HTTPMessageDelegate) -> None:
        """Tornado: read a chunked body; a malformed one is answered as a malformed head."""
        try:
            await super()._read_chunked_body(delegate)
        except HTTPInputError as error:
            self.error = PayloadTooLarge() if "too large" in str(error) else request_head.malformed()
            raise self.error from error


class ClientConnection:
    """Serves the requests of one client until the connection is closed.

    Args:
        stream: the client's connection.
        params: Tornado's parameters, shared by all connections.
        delegate: makes a delegate for each request.
        metrics: counts what cannot be read, unless None.

    Attributes:
        stream: the client's connection.
        remote_ip: the client's address.
        protocol: as Tornado's requests have it; TLS ends in front of the services.
    """

    protocol = "http"

    def __init__(
        self,
        stream: ClientStream,
        params: HTTP1ConnectionParameters,
        delegate: HTTPServerConnectionDelegate,
        metrics: ConnectionMetrics | None = None,
    ) -> None:
        self.stream = stream
        self.remote_ip = stream.address
        self._params = params
        self._delegate = delegate
        self._metrics = metrics

    async def serve(self) -> None:
        """Serve requests until one of them is the last."""
        served = 0
        try:
            # A stream that has been closed still gives out requests that had been received before.
            while not self.stream.closed():
                connection = RequestConnection(self.stream, False, self._params, self)  # noqa: FBT003
                request = self._delegate.start_request(self, connection)
                if not await connection.read_response(request):
                    break
                served += 1
                # Requests that come without a pause must not starve other connections.
                if self.stream.buffered or served % _MAX_IN_A_ROW == 0:
                    await asyncio.sleep(0)
        except (StreamClosedError, UnsatisfiableReadError):
            pass
        except AppError as error:
            if self._metrics is not None:
                self._metrics.malformed.labels(error.slug).inc()
            await refuse(self.stream, error)
        except Exception:
            log.exception("connection_failed")
            self.stream.close()
        finally:
            self._delegate.on_close(self)


async def refuse(stream: IOStream, error: AppError) -> None:
    """Answer a request that could not be read, and close its connection."""
    with suppress(StreamClosedError):
        stream.write(encode_refusal(error))
    await lingering_close(stream)


def encode_refusal(error: AppError) -> bytes:
    """Return the response to a request that could not be read."""
    request_id = secrets.token_hex(16)
    headers, body = problems.render(error, request_id, "en")
    headers |= {request_ids.HEADER: request_id, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode("latin1") + body


async def lingering_close(stream: IOStream) -> None:
    """Close a connection whose client is still sending.

    It sees the end of the connection at once, and what it sends is read and dropped for a while: closing
    both directions would reset the connection, and the client could lose the response (RFC 9112 §9.6).
    """
    if not (stream.closed() or stream.writing()):
        with suppress(OSError):  # the client has gone
            stream.socket.shutdown(socket.SHUT_WR)
    try:
        async with asyncio.timeout(_LINGERING_TIMEOUT):
            while True:
                await stream.read_bytes(65536, partial=True)
                await asyncio.sleep(0)  # data that has arrived is read without a pause
    except (StreamClosedError, TimeoutError):
        pass
    finally:
        stream.close()
