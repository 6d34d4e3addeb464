"""What people and their phones type and paste, at all endpoints."""

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from services.auth.http.fields import ValidationContext
from services.auth.http.handler import HttpContext
from services.auth.routes import make_application
from shared.contracts.messages import Purpose
from shared.http.server import DrainableServer
from shared.observability.access_log import AccessLog
from shared.observability.metrics import HttpMetrics, new_registry
from tests.auth.conftest import MakeAuth
from tests.support.auth import NEW_PASSWORD, PASSWORD, AuthHarness
from tests.support.client import Api, Reply, bearer, new_mobile

REGIONS = ("CN", "GB", "US")
FIXED_LINE = "+442079460958"
NO_CODES = ["", "12345", "1234567", "abcdef", "12 34 5", "G-123456", "①②③④⑤⑥"]


@pytest.fixture
def harness(make_auth: MakeAuth) -> AuthHarness:
    return make_auth(settings={"sms_regions": REGIONS})


@pytest.fixture
async def api(harness: AuthHarness, session: aiohttp.ClientSession) -> AsyncIterator[Api]:
    """The endpoints, inside the test's own process."""
    services = harness.services
    access_log = AccessLog("auth", "json", "INFO")
    context = HttpContext(
        services.sessions.authenticate,
        services.change_limiter.charge,
        ValidationContext(REGIONS, frozenset()),
        access_log,
        HttpMetrics(new_registry()),
    )
    server = DrainableServer(make_application(services, context, []), 0, max_body_size=128 * 1024)
    yield Api(session, f"http://127.0.0.1:{server.port}")
    await server.close()
    access_log.flush()


def ways_to_write(mobile: str) -> list[str]:
    parts = f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}"
    return [
        mobile, f"86{mobile}", f"0086 {parts}", f"+86 {parts}", f"\u202d{parts}\u202c", f"tel:+86{mobile}",
        mobile.translate(str.maketrans("0123456789", "０１２３４５６７８９")), f"+86 (0){parts}",
        parts.replace(" ", "\u2011"), f"{parts}\n",
    ]  # fmt: skip


async def test_all_ways_to_write_a_number_are_one_number(api: Api, harness: AuthHarness) -> None:
    """Its cooldown, its quotas, its code, its account."""
    mobile = new_mobile()
    ways = ways_to_write(mobile)
    assert (await api.post("/code/", {"mobile": ways[0]})).status == 200
    for way in ways[1:]:
        assert (await api.post("/code/", {"mobile": way}))["type"] == "/problems/too-many-codes", ascii(way)
    (message,) = harness.publisher.messages
    assert message.mobile == mobile
    body = {"mobile": ways[2], "code": message.code, "password": PASSWORD}
    assert (await api.post("/register/", body)).status == 200
    for way in ways:
        reply = await api.post("/login/", {"mobile": way, "password": PASSWORD})
        assert (reply.status, reply["nick"]) == (200, mobile), ascii(way)
    code = await harness.code("register", mobile)
    taken = await api.post("/register/", {"mobile": ways[4], "code": code, "password": PASSWORD})
    assert taken["mobile"] == ["Already registered"]
    reset = {"mobile": ways[5], "code": await harness.code("reset", mobile), "password": NEW_PASSWORD}
    assert (await api.post("/password/reset/", reset)).status == 200
    opened = await api.post("/login/code/", {"mobile": ways[6], "code": await harness.code("login", mobile)})
    assert (opened.status, opened["created"]) == (200, False)


async def test_failed_sign_ins_count_for_the_number_however_it_is_written(api: Api) -> None:
    mobile = new_mobile()
    replies = [
        await api.post("/login/", {"mobile": way, "password": "wrong horse"})
        for way in ways_to_write(mobile) * 2
    ]
    assert [reply.status for reply in replies[:10]] == [400] * 10
    assert replies[-1].status == 429


async def test_the_answer_to_a_change_of_number_has_the_canonical_form(
    api: Api, harness: AuthHarness
) -> None:
    await harness.add_user()
    token = (await harness.sign_in()).token
    mobile = new_mobile()
    body = {"mobile": f"\u202a+86 {mobile}\u202c", "code": await harness.code("change_mobile", mobile)}
    reply = await api.post("/me/mobile/", body, **bearer(token))
    assert (reply.status, reply.body) == (200, {"mobile": mobile})


@pytest.mark.parametrize(
    "mobile",
    ["+44 909 879 0000", "+1 800 555 0199", "+44 20 7946 0958", "+44 7640 123456", "+44 70 1234 5678"],
)
@pytest.mark.parametrize("path", ["/code/", "/register/", "/login/code/", "/password/reset/"])
async def test_numbers_that_are_no_mobiles_get_no_codes(
    api: Api, harness: AuthHarness, path: str, mobile: str
) -> None:
    reply = await api.post(path, {"mobile": mobile, "code": "123456", "password": PASSWORD})
    assert (reply.status, reply["mobile"]) == (400, ["Invalid mobile format"])
    assert harness.publisher.messages == []


async def test_an_account_with_such_a_number_can_sign_in_and_get_another_number(
    api: Api, harness: AuthHarness
) -> None:
    await harness.add_user(FIXED_LINE)
    opened = await api.post("/login/", {"mobile": "+44 (0)20 7946 0958", "password": PASSWORD})
    assert opened.status == 200
    proven = await api.post("/reauthenticate/", {"password": PASSWORD}, **bearer(opened["token"]))
    assert proven.status == 200
    mobile = new_mobile()
    body = {"mobile": mobile, "code": await harness.code("change_mobile", mobile)}
    changed = await api.post("/me/mobile/", body, **bearer(proven["token"]))
    assert (changed.status, changed.body) == (200, {"mobile": mobile})
    assert (await api.post("/login/", {"mobile": mobile, "password": PASSWORD})).status == 200


Call = Callable[[str], Awaitable[Reply]]


@pytest.fixture
async def calls(api: Api, harness: AuthHarness) -> dict[str, tuple[Purpose, str, Call]]:
    """Of each endpoint that takes a code: its purpose, its number, and a call with a code."""
    await harness.add_user()
    tokens = [(await harness.sign_in()).token for _ in range(4)]
    number = new_mobile()

    def call(path: str, body: dict[str, Any], token: str | None = None, method: str = "POST") -> Call:
        options = bearer(token) if token else {}
        return lambda code: api.call(method, path, {**body, "code": code}, **options)

    return {
        "register": ("register", number, call("/register/", {"mobile": number, "password": PASSWORD})),
        "login": ("login", harness.mobile, call("/login/code/", {"mobile": harness.mobile})),
        "confirm": ("confirm", harness.mobile, call("/reauthenticate/", {}, tokens[0])),
        "reset": (
            "reset",
            harness.mobile,
            call("/password/reset/", {"mobile": harness.mobile, "password": NEW_PASSWORD}),
        ),
        "move": ("change_mobile", number, call("/me/mobile/", {"mobile": number}, tokens[1])),
        "delete": ("delete", harness.mobile, call("/me/delete/", {}, tokens[2])),
        "delete by DELETE": ("delete", harness.mobile, call("/me/", {}, tokens[3], "DELETE")),
    }


NAMES = ["register", "login", "confirm", "reset", "move", "delete", "delete by DELETE"]


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_no_code_costs_no_try(
    calls: dict[str, tuple[Purpose, str, Call]], harness: AuthHarness, name: str
) -> None:
    purpose, mobile, call = calls[name]
    code = await harness.code(purpose, mobile)
    for typed in NO_CODES:
        reply = await call(typed)
        assert (reply.status, reply["type"]) == (400, "/problems/invalid-request")
        assert reply["code"] == ["The code must have 6 digits"]
    assert harness.codes_checked(purpose) == 0
    full_width = code.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    reply = await call(f"\u202d{full_width[:3]}\u00a0{full_width[3:]}\u202c\n")
    assert reply.status in {200, 204}, reply.body


@pytest.mark.parametrize("name", NAMES)
async def test_a_wrong_code_of_the_right_form_is_a_try_and_named_as_before(
    calls: dict[str, tuple[Purpose, str, Call]], harness: AuthHarness, name: str
) -> None:
    purpose, mobile, call = calls[name]
    code = await harness.code(purpose, mobile)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(5):
        reply = await call(f"{wrong[:3]} {wrong[3:]}")
        assert (reply.status, reply["code"]) == (400, ["Invalid or expired code"])
        assert reply["type"] == "/problems/invalid-code"
    assert (await call(code))["code"] == ["Invalid or expired code"]


async def test_a_nickname_is_kept_in_composed_form(api: Api, harness: AuthHarness) -> None:
    await harness.add_user()
    token = (await harness.sign_in()).token
    reply = await api.call("PATCH", "/me/", {"nickname": " Zoe\u0308 \U0001fae8 "}, **bearer(token))
    assert (reply.status, reply["nickname"]) == (200, "Zo\u00eb \U0001fae8")
    longest = await api.call("PATCH", "/me/", {"nickname": "e\u0301" * 64}, **bearer(token))
    assert longest["nickname"] == "\u00e9" * 64


@pytest.mark.parametrize("password", ["Zoe\u0308 Müller", "zo\u00eb mu\u0308ller"])
async def test_the_nickname_is_no_password_in_any_composition(
    api: Api, harness: AuthHarness, password: str
) -> None:
    user = await harness.add_user()
    # As names were stored before.
    await harness.change(user, nickname="Zoe\u0308 Mu\u0308ller")
    token = (await harness.sign_in()).token
    body = {"old_password": PASSWORD, "password": password}
    reply = await api.post("/password/change/", body, **bearer(token))
    assert reply.status == 400
    assert list(reply.body)[4:] == ["password"]


async def test_a_password_of_decomposed_characters_opens_the_account_in_any_composition(
    api: Api, harness: AuthHarness
) -> None:
    mobile = new_mobile()
    body = {"mobile": mobile, "code": await harness.code("register", mobile), "password": "e\u0301" * 128}
    assert (await api.post("/register/", body)).status == 200
    for password in ("\u00e9" * 128, "e\u0301" * 128):
        assert (await api.post("/login/", {"mobile": mobile, "password": password})).status == 200


async def test_a_body_may_begin_with_a_byte_order_mark(api: Api) -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"mobile": new_mobile()}).encode()
    headers = {"Content-Type": "application/json; charset=utf-8;"}
    assert (await api.call("POST", "/code/", data=body, headers=headers)).status == 200


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_compressed_body_is_415_and_told_what_is_accepted(api: Api, language: str) -> None:
    body = gzip.compress(json.dumps({"mobile": new_mobile()}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Accept-Language": language}
    reply = await api.call("POST", "/code/", data=body, headers=headers)
    assert (reply.status, reply["type"]) == (415, "/problems/unsupported-content-encoding")
    assert reply.headers["Accept-Encoding"] == "identity"
    assert (
        reply["title"] == {"en": "The request body must not be compressed", "zh": "请求体不能压缩"}[language]
    )
