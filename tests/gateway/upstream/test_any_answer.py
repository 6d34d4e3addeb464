"""Whatever an upstream sends, its client gets an answer that is whole or visibly not, or a close."""

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from services.gateway.routes import parse_route_settings
from tests.support.answers import (
    BODY,
    CHUNKED,
    REQUESTS,
    UNTIL_CLOSE,
    answering,
    close,
    judged,
    reset,
)
from tests.support.certificates import Authority
from tests.support.gateway import OK, Gateway, Handler, StubUpstream, running_gateway
from tests.support.judge import Judgement, judge


@pytest.mark.parametrize("client", REQUESTS)
@pytest.mark.parametrize(
    "whole",
    [
        OK,
        CHUNKED + b"\r\n",
        UNTIL_CLOSE,
        b"HTTP/1.1 100 X\r\n\r\nHTTP/1.0 404 No\r\nContent-Length: 2\r\n\r\nno",
    ],
)
async def test_an_answer_that_is_cut_anywhere_does_not_look_whole(
    gateway: Gateway, upstream: StubUpstream, whole: bytes, client: str
) -> None:
    async def try_one(cut: int) -> None:
        ends[cut] = await judged(gateway, client)

    ends: dict[int, Judgement] = {}
    for cut in range(len(whole)):
        upstream.handler = answering(whole[:cut], end=reset, pause=0)
        await try_one(cut)
    if client == "HEAD":
        return
    assert [cut for cut, answer in ends.items() if answer.whole and answer.status != 502] == []


def mutated(rng: random.Random) -> list[bytes]:
    """Return an answer with a few bytes changed, in parts."""
    data = bytearray(
        rng.choice([OK, CHUNKED + b"\r\n", UNTIL_CLOSE, CHUNKED + b"A: b\r\n\r\n", rng.randbytes(80)])
    )
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 9)]
        else:
            data[at:at] = rng.choice(
                [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\xff", b"0", b"HTTP/1.1 200 OK\r\n"]
            )
        if not data:
            data = bytearray(b"x")
    cuts = sorted(rng.randrange(len(data)) for _ in range(rng.randrange(3)))
    return [bytes(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


async def test_any_bytes_are_an_answer_or_a_close(gateway: Gateway, upstream: StubUpstream) -> None:
    """The client's own parser (h11) accepts all that it gets, and nobody waits."""
    rng = random.Random(12)
    for _ in range(600):
        upstream.handler = answering(*mutated(rng), end=rng.choice([close, reset]), pause=0)
        await judged(gateway, rng.choice(list(REQUESTS)))
    upstream.handler = None
    assert (await judged(gateway, "1.1")).body == BODY


async def test_a_head_without_an_end_is_not_kept(gateway: Gateway, upstream: StubUpstream) -> None:
    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nA: ")
        with suppress(OSError):
            while not writer.is_closing():
                writer.write(b"x" * 65536)
                await writer.drain()
                await asyncio.sleep(0)

    upstream.handler = endless
    answer = await judged(gateway, "1.1")
    assert (answer.status, answer.whole) == (502, True)


@pytest.fixture
async def tls_answers(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Gateway, list[Handler]]]:
    """A gateway with a TLS upstream, which does what the last handler of the list says."""
    authority = Authority(tmp_path_factory.mktemp("tls"), "test")
    files = authority.issue("localhost", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    handlers: list[Handler] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await handlers[-1](reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    routes = parse_route_settings(f"/tls=https://127.0.0.1:{port};token=none")
    async with server, running_gateway(gateway_routes=routes) as gateway:
        yield gateway, handlers


@pytest.mark.parametrize("client", ["1.1", "1.1 close", "1.0", "1.0 keep-alive"])
async def test_a_tls_connection_that_is_cut_does_not_end_a_body(
    tls_answers: tuple[Gateway, list[Handler]], client: str
) -> None:
    def cut_below(writer: asyncio.StreamWriter) -> None:
        """End the TCP connection in order, without TLS's close_notify."""
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    gateway, handlers = tls_answers
    request = REQUESTS[client].replace(b"/code/a", b"/tls/a")
    for end, whole in ((close, True), (cut_below, False), (reset, False)):
        handlers.append(answering(UNTIL_CLOSE, end=end, pause=0.1))
        answer = await judge(gateway.port, request)
        assert (answer.status, answer.body, answer.whole) == (200, BODY, whole) or (
            answer.reset and not whole
        ), end
