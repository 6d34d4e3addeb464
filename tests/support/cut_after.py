"""A proxy that cuts a connection after a number of bytes."""

import asyncio
import socket
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from tests.support.proxies import Direction, Proxy

# As the peer ends it: by RST, or by FIN, after which nothing of the client's is read any more.
How = Literal["reset", "end"]
_CHUNK = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass
class _Cut:
    direction: Direction
    after: int
    how: How
    times: int
    passed: int = 0


@dataclass(eq=False)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter


class CutAfter(Proxy):
    """Forwards to a server, and cuts connections after a number of bytes since `arm`.

    Args:
        url: the server's.

    Attributes:
        passed: the bytes that have passed in each direction.
        cuts: how often a connection was cut.
        refusing: whether new connections are reset at once.
    """

    def __init__(self, url: str) -> None:
        self._target = url
        self._links: set[_Link] = set()
        self._cut: _Cut | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.passed: Counter[Direction] = Counter()
        self.cuts = 0
        self.refusing = False

    def hold(self) -> None:
        """Hold back all data, as a server that hangs."""
        self._flowing.clear()

    def release(self) -> None:
        """Forward what was held back."""
        self._flowing.set()

    @property
    def url(self) -> str:
        """The server's URL through the proxy."""
        return self.through(self._target)

    def arm(self, direction: Direction, after: int, how: How, *, times: int = 1) -> None:
        """Cut the connection on which the byte behind the next `after` in a direction comes.

        Args:
            direction: from the client (`up`) or from the server (`down`).
            after: how many bytes pass until then.
            how: by RST or by FIN.
            times: how often.
        """
        self._cut = _Cut(direction, after, how, times)

    def disarm(self) -> None:
        self._cut = None

    async def cut_all(self, how: How) -> None:
        """Cut every connection."""
        for link in list(self._links):
            self._end(link, how)
        await asyncio.sleep(0.02)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.cut_all("reset")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().__aexit__()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = urlsplit(self._target)
        if self.refusing:
            _reset(writer)
            return
        try:
            to_reader, to_writer = await asyncio.open_connection(target.hostname, target.port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, to_writer)
        for one in (writer, to_writer):
            one.transport.set_write_buffer_limits(high=0)  # so that drain() waits until all is sent
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._pump(link, reader, to_writer, "up")),
            asyncio.create_task(self._pump(link, to_reader, writer, "down")),
        ]
        self._tasks.update(pumps)
        await asyncio.gather(*pumps, return_exceptions=True)
        self._tasks.difference_update(pumps)
        self._links.discard(link)
        writer.close()
        to_writer.close()

    async def _pump(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, direction: Direction
    ) -> None:
        with suppress(OSError, RuntimeError):
            while data := await source.read(_CHUNK):
                await self._flowing.wait()
                cut = self._take(direction, len(data))
                passing = data if cut is None else data[: cut.passed]
                self.passed[direction] += len(passing)
                if passing:
                    sink.write(passing)
                    await sink.drain()
                if cut is not None:
                    self.cuts += 1
                    self._end(link, cut.how)
                    return
            sink.close()

    def _take(self, direction: Direction, size: int) -> _Cut | None:
        """Return the cut to make in a chunk, with how much of the chunk passes before it."""
        cut = self._cut
        if cut is None or cut.direction != direction:
            return None
        if cut.after >= size:
            cut.after -= size
            return None
        if cut.times > 1:
            self._cut = _Cut(direction, 0, cut.how, cut.times - 1)
        else:
            self._cut = None
        cut.passed = cut.after
        return cut

    def _end(self, link: _Link, how: How) -> None:
        self._links.discard(link)
        if how == "reset":
            _reset(link.client)
        elif not link.client.is_closing():
            with suppress(OSError, RuntimeError):
                link.client.write_eof()
        link.server.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    if writer.is_closing():
        return
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
