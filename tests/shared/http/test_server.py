"""How the server finds the end of a request's head, and what it does with connections."""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.http1connection import HTTP1Connection
from tornado.web import Application, RequestHandler

from shared.http.client_stream import END_OF_HEAD, FAST_END_OF_HEAD
from shared.http.limits import AddressCounter, ConnectionLimits
from shared.http.server import DrainableServer
from shared.networks import parse_networks
from tests.support.raw_http import raw_client


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"\r\n", b"\r\n\r\n"])).map(b"".join))
def test_the_fast_pattern_matches_where_tornados_does(received: bytes) -> None:
    ours, tornados = (re.search(pattern, received) for pattern in (FAST_END_OF_HEAD, END_OF_HEAD))
    assert (ours and ours.end()) == (tornados and tornados.end())


def test_tornado_still_uses_the_replaced_pattern() -> None:
    assert 'read_until_regex(\n                b"\\r?\\n\\r?\\n"' in inspect.getsource(HTTP1Connection)


class Large(RequestHandler):
    def get(self) -> None:
        self.finish(b"x" * 8_000_000)


@pytest.fixture
async def server() -> AsyncIterator[DrainableServer]:
    """A server with short limits."""
    limits = ConnectionLimits(
        max_open=10, head_seconds=1, idle_seconds=60, crowded_idle_seconds=1, write_seconds=60
    )
    server = DrainableServer(Application([("/", Large)]), 0, limits=limits)
    yield server
    await server.close()


async def test_a_response_that_is_not_taken_yet_is_work_in_progress(server: DrainableServer) -> None:
    """A drain would cut it off otherwise: the application is done with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await reader.readexactly(9) == b"HTTP/1.1 "
    assert server.writing() == 1
    while server.writing():
        assert await reader.read(65536)
    writer.close()


async def test_idle_connections_make_room_when_there_are_many(server: DrainableServer) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw_client(server.port)) for _ in range(9)]
        for client in clients:
            client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.response(head_only=True)).status == 405
        ends = [asyncio.create_task(client.is_closed(seconds=10)) for client in clients]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assert any(end.done() and end.result() for end in ends)
        for end in ends:
            end.cancel()


async def test_a_server_closes_with_connections_open() -> None:
    server = DrainableServer(Application([("/", Large)]), 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await asyncio.sleep(0.05)
    await server.close()
    assert await reader.read() == b""
    writer.close()


def test_addresses_are_counted_by_network_where_a_client_has_one() -> None:
    counter = AddressCounter(
        ConnectionLimits(max_per_address=2, uncapped=parse_networks(["10.0.0.0/8", "fd00::/8"]))
    )
    assert [counter.add("2001:db8::1"), counter.add("2001:db8::ffff"), counter.add("2001:db8::2")] == [
        True,
        True,
        False,
    ]
    assert counter.add("2001:db8:0:1::1")
    assert [counter.add(address) for address in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1")] == [
        True,
        True,
        False,
    ]
    assert all(
        counter.add(address) for address in ["10.1.2.3", "fd00::1", "::ffff:10.1.2.3", "fe80::1%lo"] * 2
    )
    counter.remove("2001:db8::ffff")
    assert counter.add("2001:db8::3")
    assert not counter.add("2001:db8::4")
