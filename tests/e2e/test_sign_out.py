"""Signing out with what a client has left: an expired access token, or the refresh token alone."""

import asyncio

import pytest

from services.auth.db.database import Database
from tests.support.accounts import PASSWORD, store_account
from tests.support.client import Api, bearer, log_in, new_mobile, refresh
from tests.support.system import System

EXPIRED = "eyJhbGciOiJFUzI1NiIsImtpZCI6IngiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiI0MiIsImV4cCI6MX0.AAAAAAAAAAAAAAAA"


@pytest.fixture
async def mobile(system: System) -> str:
    database, mobile = Database(system.env["MYSQL_URL"], pool_size=1), new_mobile()
    await store_account(database, mobile, PASSWORD)
    await database.close()
    return mobile


@pytest.mark.parametrize("access_token", [None, EXPIRED, "nonsense", "own"])
@pytest.mark.parametrize("path", ["/logout/", "/logout"])
async def test_a_refresh_token_signs_out_whatever_the_access_token(
    api: Api, mobile: str, access_token: str | None, path: str
) -> None:
    opened, other = await log_in(api, mobile), await log_in(api, mobile)
    given = opened["token"] if access_token == "own" else access_token
    options = {} if given is None else bearer(given)
    body = {"refresh_token": opened["refresh_token"]}
    for _ in range(2):
        reply = await api.post(path, body, **options)
        assert (reply.status, reply.body) == (204, None)
    assert (await refresh(api, opened["refresh_token"]))["type"] == "/problems/session-ended"
    await asyncio.sleep(1)
    assert not await api.passes(opened["token"])
    assert await api.passes(other["token"])
    assert (await refresh(api, other["refresh_token"])).status == 200


async def test_both_sessions_end_if_the_tokens_are_of_two(api: Api, mobile: str) -> None:
    one, other = await log_in(api, mobile), await log_in(api, mobile)
    body = {"refresh_token": one["refresh_token"]}
    assert (await api.post("/logout/", body, **bearer(other["token"]))).status == 204
    for opened in (one, other):
        assert (await refresh(api, opened["refresh_token"]))["type"] == "/problems/session-ended"


async def test_a_body_without_a_refresh_token_leaves_it_to_the_access_token(api: Api, mobile: str) -> None:
    for body in ({}, {"refresh_token": None}, {"other": 1}):
        opened = await log_in(api, mobile)
        assert (await api.post("/logout/", body)).status == 401
        assert (await api.post("/logout/", body, **bearer(EXPIRED))).status == 401
        assert (await api.get("/me/", token=opened["token"])).status == 200
        assert (await api.post("/logout/", body, **bearer(opened["token"]))).status == 204
        assert (await api.get("/me/", token=opened["token"])).status == 401


@pytest.mark.parametrize("token", ["", "x", "A" * 91, "é"])
async def test_text_that_is_no_token_is_no_error(api: Api, token: str) -> None:
    assert (await api.post("/logout/", {"refresh_token": token})).status == 204


@pytest.mark.parametrize("body", [{"refresh_token": 1}, {"refresh_token": "A" * 513}, [], "x"])
async def test_a_body_of_another_form_is_refused(api: Api, body: object) -> None:
    reply = await api.post("/logout/", body)
    assert (reply.status, reply["type"]) == (400, "/problems/invalid-request")


async def test_a_late_repetition_of_a_refresh_gets_the_same_token(api: Api, mobile: str) -> None:
    opened = await log_in(api, mobile)
    missed = await refresh(api, opened["refresh_token"])
    await asyncio.sleep(11)
    again = await refresh(api, opened["refresh_token"])
    assert again["refresh_token"] == missed["refresh_token"]
    assert (await api.get("/me/", token=again["token"])).status == 200
    assert (await refresh(api, again["refresh_token"])).status == 200
    assert (await refresh(api, opened["refresh_token"]))["type"] == "/problems/session-ended"
