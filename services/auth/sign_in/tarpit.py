"""Slowing down clients that go on at once after they were refused."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from shared.networks import host_of

# A person, or a program that heeds Retry-After, stays below this.
_FREE_PER_SECOND = 5
_DELAY_SECONDS = 1.0
# Each holds one of the gateway's connections.
_MAX_WAITING = 64
_MAX_HOSTS = 4096


class Tarpit:
    """Delays refusals of a host that has had more than a few within a second.

    A refusal is cheap, but a client that repeats its request as soon as it is answered gets hundreds in
    a second on each connection, and with some connections all of the processor, which others need.

    Args:
        sleep: waits for some seconds.
        now: returns seconds that never go back.
    """

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._now = now
        self._waiting = 0
        # The begin of a host's current second, and its refusals since then; the longest unused first.
        self._refused: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def wait(self, address: str) -> None:
        """Wait before a refusal is answered, or not if the host has had few or too many others wait."""
        if self._count(host_of(address)) <= _FREE_PER_SECOND or self._waiting >= _MAX_WAITING:
            return
        self._waiting += 1
        try:
            await self._sleep(_DELAY_SECONDS)
        finally:
            self._waiting -= 1

    def _count(self, host: str) -> int:
        began, refused = self._refused.get(host, (self._now(), 0))
        if self._now() - began >= 1:
            began, refused = self._now(), 0
        self._refused[host] = began, refused + 1
        self._refused.move_to_end(host)
        if len(self._refused) > _MAX_HOSTS:
            self._refused.popitem(last=False)
        return refused + 1
