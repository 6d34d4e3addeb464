"""Yunpian's transport: form in, JSON out, and what is known about a request without an answer.

Source: yunpian.com/official/document/sms/en/domestic_single_send; yunpian-python-sdk `ypclient.py`.
"""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pydantic

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 8.0
_FORM = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}


class NotSent(Exception):
    """The request has certainly not reached Yunpian; `what` says why."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class InDoubt(Exception):
    """Nobody knows what became of the request; `what` says what happened."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


_NOT_SENT = (
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ConnectionTimeoutError, "connect timeout"),
)
_IN_DOUBT = (
    (TimeoutError, "timeout"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (aiohttp.ClientPayloadError, "cut off"),
    (OSError, "reset"),
    (aiohttp.ClientError, "bad http"),
)
NOT_SENT = frozenset(what for _, what in _NOT_SENT)
"""Every reason of a `NotSent`."""


class YunpianHttp:
    """Calls of one account over kept-alive connections.

    Args:
        session: as `new_session` makes it.
        api_key: the account's; it travels as a form member, so bodies are never logged.
    """

    def __init__(self, session: aiohttp.ClientSession, api_key: pydantic.SecretStr) -> None:
        self._session = session
        self._api_key = api_key

    async def post(self, url: str, **form: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON that a call answers with, whatever the status: refusals come with 400.

        Raises:
            NotSent: no connection.
            InDoubt: a time-out, a reset, or an answer that is not JSON, as of a gateway between.
        """
        # A body that is ready costs aiohttp a third less than a form.
        data = urlencode({"apikey": self._api_key.get_secret_value(), **form}).encode()
        try:
            async with self._session.post(url, data=data, headers=_FORM, allow_redirects=False) as response:
                return _parse(response.status, await response.read())
        except (aiohttp.ClientError, OSError) as error:
            raise _translate(error) from error


def _translate(error: Exception) -> NotSent | InDoubt:
    for kind, what in _NOT_SENT:
        if isinstance(error, kind):
            return NotSent(what)
    return InDoubt(next(what for kind, what in _IN_DOUBT if isinstance(error, kind)))


def _parse(status: int, body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError as error:
        raise InDoubt(f"http {status}") from error


def new_session(trace_configs: list[aiohttp.TraceConfig] | None = None) -> aiohttp.ClientSession:
    """Return an HTTP session with the provider's time limits.

    The number of connections is bounded by the messages in work. A connection has to be there within
    3 seconds, name and TLS included; an answer may pause for 8, and take no longer than both.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=_CONNECT_SECONDS + _READ_SECONDS, connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS
        ),
        headers={"Accept": "application/json;charset=utf-8"},
        trace_configs=trace_configs,
    )
