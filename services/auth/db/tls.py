"""Connections to MySQL or MariaDB that are encrypted or not made.

The drivers use TLS if the server offers it, and else send the password's proof in plain text, although TLS
was asked for. Somebody between the two could so remove TLS. Here a server without TLS is refused before
anything of the password is sent.
"""

import asyncio
import ssl
from typing import Any

import aiomysql
import peewee
import pymysql
from pymysql.constants import CLIENT
from pymysql.err import OperationalError

from shared.security.tls import TlsFiles, client_context

_CANNOT_USE_TLS = 2026


class EncryptedPool(aiomysql.Pool):  # type: ignore[misc]
    """A pool whose connections are encrypted; `ssl` is among the arguments of its connections."""

    async def open_first(self) -> None:
        """Open the first connection, to find out whether there can be one."""
        async with self._cond:
            await self._fill_free_pool(True)  # noqa: FBT003

    async def _fill_free_pool(self, override_min: bool) -> None:  # noqa: FBT001 - the library's
        """Open the connections that the library would open, as encrypted ones."""
        await super()._fill_free_pool(False)  # noqa: FBT003 - drops broken ones; `minsize` is 0
        if not self._free and (not self.maxsize or self.size < self.maxsize):
            self._acquiring += 1
            try:
                connection = _EncryptedConnection(echo=self._echo, loop=self._loop, **self._conn_kwargs)
                await connection._connect()  # noqa: SLF001 - as the library's connect()
                self._free.append(connection)
                self._cond.notify()
            finally:
                self._acquiring -= 1


class _EncryptedConnection(aiomysql.Connection):  # type: ignore[misc]
    def close(self) -> None:
        """Close the connection at once.

        The end of TLS that the library would begin needs the event loop, which may be closing, too.
        """
        if self._writer is not None:
            self._writer.transport.abort()
        super().close()

    async def _request_authentication(self) -> None:
        _check_offer(self.server_capabilities)
        await super()._request_authentication()


class _EncryptedBlockingConnection(pymysql.connections.Connection):
    def _request_authentication(self) -> None:
        _check_offer(self.server_capabilities)  # type: ignore[attr-defined]
        super()._request_authentication()  # type: ignore[misc]


class EncryptedDatabase(peewee.MySQLDatabase):
    """peewee's database on encrypted connections."""

    def _connect(self) -> Any:  # noqa: ANN401 - peewee is untyped
        return _EncryptedBlockingConnection(database=self.database, autocommit=True, **self.connect_params)


def _check_offer(capabilities: int) -> None:
    if not capabilities & CLIENT.SSL:
        refusal = ssl.SSLError(_CANNOT_USE_TLS, "the server offers no TLS, which MYSQL_URL asks for")
        raise OperationalError(_CANNOT_USE_TLS, refusal.strerror) from refusal


async def create_pool(tls: TlsFiles | None, **options: Any) -> Any:  # noqa: ANN401 - aiomysql is untyped
    """Return a pool with one connection, encrypted if there are files of TLS.

    Args:
        tls: the files, or None for no TLS.
        options: the arguments of `aiomysql.create_pool`.

    Raises:
        pymysql.err.OperationalError: the server cannot be reached, offers no TLS, or has a certificate that
            the CA did not sign or that is another host's.
    """
    if tls is None:
        return await aiomysql.create_pool(**options)
    defaults = {"echo": False, "loop": asyncio.get_running_loop()}
    # Without a minimum, which the library would fill with connections of its own kind.
    pool = EncryptedPool(**defaults | options | {"minsize": 0, "ssl": client_context(tls)})
    await pool.open_first()
    return pool
