"""HEAD, OPTIONS, dates, tags, targets and header values at auth itself, and through the gateway."""

import re

import pytest

from tests.support.client import Api, Phone, new_mobile, sign_up
from tests.support.raw_http import raw_client
from tests.support.system import System

GETS = [
    "/.well-known/jwks.json",
    "/me/",
    "/sessions/",
    f"/code/{'a' * 32}/",
    "/healthz",
    "/readyz",
    "/nowhere/",
]


@pytest.fixture
def ports(system: System) -> list[int]:
    """Of the auth service, and of the gateway in front of it."""
    return [int(system.auth.env["AUTH_PORT"]), int(system.url.rpartition(":")[2])]


async def ask(port: int, start: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send a request and return the response, with the length of its body where that was sent."""
    lines = [f"{start} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    async with raw_client(port) as client:
        client.send("\r\n".join(lines).encode())
        head, _, body = (await client.reader.read()).partition(b"\r\n\r\n")
        start_line, *rest = head.decode("latin1").split("\r\n")
        return (
            int(start_line.split()[1]),
            {n.lower(): v for n, _, v in (r.partition(": ") for r in rest)},
            body,
        )


@pytest.mark.parametrize("path", GETS)
async def test_head_is_get_without_the_body(ports: list[int], path: str) -> None:
    for port in ports:
        status, headers, body = await ask(port, f"GET {path}")
        assert headers["content-length"] == str(len(body))
        got_status, got_headers, got_body = await ask(port, f"HEAD {path}")
        assert (got_status, got_body) == (status, b"")
        changing = ("date", "x-request-id")
        assert {n: v for n, v in got_headers.items() if n not in changing} == {
            n: v for n, v in headers.items() if n not in changing
        }
        assert "date" in got_headers
        assert "date" in headers


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/.well-known/jwks.json", "GET, HEAD, OPTIONS"), ("/login/", "POST, OPTIONS"),
        ("/me/", "GET, HEAD, PATCH, DELETE, OPTIONS"), ("/sessions/", "GET, HEAD, DELETE, OPTIONS"),
    ],
)  # fmt: skip
async def test_options_names_the_methods(ports: list[int], path: str, allowed: str) -> None:
    for port in ports:
        status, headers, body = await ask(port, f"OPTIONS {path}")
        assert (status, headers["allow"], body) == (204, allowed, b"")
        assert re.fullmatch(r"\w{3}, .* GMT", headers["date"])
    status, headers, _ = await ask(ports[0], f"PUT {path}")
    assert (status, headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("pattern", ["{}", "W/{}", '"other",W/{}', "*"])
async def test_keys_that_the_gateway_has_are_304(ports: list[int], pattern: str) -> None:
    for port in ports:
        _, headers, _ = await ask(port, "GET /.well-known/jwks.json")
        condition = f"If-None-Match: {pattern.format(headers['etag'])}"
        for method in ("GET", "HEAD"):
            status, got, body = await ask(port, f"{method} /.well-known/jwks.json", condition)
            assert (status, got["etag"], body) == (304, headers["etag"], b"")
        status, _, _ = await ask(port, "GET /.well-known/jwks.json", 'If-None-Match: "other", "*"')
        assert status == 200


async def test_absolute_targets_and_expectations_are_read(ports: list[int]) -> None:
    for port in ports:
        status, _, _ = await ask(port, "GET http://auth.internal:80/.well-known/jwks.json")
        assert status == 200
        status, _, _ = await ask(port, "GET ftp://auth.internal/.well-known/jwks.json")
        assert status == 400
        status, _, _ = await ask(port, "GET /.well-known/jwks.json", "Expect: the unexpected")
        assert status == 417


async def test_a_user_agent_is_kept_as_it_is(api: Api, phone: Phone, system: System) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile)
    agents = {
        "微信/8.0 (iPhone; Zürich)".encode(): "微信/8.0 (iPhone; Zürich)",
        "📱 App/1".encode(): "📱 App/1",
        "Zürich/1".encode("latin1"): "Z\N{REPLACEMENT CHARACTER}rich/1",
        b"a" * 253 + "号码".encode(): "a" * 253 + "号码",
        "号".encode() * 300: "号" * 255,
        b"curl/8": "curl/8",
    }
    body = f'{{"mobile": "{mobile}", "password": "correct horse 电池"}}'.encode()
    token = ""
    for agent in agents:
        async with raw_client(int(system.url.rpartition(":")[2])) as client:
            client.send(
                b"POST /login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nUser-Agent: "
                + agent
                + b"\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            response = await client.response()
            assert response.status == 200, response.body
            token = response.json()["token"]
    sessions = (await api.get("/sessions/", token))["sessions"]
    assert {session["user_agent"] for session in sessions} == set(agents.values())
