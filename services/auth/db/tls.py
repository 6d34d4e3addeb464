"""Connections to MySQL or MariaDB that are encrypted or not made.

The drivers use TLS if the server offers it, and else send the password's proof in plain text, although TLS
was asked for. Somebody between the two could so remove TLS. Here a server without TLS is refused before
anything of the password is sent.
"""

import ssl
from typing import Any

import peewee
import pymysql
from pymysql.constants import CLIENT
from pymysql.err import OperationalError

from services.auth.db.connection import CheckedConnection, CheckedPool
from shared.security.tls import TlsFiles, client_context

_CANNOT_USE_TLS = 2026


class _EncryptedConnection(CheckedConnection):
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


async def create_pool(tls: TlsFiles | None, **options: Any) -> CheckedPool:  # noqa: ANN401 - the library's
    """Return a pool with one connection, encrypted if there are files of TLS.

    Args:
        tls: the files, or None for no TLS.
        options: the arguments of `aiomysql.create_pool`.

    Raises:
        pymysql.err.OperationalError: the server cannot be reached, offers no TLS, or has a certificate that
            the CA did not sign or that is another host's.
    """
    if tls is None:
        pool = CheckedPool(CheckedConnection, **options)
    else:
        pool = CheckedPool(_EncryptedConnection, ssl=client_context(tls), **options)
    try:
        await pool.open_first()
    except BaseException:
        pool.terminate()
        raise
    return pool
