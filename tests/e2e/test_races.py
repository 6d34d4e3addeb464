"""Many at once, through the gateway."""

import asyncio
from collections import Counter

from tests.support.client import Api, Phone, new_mobile, sign_up
from tests.support.system import System, run

PASSWORD = "correct horse 电池"


async def test_100_concurrent_registrations_make_one_account(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await api.post("/code/", {"mobile": mobile})
    body = {"mobile": mobile, "code": await phone.code(mobile), "password": PASSWORD}
    replies = await asyncio.gather(*(api.post("/register/", body) for _ in range(100)))
    assert Counter(reply.status for reply in replies) == {200: 1, 400: 99}
    refusals = [reply.body for reply in replies if reply.status == 400]
    assert all("code" in body or "mobile" in body for body in refusals)
    assert (await api.post("/login/", {"mobile": mobile, "password": PASSWORD})).status == 200


async def test_100_concurrent_requests_send_one_text(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    replies = await asyncio.gather(*(api.post("/code/", {"mobile": mobile}) for _ in range(100)))
    assert Counter(reply.status for reply in replies) == {200: 1, 429: 99}
    await phone.code(mobile)
    assert len(await phone.texts(mobile)) == 1


async def test_after_6_wrong_codes_the_right_one_no_longer_works(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await api.post("/code/", {"mobile": mobile})
    code = await phone.code(mobile)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for attempt in [wrong] * 6 + [code]:
        reply = await api.post("/register/", {"mobile": mobile, "code": attempt, "password": PASSWORD})
        assert (reply.status, reply["code"]) == (400, ["Invalid or expired code"])


async def test_a_code_of_another_purpose_or_number_does_not_register(api: Api, phone: Phone) -> None:
    mobile, other = new_mobile(), new_mobile()
    await api.post("/code/", {"mobile": mobile, "purpose": "login"})
    code = await phone.code(mobile)
    for number in (mobile, other):
        reply = await api.post("/register/", {"mobile": number, "code": code, "password": PASSWORD})
        assert reply["code"] == ["Invalid or expired code"]


async def test_a_registered_number_is_told_only_to_its_owner(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    reply = await api.post("/register/", {"mobile": mobile, "code": "000000", "password": PASSWORD})
    assert set(reply.body) & {"code", "mobile"} == {"code"}


async def test_unknown_number_and_wrong_password_get_the_same_answer(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    answers = [
        await api.post("/login/", {"mobile": number, "password": "wrong horse"})
        for number in (mobile, new_mobile())
    ]
    for answer in answers:
        assert answer.status == 400
        assert answer["non_field_errors"] == ["Wrong credentials"]
        answer.body.pop("request_id")
    assert answers[0].body == answers[1].body
    names = [sorted(answer.headers) for answer in answers]
    assert names[0] == names[1]


async def test_a_disabled_account_can_neither_sign_in_nor_be_read(
    api: Api, phone: Phone, system: System
) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    token = (await api.post("/login/", {"mobile": mobile, "password": PASSWORD}))["token"]
    await asyncio.to_thread(run, "services.auth", "user", "disable", mobile, env=system.env)
    refused = await api.post("/login/", {"mobile": mobile, "password": PASSWORD})
    assert refused["non_field_errors"] == ["Wrong credentials"]
    assert (await api.get("/me/", token=token)).status == 401
