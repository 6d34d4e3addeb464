"""A connection to a server that breaks at a chosen moment."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from shared.tasks import cancel


class CuttingProxy:
    """Forwards TCP connections to a server until a client sends `mark`.

    Args:
        url: the server's.
        after: the bytes that have to come before, or with, those that count.
        mark: the bytes that break the connection.
        delivered: whether the server still gets them; its answer is lost either way.
    """

    def __init__(self, url: str, after: bytes, mark: bytes, *, delivered: bool) -> None:
        self._url = urlsplit(url)
        self._after = after
        self._mark = mark
        self._delivered = delivered
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The server's URL by way of the proxy."""
        return self._url._replace(netloc=f"{self._url.netloc.rpartition(':')[0]}:{self.port}").geturl()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(self._url.hostname, self._url.port)
        answers = asyncio.create_task(_copy(from_server, writer))
        armed = False
        with suppress(OSError):
            while data := await reader.read(65536):
                armed = armed or self._after in data
                if armed and self._mark in data:
                    self.cuts += 1
                    await cancel(answers)
                    if self._delivered:
                        to_server.write(data)
                        await from_server.read(1)  # it has been done
                    break
                to_server.write(data)
        await cancel(answers)
        to_server.close()
        writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
