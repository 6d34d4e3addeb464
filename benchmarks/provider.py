"""A stand-in for Yunpian that costs next to nothing: it accepts every text after a fixed time.

The simulator checks and remembers too much to be measured against. `python -m benchmarks.provider PORT
SECONDS` serves; a GET is answered with the number of texts so far.
"""

import asyncio
import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import cast

import httptools
import uvloop

from benchmarks.processes import await_port, module, running
from deploy.local.ports import LOOPBACK

ACCOUNT = {"balance": 10_000, "ip_whitelist": None}
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: {}\r\n\r\n"


class Provider:
    """What the connections share."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.texts = 0
        self._sids = itertools.count(10_000_000_001)

    def answer(self, path: bytes) -> tuple[float, object]:
        """Return an answer and the seconds that it takes."""
        if path.endswith(b"_send.json"):
            self.texts += 1
            sid = next(self._sids)
            return self.seconds, {"code": 0, "count": 1, "fee": 0.05, "unit": "RMB", "sid": sid}
        return 0, ACCOUNT if path.endswith(b"/user/get.json") else {"texts": self.texts}


class Connection(asyncio.Protocol):
    """Answers the requests of one connection, of which the next comes after the answer."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_message_complete(self) -> None:
        seconds, document = self._provider.answer(self._path)
        content = json.dumps(document)
        answer = (HEAD.format(len(content)) + content).encode()
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


@contextmanager
def answering(port: int, seconds: float, folder: Path) -> Iterator[None]:
    """Run the stand-in for the block's time."""
    command = module("benchmarks.provider", str(port), str(seconds))
    with running(f"provider-{port}", command, folder) as process:
        await_port(process, "the provider's stand-in", port)
        yield


def texts(port: int) -> int:
    """Return how many texts the stand-in has accepted."""
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/")
        return int(json.loads(connection.getresponse().read())["texts"])
    finally:
        connection.close()


async def main(port: int, seconds: float) -> None:
    provider = Provider(seconds)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(provider), LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
