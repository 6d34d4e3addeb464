"""A client that writes bytes and reads one response at a time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RawResponse:
    """A response as it was on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def response(self, *, seconds: float = 5, head_only: bool = False) -> RawResponse:
        """Read a response; fail if it takes too long or the connection is closed."""
        async with asyncio.timeout(seconds):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin1")
            start, *lines = head.split("\r\n")[:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = 0 if head_only else int(headers.get("content-length", "0"))
            return RawResponse(int(start.split()[1]), headers, await self.reader.readexactly(length))

    async def is_closed(self, *, seconds: float = 5) -> bool:
        """Wait for the end of the connection; what comes before is dropped."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


@asynccontextmanager
async def raw_client(port: int, source: str = "127.0.0.1") -> AsyncIterator[RawClient]:
    """Open a connection from an address of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


def assert_raw_problem(response: RawResponse, status: int, slug: str) -> None:
    assert response.status == status, response
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert (document["type"], document["status"]) == (f"/problems/{slug}", status)
    assert document["request_id"] == response.headers["x-request-id"]
