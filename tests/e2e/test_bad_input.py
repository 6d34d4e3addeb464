"""Everything that can be wrong with a request, through the gateway: always a 4xx in words."""

import json
from typing import Any

import pytest

from tests.support.client import Api, Reply, new_mobile
from tests.support.system import System

JSON = {"Content-Type": "application/json"}
GOOD = {"mobile": "13800000000", "code": "123456", "password": "correct horse"}


def assert_problem(reply: Reply, status: int) -> None:
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply["type"].startswith("/problems/")
    assert reply["status"] == status
    assert reply["title"]
    assert reply["request_id"] == reply.headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["/code/", "/register/", "/login/"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"7", b'"x"', b"{", b"\xff\xfe", b'{"mobile": "\xff"}', b"[" * 60_000,
        b'{"a":' * 13_000, b'{"mobile": NaN}',
    ],
    ids=[
        "none", "array", "null", "number", "string", "cut", "not-utf8", "utf8-inside", "deep-array", "deep",
        "nan",
    ],
)  # fmt: skip
async def test_a_body_that_is_no_json_object_is_refused_as_a_whole(api: Api, path: str, body: bytes) -> None:
    reply = await api.call("POST", path, data=body, headers=JSON)
    assert_problem(reply, 400)
    assert len(reply["non_field_errors"]) == 1


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/code/", {}, {"mobile"}),
        ("/code/", {"mobile": 13800000000}, {"mobile"}),
        ("/code/", {"mobile": {"a": [1]}}, {"mobile"}),
        ("/code/", {"mobile": "١٣٨٠٠٠٠٠٠٠٠"}, {"mobile"}),
        ("/code/", {"mobile": "1380000\u00000000"}, {"mobile"}),
        ("/code/", {"mobile": "\ud800"}, {"mobile"}),
        ("/code/", {"mobile": "+14155552671"}, {"mobile"}),
        ("/code/", {"mobile": "1" * 60_000}, {"mobile"}),
        ("/code/", {"mobile": "x", "purpose": "fun", "channel": "pigeon"}, {"mobile", "purpose", "channel"}),
        ("/register/", {}, {"mobile", "code", "password"}),
        ("/register/", GOOD | {"password": "short"}, {"password"}),
        ("/register/", GOOD | {"password": "password1"}, {"password"}),
        ("/register/", GOOD | {"password": "\udfff" * 9}, {"password"}),
        ("/register/", GOOD | {"nickname": "a\u0000b", "avatar": "ftp://x"}, {"nickname", "avatar"}),
        ("/register/", {"mobile": "x", "code": 1, "password": [], "nickname": {}, "avatar": 1},
         {"mobile", "code", "password", "nickname", "avatar"}),
        ("/login/", {"mobile": 1}, {"mobile", "password"}),
        ("/login/", {"mobile": "13800000000", "password": "\u0000"}, {"password"}),
    ],
    ids=str,
)  # fmt: skip
async def test_every_offending_member_is_named(
    api: Api, path: str, body: dict[str, Any], fields: set[str]
) -> None:
    reply = await api.post(path, body)
    assert_problem(reply, 400)
    assert set(reply.body) - {"type", "title", "status", "request_id"} == fields
    assert all(isinstance(reply[field], list) and reply[field] for field in fields)


async def test_a_member_that_appears_twice_is_named(api: Api) -> None:
    body = b'{"mobile": "13800000000", "mobile": "13900000000"}'
    reply = await api.call("POST", "/code/", data=body, headers=JSON)
    assert_problem(reply, 400)
    assert reply["mobile"] == ["This member appears more than once"]


@pytest.mark.parametrize(
    ("language", "mobile", "title"),
    [
        ("en", "Invalid mobile format", "The request is invalid"),
        ("zh-CN,zh;q=0.9", "手机号格式不正确", "请求无效"),
        ("fr", "Invalid mobile format", "The request is invalid"),
    ],
)
async def test_messages_come_in_the_readers_language_and_the_type_stays(
    api: Api, language: str, mobile: str, title: str
) -> None:
    reply = await api.post("/code/", {"mobile": "12"}, headers={"Accept-Language": language})
    assert (reply["mobile"], reply["title"]) == ([mobile], title)
    assert reply["type"] == "/problems/invalid-request"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "text/xml"])
async def test_what_is_not_json_is_415(api: Api, content_type: str) -> None:
    reply = await api.call("POST", "/code/", data=b"mobile=1", headers={"Content-Type": content_type})
    assert_problem(reply, 415)


@pytest.mark.parametrize("size", [64 * 1024 + 1, 65 * 1024, 1024 * 1024])
@pytest.mark.parametrize("path", ["/code/", "/nowhere/"])
async def test_a_body_over_64_kib_is_413(api: Api, path: str, size: int) -> None:
    body = json.dumps({"mobile": "x" * size}).encode()[:size]
    assert_problem(await api.call("POST", path, data=body, headers=JSON), 413)


async def test_json_of_depth_100_000_is_413(api: Api) -> None:
    assert_problem(await api.call("POST", "/code/", data=b"[" * 100_000, headers=JSON), 413)


async def test_a_body_of_64_kib_is_read(api: Api) -> None:
    body = json.dumps({"mobile": "x" * 65_000}).encode().ljust(64 * 1024)
    assert_problem(await api.call("POST", "/code/", data=body, headers=JSON), 400)


@pytest.mark.parametrize("path", ["/nowhere/", "/codex/", "/code/xyz/", "/healthz", "/metrics"])
async def test_an_unknown_path_is_404(api: Api, path: str) -> None:
    assert_problem(await api.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/code/", "POST, OPTIONS"), ("PUT", "/register/", "POST, OPTIONS"),
        ("DELETE", "/login/", "POST, OPTIONS"), ("GET", "/token/refresh/", "POST, OPTIONS"),
        ("PATCH", "/.well-known/jwks.json", "GET, HEAD, OPTIONS"), ("BREW", "/code/", "POST, OPTIONS"),
    ],
)  # fmt: skip
async def test_an_unknown_method_is_405_and_names_the_known_ones(
    api: Api, method: str, path: str, allowed: str
) -> None:
    reply = await api.call(method, path)
    assert_problem(reply, 405)
    assert reply.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer x.y.z", "Basic dTpw", "Bearer " + "x" * 9000]
)
async def test_a_bad_token_is_401_with_a_challenge(api: Api, authorization: str) -> None:
    reply = await api.get("/me/", headers={"Authorization": authorization})
    assert_problem(reply, 401)
    assert reply.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_inside_the_cooldown_the_answer_says_how_long(api: Api) -> None:
    mobile = new_mobile()
    assert (await api.post("/code/", {"mobile": mobile})).status == 200
    reply = await api.post("/code/", {"mobile": mobile, "purpose": "login"})
    assert_problem(reply, 429)
    assert reply["type"] == "/problems/too-many-codes"
    assert reply["retry_after"] == int(reply.headers["Retry-After"])
    assert 50 <= reply["retry_after"] <= 60


async def test_a_word_that_is_no_method_becomes_no_label(api: Api, system: System) -> None:
    auth = Api(api.session, f"http://127.0.0.1:{system.env['AUTH_PORT']}")
    assert (await api.call("BREW", "/code/")).status == 405
    assert (await auth.call("BREW", "/code/")).status == 405  # the gateway forwards no such request
    for port in ("GATEWAY_OPS_PORT", "AUTH_PORT"):
        async with api.session.get(f"http://127.0.0.1:{system.env[port]}/metrics") as response:
            exposed = await response.text()
        assert 'method="other"' in exposed
        assert "BREW" not in exposed


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/login/", "mobile"), ("/login/", "password"), ("/login/code/", "code"), ("/code/", "challenge"),
        ("/register/", "password"), ("/register/", "nickname"), ("/register/", "avatar"),
        ("/password/reset/", "code"), ("/token/refresh/", "refresh_token"),
    ],
)  # fmt: skip
async def test_62_kb_of_combining_marks_are_refused_by_name(api: Api, path: str, field: str) -> None:
    """To normalise them takes a second."""
    body = json.dumps({field: "\u0301\u0316" * 15_500}, ensure_ascii=False).encode()
    reply = await api.call("POST", path, data=body, headers=JSON)
    assert_problem(reply, 400)
    assert reply[field]
