"""Connections to Redis of every kind: plain, TLS, a socket of the machine, through Sentinels."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis as Client

from deploy.local.ports import free_ports
from deploy.local.redis import Redis
from deploy.local.server import ServerTls
from deploy.local.servers import start_all, stop_all
from shared.redis import client as redis_client
from shared.redis.client import REDIS_FAILURES
from tests.chaos.cuts.conftest import places
from tests.chaos.sentinels import SERVICE, Sentinel
from tests.support.certificates import Authority
from tests.support.cut_after import CutAfter, How
from tests.support.proxies import Direction

_HOST = "localhost"
# Few, because each handshake of TLS has half a second.
_POOL = 8


class UnixRedis(Redis):
    """A Redis that listens on a socket of the machine, too."""

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    def _command(self) -> list[str]:
        return [*super()._command(), "--unixsocket", str(self.socket)]


@dataclass(frozen=True)
class Kinds:
    """A Redis that is reached in every way."""

    server: UnixRedis
    tls: ServerTls
    tls_port: int
    sentinel: Sentinel

    def tls_url(self, port: int) -> str:
        return f"rediss://{_HOST}:{port}/0?ssl_ca_certs={self.tls.ca}"

    def url(self, kind: str) -> str:
        return {
            "plain": self.server.url,
            "tls": self.tls_url(self.tls_port),
            "unix": f"unix://{self.server.socket}",
            "sentinel": f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{SERVICE}/0",
        }[kind]


@pytest.fixture(name="kinds", scope="module")
def _kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinds]:
    folder = tmp_path_factory.mktemp("kinds")
    ports = free_ports(["redis", "tls", "sentinel"])
    tls = Authority(folder / "authority", "the authority").issue(_HOST)
    server = UnixRedis(folder / "redis", ports["redis"], durable=False, tls=(tls, ports["tls"]))
    sentinel = Sentinel(folder / "sentinel", ports["sentinel"], master=server.port)
    start_all([server])
    start_all([sentinel])
    yield Kinds(server, tls, ports["tls"], sentinel)
    stop_all((server, sentinel))


@pytest.fixture(params=["plain", "tls", "unix", "sentinel"])
async def client(kinds: Kinds, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    redis = redis_client.connect(kinds.url(request.param))
    yield redis
    await redis.aclose()


@pytest.fixture
async def operator(kinds: Kinds) -> AsyncIterator[Client]:
    async with Client.from_url(kinds.server.url) as operator:
        yield operator


async def all_at_once(redis: Client) -> None:
    await asyncio.gather(*(redis.ping() for _ in range(_POOL)))


async def test_idle_connections_that_the_server_has_closed_are_not_handed_out(
    client: Client, operator: Client
) -> None:
    for _ in range(3):
        await all_at_once(client)
        await operator.client_kill_filter(_type="normal", skipme=True)
        await all_at_once(client)


# Not through Sentinels, which are refused as well and then name no master for a while.
@pytest.mark.parametrize("client", ["plain", "tls", "unix"], indirect=True)
async def test_a_server_with_too_many_clients_is_a_failure_of_redis_until_it_has_room(
    client: Client, operator: Client
) -> None:
    await all_at_once(client)
    await operator.config_set("maxclients", "1")
    await operator.client_kill_filter(_type="normal", skipme=True)
    answers = await asyncio.gather(*(client.ping() for _ in range(6 * _POOL)), return_exceptions=True)
    await operator.config_set("maxclients", "1000")
    assert [answer for answer in answers if not isinstance(answer, (bool, *REDIS_FAILURES))] == []
    assert any(isinstance(answer, REDIS_FAILURES) for answer in answers)
    await all_at_once(client)


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_one_cut_of_an_encrypted_connection_is_made_good(
    kinds: Kinds, direction: Direction, how: How
) -> None:
    async with CutAfter(f"redis://{_HOST}:{kinds.tls_port}") as proxy:
        redis = redis_client.connect(kinds.tls_url(proxy.port))
        before = proxy.passed[direction]
        await redis.set("cuts", "x")
        for after in places(proxy.passed[direction] - before):
            await redis.connection_pool.disconnect()
            proxy.arm(direction, after, how)
            await redis.set("cuts", "x")
            assert await redis.get("cuts") == b"x"
            proxy.disarm()
        await all_at_once(redis)
        await redis.aclose()
