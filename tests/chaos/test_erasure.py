"""After an account's deletion nothing that the system keeps holds its number."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import aio_pika
import aiohttp
import pytest

from deploy.local.servers import Servers
from shared.contracts.events import EVENTS_EXCHANGE
from shared.redis import client as redis_client
from tests.support.client import Api, Phone, new_mobile, sign_up
from tests.support.dumps import dump_mysql, dump_rabbitmq, dump_redis
from tests.support.system import System, make_system

PASSWORD = "correct horse 电池"


@pytest.fixture
def patient(servers: Servers, mysql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system from which one number gets as many codes as this test needs."""
    system = make_system(
        servers, mysql_url, tmp_path_factory.mktemp("patient"),
        CODE_COOLDOWN="1", CODE_LIMIT_NUMBER="100/hour", CODE_CHALLENGE_NUMBER="100/hour",
        CODE_LIMIT_STRANGERS="100/hour",
    )  # fmt: skip
    with system.running():
        yield system


@pytest.fixture
async def unread(servers: Servers) -> AsyncIterator[None]:
    """A queue whose consumer never comes: it keeps every event."""
    async with await aio_pika.connect(servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EVENTS_EXCHANGE, "topic", durable=True)
        queue = await channel.declare_queue(
            "tests.erasure", durable=True, arguments={"x-queue-type": "quorum"}
        )
        await queue.bind(exchange, "#")
        yield
        await queue.delete(if_unused=False, if_empty=False)


class Person:
    """Someone who uses all there is."""

    def __init__(self, session: aiohttp.ClientSession, system: System) -> None:
        self.api = Api(session, system.url)
        self.phone = Phone(session, system.simulator_url)
        self.session = session
        self.mobile = new_mobile()
        self.token = ""

    async def no_limits(self) -> None:
        async with self.session.put(f"{self.phone.url}/_account", json={"limits": False}) as response:
            assert response.status == 200

    async def code(self, purpose: str, mobile: str) -> str:
        seen = len(await self.phone.texts(mobile))
        await self.ask(purpose, mobile)
        return await self.phone.code(mobile, messages=seen + 1)

    async def ask(self, purpose: str, mobile: str) -> str:
        """Ask for a code, once the cooldown is over, and return the message's id."""
        for _ in range(100):
            reply = await self.api.post("/code/", {"mobile": mobile, "purpose": purpose})
            if reply.status == 200:
                return str(reply["message_id"])
            await asyncio.sleep(0.1)
        raise AssertionError(reply.body)

    async def call(self, method: str, path: str, body: object = None) -> int:
        headers = {"Authorization": f"Bearer {self.token}"}
        return (await self.api.call(method, path, body, headers=headers)).status

    async def sign_in(self, password: str = PASSWORD) -> int:
        reply = await self.api.post("/login/", {"mobile": self.mobile, "password": password})
        self.token = reply.body.get("token", self.token)
        return reply.status

    async def live(self) -> str:
        """Use every endpoint, right and wrong, move to another number, and return the first."""
        first = self.mobile
        await sign_up(self.api, self.phone, self.mobile, PASSWORD)
        assert [await self.sign_in(), await self.sign_in("wrong horse")] == [200, 400]
        assert await self.call("PATCH", "/me/", {"nickname": "小明"}) == 200
        await self.code("reset", self.mobile)
        for path in ("/login/code/", "/password/reset/"):
            wrong = {"mobile": self.mobile, "code": "000000", "password": PASSWORD}
            assert (await self.api.post(path, wrong)).status == 400
        second = new_mobile()
        code = await self.code("change_mobile", second)
        assert await self.call("POST", "/me/mobile/", {"mobile": second, "code": code}) == 200
        self.mobile = second
        login = {"mobile": second, "code": await self.code("login", second)}
        assert (await self.api.post("/login/code/", login)).status == 200
        assert (
            await self.call("POST", "/password/change/", {"old_password": "x", "password": PASSWORD}) == 400
        )
        return first


async def has_been_told(servers: Servers) -> None:
    """Wait until the deletion's event is in the queue of who is interested."""
    for _ in range(100):
        if b"user.deleted" in await dump_rabbitmq(servers):
            return
        await asyncio.sleep(0.1)


async def test_a_deleted_accounts_numbers_are_nowhere(
    patient: System, session: aiohttp.ClientSession, servers: Servers, mysql_url: str, unread: None
) -> None:
    person = Person(session, patient)
    await person.no_limits()
    numbers = [await person.live(), person.mobile]
    code = await person.code("delete", person.mobile)
    patient.sms.stop()
    unsent = await person.ask("reset", person.mobile)  # still in its queue when the account goes
    assert person.mobile.encode() in await asyncio.to_thread(dump_mysql, mysql_url)
    assert await person.call("DELETE", "/me/", {"code": code}) == 204
    await has_been_told(servers)
    redis = redis_client.connect(servers.redis.url)
    dumps = {
        "mysql": await asyncio.to_thread(dump_mysql, mysql_url),
        "redis": await dump_redis(redis),
        "rabbitmq": await dump_rabbitmq(servers),
        "logs": patient.logs().encode(),
    }
    await redis.aclose()
    # The dumps are those of what was done, and not of something else.
    assert unsent.encode() in dumps["redis"]
    assert unsent.encode() in dumps["rabbitmq"]
    assert b"user.deleted" in dumps["mysql"]
    assert b"user.deleted" in dumps["rabbitmq"]
    found = [(name, number) for name, dump in dumps.items() for number in numbers if number.encode() in dump]
    assert found == []
