"""The gateway's own pages, and the description that they show, against what is really answered."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from tests.support.client import Api, Phone, Reply, new_mobile
from tests.support.system import ORIGIN, ROOT, System

PASSWORD = "correct horse 电池"
DOCUMENT: dict[str, Any] = json.loads((ROOT / "services/gateway/pages/openapi.json").read_text())
PAGES = ["/", "/docs", "/docs/", "/docs/docs.js", "/docs/try.js", "/docs/style.css", "/openapi.json"]
PAGES += ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/favicon-32x32.png"]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_there_and_asked_for_again_only_to_hear_that_it_is_the_same(
    session: aiohttp.ClientSession, system: System, path: str
) -> None:
    async with session.get(system.url + path) as response:
        assert (response.status, response.headers["X-Content-Type-Options"]) == (200, "nosniff")
        assert "X-Request-ID" in response.headers
        assert int(response.headers["Content-Length"]) == len(await response.read()) > 0
        tag = response.headers["ETag"]
    async with session.get(system.url + path, headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with session.head(system.url + path) as response:
        assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/docs/nothing", 404),
        ("GET", "/docs/%2e%2e/app.py", 404),
        ("POST", "/docs/", 405),
        ("DELETE", "/", 405),
        ("GET", "/nothing", 404),
    ],
)
async def test_what_is_no_page_is_a_problem(api: Api, method: str, path: str, status: int) -> None:
    reply = await api.call(method, path, headers={"Origin": ORIGIN})
    assert (reply.status, reply["status"]) == (status, status)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert ("Allow" in reply.headers) == (status == 405)


def test_no_page_asks_for_anything_from_elsewhere() -> None:
    for page in Path(ROOT / "services/gateway/pages").glob("*"):
        if page.suffix in {".html", ".js", ".css"}:
            text = page.read_text()
            assert "http://" not in text, page
            assert "https://" not in text, page


def check(reply: Reply, verb: str, path: str) -> Reply:
    """Hold an answer against the description."""
    described = DOCUMENT["paths"][path][verb]["responses"][str(reply.status)]
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    if reply.status == 204:
        assert reply.body is None
        return reply
    [(media_type, content)] = described["content"].items()
    assert reply.headers["Content-Type"] == media_type
    jsonschema.validate(reply.body, content["schema"] | {"components": DOCUMENT["components"]})
    return reply


async def test_what_is_answered_is_what_is_described(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    asked = check(await api.post("/code/", {"mobile": mobile}), "post", "/code/")
    check(await api.post("/code/", {"mobile": mobile}), "post", "/code/")
    check(await api.post("/code/", {"mobile": "1"}), "post", "/code/")
    path = f"/code/{asked['message_id']}/"
    check(await api.get(path), "get", "/code/{message_id}/")
    code = await phone.code(mobile)
    body = {"mobile": mobile, "code": code, "password": PASSWORD}
    check(await api.post("/register/", body), "post", "/register/")
    check(await api.post("/register/", body), "post", "/register/")
    login = {"mobile": mobile, "password": PASSWORD}
    check(await api.post("/login/", login | {"password": "wrong horse"}), "post", "/login/")
    signed_in = check(await api.post("/login/", login), "post", "/login/")
    token = signed_in["token"]
    headers = {"Authorization": f"Bearer {token}"}
    for verb, path, sent in (
        ("get", "/me/", None),
        ("patch", "/me/", {"nickname": "小明"}),
        ("patch", "/me/", {"nickname": 1}),
        ("post", "/me/mobile/", {"mobile": new_mobile(), "code": "000000"}),
        ("post", "/password/change/", {"old_password": "wrong horse", "password": PASSWORD}),
        ("delete", "/me/", {"code": "000000"}),
        ("get", "/sessions/", None),
        ("delete", "/sessions/", None),
        ("post", "/logout/", None),
        ("get", "/me/", None),
    ):
        check(await api.call(verb.upper(), path, sent, headers=headers), verb, path)
    old = {"refresh_token": signed_in["refresh_token"]}
    check(await api.post("/token/refresh/", old), "post", "/token/refresh/")
    check(await api.get("/.well-known/jwks.json"), "get", "/.well-known/jwks.json")
