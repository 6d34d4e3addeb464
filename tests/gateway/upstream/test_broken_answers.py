"""Whatever an upstream answers, its client gets an answer that is whole or visibly not, or a close."""

import asyncio
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from services.gateway.routes import parse_route_settings
from tests.support.certificates import Authority
from tests.support.gateway import OK, Gateway, Handler, StubUpstream, running_gateway
from tests.support.judge import Judgement, judge

REQUESTS = {
    "1.1": b"GET /code/a HTTP/1.1\r\nHost: x\r\n\r\n",
    "1.1 keep-alive": b"GET /code/a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    "1.1 close": b"GET /code/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "1.0": b"GET /code/a HTTP/1.0\r\n\r\n",
    "1.0 keep-alive": b"GET /code/a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "1.0 keep-alive, te": b"GET /code/a HTTP/1.0\r\nConnection: keep-alive, te\r\n\r\n",
    "HEAD": b"HEAD /code/a HTTP/1.1\r\nHost: x\r\n\r\n",
}
BODY = b'{"ok":true}'
HEAD_1_1 = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = (
    HEAD_1_1 + b"Transfer-Encoding: chunked\r\n\r\n6\r\n" + BODY[:6] + b"\r\n5\r\n" + BODY[6:] + b"\r\n0\r\n"
)
UNTIL_CLOSE = HEAD_1_1 + b"\r\n" + BODY
RESET = struct.pack("ii", 1, 0)


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


def answering(
    *parts: bytes, end: Callable[[asyncio.StreamWriter], object] | None = None, pause: float = 0.02
) -> Handler:
    """Return a handler that writes parts with pauses, and then ends the connection."""

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            with suppress(OSError):
                await writer.drain()
            await asyncio.sleep(pause)
        if end is not None:
            end(writer)

    return handle


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def judged(gateway: Gateway, client: str) -> Judgement:
    return await judge(gateway.port, REQUESTS[client])


@pytest.mark.parametrize("client", REQUESTS)
@pytest.mark.parametrize("value", [b"value ", b"value\t", b" \tvalue \t ", b"value"])
async def test_blanks_around_a_value_are_no_part_of_it(
    gateway: Gateway, upstream: StubUpstream, client: str, value: bytes
) -> None:
    upstream.response = OK.replace(b"\r\n\r\n", b"\r\nX-Note: " + value + b"\r\nX-Empty:  \r\n\r\n", 1)
    answer = await judged(gateway, client)
    assert (answer.whole, answer.status) == (True, 200)
    assert (answer.header("x-note"), answer.header("x-empty")) == ("value", "")


@pytest.mark.parametrize("client", REQUESTS)
@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "rest",
    [
        b"\r\n", b"\r\nhello", b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 5\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"Connection: close\r\n\r\nhello",
    ],
)  # fmt: skip
async def test_a_body_where_there_is_none_is_ignored(
    gateway: Gateway, upstream: StubUpstream, client: str, status: int, rest: bytes
) -> None:
    head = f"HTTP/1.1 {status} X\r\nETag: a\r\n".encode()
    for handler in (
        answering(head + rest),
        answering(head, rest),
        answering(*[bytes([b]) for b in head + rest], pause=0),
    ):
        upstream.handler = handler
        answer = await judged(gateway, client)
        assert (answer.whole, answer.status, answer.body) == (True, status, b"")
        assert answer.header("etag") == "a"
        assert status == 304 or answer.header("content-length") is None
    upstream.handler = None
    assert (await judged(gateway, "1.1")).body == BODY


@pytest.mark.parametrize("body", [b"", b"hello", OK])
@pytest.mark.parametrize("framing", [b"Content-Length: 11\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_a_body_behind_the_answer_to_head_is_dropped(
    gateway: Gateway, upstream: StubUpstream, framing: bytes, body: bytes
) -> None:
    for parts in ((HEAD_1_1 + framing + b"\r\n" + body,), (HEAD_1_1 + framing + b"\r\n", body)):
        upstream.handler = answering(*parts)
        for _ in range(2):
            answer = await judged(gateway, "HEAD")
            assert (answer.whole, answer.status, answer.body, answer.open) == (True, 200, b"", True)
        upstream.handler = None
        assert (await judged(gateway, "1.1")).body == BODY


@pytest.mark.parametrize("client", REQUESTS)
@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3,
        b"HTTP/1.1 102 P\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 199 X\r\n\r\n",
    ],
)
async def test_interim_answers_are_skipped(
    gateway: Gateway, upstream: StubUpstream, client: str, interim: bytes
) -> None:
    for handler in (answering(interim + OK), answering(interim, OK)):
        upstream.handler = handler
        answer = await judged(gateway, client)
        assert (answer.whole, answer.status, answer.header("link")) == (True, 200, None)


UNUSABLE = {
    "nothing": b"", "garbage": b"garbage\r\n\r\n", "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "switching protocols": b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "status 0": b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n",
    "status 99": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
    "status 999": b"HTTP/1.1 999 X\r\n\r\n", "status of four digits": b"HTTP/1.1 2000 X\r\n\r\n",
    "status of letters": b"HTTP/1.1 OK 200\r\n\r\n",
    "two lengths": OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 12\r\n\r\n"),
    "the same length twice": OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 11\r\n\r\n"),
    "both lengths": OK.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "negative length": OK.replace(b"11", b"-1"), "length in words": OK.replace(b"11", b"eleven"),
    "bare LF": OK.replace(b"\r\n", b"\n"), "folded line": OK.replace(b"\r\n\r\n", b"\r\nA: b\r\n c\r\n\r\n"),
    "NUL in a value": OK.replace(b"\r\n\r\n", b"\r\nA: b\0\r\n\r\n"),
    "CR in a value": OK.replace(b"\r\n\r\n", b"\r\nA: b\rc\r\n\r\n"),
    "space before the colon": OK.replace(b"\r\n\r\n", b"\r\nA : b\r\n\r\n"),
    "no name": OK.replace(b"\r\n\r\n", b"\r\n: b\r\n\r\n"),
    "half a head": OK[:40], "half a body": OK[:-3], "half a chunk": CHUNKED[:-12],
    "no last chunk": CHUNKED[:-3], "odd chunk size": CHUNKED.replace(b"6\r\n", b"x\r\n"),
    "a chunk too long": CHUNKED.replace(b"5\r\n", b"4\r\n"), "only 100": b"HTTP/1.1 100 Continue\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("end", [close, reset])
@pytest.mark.parametrize("name", UNUSABLE)
async def test_an_unusable_answer_is_502_or_visibly_cut(
    gateway: Gateway, upstream: StubUpstream, name: str, end: Callable[[asyncio.StreamWriter], object]
) -> None:
    for client in REQUESTS:
        for handler in (
            answering(UNUSABLE[name], end=end),
            answering(*[bytes([b]) for b in UNUSABLE[name]], end=end, pause=0),
        ):
            upstream.handler = handler
            answer = await judged(gateway, client)
            if client == "HEAD" and answer.status == 200:  # its head was whole
                assert name in {
                    "half a body",
                    "half a chunk",
                    "no last chunk",
                    "odd chunk size",
                    "a chunk too long",
                }
            elif answer.status == 200:
                assert not answer.whole, client
                assert BODY not in answer.body or name == "no last chunk"
                assert answer.reset or "1.0" not in client
            else:
                assert (answer.status, answer.whole) == (502, True), client
    upstream.handler = None
    assert (await judged(gateway, "1.1")).body == BODY


@pytest.mark.parametrize("client", REQUESTS)
async def test_a_body_that_ends_with_the_connection_is_whole_only_if_that_ends_in_order(
    gateway: Gateway, upstream: StubUpstream, client: str
) -> None:
    for parts in ((UNTIL_CLOSE,), (UNTIL_CLOSE[:-4], UNTIL_CLOSE[-4:])):
        upstream.handler = answering(*parts, end=close)
        answer = await judged(gateway, client)
        assert (answer.status, answer.whole) == (200, True)
        assert answer.body == (b"" if client == "HEAD" else BODY)
        upstream.handler = answering(*parts, end=reset)
        answer = await judged(gateway, client)
        assert (answer.status, answer.whole) == (200, client == "HEAD")
        assert answer.reset or "1.0" not in client


@pytest.mark.parametrize("client", REQUESTS)
async def test_a_chunked_answer_reaches_every_client(
    gateway: Gateway, upstream: StubUpstream, client: str
) -> None:
    data = CHUNKED + b"X-Trailer: a\r\nSet-Cookie: b=c\r\nContent-Type: text/plain\r\n\r\n"
    for handler in (
        answering(data), answering(data[:70], data[70:]), answering(*[bytes([b]) for b in data], pause=0),
    ):  # fmt: skip
        upstream.handler = handler
        answer = await judged(gateway, client)
        assert (answer.status, answer.whole) == (200, True)
        assert answer.body == (b"" if client == "HEAD" else BODY)
        assert answer.header("x-trailer") is answer.header("set-cookie") is None
        assert answer.header("content-type") == "application/json"


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
