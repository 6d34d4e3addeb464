"""What the gateway itself asks of a service, over the connections that requests are forwarded on."""

import asyncio
import json
from typing import Any

from services.gateway.upstream.pool import Upstream
from services.gateway.upstream.request import Headers, UpstreamCall
from shared.errors import AppError, BadGateway

_ASK_SECONDS = 2.0


async def ask(
    upstream: Upstream, method: str, path: str, document: object = None, *, seconds: float = _ASK_SECONDS
) -> tuple[int, Any]:
    """Return the status and the JSON of an answer.

    Raises:
        AppError: there was none in time, or what came is no JSON.
    """
    body = b"" if document is None else json.dumps(document).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: {upstream.host_header}\r\nContent-Type: application/json\r\n"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    answer = _Answer()
    call = UpstreamCall(method, head.encode("latin1") + b"\r\n" + body, answer, seconds)
    upstream.send(call)
    try:
        status, content = await answer.complete
    finally:
        if not call.done:
            call.cancel()
    try:
        return status, json.loads(content)
    except ValueError as error:
        raise BadGateway from error


class _Answer:
    """Collects an answer."""

    def __init__(self) -> None:
        self.complete: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._parts: list[bytes] = []

    def answered(self, status: int, _reason: str, _headers: Headers, body: bytes) -> None:
        self._settle(status, body)

    def began(self, status: int, _reason: str, _headers: Headers, chunk: bytes) -> None:
        self._status = status
        self._parts.append(chunk)

    def continued(self, chunk: bytes) -> None:
        self._parts.append(chunk)

    def ended(self) -> None:
        self._settle(self._status, b"".join(self._parts))

    def failed(self, error: AppError) -> None:
        if not self.complete.done():
            self.complete.set_exception(error)

    def _settle(self, status: int, body: bytes) -> None:
        if not self.complete.done():
            self.complete.set_result((status, body))
