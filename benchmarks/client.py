"""A client of the gateway that times its requests."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from deploy.local.errors import LocalError

Headers = Mapping[str, str]


class Client:
    """Sends each request with another client address, so that limits per address do not apply."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._numbers = itertools.count(1)

    async def get(self, path: str, token: str) -> float:
        """Send a GET, expect 200; return its duration in seconds."""
        seconds, _ = await self._timed("GET", path, 200, {"Authorization": f"Bearer {token}"}, None)
        return seconds

    async def post(self, path: str, body: Mapping[str, str], expected: int = 200) -> tuple[float, Any]:
        """Send a POST, expect a status; return its duration in seconds and the response."""
        return await self._timed("POST", path, expected, {}, body)

    async def profile_times(self, token: str, per_second: float, seconds: float) -> list[float]:
        """Request the profile at a constant rate, independent of the responses; return the durations."""
        tasks = []
        for _ in range(int(per_second * seconds)):
            tasks.append(asyncio.create_task(self.get("/me/", token)))
            await asyncio.sleep(1 / per_second)
        return await asyncio.gather(*tasks)

    async def _timed(
        self, method: str, path: str, expected: int, headers: Headers, body: Mapping[str, str] | None
    ) -> tuple[float, Any]:
        headers = {**headers, "X-Forwarded-For": self._address()}
        began = time.perf_counter()
        async with self._session.request(method, path, headers=headers, json=body) as response:
            answer = await response.json(content_type=None)
        seconds = time.perf_counter() - began
        if response.status != expected:
            raise LocalError(f"{method} {path} is answered {response.status}: {answer}")
        return seconds, answer

    def _address(self) -> str:
        number = next(self._numbers)
        return f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Client]:
    """Open a client with keep-alive connections."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        yield Client(session)
