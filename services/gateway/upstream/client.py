"""The gateway's own requests to a service: published keys, ended sessions, tokens to verify."""

import asyncio
import json
from typing import Any

from services.gateway.upstream.pool import ConnectionPool
from services.gateway.upstream.request import Headers, UpstreamRequest
from shared.errors import AppError, BadGateway

_DEFAULT_TIMEOUT = 2.0


class UpstreamClient:
    """A JSON client on a connection pool.

    Args:
        pool: the service's connections.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def request(
        self, method: str, path: str, document: object = None, *, seconds: float = _DEFAULT_TIMEOUT
    ) -> tuple[int, Any]:
        """Send a request and return the status and the decoded JSON of the response.

        Args:
            method: the HTTP method.
            path: the path, without a host.
            document: sent as JSON, unless None.
            seconds: timeout of the request.

        Raises:
            AppError: there was no response in time, or it is not JSON.
        """
        body = b"" if document is None else json.dumps(document).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._pool.host_header}\r\n"
        head += "Content-Type: application/json\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        response = _BufferedResponse()
        request = UpstreamRequest(method, head.encode("latin1") + b"\r\n" + body, response, seconds)
        self._pool.send(request)
        try:
            status, content = await response.result
        finally:
            if not request.done:
                request.cancel()
        try:
            return status, json.loads(content)
        except ValueError as error:
            raise BadGateway from error


class _BufferedResponse:
    """Collects a response. It is a `ResponseReceiver`."""

    def __init__(self) -> None:
        self.result: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._chunks: list[bytes] = []

    def on_response(self, status: int, _reason: str, _headers: Headers, body: bytes) -> None:
        self._set_result(status, body)

    def on_response_start(self, status: int, _reason: str, _headers: Headers, data: bytes) -> None:
        self._status = status
        self._chunks.append(data)

    def on_response_data(self, data: bytes) -> None:
        self._chunks.append(data)

    def on_response_end(self) -> None:
        self._set_result(self._status, b"".join(self._chunks))

    def on_error(self, error: AppError) -> None:
        if not self.result.done():
            self.result.set_exception(error)

    def _set_result(self, status: int, body: bytes) -> None:
        if not self.result.done():
            self.result.set_result((status, body))
