"""Whatever an upstream sends, its client gets an answer that is whole or visibly not, or a close."""

import asyncio
import json
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
from tests.support.gateway import OK, Gateway, Handler, StubUpstream, never_answer, running_gateway
from tests.support.judge import Judgement, judge


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway whose upstream has more time than a busy machine takes for its answers."""
    async with running_gateway(upstream_timeout=4) as gateway:
        yield gateway


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
        descriptor = writer.get_extra_info("socket").fileno()
        with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.shutdown(socket.SHUT_WR)

    gateway, handlers = tls_answers
    request = REQUESTS[client].replace(b"/code/a", b"/tls/a")
    for end, whole in ((close, True), (cut_below, False), (reset, False)):
        handlers.append(answering(UNTIL_CLOSE, end=end, pause=0.1))
        answer = await judge(gateway.port, request)
        assert (answer.status, answer.body, answer.whole) == (200, BODY, whole) or (
            answer.reset and not whole
        ), end


def broken(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("a defect")


@pytest.mark.parametrize("client", REQUESTS)
@pytest.mark.parametrize("place", ["proxy.encode_response_head", "proxy.ResponseStartLine", "proxy.frame"])
async def test_a_defect_while_an_answer_is_taken_in_is_502(
    gateway: Gateway,
    upstream: StubUpstream,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    client: str,
) -> None:
    monkeypatch.setattr(f"services.gateway.{place}", broken)
    for handler in (answering(OK), answering(UNTIL_CLOSE, end=close)):
        upstream.handler = handler
        answer = await judged(gateway, client)
        assert (answer.whole, answer.status) in {(True, 200), (True, 502), (False, 0)}
        await asyncio.sleep(0.1)
        lines = [
            json.loads(line) for line in capsys.readouterr().out.splitlines() if '"event": "request"' in line
        ]
        assert [line["status"] for line in lines] == [answer.status or 502]
        assert answer.status == 200 or "problem" in lines[0]
    monkeypatch.undo()
    upstream.handler = None
    assert (await judged(gateway, "1.1")).body == BODY


async def test_a_defect_in_the_middle_of_an_answer_cuts_it_off(
    gateway: Gateway,
    upstream: StubUpstream,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("shared.http.request_connection.RequestConnection.write", broken)
    upstream.handler = answering(UNTIL_CLOSE[:-4], UNTIL_CLOSE[-4:], end=close, pause=0.1)
    for client in ("1.1 close", "1.0"):
        answer = await judged(gateway, client)
        assert (answer.whole, answer.status) == (False, 200)
        await asyncio.sleep(0.1)
        out = capsys.readouterr().out
        assert '"status": 200' in out
        assert '"problem": "bad-gateway"' in out
        assert "a defect" in out


async def test_where_not_even_a_problem_can_be_written_the_connection_ends(
    gateway: Gateway, upstream: StubUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.http.problems.render", broken)
    for handler in (answering(b"garbage\r\n"), answering(OK[:50], end=close), never_answer):
        upstream.handler = handler
        assert not (await judged(gateway, "1.1")).whole
    upstream.handler = None
    assert (await judged(gateway, "1.1")).body == BODY
