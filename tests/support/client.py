"""A client of the public API, and a phone that receives its codes."""

import asyncio
import itertools
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.system import CODE_IN_TEXT

_numbers = itertools.count(os.getpid() * 10_000 % 10**8)


def new_mobile() -> str:
    """Return a unique number."""
    return f"139{next(_numbers) % 10**8:08d}"


@dataclass(frozen=True)
class Reply:
    """A response of the API."""

    status: int
    headers: Any
    body: Any

    def __getitem__(self, member: str) -> Any:
        return self.body[member]


class Api:
    """Calls the gateway."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def call(self, method: str, path: str, json_body: Any = None, **options: Any) -> Reply:
        if json_body is not None:
            options["data"] = json.dumps(json_body)
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        async with self.session.request(method, self.url + path, **options) as response:
            content = await response.read()
            body = json.loads(content) if content else None
            return Reply(response.status, response.headers, body)

    async def post(self, path: str, body: Any, **options: Any) -> Reply:
        return await self.call("POST", path, body, **options)

    async def passes(self, token: str) -> bool:
        """Return whether the gateway accepts a token, on a route to a service that does not check it."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.get(f"{self.url}/platform/", headers=headers) as response:
            assert response.status in {401, 404}, response.status
            return response.status == 404

    async def get(self, path: str, token: str | None = None, **options: Any) -> Reply:
        if token is not None:
            options["headers"] = {"Authorization": f"Bearer {token}", **options.get("headers", {})}
        return await self.call("GET", path, **options)


class Phone:
    """Reads the simulator's inbox and scripts its faults and outcomes."""

    def __init__(self, session: aiohttp.ClientSession, simulator_url: str) -> None:
        self.session = session
        self.url = simulator_url

    async def texts(self, mobile: str) -> list[str]:
        return [message["text"] for message in await self._messages(mobile)]

    async def channels(self, mobile: str) -> list[str]:
        return [message["channel"] for message in await self._messages(mobile)]

    async def _messages(self, mobile: str) -> list[dict[str, str]]:
        async with self.session.get(f"{self.url}/_inbox", params={"mobile": mobile}) as response:
            messages: list[dict[str, str]] = await response.json()
            return messages

    async def code(self, mobile: str, *, messages: int = 1, seconds: float = 15) -> str:
        """Wait for `messages` texts and return the code of the newest one."""
        deadline = time.monotonic() + seconds
        while len(texts := await self.texts(mobile)) < messages:
            assert time.monotonic() < deadline, f"{len(texts)} of {messages} texts arrived"
            await asyncio.sleep(0.02)
        found = CODE_IN_TEXT.search(texts[-1])
        assert found is not None, "the text holds no code"
        return found.group()

    async def fault(self, **rule: Any) -> None:
        """Add a fault."""
        await self._add_rule("_faults", rule)

    async def outcome(self, **rule: Any) -> None:
        """Add an outcome of messages."""
        await self._add_rule("_outcomes", rule)

    async def _add_rule(self, path: str, rule: dict[str, Any]) -> None:
        async with self.session.post(f"{self.url}/{path}", json=rule) as response:
            assert response.status < 300, await response.text()

    async def faults_taken(self, seconds: float = 10) -> None:
        """Wait until every fault has happened."""
        deadline = time.monotonic() + seconds
        while True:
            async with self.session.get(f"{self.url}/_faults") as response:
                if await response.json() == []:
                    return
            assert time.monotonic() < deadline, "a fault never happened"
            await asyncio.sleep(0.02)


async def eventually(holds: Callable[[], bool], seconds: float = 10, poll: float = 0.05) -> None:
    """Wait until `holds()` is true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(poll)


async def sign_up(api: Api, phone: Phone, mobile: str, password: str = "correct horse 电池") -> int:
    """Register an account and return its id."""
    assert (await api.post("/code/", {"mobile": mobile})).status == 200
    code = await phone.code(mobile)
    reply = await api.post("/register/", {"mobile": mobile, "code": code, "password": password})
    assert reply.status == 200, reply.body
    return int(reply["id"])


async def log_in(api: Api, mobile: str, password: str = "correct horse 电池", agent: str = "test") -> Reply:
    """Sign in and return the response."""
    body = {"mobile": mobile, "password": password}
    reply = await api.post("/login/", body, headers={"User-Agent": agent})
    assert reply.status == 200, reply.body
    return reply


async def refresh(api: Api, token: str) -> Reply:
    """Use a refresh token."""
    return await api.post("/token/refresh/", {"refresh_token": token})


def bearer(token: str) -> dict[str, Any]:
    """Return the options of a call with an access token."""
    return {"headers": {"Authorization": f"Bearer {token}"}}
