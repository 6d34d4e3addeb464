"""A network that fails: forwards TCP connections until it is told to hold bytes back or to cut them."""

import asyncio
from contextlib import suppress
from typing import Literal, Self
from urllib.parse import urlsplit

Direction = Literal["up", "down"]
_CHUNK = 65536


class TcpProxy:
    """Forwards to the server that a URL names.

    Args:
        url: with host and port; `url_through` is the same one through the proxy.
    """

    def __init__(self, url: str) -> None:
        self._target = url
        self._flowing: dict[Direction, asyncio.Event] = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.release()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url_through(self) -> str:
        parts = urlsplit(self._target)
        credentials = f"{parts.username}:{parts.password}@" if parts.username else ""
        return parts._replace(netloc=f"{credentials}127.0.0.1:{self.port}").geturl()

    def hold(self, direction: Direction) -> None:
        """Keep back what comes from the client (`up`) or from the server (`down`)."""
        self._flowing[direction].clear()

    def refuse(self) -> None:
        """Cut every connection, and each new one at once."""
        self._refusing = True
        self.cut()

    def release(self) -> None:
        """Let everything flow again."""
        self._refusing = False
        for flowing in self._flowing.values():
            flowing.set()

    def cut(self) -> None:
        """Reset every connection; what was held back is lost."""
        for writer in self._writers:
            writer.transport.abort()
        for pump in self._pumps:
            pump.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = urlsplit(self._target)
        try:
            if self._refusing:
                raise ConnectionRefusedError
            to_reader, to_writer = await asyncio.open_connection(target.hostname, target.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, to_writer}
        pumps = [
            asyncio.create_task(self._pump(reader, to_writer, "up")),
            asyncio.create_task(self._pump(to_reader, writer, "down")),
        ]
        self._pumps.update(pumps)
        await asyncio.gather(*pumps, return_exceptions=True)
        self._pumps.difference_update(pumps)
        self._writers -= {writer, to_writer}

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, direction: Direction
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                await self._flowing[direction].wait()
                sink.write(data)
                await sink.drain()
        sink.close()
