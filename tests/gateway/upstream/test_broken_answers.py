"""An upstream's answer reaches its client whole or visibly not: exact answers, one by one."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.support.answers import (
    BODY,
    CHUNKED,
    HEAD_1_1,
    REQUESTS,
    UNTIL_CLOSE,
    answering,
    close,
    judged,
    reset,
)
from tests.support.gateway import OK, Gateway, StubUpstream, running_gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway whose upstream has more time than a busy machine takes for its answers."""
    async with running_gateway(upstream_timeout=4) as gateway:
        yield gateway


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
