"""The strict parser of heads reads what it accepts as Tornado's does."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, parse_request_start_line

from shared.errors import InvalidRequest
from shared.http import request_head

LIMIT = 16 * 1024
PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"\0", b"\x0b", b"\xff", b"a", b"5", b"Host: x\r\n",
    b"Host", b"Content-Length: 5\r\n", b"Content-Length", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding", b"chunked", b"X-A: b\r\n", b"x-a:c \r\n", b"GET / HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n", b"HTTP/1.1",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_an_accepted_head_has_one_reading(middle: bytes) -> None:
    data = b"GET / HTTP/1.1\r\nHost: x\r\n" + middle + b"\r\n\r\n"
    try:
        start_line, headers = request_head.parse(data, LIMIT)
    except InvalidRequest:
        return
    tornados = HTTPHeaders.parse(data.decode("latin1").partition("\r\n")[2])
    assert list(headers.get_all()) == list(tornados.get_all())
    assert parse_request_start_line(start_line) == ("GET", "/", "HTTP/1.1")
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    assert headers.get_list("Host") == ["x"]
    assert not ("Content-Length" in headers and "Transfer-Encoding" in headers)


@pytest.mark.parametrize("head", [b"a: " + b" " * 16_000 + b"b", b"a:" * 8_000, b"a" * 16_000])
def test_a_long_line_is_parsed_in_one_pass(head: bytes) -> None:
    """Patterns that go back and forth over a line would take minutes here; the test would time out."""
    data = b"GET / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n"
    for _ in range(20):
        with suppress(InvalidRequest):
            request_head.parse(data, 64 * 1024)
