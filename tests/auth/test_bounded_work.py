"""The endpoints of auth: what strangers send costs little, whatever it is."""

import json
import unicodedata
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tornado.httputil import HTTPHeaders

from services.auth.http.fields import ValidationContext
from services.auth.http.handler import HttpContext
from services.auth.routes import make_application
from shared.http.server import DrainableServer
from shared.observability.access_log import AccessLog
from shared.observability.metrics import HttpMetrics, new_registry
from tests.auth.conftest import MakeAuth
from tests.support.client import Api, new_mobile

MARKS = "\u0301\u0316" * 15_500
PASSWORDS = {
    "/login/": ("password", {}),
    "/register/": ("password", {"code": "000000"}),
    "/password/reset/": ("password", {"code": "000000"}),
}


@pytest.fixture
async def auth(make_auth: MakeAuth, session: aiohttp.ClientSession) -> AsyncIterator[Api]:
    """The endpoints, inside the test's own process."""
    services = make_auth().services
    access_log = AccessLog("auth", "json", "INFO")
    context = HttpContext(
        services.sessions.authenticate,
        services.change_limiter.charge,
        ValidationContext({"CN"}, frozenset()),
        access_log,
        HttpMetrics(new_registry()),
    )
    server = DrainableServer(make_application(services, context, []), 0, max_body_size=128 * 1024)
    yield Api(session, f"http://127.0.0.1:{server.port}")
    await server.close()
    access_log.flush()


@pytest.fixture
def normalized(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of all texts that were normalised: the time is their square."""
    lengths: list[int] = []
    normalize = unicodedata.normalize

    def recording(form: str, text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text)  # type: ignore[arg-type]

    monkeypatch.setattr(unicodedata, "normalize", recording)
    return lengths


@pytest.mark.parametrize("path", PASSWORDS)
@pytest.mark.parametrize("length", [31_000, 8192, 513, 512, 128])
async def test_only_short_passwords_are_normalised(
    auth: Api, normalized: list[int], path: str, length: int
) -> None:
    member, rest = PASSWORDS[path]
    body = json.dumps({"mobile": new_mobile(), **rest, member: MARKS[:length]}, ensure_ascii=False)
    reply = await auth.call("POST", path, data=body.encode(), headers={"Content-Type": "application/json"})
    assert reply.status == 400
    assert max(normalized, default=0) <= 512
    if length > 512:
        assert (normalized, list(reply.body)[4:]) == ([], ["password"])


async def test_a_password_typed_in_another_composition_is_right(auth: Api) -> None:
    """Only what is longer than any password may be is refused by its length."""
    reply = await auth.post("/login/", {"mobile": new_mobile(), "password": "\u03b1\u0313\u0300\u0345" * 128})
    assert reply["non_field_errors"] == ["Wrong credentials"]


@pytest.mark.parametrize("path", ["/login/", "/code/", "/nowhere/", "/me/"])
async def test_a_multipart_form_is_not_parsed(auth: Api, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 12,000 header lines would take Tornado 50 ms."""
    parsed: list[str] = []

    parse_line = HTTPHeaders.parse_line

    def recording(headers: HTTPHeaders, line: str, **options: Any) -> None:
        parsed.append(line)
        parse_line(headers, line, **options)

    monkeypatch.setattr(HTTPHeaders, "parse_line", recording)
    headers = "a:\r\n" * 2000
    parts = "".join(f"--x\r\n{headers}\r\n\r\n" for _ in range(7))
    reply = await auth.call(
        "POST",
        path,
        data=(parts + "--x--\r\n").encode(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert reply.status in {415, 404, 401}
    assert len(parsed) < 100


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=x", "multipart/form-data", "application/x-www-form-urlencoded"],
)
async def test_a_form_is_answered_with_415(auth: Api, content_type: str) -> None:
    reply = await auth.call("POST", "/login/", data=b"a&" * 2000, headers={"Content-Type": content_type})
    assert (reply.status, reply["type"]) == (415, "/problems/unsupported-media-type")
