"""Whether Redis is down, or this process was too late, too busy or too poor to hear from it.

What fails open while Redis is down must not do so because of our own slowness: whoever can make this
process slow could then switch off a limit.
"""

import asyncio
import errno
import re
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.redis.client import REDIS_FAILURES

_PROBE_SECONDS = 0.5
_TICK_SECONDS = 0.02
# A probe takes a handful of turns of the event loop. If each comes at most this late, a Redis that is
# there has answered within the time of the probe.
_LATE_SECONDS = 0.08

# Replies of a server that takes no writes, or no commands at all. Inside a script they come with other
# words around them.
_REFUSAL = re.compile(
    r"\b(OOM|NOREPLICAS|MISCONF|READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|BUSY|NOAUTH|WRONGPASS|NOPERM)\b"
)
# This process, or this machine, has run out of something.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class RedisOutage:
    """Tells outages of Redis from failures of this process.

    Args:
        redis: the client whose calls failed.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._probe: asyncio.Task[bool] | None = None

    async def explains(self, error: BaseException) -> bool:
        """Return whether a call failed because Redis is down.

        It is if it refused the command or the connection, or if the connection broke. After a timeout,
        a new connection is tried: Redis is down if that fails, too, although this process was on time.

        Args:
            error: one of `REDIS_FAILURES`.
        """
        down = _verdict(error)
        return not await self._reachable() if down is None else down

    async def _reachable(self) -> bool:
        """Return whether Redis answers, or may have; concurrent callers share a probe."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._try_connection())
        return await asyncio.shield(self._probe)

    async def _try_connection(self) -> bool:
        connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        with _Lateness() as lateness:
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await connection.connect()
                    await connection.send_command("PING")
                    await connection.read_response()
            except REDIS_FAILURES as error:
                down = _verdict(error)
            else:
                down = False
            finally:
                await connection.disconnect(nowait=True)
        return lateness.worst > _LATE_SECONDS if down is None else not down


class _Lateness:
    """Measures by how much the event loop is late, at most, during the block."""

    def __enter__(self) -> Self:
        self.worst = 0.0
        self._loop = asyncio.get_running_loop()
        self._schedule()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._measure()

    def _schedule(self) -> None:
        self._due = self._loop.time() + _TICK_SECONDS
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._measure()
        self._schedule()

    def _measure(self) -> None:
        self.worst = max(self.worst, self._loop.time() - self._due)


def _verdict(error: BaseException) -> bool | None:
    """Return whether Redis is down, or None if the error does not tell."""
    if _exhausted(error) or isinstance(error, MaxConnectionsError):
        return False
    if isinstance(error, ResponseError):
        return _REFUSAL.search(f"{error.status_code} {error}") is not None
    # No master is found, too, where the Sentinels' answers come too late. The system's own timeout of a
    # connection is an OSError with a number, though: that connection is broken.
    if isinstance(error, (RedisTimeoutError, MasterNotFoundError)) or _is_own_timeout(error):
        return None
    return isinstance(error, (RedisConnectionError, OSError))


def _is_own_timeout(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) and error.errno is None


def _exhausted(error: BaseException | None) -> bool:
    """Return whether an error, or one that it was raised for, says that a resource of ours has run out."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _EXHAUSTED:
            return True
        error = error.__cause__ or error.__context__
    return False
