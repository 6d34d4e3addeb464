"""The use cases of auth with Redis or MySQL behind a proxy that cuts: never anything but 4xx and 503."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.local.servers import Servers
from shared.errors import AppError
from shared.redis import client as redis_client
from tests.chaos.cuts.conftest import places
from tests.support.auth import CLIENT, PASSWORD, AuthHarness
from tests.support.client import new_mobile
from tests.support.cut_after import CutAfter, How
from tests.support.database import HookedDatabase
from tests.support.proxies import Direction

UseCase = Callable[[AuthHarness], Awaitable[object]]


async def answered(request: Awaitable[object]) -> bool:
    """Return whether a request succeeds; a refusal must be one that clients know what to do about."""
    refusal: AppError | None = None
    try:
        await request
    except AppError as error:
        refusal = error
    assert refusal is None or refusal.status < 500 or (refusal.status == 503 and refusal.retry_after), refusal
    return refusal is None


async def ask_for_a_code(auth: AuthHarness) -> None:
    await auth.services.codes.request(new_mobile(), "register", CLIENT)


async def register_and_sign_in(auth: AuthHarness) -> None:
    mobile = new_mobile()
    code = await auth.code("register", mobile)
    await auth.services.accounts.register(mobile, code, PASSWORD, CLIENT)
    signed_in = await auth.sign_in(mobile=mobile)
    await auth.refresh(signed_in.refresh_token)


@pytest.mark.parametrize("use_case", [ask_for_a_code, register_and_sign_in], ids=lambda case: case.__name__)
@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("server", ["redis", "mysql"])
async def test_a_cut_anywhere_is_no_500(
    servers: Servers, mysql_url: str, tmp_path: Path, server: str, direction: Direction, how: How,
    use_case: UseCase,
) -> None:  # fmt: skip
    async with CutAfter(servers.redis.url if server == "redis" else mysql_url) as proxy:
        redis = redis_client.connect(proxy.url if server == "redis" else servers.redis.url)
        database = HookedDatabase(mysql_url if server == "redis" else proxy.url, pool_size=4)
        auth = AuthHarness(database, redis, tmp_path)
        await use_case(auth)
        before = proxy.passed[direction]
        await use_case(auth)
        for after in places(proxy.passed[direction] - before, most=300):
            proxy.arm(direction, after, how)
            await answered(use_case(auth))
            proxy.disarm()
            assert await answered(use_case(auth))
        await auth.services.codes.close()
        await database.close()
        await redis.aclose()
