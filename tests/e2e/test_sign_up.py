"""The whole way of a new user through the running system, as the origin's client goes it."""

import re
from functools import partial

import jwt
import pytest

from tests.support.client import Api, Phone, eventually, new_mobile, sign_up
from tests.support.system import ORIGIN, Process, System

PASSWORD = "correct horse 电池"


async def test_the_origins_client_signs_up_and_in(api: Api, phone: Phone) -> None:
    mobile = new_mobile()

    asked = await api.post("/code/", {"mobile": mobile})
    assert (asked.status, set(asked.body)) == (200, {"message_id", "expires_in", "resend_after"})
    assert (asked["expires_in"], asked["resend_after"]) == (600, 60)

    code = await phone.code(mobile)
    registered = await api.post("/register/", {"mobile": mobile, "code": code, "password": PASSWORD})
    assert (registered.status, set(registered.body)) == (200, {"id"})

    signed_in = await api.post("/login/", {"mobile": mobile, "password": PASSWORD})
    assert signed_in.status == 200
    assert signed_in.body.items() >= {"id": registered["id"], "nick": mobile, "token_type": "Bearer"}.items()
    assert (signed_in["expires_in"], signed_in["refresh_expires_in"]) == (900, 604_800)
    assert all(signed_in[member] for member in ("token", "refresh_token", "session_id"))

    me = await api.get("/me/", token=signed_in["token"])
    assert me.status == 200
    assert me.body | {"created_at": ""} == {
        "id": registered["id"], "mobile": mobile, "nick": mobile, "nickname": None, "avatar": None,
        "created_at": "",
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", me["created_at"])


async def test_the_token_verifies_with_the_published_keys(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    user_id = await sign_up(api, phone, mobile, PASSWORD)
    signed_in = await api.post("/login/", {"mobile": mobile, "password": PASSWORD})
    published = await api.get("/.well-known/jwks.json")
    key = jwt.PyJWKSet.from_dict(published.body)[jwt.get_unverified_header(signed_in["token"])["kid"]]
    claims = jwt.decode(signed_in["token"], key, algorithms=["ES256"], audience="dialpass", issuer="dialpass")
    assert (claims["uid"], claims["sub"], claims["nick"]) == (user_id, str(user_id), mobile)
    assert claims["sid"] == signed_in["session_id"]
    assert "max-age" in published.headers["Cache-Control"]


async def test_the_text_has_the_signature_and_the_template(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await api.post("/code/", {"mobile": mobile})
    code = await phone.code(mobile)
    assert await phone.texts(mobile) == [f"【Dialpass】您的验证码是{code}。如非本人操作，请忽略本短信"]


async def test_a_code_can_be_read_out_by_a_call(api: Api, phone: Phone) -> None:
    mobile = new_mobile()

    asked = await api.post("/code/", {"mobile": mobile, "channel": "voice"})
    code = await phone.code(mobile)

    assert asked.status == 200
    assert await phone.channels(mobile) == ["voice"]
    registered = await api.post("/register/", {"mobile": mobile, "code": code, "password": PASSWORD})
    assert registered.status == 200


async def test_a_client_can_ask_what_became_of_its_code(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    asked = await api.post("/code/", {"mobile": mobile})
    await phone.code(mobile)
    status = await api.get(f"/code/{asked['message_id']}/")
    assert status.status == 200
    assert status["status"] in {"queued", "sent"}
    assert (await api.get(f"/code/{'0' * 32}/")).status == 404


async def test_nickname_and_avatar_are_kept(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await api.post("/code", {"mobile": f"+86 {mobile}"})
    body = {
        "mobile": mobile, "code": await phone.code(mobile), "password": PASSWORD,
        "nickname": "小明 🐼", "avatar": "https://example.com/a.png",
    }  # fmt: skip
    assert (await api.post("/register", body)).status == 200
    signed_in = await api.post("/login", {"mobile": mobile, "password": PASSWORD})
    me = await api.get("/me", token=signed_in["token"])
    assert (signed_in["nick"], me["nick"], me["nickname"]) == ("小明 🐼",) * 3
    assert me["avatar"] == "https://example.com/a.png"


@pytest.mark.parametrize("path", ["/code/", "/register/", "/login/", "/me/", "/nowhere/"])
async def test_a_browser_of_the_allowed_origin_may_read_every_answer(api: Api, path: str) -> None:
    reply = await api.post(path, {}, headers={"Origin": ORIGIN})
    assert reply.status >= 400
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in reply.headers["Vary"]


async def test_no_log_of_the_whole_run_holds_a_secret(api: Api, phone: Phone, system: System) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    signed_in = await api.post("/login/", {"mobile": mobile, "password": PASSWORD})
    await api.get("/me/", token=signed_in["token"])
    await api.post("/login/", {"mobile": mobile, "password": "wrong horse"})
    code = re.search(r"[0-9]{6}", (await phone.texts(mobile))[0])
    assert code is not None
    masked = f"{mobile[:3]}****{mobile[-4:]}"
    await eventually(lambda: masked in system.logs())  # the worker's line comes a moment later
    logs = system.logs()
    for secret in (mobile, PASSWORD, "wrong horse", signed_in["token"], signed_in["refresh_token"]):
        assert secret not in logs
    assert not re.search(rf"(?<![0-9.]){code.group()}(?![0-9])", logs)


async def test_one_request_id_runs_through_all_services(api: Api, phone: Phone, system: System) -> None:
    mobile = new_mobile()
    reply = await api.post("/code/", {"mobile": mobile}, headers={"X-Request-ID": f"trace-{mobile[3:]}"})
    await phone.code(mobile)
    assert reply.headers["X-Request-ID"] == f"trace-{mobile[3:]}"
    for process in (system.gateway, system.auth, system.sms):
        await eventually(partial(lines_with, process, f'"trace-{mobile[3:]}"', 1))


def lines_with(process: Process, text: str, number: int) -> bool:
    return sum(text in line for line in process.log.read_text().splitlines()) == number
