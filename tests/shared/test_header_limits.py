"""What clients send in headers is read up to a maximum; the rest costs nothing."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from services.auth.sessions.refresh_tokens import parse_refresh_token
from services.gateway.client_address import ClientAddresses
from services.gateway.cors import CorsPolicy
from shared.errors import Unauthorized
from shared.http import request_ids
from shared.http.content_type import check_content_type
from shared.i18n import negotiate
from shared.phone import InvalidMobile, parse_mobile
from shared.security.access_tokens import TokenVerifier, bearer_token
from tests.support.signer import Signer
from tests.support.work import MAX_INSTRUCTIONS, instructions

# Headers have at most 16 KiB at the gateway.
SIZE = 16_000
UNITS = [
    "a", "1", "9", "a.", ",", ";", " ", "\t", "-", ":", "%", "=", "{", "[", "a,", "zh;q=0.1,", "q=1;",
    "127.0.0.1,", "10.0.0.1, ", "::1,", "[::1]:1,", "https://", "a-a.", "eyJ", "\xff", "Bearer ", "en-",
]  # fmt: skip


def _verify(token: str) -> object:
    return TokenVerifier(lambda _kid: None, issuer="i", audience="a").verify(token)


PARSERS: dict[str, Callable[[str], object]] = {
    "Accept-Language": negotiate,
    "Accept-Language, quality": lambda text: negotiate("zh;q=" + text),
    "X-Request-ID": request_ids.accept_or_create,
    "Origin": CorsPolicy(["https://*.example.com", "http://localhost:3000"]).headers,
    "Origin, host": lambda text: CorsPolicy(["https://*.example.com"]).headers("https://" + text),
    "X-Forwarded-For": lambda text: ClientAddresses(["127.0.0.0/8", "10.0.0.0/8"]).find("10.0.0.1", text),
    "Authorization": bearer_token,
    "access token": _verify,
    "access token, header": lambda text: _verify(f"{text}.e30.AAAA"),
    "access token, claims": lambda text: _verify(f"eyJhbGciOiJFUzI1NiJ9.{text}.AAAA"),
    "access token, members": lambda text: _verify(base64.b64encode(text.encode()).decode() + ".e30.AAAA"),
    "refresh token": parse_refresh_token,
    "mobile": lambda text: parse_mobile(text, {"CN", "US"}),
    "mobile, national": lambda text: parse_mobile("+1" + text, {"CN", "US"}),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_longer_value_takes_no_more_steps(parser: str, unit: str) -> None:
    parse = PARSERS[parser]
    values = [(unit * size)[:size] for size in (SIZE, 4 * SIZE)]
    instructions(parse, values[0])  # compiles patterns
    work = [instructions(parse, value) for value in values]
    # Ids are random, and so is the number of steps to make one, a little.
    assert work[1] <= work[0] * 1.1 + 200
    assert work[1] < MAX_INSTRUCTIONS / 10


@pytest.mark.parametrize("unit", UNITS)
def test_a_content_type_is_read_in_few_steps(unit: str) -> None:
    assert instructions(check_content_type, (unit * SIZE)[:SIZE]) < MAX_INSTRUCTIONS / 100


@pytest.mark.parametrize("quality", ["inf", "nan", "1e9", "1_0", "-1", "2", "٠.٩", "0x1", "", ".5"])
def test_a_quality_that_is_none_counts_as_zero(quality: str) -> None:
    assert negotiate(f"zh;q={quality}, en;q=0.1") == "en"


def test_languages_after_the_first_kilobyte_are_not_read() -> None:
    assert negotiate("fr" + " " * 2000 + ", zh") == "en"


def test_only_the_nearest_proxies_are_looked_at() -> None:
    addresses = ClientAddresses(["10.0.0.0/8"])
    assert addresses.find("10.0.0.1", "203.0.113.9" + ", 10.0.0.2" * 15) == "203.0.113.9"
    assert addresses.find("10.0.0.1", "203.0.113.9" + ", 10.0.0.2" * 100) == "10.0.0.2"


def test_an_address_with_an_endless_zone_is_none() -> None:
    assert ClientAddresses(["10.0.0.0/8"]).find("10.0.0.1", "fe80::1%" + "x" * 1000) == "10.0.0.1"


def test_a_token_that_is_too_long_is_refused_before_its_signature_is_checked(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    token = signer.token()
    verifier = TokenVerifier(signer.keys.find, issuer="dialpass", audience="dialpass")
    assert verifier.verify(token).session_id == "s1"
    long = signer.token(session_id="s" * 8192)
    with pytest.raises(Unauthorized):
        verifier.verify(long)


@pytest.mark.parametrize("text", [" " * 65, "1" * 65, " " * 54 + "13800000000"])
def test_a_number_longer_than_what_people_paste_is_none(text: str) -> None:
    with pytest.raises(InvalidMobile):
        parse_mobile(text, {"CN"})


def test_a_number_may_have_blanks_around_it() -> None:
    assert parse_mobile(" " * 53 + "13800000000", {"CN"}) == "13800000000"
