"""Connections to MySQL or MariaDB that are dropped when they break, and pools of them.

What aiomysql 0.3 and the event loops leave open:

- uvloop raises a plain `RuntimeError` for an operation on a transport that is closed, and aiomysql one for a
  connection that is closed while it is set up ("Transport does not expose socket instance").
- A packet out of sequence is an `InternalError`, as if the statement were wrong; it is the rest of an answer
  that somebody stopped reading.
- The server's word that it ends the connection, because it is shut down or somebody killed it, is an error
  like any other; the connection goes back to the pool.
- Setting up a connection has a time limit for its first step alone.
"""

import asyncio
from typing import Any

import aiomysql
from pymysql.constants import CR, ER
from pymysql.err import InternalError, MySQLError, OperationalError

from shared.unread import has_unread

_LOST = "Lost connection to the server during query"
_GONE = "The server has gone away"
# What the libraries raise for a dead connection beside `OSError`.
_SYMPTOMS = (RuntimeError, AttributeError, InternalError)
_KILLED, _IDLE_TOO_LONG = 1927, 4031
# The server says that it ends the connection: 1927 is MariaDB's, 4031 MySQL's.
ENDED = frozenset({ER.SERVER_SHUTDOWN, ER.NEW_ABORTING_CONNECTION, _KILLED, _IDLE_TOO_LONG})


class CheckedConnection(aiomysql.Connection):  # type: ignore[misc]
    """Raises `OperationalError` for whatever a dead connection leads to, and closes it."""

    def __init__(self, *arguments: Any, connect_timeout: float | None = None, **options: Any) -> None:  # noqa: ANN401
        # The library's own limit loses a cancellation before Python 3.12.
        super().__init__(*arguments, connect_timeout=None, **options)
        self._connect_seconds = connect_timeout

    @property
    def broken(self) -> bool:
        """Whether nothing can be sent or received any more, as far as the event loop knows."""
        if self._writer is None or self._reader is None or self._writer.transport.is_closing():
            return True
        return self._reader.at_eof() or self._reader.exception() is not None or self._reader.eof_received

    @property
    def usable(self) -> bool:
        """Whether the idle connection can take a statement."""
        return not self.broken and not has_unread(self._writer.transport)

    def close(self) -> None:
        """Close the connection at once.

        An orderly end would wait for the peer, and that of TLS for the event loop, which may be closing, too.
        """
        if self._writer is not None:
            self._writer.transport.abort()
        super().close()

    async def query(self, sql: str | bytes, unbuffered: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - the library's
        """Run a statement; a connection whose answer was not read to its end is closed."""
        try:
            return await super().query(sql, unbuffered)
        except MySQLError as error:
            if error.args and error.args[0] in ENDED:
                self.close()
            raise
        except BaseException:
            self.close()
            raise

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._connect_seconds):
                await super()._connect()
        except MySQLError:
            self.close()
            raise
        except (OSError, RuntimeError, AttributeError) as error:
            self.close()
            raise OperationalError(CR.CR_CONN_HOST_ERROR, f"Can't connect: {error}") from error
        except BaseException:
            self.close()
            raise

    def _write_bytes(self, data: bytes) -> None:
        if self.broken:  # so that nothing of the statement has been sent
            self.close()
            raise OperationalError(CR.CR_SERVER_GONE_ERROR, _GONE)
        try:
            super()._write_bytes(data)
        except _SYMPTOMS as error:
            self.close()
            raise OperationalError(CR.CR_SERVER_LOST, _LOST) from error

    async def _read_packet(self, *arguments: Any) -> Any:  # noqa: ANN401 - the library's
        try:
            return await super()._read_packet(*arguments)
        except _SYMPTOMS as error:
            if not self.broken:
                raise  # a defect, or the server's own error
            self.close()
            raise OperationalError(CR.CR_SERVER_LOST, _LOST) from error


class CheckedPool(aiomysql.Pool):  # type: ignore[misc]
    """A pool of `CheckedConnection`s that hands out none that is broken.

    Args:
        connection_class: the class of its connections.
        options: the arguments of aiomysql's pool and connections.
    """

    def __init__(self, connection_class: type[CheckedConnection], **options: Any) -> None:  # noqa: ANN401
        defaults = {"echo": False, "loop": asyncio.get_running_loop()}
        # Without a minimum, which the library would fill with connections of its own class.
        super().__init__(**defaults | options | {"minsize": 0})
        self._connection_class = connection_class

    async def open_first(self) -> None:
        """Open the first connection, to find out whether there can be one."""
        async with self._cond:
            await self._fill_free_pool(True)  # noqa: FBT003

    async def _fill_free_pool(self, override_min: bool) -> None:  # noqa: FBT001 - the library's
        """Drop idle connections that are broken or too old; if none is left, open one."""
        for connection in [connection for connection in self._free if not connection.usable]:
            self._free.remove(connection)
            connection.close()
        await super()._fill_free_pool(False)  # noqa: FBT003 - drops old ones
        if override_min and not self._free and (not self.maxsize or self.size < self.maxsize):
            self._acquiring += 1
            try:
                connection = self._connection_class(echo=self._echo, loop=self._loop, **self._conn_kwargs)
                await connection._connect()  # noqa: SLF001 - as the library's connect()
                self._free.append(connection)
                self._cond.notify()
            finally:
                self._acquiring -= 1
