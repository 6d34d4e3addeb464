"""Numbers as phones, address books and business cards have them: one canonical form, and one reading."""

import unicodedata
from collections.abc import Iterator
from contextlib import suppress

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from shared.phone import InvalidMobile, canonical_or_given, parse_mobile, parse_number

EVERYWHERE = phonenumbers.SUPPORTED_REGIONS
MOBILE_TYPES = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
CHARACTERS = [chr(number) for number in range(0x110000) if not 0xD800 <= number < 0xE000]
BLANKS = [character for character in CHARACTERS if unicodedata.category(character) in {"Zs", "Zl", "Zp"}]
DASHES = [character for character in CHARACTERS if unicodedata.category(character) == "Pd"]
INVISIBLE = [character for character in CHARACTERS if unicodedata.category(character) == "Cf"]


def refused(text: str, regions: set[str] = EVERYWHERE) -> bool:
    try:
        parse_mobile(text, regions)
    except InvalidMobile:
        return True
    return False


def is_number(text: str) -> bool:
    with suppress(InvalidMobile):
        return bool(parse_number(text, EVERYWHERE))
    return False


@pytest.mark.parametrize(
    "text",
    [
        "13800000000", "8613800000000", "86 138 0000 0000", "86-138-0000-0000", "(86) 138 0000 0000",
        "+8613800000000", "+86 138 0000 0000", "＋86 138 0000 0000", "﹢8613800000000", "(+86)13800000000",
        "+(86) 138-0000-0000", "+86 (0)138 0000 0000", "+86（0）138 0000 0000", "86 (0) 13800000000",
        "+86 0138 0000 0000", "0086 138 0000 0000", "008613800000000", "(0086) 138 0000 0000",
        "0086 (0)138 0000 0000", "\u202d13800000000\u202c", "\u202a+86 138 0000 0000\u202c",
        "\u200e138\u00a00000\u00a00000\u200f", "\u2066138 0000 0000\u2069", "\ufeff13800000000",
        "138\u00ad0000\u00ad0000", "138\u20110000\u20110000", "138–0000–0000", "138—0000—0000",
        "138\u22120000\u22120000", "138ー0000ー0000", "138－0000－0000", "138.0000.0000", "138/0000/0000",
        "138·0000·0000", "138・0000・0000", "138~0000~0000", "１３８００００００００",
        "＋８６　１３８　００００　００００",
        "（＋８６）１３８－００００－００００", "00８６13800000000", "138\u30000000\u30000000",
        "138\t0000\t0000",
        "13800000000\n", "\r\n 13800000000 \r\n", "138\u20030000\u200a0000\u2028", "[138] 0000 0000",
        "138 (0000) 0000",
        "【138】00000000", "138\u200b0000\u20600000", "13800000000\ufe0f", "13800000000。",
        "+٨٦ ١٣٨٠٠٠٠٠٠٠٠",
        "tel:13800000000", "tel:+8613800000000", "TEL:+86-138-0000-0000",
        "tel:138-0000-0000;phone-context=+86",
        "\u202atel:+86-138-0000-0000\u202c", "tel:+86%20138%200000%200000", "tel:%2B8613800000000",
        "tel://13800000000", "tel:008613800000000", "tel:+8613800000000;ext=", " tel:+8613800000000 ",
        "tel:+8613800000000;tgrp=7",
    ],
)  # fmt: skip
def test_a_mainland_number_has_one_form(text: str) -> None:
    assert parse_mobile(text, {"CN"}) == "13800000000"
    assert parse_mobile(text, {"CN", "DE", "GB", "US"}) == "13800000000"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("+44 (0)7400 123456", "+447400123456"),
        ("+44(0)7400123456", "+447400123456"),
        ("(+44) (0) 7400 123456", "+447400123456"),
        ("+44 07400 123456", "+447400123456"),
        ("0044 7400 123456", "+447400123456"),
        ("0044 (0)7400 123456", "+447400123456"),
        ("＋４４　（０）７４００　１２３４５６", "+447400123456"),
        ("\u202d+44\u00a07400\u00a0123456\u202c", "+447400123456"),
        ("tel:+44-7400-123456", "+447400123456"),
        ("tel:7400-123456;phone-context=+44", "+447400123456"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("+1.415.555.2671", "+14155552671"),
        ("+1 415‑555‑2671", "+14155552671"),
        ("001 415 555 2671", "+14155552671"),
        ("+1 (0)415 555 2671", "+14155552671"),
        ("+49 (0) 151 / 12345678", "+4915112345678"),
        ("+39 (0)347 123 4567", "+393471234567"),
        ("+36 (06) 20 123 4567", "+36201234567"),
        ("+7 (8) 912 345-67-89", "+79123456789"),
        ("+٩٦٦ ٥١ ٢٣٤ ٥٦٧٨", "+966512345678"),
        ("٠٠٩٦٦٥١٢٣٤٥٦٧٨", "+966512345678"),
        ("+۹۸ ۹۱۲ ۳۴۵ ۶۷۸۹", "+989123456789"),
        ("+242 (0)6 612 3456", "+242066123456"),  # the 0 is part of the number
    ],
)
def test_a_number_of_elsewhere_has_one_form(text: str, canonical: str) -> None:
    assert parse_mobile(text, EVERYWHERE) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "1 (380) 000-0000", "(15) 97932-1158", "(1)3800000000", "0138 0000 0000", "0151 12345678",
        "015112345678", "07400 123456", "4915112345678", "86 4155552671",
        "011 86 138 0000 0000", "+0086 13800000000", "++8613800000000", "+86+8613800000000", "13800000000+",
        "861380000000", "86138000000000", "868613800000000", "0013800000000", "138 0000 0000 0",
        "13800000000 13900000000", "13800000000,13900000000", "13800000000;14155552671",
        "13800000000 ext 5",
        "13800000000x5", "13800000000#5", "13800000000,5", "1380000000a", "1380000000o", "138*0000*0000",
        "138_0000_0000", "①③⑧⓪⓪⓪⓪⓪⓪⓪⓪", "¹³⁸⁰⁰⁰⁰⁰⁰⁰⁰", "一三八〇〇〇〇〇〇〇〇", "١٣٨٠٠٠٠٠٠٠٠",
        "1380000000\u0660",
        "٨٦١٣٨٠٠٠٠٠٠٠٠", "1380000000\u0000", "1380000000\u20e3", "手机13800000000", "tel", "tel:",
        "tel:+8613800000000;ext=5", "tel:+8613800000000;isub=5",
        "tel:13800000000;phone-context=example.com",
        "tel:13800000000;phone-context=+44", "tel:+8613800000000?a=b", "sip:+8613800000000@example.com",
        "tel:+8613800000000;phone-context=+86", "(0)", "()", "+(0)", "+86", "0086", "00", "", " ",
        "\u202d\u202c",
    ],
)  # fmt: skip
def test_what_is_no_number_or_not_surely_one_is_refused(text: str) -> None:
    """Among them national numbers of elsewhere: German ones would be read as mainland numbers."""
    assert refused(text)


@given(st.sampled_from(BLANKS + DASHES + INVISIBLE + list("\t\n\v\f\r\x85")), st.integers(0, 11))
def test_every_blank_dash_and_invisible_character_is_skipped(character: str, place: int) -> None:
    number = "13800000000"
    assert parse_mobile(number[:place] + character + number[place:], {"CN"}) == number


@given(st.text(max_size=64))
def test_any_text_is_refused_or_has_a_form_that_stays(text: str) -> None:
    try:
        canonical = parse_mobile(text, EVERYWHERE)
    except InvalidMobile:
        return
    assert canonical.startswith(("1", "+"))
    assert canonical.strip("+").isdecimal()
    assert canonical.isascii()
    assert parse_mobile(canonical, EVERYWHERE) == canonical == parse_number(text, EVERYWHERE)


SEPARATORS = st.text(st.sampled_from([*" -./", "\u00a0", "\u2011", "\u202d", "\u202c", "－"]), max_size=3)


@given(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.lists(SEPARATORS, min_size=11, max_size=11),
    st.sampled_from([{}, FULL_WIDTH]),
)
def test_separators_anywhere_change_nothing(
    number: str, separators: list[str], digits: dict[int, int]
) -> None:
    typed = "".join(part + digit for part, digit in zip(separators, number, strict=True))
    assert parse_mobile(typed.translate(digits), {"CN"}) == number


def mobiles() -> Iterator[tuple[str, phonenumbers.PhoneNumber]]:
    for region in sorted(EVERYWHERE - {"CN"}):
        example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
        if example is not None and phonenumbers.number_type(example) in MOBILE_TYPES:
            yield region, example


@pytest.mark.parametrize(
    ("region", "number"), list(mobiles()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_way_to_write_a_number_of_every_region(region: str, number: phonenumbers.PhoneNumber) -> None:
    canonical = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    code, _, national = international.partition(" ")
    owner = phonenumbers.region_code_for_number(number) or ""
    for text in (
        canonical, international, phonenumbers.format_number(number, PhoneNumberFormat.RFC3966),
        phonenumbers.format_out_of_country_calling_number(number, "CN"), f"\u202a{international}\u202c",
        international.replace(" ", "\u00a0").replace("-", "\u2011"), canonical.translate(ARABIC),
        canonical.translate(FULL_WIDTH).replace("+", "＋"), f"({code}) {national}", f"{code} (0){national}",
    ):  # fmt: skip
        assert parse_mobile(text, {owner}) == canonical, (region, text)
        assert refused(text, EVERYWHERE - {owner}), (region, text)


@pytest.mark.parametrize("national_zero", ["", "(0)", "（0）"])
def test_a_number_is_read_alike_whatever_is_allowed(national_zero: str) -> None:
    """The 0 in brackets makes two readings of some; only one is ever taken."""
    for region in sorted(EVERYWHERE - {"CN"}):
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None:
                continue
            national = phonenumbers.national_significant_number(number)
            # Of a number that begins with a 0 itself, that one is in brackets.
            text = f"+{number.country_code} {national_zero}{national.removeprefix(national_zero[1:2])}"
            readings = {parse_number(text, EVERYWHERE)} if is_number(text) else set()
            for allowed in (EVERYWHERE, {region}, EVERYWHERE - {region}):
                with suppress(InvalidMobile):
                    readings.add(parse_mobile(text, allowed))
            assert len(readings) <= 1, (text, readings)


TYPES = [
    PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE, PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST, PhoneNumberType.VOIP, PhoneNumberType.PERSONAL_NUMBER, PhoneNumberType.PAGER,
    PhoneNumberType.UAN, PhoneNumberType.VOICEMAIL,
]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
def test_a_number_that_cannot_be_a_mobile_phone_gets_no_codes(kind: int) -> None:
    tried = 0
    for region in EVERYWHERE - {"CN"}:
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None or phonenumbers.number_type(number) != kind:
            continue
        canonical = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        assert refused(canonical), canonical
        # Accounts that were made with it still have it.
        assert len(canonical) <= 7 or parse_number(canonical, EVERYWHERE) == canonical
        tried += 1
    assert tried


@pytest.mark.parametrize(
    "text",
    [
        "+44 909 879 0000",
        "+1 800 555 0199",
        "+44 20 7946 0958",
        "+44 7640 123456",
        "+44 70 1234 5678",
        "+1 900 555 0199",
    ],
)
def test_premium_free_fixed_pager_and_personal_numbers_are_refused(text: str) -> None:
    assert refused(text, {"CN", "GB", "US"})


@pytest.mark.parametrize("text", ["16600000000", "19299999999", "13000000000", "14000000000", "19999999999"])
def test_mainland_numbers_are_accepted_by_their_pattern_alone(text: str) -> None:
    assert parse_mobile(text, {"CN"}) == parse_mobile("+86" + text, {"CN"}) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("+86 138-0000-0000", "13800000000"), ("+44 20 7946 0958", "+442079460958"),
        ("13800000000", "13800000000"),
        ("legacy-7", "legacy-7"), ("+999123456789", "+999123456789"),
    ],
)  # fmt: skip
def test_commands_find_accounts_by_any_form_of_their_number(text: str, found: str) -> None:
    assert canonical_or_given(text) == found
