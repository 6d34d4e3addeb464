"""Requests that two servers could read differently: refused, and nothing behind them is executed."""

import pytest

from tests.support.gateway import Gateway, StubUpstream
from tests.support.raw_http import assert_raw_problem, raw_client

LAST = b"0\r\n\r\n"
BEHIND = b"GET /code/hidden HTTP/1.1\r\nHost: x\r\n\r\n"


def request(*lines: bytes, start: bytes = b"POST /code/ HTTP/1.1", host: bytes = b"Host: x") -> bytes:
    return b"\r\n".join([start, *([host] if host else []), *lines, b"", b""])


MALFORMED = {
    "no host": request(host=b""),
    "two hosts": request(b"Host: y"),
    "the same host twice": request(b"Host: x"),
    "empty host": request(host=b"Host:"),
    "host with a user": request(host=b"Host: me@x"),
    "host with a path": request(host=b"Host: x/y"),
    "host with a space": request(host=b"Host: x y"),
    "host list": request(host=b"Host: x, y"),
    "host with a scheme": request(host=b"Host: http://x"),
    "host with an odd port": request(host=b"Host: x:8o"),
    "host with two ports": request(host=b"Host: x:80:81"),
    "host in no ASCII": request(host="Host: gä".encode()),
    "host with a percent": request(host=b"Host: x%00"),
    "bare LF after the start line": b"POST /code/ HTTP/1.1\nHost: x\r\n\r\n",
    "bare LF between headers": b"POST /code/ HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "bare LF at the end": b"POST /code/ HTTP/1.1\r\nHost: x\r\n\n",
    "bare LF everywhere": b"POST /code/ HTTP/1.1\nHost: x\n\n",
    "bare LF in front": b"\nPOST /code/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "two empty lines in front": b"\r\n\r\nPOST /code/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "bare CR in a value": request(b"A: b\rTransfer-Encoding: chunked"),
    "CR CR LF": b"POST /code/ HTTP/1.1\r\r\nHost: x\r\n\r\n",
    "folded line": request(b"A: b", b" c: d"),
    "folded line with a tab": request(b"A: b", b"\tTransfer-Encoding: chunked"),
    "folded first line": b"POST /code/ HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n",
    "space before the colon": request(b"Content-Length : 5"),
    "tab before the colon": request(b"Transfer-Encoding\t: chunked"),
    "no colon": request(b"Content-Length 5"),
    "no name": request(b": 5"),
    "NUL in a value": request(b"A: b\0c"),
    "NUL in a name": request(b"Content-Length\0: 5"),
    "control character in a value": request(b"A: b\x0bc"),
    "DEL in a value": request(b"A: b\x7f"),
    "parenthesis in a name": request(b"A(b): c"),
    "both lengths": request(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "both lengths, in the other order": request(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two lengths": request(b"Content-Length: 5", b"Content-Length: 6"),
    "the same length twice": request(b"Content-Length: 5", b"content-length: 5"),
    "list of lengths": request(b"Content-Length: 5, 5"),
    "plus": request(b"Content-Length: +5"),
    "minus": request(b"Content-Length: -5"),
    "hexadecimal": request(b"Content-Length: 0x5"),
    "underscore": request(b"Content-Length: 1_0"),
    "fraction": request(b"Content-Length: 5.0"),
    "space inside": request(b"Content-Length: 5 5"),
    "no length": request(b"Content-Length:"),
    "superscript": request("Content-Length: ²".encode("latin1")),
    "unknown encoding": request(b"Transfer-Encoding: gzip"),
    "identity": request(b"Transfer-Encoding: identity"),
    "two encodings": request(b"Transfer-Encoding: gzip, chunked"),
    "chunked twice": request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "chunked with a parameter": request(b"Transfer-Encoding: chunked;q=1"),
    "chunked in quotes": request(b'Transfer-Encoding: "chunked"'),
    "almost chunked": request(b"Transfer-Encoding: xchunked"),
    "chunked behind a control character": request(b"Transfer-Encoding: \x0bchunked"),
    "empty encoding": request(b"Transfer-Encoding:"),
    "chunked in HTTP/1.0": request(b"Transfer-Encoding: chunked", start=b"POST /code/ HTTP/1.0"),
    "HTTP/2.0": request(start=b"POST /code/ HTTP/2.0"),
    "HTTP/1.2": request(start=b"POST /code/ HTTP/1.2"),
    "http in lower case": request(start=b"POST /code/ http/1.1"),
    "HTTP/0.9": b"GET /code/\r\n\r\n",
    "two spaces": request(start=b"POST  /code/ HTTP/1.1"),
    "a tab": request(start=b"POST\t/code/ HTTP/1.1"),
    "a space in the target": request(start=b"POST /code/ x HTTP/1.1"),
    "a space at the end": request(start=b"POST /code/ HTTP/1.1 "),
    "odd method": request(start=b"PO(T /code/ HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_request_is_400_and_ends_the_connection(
    gateway: Gateway, upstream: StubUpstream, name: str
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(MALFORMED[name] + b"hello" + BEHIND)
        response = await client.response()
        assert_raw_problem(response, 400, "invalid-request")
        assert response.headers["connection"] == "close"
        assert response.json()["non_field_errors"]
        assert await client.is_closed()
    assert upstream.requests == []


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\nhello\r\n" + LAST, b"5\r\nhello\n" + LAST, b"0x5\r\nhello\r\n" + LAST, b"+5\r\nhello\r\n" + LAST,
        b" 5\r\nhello\r\n" + LAST, b"5 \r\nhello\r\n" + LAST, b"5;a=b\r\nhello\r\n" + LAST,
        b"\r\nhello\r\n" + LAST,
        b"5\r\nhello!\r\n" + LAST, b"-1\r\nhello\r\n" + LAST, b"5\r\nhello\r\n0\r\nA: b\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\n", b"0_5\r\nhello\r\n" + LAST, b"fffffffffffffffff\r\nhello\r\n" + LAST,
    ],
    ids=repr,
)  # fmt: skip
async def test_a_malformed_chunk_is_a_4xx_and_ends_the_connection(
    gateway: Gateway, upstream: StubUpstream, chunks: bytes
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(request(b"Transfer-Encoding: chunked") + chunks + BEHIND)
        response = await client.response()
        huge = chunks.startswith(b"ff")
        assert_raw_problem(response, 413 if huge else 400, "payload-too-large" if huge else "invalid-request")
        assert response.headers["connection"] == "close"
        assert await client.is_closed()
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("head", "status", "slug"),
    [
        (request(b"A: " + b"x" * 16_384), 431, "headers-too-large"),
        (request(*[b"A: b"] * 5000), 431, "headers-too-large"),
        (request(start=b"GET /code/?" + b"x" * 20_000 + b" HTTP/1.1"), 414, "uri-too-long"),
        (request(b"Content-Length: " + b"9" * 5000), 413, "payload-too-large"),
    ],
    ids=["one header", "many headers", "the URL", "an endless length"],
)
async def test_a_head_over_the_limit_is_refused(
    gateway: Gateway, upstream: StubUpstream, head: bytes, status: int, slug: str
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(head)
        assert_raw_problem(await client.response(), status, slug)
        assert await client.is_closed()
    assert upstream.requests == []


async def test_a_head_without_an_end_is_not_kept(gateway: Gateway, upstream: StubUpstream) -> None:
    async with raw_client(gateway.port) as client:
        client.send(b"GET /code/ HTTP/1.1\r\nA: " + b"x" * 200_000)
        assert await client.is_closed()
    assert upstream.requests == []


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"BREW", b"get", b"PRI", b"PROPFIND", b"TRACK"])
@pytest.mark.parametrize(
    ("target", "allowed"), [(b"/code/", "POST"), (b"/code/a1b2", "GET"), (b"/docs", "GET")]
)
async def test_an_unknown_method_is_405_and_is_not_forwarded(
    gateway: Gateway, upstream: StubUpstream, method: bytes, target: bytes, allowed: str
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(request(start=method + b" " + target + b" HTTP/1.1"))
        response = await client.response()
        assert_raw_problem(response, 405, "method-not-allowed")
        assert response.headers["allow"].split(", ")[0] == allowed
        client.send(
            request(start=b"GET /code/a1b2 HTTP/1.1")
        )  # it was well-formed, so the connection is kept
        assert (await client.response()).status == 200
    assert len(upstream.requests) == 1


async def test_connect_with_an_authority_is_405(gateway: Gateway, upstream: StubUpstream) -> None:
    async with raw_client(gateway.port) as client:
        client.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
        assert_raw_problem(await client.response(), 405, "method-not-allowed")
    assert upstream.requests == []


@pytest.mark.parametrize(
    "host",
    [b"x", b"x.example.com", b"x.example.com.", b"localhost:8888", b"10.0.0.1:80", b"[::1]:8888", b"a_b"],
)
async def test_a_host_as_clients_send_it_is_accepted(
    gateway: Gateway, upstream: StubUpstream, host: bytes
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(request(start=b"GET /code/ HTTP/1.1", host=b"host:" + host))
        assert (await client.response()).status == 200
    assert len(upstream.requests) == 1


async def test_one_empty_line_in_front_is_accepted(gateway: Gateway, upstream: StubUpstream) -> None:
    async with raw_client(gateway.port) as client:
        for _ in range(2):
            client.send(b"\r\n" + request(start=b"GET /code/ HTTP/1.1"))
            assert (await client.response()).status == 200
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    "last",
    [
        request(b"Connection: close", start=b"GET /code/ HTTP/1.1"),
        request(b"Connection: CLOSE", start=b"GET /code/ HTTP/1.1"),
        request(b"Connection: keep-alive, close", start=b"GET /code/ HTTP/1.1"),
        request(b"Connection: close, x", start=b"GET /code/ HTTP/1.1"),
        request(b"Connection: keep-alive", b"Connection: close", start=b"GET /code/ HTTP/1.1"),
        request(b"Connection: close", b"Content-Length: 2") + b"{}",
        request(b"Connection: close", b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        request(start=b"GET /code/ HTTP/1.0"),
        request(b"Connection: keep-alive, close", start=b"GET /code/ HTTP/1.0"),
        request(b"Connection: close", start=b"GET /docs HTTP/1.1"),
        request(b"Connection: close", start=b"GET /nowhere HTTP/1.1"),
    ],
    ids=repr,
)
async def test_requests_behind_the_last_one_are_not_executed(
    gateway: Gateway, upstream: StubUpstream, last: bytes
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(last + BEHIND * 3)
        assert (await client.response()).headers.get("connection", "close") == "close"
        assert await client.is_closed()
    assert not any(b"hidden" in forwarded for forwarded in upstream.requests)
