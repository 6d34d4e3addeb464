"""Reads responses with h11, which is not ours: whether one is whole, cut off, or nothing at all."""

import asyncio
from dataclasses import dataclass

import h11

PART = 65536


@dataclass(frozen=True)
class Judgement:
    """What a client makes of what it was sent.

    Attributes:
        whole: whether the response came to its end.
        status: of the response; 0 if there is none.
        headers: of the response, names in lower case.
        body: as far as it came.
        reset: whether the connection was reset.
        open: whether the connection can take another request.
    """

    whole: bool
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    reset: bool = False
    open: bool = False

    def header(self, name: str) -> str | None:
        """Return a header that is there at most once."""
        values = [value.decode() for key, value in self.headers if key == name.encode()]
        assert len(values) <= 1, self.headers
        return values[0] if values else None


async def judge(port: int, request: bytes, *, seconds: float = 10) -> Judgement:
    """Send a request; fail if there is neither an answer nor the end of the connection in time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(seconds):
            return await _Client(request.partition(b" ")[0]).read(reader)
    finally:
        writer.transport.abort()


class _Client:
    def __init__(self, method: bytes) -> None:
        self._connection = h11.Connection(h11.CLIENT)
        self._connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        self._connection.send(h11.EndOfMessage())
        self._head: h11.Response | None = None
        self._body = b""

    async def read(self, reader: asyncio.StreamReader) -> Judgement:
        while True:
            try:
                data = await reader.read(PART)
            except ConnectionError:
                return self._judge(whole=False, reset=True)
            self._connection.receive_data(data)
            if not data and self._head is None:
                return self._judge(whole=False)
            try:
                if self._take():
                    return self._judge(whole=True)
            except h11.RemoteProtocolError:
                assert not data, "the response is malformed"
                return self._judge(whole=False)

    def _take(self) -> bool:
        """Take what has come; return whether that is all."""
        while (event := self._connection.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return True
        return False

    def _judge(self, *, whole: bool, reset: bool = False) -> Judgement:
        if self._head is None:
            return Judgement(whole, reset=reset)
        is_open = self._connection.their_state is h11.DONE and self._connection.our_state is h11.DONE
        headers = tuple(self._head.headers)
        return Judgement(whole, self._head.status_code, headers, self._body, reset, is_open)
