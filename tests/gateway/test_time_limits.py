"""Time limits are between two reads, in each direction, and none passes because of the other side."""

import asyncio
import json
import socket

import aiohttp
import pytest
from tornado.web import Application, RequestHandler

from deploy.local.ports import free_port
from services.gateway.routes import parse_route_settings
from shared.http.limits import ConnectionLimits
from shared.http.server import DrainableServer
from tests.support.gateway import OK, ORIGIN, StubUpstream, running_gateway, wait_until
from tests.support.raw_http import RawClient, assert_raw_problem, raw_client

MEGABYTE = 1024 * 1024
# Longer than a body, or a pause in reading, could once be.
LONG = 12


class Echo(RequestHandler):
    def post(self) -> None:
        self.finish(self.request.body)


async def send_slowly(client: RawClient, *, pieces: int, pause: float) -> None:
    client.send(b"POST /code/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % pieces)
    for _ in range(pieces):
        client.send(b"x")
        await asyncio.sleep(pause)


async def test_a_reader_that_pauses_loses_nothing(upstream: StubUpstream) -> None:
    body = bytes(range(256)) * (80 * 1024)
    upstream.response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with running_gateway(upstream.port, upstream_timeout=0.5) as gateway:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", gateway.port))
        client.settimeout(0)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"GET /code/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = [await loop.sock_recv(client, 1024)]
        await asyncio.sleep(LONG)
        while part := await loop.sock_recv(client, 65536):
            received.append(part)
        client.close()
    assert b"".join(received).partition(b"\r\n\r\n")[2] == body


async def test_an_upload_may_take_long_while_it_comes(upstream: StubUpstream) -> None:
    server = DrainableServer(Application([("/code/", Echo)]), 0)
    async with running_gateway(upstream.port) as gateway:

        async def upload(port: int) -> int:
            async with raw_client(port) as client:
                await send_slowly(client, pieces=LONG * 2, pause=0.5)
                return (await client.response()).status

        async def upload_after_a_pause() -> int:
            async with raw_client(gateway.port) as client:
                client.send(b"POST /code/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx")
                await asyncio.sleep(LONG)
                client.send(b"\r\n1\r\nx\r\n0\r\n\r\n")
                return (await client.response()).status

        statuses = await asyncio.gather(upload(gateway.port), upload(server.port), upload_after_a_pause())
    await server.close()
    assert set(statuses) == {200}
    assert sorted(len(sent.partition(b"\r\n\r\n")[2]) for sent in upstream.requests) == [2, LONG * 2]


async def test_a_stalled_upload_is_408_in_words(
    session: aiohttp.ClientSession, upstream: StubUpstream
) -> None:
    async with (
        running_gateway(upstream.port, gateway_read_timeout=1.0, cors_origins=(ORIGIN,)) as gateway,
        raw_client(gateway.port) as client,
    ):
        client.send(
            b"POST /code/ HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\nAccept-Language: zh\r\n"
            b"Origin: %s\r\nContent-Length: 50\r\n\r\nhalf" % ORIGIN.encode()
        )
        response = await client.response()
        assert_raw_problem(response, 408, "request-timeout")
        assert response.headers["x-request-id"] == "mine"
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["connection"] == "close"
        client.send(b"x" * 46 + b"GET /code/hidden HTTP/1.1\r\nHost: x\r\n\r\n")  # too late
        assert await client.is_closed()
        client.writer.close()

        async def done() -> bool:
            async with session.get(f"{gateway.ops_url}/metrics") as metrics:
                return "dialpass_http_requests_in_flight 0.0" in await metrics.text()

        await wait_until(done)
        async with session.get(f"{gateway.ops_url}/metrics") as metrics:
            text = await metrics.text()
    assert 'dialpass_http_connections_timed_out_total{reason="body"} 1.0' in text
    assert 'dialpass_http_requests_total{method="POST",route="/code",status="408"} 1.0' in text
    assert upstream.requests == []


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize(
    "limits",
    [ConnectionLimits(body_idle_seconds=1), ConnectionLimits(body_seconds=1, body_rate=1000)],
    ids=["nothing comes", "little comes"],
)
async def test_every_listener_answers_408(limits: ConnectionLimits, expect: bytes) -> None:
    """The second one sends too little for a body that may take a second, and one for each 1000 bytes."""
    server = DrainableServer(Application([("/", Echo)]), 0, limits=limits)
    async with raw_client(server.port) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n%sContent-Length: 99\r\n\r\n" % expect
        )
        if expect:
            assert (await client.response()).status == 100
        answer = asyncio.create_task(client.response())
        while not answer.done():
            if limits.body_seconds == 1:
                client.send(b"x")
            await asyncio.sleep(0.2)
        assert_raw_problem(answer.result(), 408, "request-timeout")
        assert answer.result().headers["x-request-id"] == "mine"
        assert await client.is_closed()
    await server.close()


async def test_a_body_over_the_limit_is_413_in_words_at_every_listener() -> None:
    server = DrainableServer(Application([("/", Echo)]), 0, max_body_size=100)
    for framing in (b"Content-Length: 101\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n65\r\n"):
        async with raw_client(server.port) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"x" * 101)
            assert_raw_problem(await client.response(), 413, "payload-too-large")
            assert await client.is_closed()
    await server.close()


async def test_an_upstream_may_take_a_request_slowly_but_not_stop() -> None:
    size = 16 * MEGABYTE
    stalls, ended = asyncio.Event(), asyncio.Event()

    async def take_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        left = size
        while left > 0:
            left -= len(await reader.read(65536))
            await asyncio.sleep(0.015)
            if stalls.is_set():
                await ended.wait()
                writer.transport.abort()
                return
        writer.write(OK)
        writer.close()

    port = free_port()
    listening = socket.create_server(("127.0.0.1", port))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # little is taken without being read
    server = await asyncio.start_server(take_slowly, sock=listening, limit=65536)
    routes = parse_route_settings(f"/files=http://127.0.0.1:{port};token=none;max_body=16777216;timeout=1")
    request = b"POST /files/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with server, running_gateway(gateway_routes=routes) as gateway:
        async with raw_client(gateway.port) as client:
            client.send(request)
            assert (await client.response(seconds=30)).json() == json.loads(OK.partition(b"\r\n\r\n")[2])
        stalls.set()
        async with raw_client(gateway.port) as client:
            client.send(request)
            assert_raw_problem(await client.response(seconds=30), 504, "gateway-timeout")
        ended.set()
        await asyncio.sleep(0.1)
