"""Whose word auth takes about a request's client."""

import aiohttp
import pytest
from tornado.httputil import HTTPHeaders

from services.auth.http.gateway_trust import GatewayTrust, client_address
from shared.http import gateway_secret
from tests.support.client import Api, Phone, bearer, new_mobile, sign_up
from tests.support.system import GATEWAY_SECRET, System

PASSWORD = "correct horse 电池"
STRANGER = "203.0.113.9"
PEER = "127.0.0.1"


@pytest.fixture(name="auth")
def _auth(session: aiohttp.ClientSession, system: System) -> Api:
    """Calls auth past the gateway."""
    return Api(session, system.env["AUTH_URL"])


async def address_of_sign_in(auth: Api, mobile: str, headers: dict[str, str]) -> str:
    """Return the address under which a sign-in at auth itself is recorded."""
    reply = await auth.post("/login/", {"mobile": mobile, "password": PASSWORD}, headers=headers)
    assert reply.status == 200, reply.body
    sessions = await auth.get("/sessions/", **bearer(reply["token"]))
    [current] = [session for session in sessions["sessions"] if session["current"]]
    return str(current["ip"])


@pytest.mark.parametrize(
    ("given", "address"),
    [(GATEWAY_SECRET, STRANGER), ("", PEER), ("x" * 40, PEER), (GATEWAY_SECRET[:-1], PEER)],
)
async def test_only_the_gateway_is_believed(
    api: Api, phone: Phone, auth: Api, given: str, address: str
) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    headers = {"X-Forwarded-For": STRANGER, gateway_secret.HEADER: given}
    assert await address_of_sign_in(auth, mobile, headers) == address


@pytest.mark.parametrize(
    "forwarded",
    [
        "x" * 4000, "1" * 4000, "é", "ＩＰ", "203.0.113.9, 198.51.100.1", "203.0.113.9:x", "unknown", "",
        "[203.0.113.9]", "fe80::1%eth0", "fe80::1%" + "x" * 3000, "::ffff:203.0.113.9%1", "1.2.3",
        "010.1.1.1", "203.0.113.９",
    ],
)  # fmt: skip
async def test_a_malformed_address_is_the_peers(api: Api, phone: Phone, auth: Api, forwarded: str) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    headers = {"X-Forwarded-For": forwarded, gateway_secret.HEADER: GATEWAY_SECRET}
    assert await address_of_sign_in(auth, mobile, headers) == PEER


async def test_a_stranger_chooses_no_request_id(auth: Api) -> None:
    for given, taken in ((GATEWAY_SECRET, True), ("wrong", False)):
        headers = {"X-Request-ID": "chosen", gateway_secret.HEADER: given}
        reply = await auth.get("/me/", headers=headers)
        assert (reply.headers["X-Request-ID"] == "chosen") is taken
        assert reply["request_id"] == reply.headers["X-Request-ID"]


async def test_disbelieved_addresses_are_counted(auth: Api, session: aiohttp.ClientSession) -> None:
    async def refused() -> float:
        async with session.get(f"{auth.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        return float(
            next(line for line in lines if line.startswith("dialpass_forwarded_refused_total ")).split()[1]
        )

    before = await refused()
    await auth.get("/me/", headers={"X-Forwarded-For": STRANGER})
    await auth.get("/me/", headers={"X-Forwarded-For": STRANGER, gateway_secret.HEADER: GATEWAY_SECRET})
    assert await refused() == before + 1


@pytest.mark.parametrize(
    ("trust", "peer", "trusted"),
    [
        (GatewayTrust(), "127.0.0.1", True),
        (GatewayTrust(), "127.8.0.1", True),
        (GatewayTrust(), "::1", True),
        (GatewayTrust(), "::ffff:127.0.0.1", True),
        (GatewayTrust(), "10.0.0.1", False),
        (GatewayTrust(), "", False),
        (GatewayTrust(["s" * 40]), "127.0.0.1", False),
        (GatewayTrust([], ["10.1.0.0/16", "2001:db8::/32"]), "10.1.2.3", True),
        (GatewayTrust([], ["10.1.0.0/16", "2001:db8::/32"]), "::ffff:10.1.2.3", True),
        (GatewayTrust([], ["10.1.0.0/16", "2001:db8::/32"]), "2001:db8::7", True),
        (GatewayTrust([], ["10.1.0.0/16", "2001:db8::/32"]), "10.2.0.1", False),
        (GatewayTrust([], ["10.1.0.0/16"]), "127.0.0.1", False),
        (GatewayTrust(["s" * 40], ["10.1.0.0/16"]), "10.1.2.3", True),
    ],
)
def test_networks_are_trusted_where_they_are_listed(trust: GatewayTrust, peer: str, trusted: bool) -> None:  # noqa: FBT001
    assert trust.trusts(HTTPHeaders(), peer) is trusted


def test_each_of_several_secrets_is_accepted() -> None:
    trust = GatewayTrust(["n" * 40, "o" * 40])
    given = ("n" * 40, "o" * 40, "n" * 39, "", "é\udcff")
    headers = [HTTPHeaders({gateway_secret.HEADER: secret}) for secret in given]
    trusted = [trust.trusts(each, "192.0.2.1") for each in headers]
    assert trusted == [True, True, False, False, False]


def test_a_valid_address_is_taken_as_it_is() -> None:
    assert client_address("2001:db8::1", PEER) == "2001:db8::1"
    assert client_address("[2001:DB8::1]:443", PEER) == "2001:db8::1"
    assert client_address("::ffff:203.0.113.9", PEER) == "203.0.113.9"
    assert client_address(None, PEER) == PEER
