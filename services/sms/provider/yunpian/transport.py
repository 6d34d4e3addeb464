"""Yunpian's HTTP transport: form in, JSON out, and whether a request that failed may have been sent.

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


class TransportError(Exception):
    """Base of the errors: a request without a usable answer.

    Attributes:
        reason: what happened.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSent(TransportError):
    """The request has certainly not reached Yunpian."""


class OutcomeUnknown(TransportError):
    """The request may have reached Yunpian."""


_NOT_SENT = (
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ConnectionTimeoutError, "connect timeout"),
)
_UNKNOWN = (
    (TimeoutError, "timeout"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (aiohttp.ClientPayloadError, "cut off"),
    (OSError, "reset"),
    (RuntimeError, "reset"),  # of uvloop, for a connection that is closed already
    (aiohttp.ClientError, "bad http"),
)
NOT_SENT_REASONS = frozenset(reason for _, reason in _NOT_SENT)


class YunpianTransport:
    """Sends the requests of one account over kept-alive connections.

    Args:
        session: from `new_session`.
        api_key: the account's; it is a form member, so bodies are never logged.
    """

    def __init__(self, session: aiohttp.ClientSession, api_key: pydantic.SecretStr) -> None:
        self._session = session
        self._api_key = api_key

    async def post(self, url: str, **form: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON of the answer, for any HTTP status: refusals come with 400.

        Raises:
            NotSent: there was no connection.
            OutcomeUnknown: a timeout, a reset, or an answer that is not JSON, such as a proxy's.
        """
        # Passing an encoded body to aiohttp takes a third less time than passing a form.
        data = urlencode({"apikey": self._api_key.get_secret_value(), **form}).encode()
        try:
            async with self._session.post(url, data=data, headers=_FORM, allow_redirects=False) as response:
                return _parse(response.status, await response.read())
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise _translate(error) from error


def _translate(error: Exception) -> NotSent | OutcomeUnknown:
    for kind, reason in _NOT_SENT:
        if isinstance(error, kind):
            return NotSent(reason)
    return OutcomeUnknown(next(reason for kind, reason in _UNKNOWN if isinstance(error, kind)))


def _parse(status: int, body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown(f"http {status}") from error


def new_session(trace_configs: list[aiohttp.TraceConfig] | None = None) -> aiohttp.ClientSession:
    """Return an HTTP session with the provider's timeouts.

    The messages in work bound the number of connections. Connecting, DNS and TLS included, takes at most
    3 seconds, a pause in an answer 8, and the whole call the sum of both.
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
