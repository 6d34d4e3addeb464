"""Connections to Redis that notice that they are dead.

What redis-py 8.1 and the event loops leave open, of connections of every kind:

- After a reset, asyncio's reader has an exception and not the end of its data. redis-py looks for the
  latter alone, so that the pool hands the dead connection out.
- uvloop raises a plain `RuntimeError` for an operation on a transport that is closed.
- A connection that another task disconnects loses its reader and writer in the middle of a command.
- Disconnecting waits for the peer, half a second where it is silent, and meanwhile the connection can have
  been connected again: its new reader and writer are dropped.
- Commands are written by `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes when
  the command has just been written, and takes a task per command.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.unread import has_unread

# What the libraries raise for a dead connection beside `OSError`.
_SYMPTOMS = (RuntimeError, AttributeError)


class _CheckedConnection(AbstractConnection):
    """Raises redis-py's `ConnectionError` for whatever a dead connection leads to, and drops it."""

    async def can_read(self) -> bool:
        """Return whether there is unread data; the pool asks before it hands out a connection.

        Raises:
            redis.exceptions.ConnectionError: the connection is dead; the pool opens it anew.
        """
        if self._writer is None or self._is_dead() or has_unread(self._writer.transport):
            await self.disconnect()
            raise RedisConnectionError("the idle connection was closed")
        return bool(await super().can_read())

    async def connect_check_health(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the library's
        """Connect, unless connected; after a failure, nothing of the attempt is left."""
        try:
            await super().connect_check_health(*arguments, **options)
        except BaseException as error:
            dead = isinstance(error, _SYMPTOMS) and self._is_dead()
            await self.disconnect()
            if dead:
                raise RedisConnectionError("the connection was closed while it was set up") from error
            raise

    async def disconnect(
        self,
        nowait: bool = False,  # noqa: FBT001, FBT002 - the library's
        error: Exception | None = None,
        failure_count: int | None = None,
        health_check_failed: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Close the connection at once, without waiting for the peer."""
        if self._writer is not None:
            self._writer.transport.abort()
        await super().disconnect(True, error, failure_count, health_check_failed)  # noqa: FBT003

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002 - the library's
    ) -> None:
        """Send a command in the protocol's form.

        Raises:
            redis.exceptions.ConnectionError: the connection is closed.
            redis.exceptions.TimeoutError: the server does not take the command.
        """
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        if isinstance(command, str):
            command = command.encode()
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command([command] if isinstance(command, bytes) else command)
        except TimeoutError as error:
            await self.disconnect()
            raise RedisTimeoutError("Timeout writing to socket") from error
        except OSError as error:
            await self.disconnect()
            raise RedisConnectionError(f"Error while writing to socket: {error}") from error
        except BaseException as error:
            dead = isinstance(error, _SYMPTOMS) and self._is_dead()
            # A command may have been written in part.
            await self.disconnect()
            if dead:
                raise RedisConnectionError("the connection was closed while a command was sent") from error
            raise

    async def _read_response_from_parser(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            return await super()._read_response_from_parser(*arguments, **options)
        except _SYMPTOMS as error:
            if self._is_dead():
                # The caller, redis-py's `read_response`, disconnects.
                raise RedisConnectionError("the connection was closed while a reply was read") from error
            raise

    def _is_dead(self) -> bool:
        """Return whether nothing can be sent or received any more, as far as the event loop knows."""
        if self._writer is None or self._reader is None:
            return True
        if self._writer.transport.is_closing() or self._reader.exception() is not None:
            return True
        return bool(self._reader.at_eof())


class PlainConnection(_CheckedConnection, Connection):
    """An unencrypted TCP connection."""


class TlsConnection(_CheckedConnection, SSLConnection):
    """A TCP connection with TLS."""


class UnixConnection(_CheckedConnection, UnixDomainSocketConnection):
    """A connection to a socket of this machine."""


class SentinelConnection(_CheckedConnection, SentinelManagedConnection):
    """An unencrypted connection to the server that the Sentinels name."""


class SentinelTlsConnection(_CheckedConnection, SentinelManagedSSLConnection):
    """A connection with TLS to the server that the Sentinels name."""


_CHECKED: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: PlainConnection,
    SSLConnection: TlsConnection,
    UnixDomainSocketConnection: UnixConnection,
    SentinelManagedConnection: SentinelConnection,
    SentinelManagedSSLConnection: SentinelTlsConnection,
}


def checked(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return the class of connections of the same kind that notice that they are dead."""
    return _CHECKED.get(kind, kind)
