"""The gateway inside the test's own process, in front of an upstream that does what a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from deploy.local.ports import free_ports
from services.gateway import app
from services.gateway.settings import GatewaySettings

ORIGIN = "https://app.example.com"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


@dataclass
class Upstream:
    """A server that answers with the bytes it is given, or as its script says.

    Attributes:
        answer: the bytes of every response.
        script: replaces answering, once a whole request has come.
        requests: head and body of every request, but for the gateway's own questions.
        connections: how many of these requests' have been opened.
        told: what the gateway's own questions are answered with, by path.
        questions: the paths of these questions.
        port: where it listens.
    """

    answer: bytes = OK
    script: Script | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    told: dict[str, Any] = field(
        default_factory=lambda: {
            "/internal/ended-sessions/": {"ended": {}},
            "/internal/ended-sessions/recent/": {"ended": {}},
            "/.well-known/jwks.json": {"keys": []},
        }
    )
    questions: list[str] = field(default_factory=list)
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
                request = await _request(reader)
                if self._tell(request, writer):
                    continue
                self.connections += not counted
                counted = True
                self.requests.append(request)
                if self.script is None:
                    writer.write(self.answer)
                else:
                    await self.script(reader, writer)
        writer.close()

    def _tell(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        path = request.split(b" ", 2)[1].decode()
        if path not in self.told:
            return False
        self.questions.append(path)
        body = json.dumps(self.told[path]).encode()
        status = b"200 OK" if self.told[path] is not None else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        return True


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


@dataclass(frozen=True)
class Gateway:
    """A gateway that listens, and where."""

    port: int
    ops_port: int
    upstream_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def raw(self, request: bytes) -> bytes:
        """Send bytes and return everything that comes until the gateway closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def running_gateway(upstream_port: int | None = None, **settings: Any) -> AsyncIterator[Gateway]:
    """Run a gateway whose upstream is at `upstream_port`, or at a port where nothing listens yet."""
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
