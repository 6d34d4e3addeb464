"""Limits of connections: how many there are, how long they may stall, and what they cost."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import aiohttp
import pytest

from tests.support.gateway import Gateway, StubUpstream, running_gateway, wait_until
from tests.support.memory import traced_memory
from tests.support.raw_http import RawClient, assert_raw_problem, raw_client

GET = b"GET /code/ HTTP/1.1\r\nHost: x\r\n\r\n"
# The largest page; in most buffers of the kernel there is no room for it.
LARGE_GET = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
MANY = 16


async def metric(session: aiohttp.ClientSession, gateway: Gateway, name: str) -> float:
    """Return the sum of a metric over its labels; 0 if it does not exist."""
    async with session.get(f"{gateway.ops_url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


async def readiness(session: aiohttp.ClientSession, gateway: Gateway) -> tuple[int, str]:
    async with session.get(f"{gateway.ops_url}/readyz") as response:
        return response.status, (await response.json())["checks"]["connections"]


async def is_full(session: aiohttp.ClientSession, gateway: Gateway) -> bool:
    return await readiness(session, gateway) == (503, "failed: TooManyConnections")


async def test_at_the_limit_nothing_is_accepted_until_a_connection_ends(
    session: aiohttp.ClientSession,
) -> None:
    upstream = StubUpstream()
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(running_gateway(gateway_max_connections=MANY))
        await stack.enter_async_context(upstream.listening(gateway.upstream_port))
        await wait_until(gateway.is_ready)
        clients = [await stack.enter_async_context(raw_client(gateway.port)) for _ in range(MANY)]
        for client in clients:
            client.send(GET)
            assert (await client.response()).status == 200
        waiting = await stack.enter_async_context(raw_client(gateway.port))
        waiting.send(GET)
        await wait_until(lambda: is_full(session, gateway))
        assert await metric(session, gateway, "dialpass_http_connections") == MANY
        assert await metric(session, gateway, "dialpass_http_connections_limit") == MANY
        assert await metric(session, gateway, "dialpass_http_accept_pauses_total") == 1
        assert len(upstream.requests) == MANY
        clients[0].writer.close()
        assert (await waiting.response()).status == 200
        waiting.writer.close()
        await wait_until(gateway.is_ready)


async def test_an_address_has_a_limit_of_its_own(
    session: aiohttp.ClientSession, upstream: StubUpstream
) -> None:
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            running_gateway(upstream.port, gateway_max_connections_per_address=2)
        )
        clients = [await stack.enter_async_context(raw_client(gateway.port, "127.0.0.2")) for _ in range(2)]
        for client in clients:
            client.send(GET)
            assert (await client.response()).status == 200
        surplus = await stack.enter_async_context(raw_client(gateway.port, "127.0.0.2"))
        assert await surplus.is_closed()
        other = await stack.enter_async_context(raw_client(gateway.port, "127.0.0.3"))
        other.send(GET)
        assert (await other.response()).status == 200
        assert await metric(session, gateway, "dialpass_http_connections_refused_total") == 1
        assert await metric(session, gateway, "dialpass_http_connections") == 3
        clients[0].writer.close()

        async def accepted() -> bool:
            client = await stack.enter_async_context(raw_client(gateway.port, "127.0.0.2"))
            client.send(GET)
            try:
                return (await client.response()).status == 200
            except (asyncio.IncompleteReadError, ConnectionError):
                return False

        await wait_until(accepted)


async def test_a_trusted_proxy_may_have_any_number_of_connections(upstream: StubUpstream) -> None:
    settings = {"gateway_max_connections_per_address": 2, "trusted_proxies": ("127.0.0.0/30",)}
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(running_gateway(upstream.port, **settings))
        for _ in range(8):
            client = await stack.enter_async_context(raw_client(gateway.port, "127.0.0.2"))
            client.send(GET)
            assert (await client.response()).status == 200


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Leave this process no descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        lowest_free = probe.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_a_descriptor_the_gateway_waits_and_says_so(
    session: aiohttp.ClientSession,
    gateway: Gateway,
    upstream: StubUpstream,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await wait_until(gateway.is_ready)
    assert (await readiness(session, gateway))[0] == 200  # opens the connection to the operators' port
    clients = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(40)]
    try:
        with no_descriptor_left():
            await asyncio.sleep(1.2)
            assert await metric(session, gateway, "dialpass_http_accept_pauses_total") <= 4
            await wait_until(lambda: is_full(session, gateway))
        assert capsys.readouterr().out.count("\n") < 20
        for client in clients:
            client.sendall(GET)
            client.settimeout(0)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            answers = [await loop.sock_recv(client, 65536) for client in clients]
    finally:
        for client in clients:
            client.close()
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)


async def test_clients_that_stall_are_cut_off(session: aiohttp.ClientSession, upstream: StubUpstream) -> None:
    async with AsyncExitStack() as stack:
        limits = {"gateway_read_timeout": 8.0, "gateway_write_timeout": 8.0}
        gateway = await stack.enter_async_context(running_gateway(upstream.port, **limits))

        async def client() -> RawClient:
            return await stack.enter_async_context(raw_client(gateway.port))

        silent, head, body, kept = [await client() for _ in range(4)]
        head.send(b"GET /code/ HTTP/1.1\r\nHost: x\r\nA: ")
        body.send(b"POST /code/ HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf")
        kept.send(GET)
        assert (await kept.response()).status == 200
        kept.send(b"GET /code/ HT")
        reader = stack.enter_context(slow_reader(gateway))
        reader.sendall(LARGE_GET)
        for _ in range(8):
            await asyncio.sleep(1)
            head.send(b"b")  # it is no progress that the head grows
        assert_raw_problem(await head.response(), 408, "request-timeout")
        assert_raw_problem(await body.response(), 408, "request-timeout")
        assert_raw_problem(await kept.response(), 408, "request-timeout")
        for stalled in (silent, head, body, kept):
            assert await stalled.is_closed()

        async def all_gone() -> bool:
            return await metric(session, gateway, "dialpass_http_connections") == 0

        await wait_until(all_gone)
        assert await metric(session, gateway, "dialpass_http_connections_timed_out_total") == 5


def slow_reader(gateway: Gateway) -> socket.socket:
    """Open a connection that takes little more than is read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", gateway.port))
    return client


async def test_a_client_that_reads_slowly_gets_everything(gateway: Gateway) -> None:
    client = slow_reader(gateway)
    client.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, LARGE_GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    received = await loop.sock_recv(client, 1024)
    length = int(received.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    for _ in range(12):  # longer than a client may read nothing
        await asyncio.sleep(1)
        received += await loop.sock_recv(client, 4096)
    while part := await loop.sock_recv(client, 65536):
        received += part
    client.close()
    assert len(received.partition(b"\r\n\r\n")[2]) == length


@pytest.mark.parametrize("option", [b"", b"Connection: keep-alive\r\n"])
async def test_slow_readers_of_a_file_share_its_buffer(gateway: Gateway, option: bytes) -> None:
    """Without sharing, each of the thirty would hold a megabyte and a half."""
    request = LARGE_GET.replace(b"\r\n\r\n", b"\r\n" + option + b"\r\n")
    first = slow_reader(gateway)
    first.sendall(request)
    await asyncio.sleep(0.3)
    readers = [first]
    try:
        with traced_memory() as held:
            for _ in range(30):
                reader = slow_reader(gateway)
                readers.append(reader)
                reader.sendall(request * 5)
            await asyncio.sleep(1)
            assert held() < 4_000_000
    finally:
        for reader in readers:
            reader.close()


async def test_pipelined_requests_of_a_slow_reader_wait_for_it(
    gateway: Gateway, upstream: StubUpstream
) -> None:
    body = b"x" * 8_000_000
    upstream.response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    loop, client = asyncio.get_running_loop(), slow_reader(gateway)
    client.settimeout(0)
    await loop.sock_sendall(client, GET * 4 + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    await asyncio.sleep(1)
    assert len(upstream.requests) == 1
    received = 0
    while part := await loop.sock_recv(client, 65536):
        received += len(part)
    client.close()
    assert received > 5 * len(body)
    assert len(upstream.requests) == 5
