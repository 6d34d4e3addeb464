"""Requests that the gateway has given up are neither begun nor committed."""

import asyncio
import secrets
import time

import pytest

from services.auth import deadline
from services.auth.db.database import Database
from services.auth.deadline import time_limit
from services.auth.errors import TooLate
from shared.http import deadline as deadline_header
from shared.http import gateway_secret
from tests.support.accounts import PASSWORD, store_account
from tests.support.client import Api, bearer, log_in, new_mobile
from tests.support.database import HookedDatabase
from tests.support.system import GATEWAY_SECRET, System


def request(token: str, nickname: str, sender: str, sent_at: float, secret: str = GATEWAY_SECRET) -> bytes:
    body = f'{{"nickname": "{nickname}"}}'.encode()
    lines = [
        "PATCH /me/ HTTP/1.1", "Host: auth", "Content-Type: application/json",
        f"Authorization: Bearer {token}", f"{gateway_secret.HEADER}: {secret}",
        f"{deadline_header.HEADER}: {sender} {sent_at:.3f} 10", f"Content-Length: {len(body)}", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + body


class Sender:
    """Sends requests to auth as a gateway does."""

    def __init__(self, system: System, token: str) -> None:
        self._port = int(system.env["AUTH_PORT"])
        self._token = token
        self._name = secrets.token_hex(8)

    async def send(
        self, nickname: str, *, waited: float = 0, gone: bool = False, secret: str = GATEWAY_SECRET
    ) -> int:
        """Send a request that has waited for some seconds; return the status, 0 if the sender is gone."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request(self._token, nickname, self._name, time.monotonic() - waited, secret))
        if gone:
            writer.close()  # there is no answer to be read
            await asyncio.sleep(0.3)
            return 0
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status


@pytest.fixture
async def token(system: System, api: Api) -> str:
    database = Database(system.env["MYSQL_URL"], pool_size=1)
    mobile = new_mobile()
    await store_account(database, mobile)
    await database.close()
    token: str = (await log_in(api, mobile, PASSWORD))["token"]
    return token


async def test_what_is_late_is_not_begun(system: System, api: Api, token: str) -> None:
    sender = Sender(system, token)
    assert await sender.send("one") == 200
    assert await sender.send("two", waited=10, gone=True) == 0
    assert (await api.get("/me/", token=token))["nickname"] == "one"
    await sender.send("three", waited=5, gone=True)
    assert (await api.get("/me/", token=token))["nickname"] == "three"
    assert await sender.send("four", waited=10) == 200  # its connection says that the gateway waits


async def test_a_stranger_has_no_deadline(system: System, api: Api, token: str) -> None:
    sender = Sender(system, token)
    assert await sender.send("one") == 200
    assert await sender.send("two", waited=60, gone=True, secret="wrong") == 0
    assert await sender.send("three", waited=60, gone=True) == 0
    assert (await api.get("/me/", token=token))["nickname"] == "two"


async def test_a_client_cannot_set_it(api: Api, token: str) -> None:
    forged = f"{'0' * 16} {time.monotonic():.3f} 10"
    for value in (forged, f"{'0' * 16} 0.000 1", "nonsense"):
        headers = {**bearer(token)["headers"], deadline_header.HEADER: value}
        assert (await api.get("/me/", headers=headers)).status == 200


async def test_what_has_become_late_is_not_committed(hooked_database: HookedDatabase) -> None:
    mobile = new_mobile()

    async def change() -> None:
        async with hooked_database.transaction():
            await hooked_database.execute(
                "INSERT INTO users (mobile, created_at) VALUES (%s, NOW())", (mobile,)
            )
            time.sleep(0.2)  # noqa: ASYNC251 - as a process that is stopped

    with pytest.raises((TooLate, TimeoutError)):
        async with time_limit(0.1):
            await change()
    assert await hooked_database.fetch_one("SELECT id FROM users WHERE mobile = %s", (mobile,)) is None


async def test_what_a_request_has_started_is_not_limited_by_it() -> None:
    async def check() -> None:
        await asyncio.sleep(0.05)
        deadline.check()

    async with time_limit(0.01):
        task = asyncio.create_task(check())
    await task
