"""TCP proxies that break connections, and one that balances load."""

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal, Self
from urllib.parse import urlsplit

import aiohttp

from shared.tasks import cancel

Direction = Literal["up", "down"]
_CHUNK = 65536
_POLL_SECONDS = 0.1


class Proxy(ABC):
    """Listens on a free port for the block's time."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def through(self, url: str) -> str:
        """Return a server's URL with the proxy's address."""
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}").geturl()

    @abstractmethod
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""


class TcpProxy(Proxy):
    """Forwards to a server, can hold data back and reset connections.

    Args:
        url: the server's; `url_through` is the same URL through the proxy.
    """

    def __init__(self, url: str) -> None:
        self._target = url
        self._flowing: dict[Direction, asyncio.Event] = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.release()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await super().__aexit__()

    @property
    def url_through(self) -> str:
        return self.through(self._target)

    def hold(self, direction: Direction) -> None:
        """Hold back data from the client (`up`) or from the server (`down`)."""
        self._flowing[direction].clear()

    def refuse(self) -> None:
        """Reset all connections, also new ones."""
        self._refusing = True
        self.cut()

    def release(self) -> None:
        """Forward everything again."""
        self._refusing = False
        for flowing in self._flowing.values():
            flowing.set()

    def cut(self) -> None:
        """Reset all connections; data that was held back is lost."""
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


class CuttingProxy(Proxy):
    """Forwards to a server and closes the connection when a client sends certain bytes.

    Args:
        url: the server's.
        after: bytes that must have been sent before, or in the same chunk.
        mark: the bytes that close the connection.
        delivered: whether the server still receives them; its answer is lost either way.
    """

    def __init__(self, url: str, after: bytes, mark: bytes, *, delivered: bool) -> None:
        self._target = url
        self._after = after
        self._mark = mark
        self._delivered = delivered
        self.cuts = 0

    @property
    def url(self) -> str:
        """The server's URL through the proxy."""
        return self.through(self._target)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = urlsplit(self._target)
        from_server, to_server = await asyncio.open_connection(target.hostname, target.port)
        answers = asyncio.create_task(_copy(from_server, writer))
        armed = False
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                armed = armed or self._after in data
                if armed and self._mark in data:
                    self.cuts += 1
                    await cancel(answers)
                    if self._delivered:
                        to_server.write(data)
                        await from_server.read(1)  # the server has executed the command
                    break
                to_server.write(data)
        await cancel(answers)
        to_server.close()
        writer.close()


class ServiceProxy(Proxy):
    """Forwards new connections to the ready replicas in turn, as a Kubernetes Service does.

    Args:
        probes: the replicas' readiness URLs; the list can change meanwhile.
        targets: the target URL of a replica by its readiness URL, if not the same host and port.
    """

    def __init__(self, probes: list[str], targets: Mapping[str, str] | None = None) -> None:
        self._probes = probes
        self._targets = targets or {}
        self._ready: list[str] = []
        self._turn = itertools.count()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        await self._probe()
        self._prober = asyncio.create_task(self._keep_probing())
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await cancel(self._prober)
        await super().__aexit__()
        await self._session.close()

    async def _keep_probing(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self._probe()

    async def _probe(self) -> None:
        self._ready = [probe for probe in list(self._probes) if await self._is_ready(probe)]

    async def _is_ready(self, probe: str) -> bool:
        with suppress(aiohttp.ClientError):
            async with self._session.get(probe) as response:
                return response.status == 200
        return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probe = self._ready[next(self._turn) % len(self._ready)]
        target = urlsplit(self._targets.get(probe, probe))
        to_reader, to_writer = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(
            _copy_and_close(reader, to_writer), _copy_and_close(to_reader, writer), return_exceptions=True
        )


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()


async def _copy_and_close(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    await _copy(source, sink)
    sink.close()
    with suppress(OSError):
        await sink.wait_closed()
