"""Clients that register, sign in and refresh while servers fail, and an audit of what they were told."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from tests.support.client import Api, Phone, Reply, new_mobile

PASSWORD = "correct horse 电池"
_CLIENTS = 12
_PAUSE_SECONDS = 0.1
_TEXT_SECONDS = 30
# What a client can do something about. A 500, 502 or 504 is no such answer.
_ANSWERS = {200, 204, 400, 429, 503}

Ask = Callable[[], Awaitable[Reply]]


@dataclass
class Customer:
    """What one customer was told."""

    mobile: str = field(default_factory=new_mobile)
    codes_asked: int = 0
    codes_acknowledged: int = 0
    registered: int | None = None
    refresh_token: str | None = None


@dataclass
class Clients:
    """The clients and what they were told.

    Attributes:
        customers: everybody who has asked for a code.
        answers: how often each path was answered with each status.
        wrong: what must not happen.
        burned: right codes that were refused after a 503.
    """

    api: Api
    phone: Phone
    customers: list[Customer] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    burned: int = 0
    over: bool = False

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Run the clients for the block's time."""
        clients = [asyncio.create_task(self._keep_coming()) for _ in range(_CLIENTS)]
        try:
            yield
        finally:
            self.over = True
            await asyncio.gather(*clients)

    async def serve(self, customer: Customer, *, patience: int) -> bool:
        """Lead a customer from the code to the session; return whether all of it worked."""
        self.customers.append(customer)
        mobile = customer.mobile
        if not await self._ask_for_code(customer, patience):
            return False
        code = await self.phone.code(mobile, seconds=_TEXT_SECONDS)
        form = {"mobile": mobile, "code": code, "password": PASSWORD}
        registered = await self._until_answered("/register/", form, patience)
        if registered.status != 200:
            if "code" in (registered.body or {}):
                self.burned += 1
            return False
        customer.registered = int(registered["id"])
        session = await self._until_answered("/login/", {"mobile": mobile, "password": PASSWORD}, patience)
        if session.status != 200:
            return False
        customer.refresh_token = session["refresh_token"]
        return all([await self._refresh(customer, patience) for _ in range(3)])

    async def audit(self) -> None:
        """Assert that everything that was acknowledged is true, once all servers are back."""
        for customer in self.customers:
            await self._audit(customer)
        assert self.wrong == [], (self.wrong[:20], self.answers)

    async def _audit(self, customer: Customer) -> None:
        mobile = customer.mobile
        texts = len(await self.phone.texts(mobile))
        if texts < min(customer.codes_acknowledged, 1):
            self.wrong.append(f"{mobile}: a code was acknowledged and never came")
        if texts > customer.codes_asked:
            self.wrong.append(f"{mobile}: {texts} texts for {customer.codes_asked} requests")
        if customer.registered is not None:
            session = await self.api.post("/login/", {"mobile": mobile, "password": PASSWORD})
            if session.status != 200 or session["id"] != customer.registered:
                self.wrong.append(f"{mobile}: the account {customer.registered} is gone: {session.body}")
        if customer.refresh_token is not None and not await self._refresh(customer, 1):
            self.wrong.append(f"{mobile}: the session is gone")

    async def _keep_coming(self) -> None:
        while not self.over:
            try:
                await self.serve(Customer(), patience=100)
            except AssertionError as error:  # the text has not come; the audit looks again
                self.answers[str(error), 0] += 1

    async def _ask_for_code(self, customer: Customer, patience: int) -> bool:
        async def ask() -> Reply:
            customer.codes_asked += 1
            return await self.api.post("/code/", {"mobile": customer.mobile})

        answer = await self._until("/code/", ask, patience)
        customer.codes_acknowledged += answer.status == 200
        return answer.status == 200

    async def _refresh(self, customer: Customer, patience: int) -> bool:
        # A refresh whose answer was lost is repeated with the same token.
        body = {"refresh_token": customer.refresh_token}
        answer = await self._until_answered("/token/refresh/", body, patience)
        if answer.status == 200:
            customer.refresh_token = answer["refresh_token"]
        return answer.status == 200

    async def _until_answered(self, path: str, body: object, patience: int) -> Reply:
        return await self._until(path, lambda: self.api.post(path, body), patience)

    async def _until(self, path: str, ask: Ask, patience: int) -> Reply:
        """Repeat a request while the answer is 503."""
        while True:
            answer = await self._ask(path, ask)
            patience -= 1
            if answer.status != 503 or patience <= 0:
                return answer
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask(self, path: str, ask: Ask) -> Reply:
        try:
            answer = await ask()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.wrong.append(f"{path}: {type(error).__name__}")
            return Reply(503, {}, None)
        self.answers[path, answer.status] += 1
        if answer.status not in _ANSWERS:
            self.wrong.append(f"{path}: {answer.status} {answer.body}")
        if answer.status == 503 and not answer.headers.get("Retry-After"):
            self.wrong.append(f"{path}: 503 without Retry-After")
        return answer
