"""One's own account through the gateway: profile, number, passwords, deletion."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest

from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from tests.support.accounts import PASSWORD, store_account
from tests.support.client import Api, Phone, Reply, new_mobile

NEW_PASSWORD = "battery staple 电池"


@dataclass
class User:
    """A signed-in user."""

    api: Api
    phone: Phone
    mobile: str
    id: int
    token: str

    async def call(self, method: str, path: str, body: object = None) -> Reply:
        return await self.api.call(method, path, body, headers={"Authorization": f"Bearer {self.token}"})

    async def code(self, purpose: str, mobile: str | None = None) -> str:
        """Ask for a code and read it."""
        mobile = mobile or self.mobile
        before = len(await self.phone.texts(mobile))
        reply = await self.api.post("/code/", {"mobile": mobile, "purpose": purpose})
        assert reply.status == 200, reply.body
        return await self.phone.code(mobile, messages=before + 1)

    async def sign_in(self, password: str = PASSWORD) -> Reply:
        return await self.api.post("/login/", {"mobile": self.mobile, "password": password})


async def signed_in(database: Database, api: Api, phone: Phone) -> User:
    mobile = new_mobile()
    user = User(api, phone, mobile, await store_account(database, mobile), "")
    user.token = (await user.sign_in())["token"]
    return user


@pytest.fixture
async def user(database: Database, api: Api, phone: Phone) -> User:
    return await signed_in(database, api, phone)


async def test_a_profile_is_changed_member_by_member(user: User) -> None:
    changed = await user.call("PATCH", "/me/", {"nickname": "小明", "avatar": "https://example.com/a.png"})
    assert (changed.status, changed["nick"], changed["avatar"]) == (200, "小明", "https://example.com/a.png")
    cleared = await user.call("PATCH", "/me", {"nickname": None})
    assert (cleared["nickname"], cleared["nick"]) == (None, user.mobile)
    assert cleared["avatar"] == "https://example.com/a.png"
    assert (await user.call("GET", "/me/")).body == cleared.body


async def test_a_malformed_profile_is_refused_member_by_member(user: User) -> None:
    reply = await user.call("PATCH", "/me/", {"nickname": "\n", "avatar": "ftp://example.com"})
    assert reply.status == 400
    assert {"nickname", "avatar"} <= set(reply.body)


async def test_a_number_is_changed_by_a_code_sent_to_the_new_one(user: User, database: Database) -> None:
    old, new = user.mobile, new_mobile()
    code = await user.code("change_mobile", new)
    reply = await user.call("POST", "/me/mobile/", {"mobile": new, "code": code})
    assert (reply.status, reply.body) == (200, {"mobile": new})
    assert (await user.call("GET", "/me/"))["mobile"] == new
    user.mobile = new
    assert (await user.sign_in()).status == 200
    assert await UserRepository(database).find_by_mobile(old) is None


async def test_a_taken_number_is_refused(user: User, database: Database) -> None:
    taken = new_mobile()
    await store_account(database, taken)
    code = await user.code("change_mobile", taken)
    reply = await user.call("POST", "/me/mobile/", {"mobile": taken, "code": code})
    assert (reply.status, reply["mobile"]) == (400, ["Already registered"])


async def test_a_reset_changes_the_password_and_ends_every_session(user: User) -> None:
    body = {"mobile": user.mobile, "code": await user.code("reset"), "password": NEW_PASSWORD}
    reply = await user.api.post("/password/reset/", body)
    assert (reply.status, reply.body) == (200, {})
    assert (await user.call("GET", "/me/")).status == 401
    assert (await user.sign_in()).status == 400
    assert (await user.sign_in(NEW_PASSWORD)).status == 200


async def test_a_reset_of_an_unknown_number_answers_as_a_wrong_code_does(user: User) -> None:
    stranger = new_mobile()
    right_but_unknown = await user.code("reset", stranger)
    answers = []
    for mobile, code in ((user.mobile, "000000"), (stranger, right_but_unknown), (stranger, "000000")):
        body = {"mobile": mobile, "code": code, "password": NEW_PASSWORD}
        answers.append(await user.api.post("/password/reset/", body))
    for answer in answers:
        assert (answer.status, answer["code"]) == (400, ["Invalid or expired code"])
        answer.body.pop("request_id")
    assert answers[0].body == answers[1].body == answers[2].body
    assert sorted(answers[0].headers) == sorted(answers[1].headers)


async def test_a_change_of_password_ends_the_other_sessions(user: User) -> None:
    other = (await user.sign_in())["token"]
    reply = await user.call("POST", "/password/change/", {"old_password": PASSWORD, "password": NEW_PASSWORD})
    assert (reply.status, reply.body) == (200, {})
    assert (await user.call("GET", "/me/")).status == 200
    assert (await user.api.get("/me/", token=other)).status == 401
    assert (await user.sign_in(NEW_PASSWORD)).status == 200


@pytest.mark.parametrize(
    ("body", "member", "message"),
    [
        ({"old_password": "wrong horse", "password": NEW_PASSWORD}, "old_password", "Wrong password"),
        ({"old_password": PASSWORD, "password": "short"}, "password", "The password must have 8"),
        ({"old_password": PASSWORD, "password": "password1"}, "password", "This password is too common"),
        ({"password": NEW_PASSWORD}, "old_password", "This field is required"),
    ],
    ids=["wrong", "short", "common", "missing"],
)
async def test_a_refused_change_of_password_names_the_member(
    user: User, body: dict[str, str], member: str, message: str
) -> None:
    reply = await user.call("POST", "/password/change/", body)
    assert reply.status == 400
    assert reply[member][0].startswith(message)


async def test_a_password_like_the_number_or_the_nickname_is_refused(user: User) -> None:
    await user.call("PATCH", "/me/", {"nickname": "Xiao Ming 1999"})
    for password in (user.mobile, "xiao ming 1999"):
        body = {"old_password": PASSWORD, "password": password}
        assert "password" in (await user.call("POST", "/password/change/", body)).body


async def test_a_deleted_account_is_gone_and_its_number_free(user: User, database: Database) -> None:
    reply = await user.call("DELETE", "/me/", {"code": await user.code("delete")})
    assert (reply.status, reply.body) == (204, None)
    assert (await user.call("GET", "/me/")).status == 401
    assert (await user.sign_in()).status == 400
    assert await store_account(database, user.mobile) > user.id


async def test_a_wrong_code_deletes_nothing(user: User) -> None:
    reply = await user.call("DELETE", "/me/", {"code": "000000"})
    assert (reply.status, reply["code"]) == (400, ["Invalid or expired code"])
    assert (await user.call("GET", "/me/")).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", "/me/"), ("DELETE", "/me/"), ("POST", "/me/mobile/"), ("POST", "/password/change/")],
)
async def test_without_a_token_nothing_of_an_account_is_touched(api: Api, method: str, path: str) -> None:
    reply = await api.call(method, path, {})
    assert reply.status == 401
    assert "WWW-Authenticate" in reply.headers


async def test_of_100_deletions_one_succeeds(user: User) -> None:
    code = await user.code("delete")
    replies = await asyncio.gather(*(user.call("DELETE", "/me/", {"code": code}) for _ in range(100)))
    statuses = Counter(reply.status for reply in replies)
    assert statuses[204] == 1
    assert set(statuses) <= {204, 400, 401}


async def test_of_two_accounts_that_want_a_number_one_gets_it(
    user: User, database: Database, api: Api, phone: Phone
) -> None:
    other = await signed_in(database, api, phone)
    wanted = new_mobile()
    body = {"mobile": wanted, "code": await user.code("change_mobile", wanted)}
    replies = await asyncio.gather(
        *(one.call("POST", "/me/mobile/", body) for one in (user, other) for _ in range(20))
    )
    assert sorted(Counter(reply.status for reply in replies)) == [200, 400]
    mobiles = [(await one.call("GET", "/me/"))["mobile"] for one in (user, other)]
    assert mobiles.count(wanted) == 1


async def test_a_reset_is_not_undone_by_a_change_at_the_same_time(user: User) -> None:
    by_change = "changed password 电池"
    code = await user.code("reset")
    await asyncio.gather(
        user.api.post("/password/reset/", {"mobile": user.mobile, "code": code, "password": NEW_PASSWORD}),
        *(
            user.call("POST", "/password/change/", {"old_password": PASSWORD, "password": by_change})
            for _ in range(10)
        ),
    )
    assert (await user.sign_in(NEW_PASSWORD)).status == 200
    assert (await user.call("GET", "/me/")).status == 401
