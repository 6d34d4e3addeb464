"""The addresses that a server listens on."""

import socket

import pytest
from tornado.web import Application

from deploy.local.ports import free_port
from shared.http.server import DrainableServer

# An address of this machine other than the usual one.
OTHER = "127.0.0.2"


def accepts(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
        client.settimeout(2)
        return client.connect_ex((address, port)) == 0


async def listening(*addresses: tuple[str, ...]) -> dict[str, bool]:
    port = free_port()
    server = DrainableServer(Application(), port, *addresses)
    try:
        return {address: accepts(address, port) for address in ("127.0.0.1", OTHER)}
    finally:
        await server.close()


async def test_by_default_a_server_is_reached_at_localhost_alone() -> None:
    assert await listening() == {"127.0.0.1": True, OTHER: False}


@pytest.mark.parametrize("addresses", [("*",), ("0.0.0.0",), ("127.0.0.1", OTHER)])
async def test_a_server_can_be_opened(addresses: tuple[str, ...]) -> None:
    assert await listening(addresses) == {"127.0.0.1": True, OTHER: True}
