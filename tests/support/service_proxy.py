"""What a Kubernetes Service does: new connections go to the replicas that are ready."""

import asyncio
import itertools
from collections.abc import Mapping
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

import aiohttp

_POLL_SECONDS = 0.1


class ServiceProxy:
    """Forwards TCP connections to the ready ones of some replicas, in turn.

    Args:
        probes: the replicas' readiness URLs; may change meanwhile.
        targets: where the traffic of a replica goes, by its readiness URL, if not to the same host and port.
    """

    def __init__(self, probes: list[str], targets: Mapping[str, str] | None = None) -> None:
        self._probes = probes
        self._targets = targets or {}
        self._ready: list[str] = []
        self._turn = itertools.count()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        await self._look()
        self._watcher = asyncio.create_task(self._watch())
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        await self._server.wait_closed()
        await self._session.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self._look()

    async def _look(self) -> None:
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
        await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer), return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
    with suppress(OSError):
        await sink.wait_closed()
