"""The gateway inside the test's own process, in front of an upstream that the test controls."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from deploy.local.ports import free_ports
from services.gateway import app
from services.gateway.settings import GatewaySettings
from tests.support.client import Reply

ORIGIN = "https://app.example.com"
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
JWKS_PATH = "/.well-known/jwks.json"
ENDED_PATH, RECENTLY_ENDED_PATH = "/internal/ended-sessions/", "/internal/ended-sessions/recent/"
VERIFY_PATH = "/internal/tokens/"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class StubUpstream:
    """A server that gives the same response to every request, or calls a handler.

    Attributes:
        response: the bytes of every response to a forwarded request.
        handler: called instead, once a whole request has come.
        requests: head and body of every forwarded request.
        connections: number of connections with forwarded requests.
        documents: the JSON of responses to the gateway's own requests, by path; None for 401.
        refusal: the JSON of 401 responses.
        own_requests: the paths of the gateway's own requests.
        port: where it listens.
    """

    response: bytes = OK
    handler: Handler | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    documents: dict[str, Any] = field(
        default_factory=lambda: {
            ENDED_PATH: {"ended": {}},
            RECENTLY_ENDED_PATH: {"ended": {}},
            JWKS_PATH: {"keys": []},
        }
    )
    refusal: Any = None
    own_requests: list[str] = field(default_factory=list)
    port: int = 0
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = port
        try:
            yield
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        counted = False
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await _read_request(reader)
                if self._answer_own_request(request, writer):
                    continue
                self.connections += not counted
                counted = True
                self.requests.append(request)
                if self.handler is None:
                    writer.write(self.response)
                else:
                    await self.handler(reader, writer)
        writer.close()

    def _answer_own_request(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        path = request.split(b" ", 2)[1].decode()
        if path not in self.documents:
            return False
        self.own_requests.append(path)
        document = self.documents[path]
        body = json.dumps(self.refusal if document is None else document).encode()
        status = b"200 OK" if document is not None else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        return True


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


async def never_answer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Handle a request by waiting until the gateway closes the connection."""
    await reader.read()


@dataclass(frozen=True)
class Gateway:
    """The ports of a running gateway and of its upstream."""

    port: int
    ops_port: int
    upstream_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ops_url(self) -> str:
        return f"http://127.0.0.1:{self.ops_port}"

    async def send_raw(self, request: bytes) -> bytes:
        """Send bytes and return what is received until the gateway closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()

    async def is_ready(self) -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{self.ops_url}/readyz") as response:
            return response.status == 200


@asynccontextmanager
async def running_gateway(upstream_port: int | None = None, **settings: Any) -> AsyncIterator[Gateway]:
    """Run a gateway with one upstream, at a port where nothing listens yet unless one is given."""
    ports = free_ports(["gateway", "ops", "upstream"])
    if upstream_port is not None:
        ports["upstream"] = upstream_port
    complete = GatewaySettings(
        gateway_port=ports["gateway"],
        gateway_ops_port=ports["ops"],
        auth_url=f"http://127.0.0.1:{ports['upstream']}",
        sms_url=f"http://127.0.0.1:{ports['upstream']}",
        **settings,
    )
    async with AsyncExitStack() as stack:
        await app.build(complete, stack)
        yield Gateway(ports["gateway"], ports["ops"], ports["upstream"])


async def wait_until(holds: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


def assert_problem(reply: Reply, status: int, slug: str) -> None:
    assert (reply.status, reply["status"]) == (status, status)
    assert reply["type"] == f"/problems/{slug}"
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply["request_id"] == reply.headers["X-Request-ID"]
