"""Nicknames, passwords and codes as people type them."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth import i18n
from services.auth.accounts.schemas import DeletionRequest, ProfileRequest, RegisterRequest
from services.auth.http.body import parse
from services.auth.http.fields import ValidationContext
from services.auth.http.typed_text import is_blank
from services.auth.reauthentication.schemas import ReauthenticationRequest
from services.auth.sign_in.schemas import LoginRequest
from shared.errors import InvalidRequest
from shared.i18n import Text

RULES = ValidationContext({"CN", "GB"}, frozenset({"password1234"}))
ZWNJ, ZWJ, VS16 = "\u200c", "\u200d", "\ufe0f"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


def nickname(text: str) -> str | None:
    return parse(json.dumps({"nickname": text}).encode(), ProfileRequest, RULES).nickname


def is_refused(text: str) -> bool:
    try:
        nickname(text)
    except InvalidRequest as refusal:
        return refusal.fields == {"nickname": [i18n.INVALID_NICKNAME]}
    return False


@pytest.mark.parametrize(
    "text",
    [
        "Zoë", "王小明", "Мария", "محمد", "मोहन", "ひかり", "가나다", "O'Neill-Smith", "a b", "x",
        f"می{ZWNJ}خواهم", f"نامه{ZWNJ}ای", f"۵{ZWNJ}ساله", f"क्{ZWJ}ष", f"ක්{ZWJ}රි", f"র{ZWJ}\u09cdয",
        f"രാജന\u0d4d{ZWJ}",
        f"श्री{ZWNJ}मान", "👨\u200d👩\u200d👧", f"❤{VS16}\u200d🔥", f"🏳{VS16}\u200d🌈", "🧑🏽\u200d💻",
        f"🏴\u200d☠{VS16}",
        "ភាសា\u200bខ្មែរ", "ພາສາ\u200bລາວ", "ᠭ\u180eᠠ", "🇨🇳", f"1{VS16}\u20e3", SCOTLAND, f"Ian {SCOTLAND}",
        "\U0001fae8", "\U0001fac8",
        "\U0001fadd\u200d\U0001fae8",
        "\U0001faff", "\U00031350\U000323af", "\U0003347f", "\U00020000\U0002a6df", "葛\U000e0100城",
        "神\ufe00",
        "\u1100\u1160\u11a8", "☺", "…", "。", "♥", "\u0e01\u0e33", "\ufa0e\ufa1f", "\U0001f9d1\U0001f3ff",
    ],
    ids=ascii,
)  # fmt: skip
def test_names_of_all_scripts_and_newer_emoji_are_accepted(text: str) -> None:
    assert nickname(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\u3000", ZWJ, ZWNJ, ZWJ * 3, "\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u00ad",
        "\u180e",
        "\u200b", "\u2060", "\ufeff", "\u034f", "\u17b4", "\u180b", VS16, "\U000e0100", "\U000e0041",
        "\u0301\u0316",
        "\u20dd", "\u3164\u3164", "\u2800 \u3164", "\u00a0\u2003", "\ufffc", "\U0001d159",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_name_that_cannot_be_seen_is_refused(text: str) -> None:
    assert is_refused(text)
    assert is_blank(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    "text",
    [
        "ភាសា\u200b", "a\u180eb", "a\u200bភាសា", "a\nb", "a\tb", "a\x01b", "a\x7fb", "a\x85b", "a\u2028b",
        "a\u2029b", "a\u202eb", "a\u202ab",
        "a\u2066b", "a\u200eb", "a\u061cb", "a\ufeffb", "a\u200bb", "a\u2060b", "a\u00adb", "a\ufff9b",
        "a\ue000b",
        "a\U000f0000b", "a\U0010fffdb", "a\ufdd0b", "a\uffffb", "a\U0001ffffb", "a\U0010ffffb",
        "a\U000e0080b",
        f"{ZWJ}a", f"a{ZWJ}", f"{ZWNJ}a", f"a{ZWNJ}", f"a{ZWJ}{ZWJ}b", f"a{ZWJ} b", f"a {ZWNJ}b",
        f"a{ZWJ}, b",
        f"❤{VS16}{ZWJ}", "a\U000e0067\U000e007f", "\U0001f3f4\U000e0067\U000e0062", "\U0001f3f4\U000e007f",
        SCOTLAND + "\U000e007f", "\U0001f3f4" + "\U000e0061" * 20 + "\U000e007f",
    ],
    ids=ascii,
)  # fmt: skip
def test_controls_and_joiners_that_join_nothing_are_refused(text: str) -> None:
    assert is_refused(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (" \u3000a b\u00a0\n", "a b"),
        ("e\u0301" * 64, "\u00e9" * 64),
        ("\u1f82" * 64, "\u1f82" * 64),
        (unicodedata.normalize("NFD", "\u1f82" * 64), "\u1f82" * 64),
        (unicodedata.normalize("NFD", "각" * 64), "각" * 64),
    ],
    ids=ascii,
)
def test_the_length_of_a_name_is_that_of_its_composed_form(text: str, stored: str) -> None:
    assert nickname(text) == stored


@pytest.mark.parametrize("text", ["x" * 65, "e\u0301" * 65, "\u0958" * 64, "x" * 10_000, "\u0301" * 10_000])
def test_a_longer_name_is_refused(text: str) -> None:
    assert is_refused(text)


@given(st.text(max_size=80))
def test_any_text_is_a_name_that_can_be_seen_or_is_refused(text: str) -> None:
    if "\0" in text or is_refused(text):
        return
    name = nickname(text)
    assert name is not None
    assert 1 <= len(name) <= 64
    assert not is_blank(name)
    assert nickname(name) == name


GOOD = {"mobile": "13800000000", "code": "123456", "password": "correct horse"}


def messages(change: dict[str, object], rules: ValidationContext = RULES) -> dict[str, list[Text]]:
    try:
        parse(json.dumps(GOOD | change).encode(), RegisterRequest, rules)
    except InvalidRequest as refusal:
        return {name: list(texts) for name, texts in refusal.fields.items()}
    return {}


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("e\u0301" * 8, None), ("e\u0301" * 7, i18n.PASSWORD_LENGTH), ("e\u0301" * 4, i18n.PASSWORD_LENGTH),
        ("e\u0301" * 128, None), ("e\u0301" * 129, i18n.PASSWORD_LENGTH),
        ("\u03b1\u0313\u0300\u0345" * 128, None),
        ("\u03b1\u0313\u0300\u0345" * 7, i18n.PASSWORD_LENGTH), ("x" * 129, i18n.PASSWORD_LENGTH),
        ("x" * 513, i18n.PASSWORD_LENGTH), ("\u0958" * 65, i18n.PASSWORD_LENGTH),
        (" " * 8, i18n.PASSWORD_BLANK),
        ("\u3000" * 10, i18n.PASSWORD_BLANK), ("\u200b" * 10, i18n.PASSWORD_BLANK),
        ("\u3164" * 10, i18n.PASSWORD_BLANK),
        ("\u2003\u00a0" * 6, i18n.PASSWORD_BLANK), (" " * 8 + ".", None), ("\U0001fae8" * 8, None),
        ("正确的马电池订书钉", None),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_password_is_measured_in_its_composed_form(password: str, message: Text | None) -> None:
    assert messages({"password": password}) == ({} if message is None else {"password": [message]})


@pytest.mark.parametrize("nick", ["Zoe\u0308 Müller", "Zoë Mu\u0308ller"])
@pytest.mark.parametrize("password", ["zoë müller", "ZOE\u0308 MÜLLER", "zoe\u0308 mu\u0308ller"])
def test_a_password_in_another_composition_is_still_the_nickname(nick: str, password: str) -> None:
    assert messages({"nickname": nick, "password": password}) == {"password": [i18n.PASSWORD_PERSONAL]}


@pytest.mark.parametrize("password", [" ", "x", "\u200b", "e\u0301" * 128])
def test_sign_in_takes_any_password(password: str) -> None:
    body = json.dumps({"mobile": "13800000000", "password": password}).encode()
    assert parse(body, LoginRequest, RULES).password == password


@pytest.mark.parametrize(
    "typed",
    [
        "123456", " 123456 ", "123 456", "123\u00a0456", "123-456", "12-34-56", "123–456", "123\u2011456",
        "123456\n",
        "\r\n123456", "1 2 3 4 5 6", "\t123456", "１２３４５６", "１２３　４５６", "123４５６", "١٢٣٤٥٦",
        "۱۲۳۴۵۶", "१२३४५६",
        "\u200b123456", "123\u200d456", "\ufeff123456", "\u202d123456\u202c", "123\u2009456", "123456。",
        "【123456】",
        "123456.", "１２３－４５６", "\U0001d7cf\U0001d7d0\U0001d7d1\U0001d7d2\U0001d7d3\U0001d7d4",
    ],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("model", [RegisterRequest, DeletionRequest, ReauthenticationRequest])
def test_a_code_is_understood_however_it_is_pasted(
    typed: str, model: type[RegisterRequest | DeletionRequest | ReauthenticationRequest]
) -> None:
    body = json.dumps((GOOD if model is RegisterRequest else {}) | {"code": typed}).encode()
    assert parse(body, model, RULES).code == "123456"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "12345",
        "1234567",
        "12345a",
        "G-123456",
        "+123456",
        "①②③④⑤⑥",
        "一二三四五六",
        "123 45",
        "0x1234",
        "1e5000",
        "12.34.5",
    ],
    ids=ascii,
)
def test_what_is_no_code_is_said_to_be_none(typed: str) -> None:
    assert messages({"code": typed}) == {"code": [i18n.NO_CODE.fill(digits=6)]}


@pytest.mark.parametrize("length", [4, 5, 6, 7, 8])
def test_a_code_has_as_many_digits_as_the_setting_says(length: int) -> None:
    rules = ValidationContext({"CN"}, frozenset(), length)
    for digits in range(1, 12):
        refused = messages({"code": "1" * digits}, rules)
        assert refused == ({} if digits == length else {"code": [i18n.NO_CODE.fill(digits=length)]})


def test_the_message_is_in_both_languages() -> None:
    (message,) = messages({"code": "12"})["code"]
    assert (message.en, message.zh) == ("The code must have 6 digits", "验证码须为 6 位数字")
