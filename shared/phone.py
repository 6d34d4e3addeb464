"""Phone numbers: parsing to the canonical form, and masking."""

import re
from collections.abc import Collection, Iterator
from urllib.parse import unquote

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from shared.typed_digits import NotDigits, plain

# Of a number as it is typed or pasted, with blanks, dashes and invisible characters.
MAX_LENGTH = 64
MAINLAND = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_MOBILE_TYPES = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
# Without a sign or the international prefix, 13 digits that begin with 86 are a mainland number.
_COUNTRY_CODE_86 = re.compile(r"860?1[3-9][0-9]{9}", re.ASCII)
# The international prefix of China and most countries. No national number begins with it.
_INTERNATIONAL_PREFIX = "00"
# As on business cards: +44 (0)7400 …
_NATIONAL_PREFIX = re.compile(r"\A(\(*(?:(?:\+|00)\(*[1-9][0-9]{0,2}|86)\)*)\(0\)", re.ASCII)
_BRACKETS = str.maketrans("", "", "()")
# As in (15) 97932-1158 of Brazil and 1 (415) 555-2671 of the USA: a network of the mainland has three digits.
_AREA_CODE = re.compile(r"\(*[0-9]{1,2}[()]", re.ASCII)
# Digits of other scripts need a country code: such a number without one is hardly a mainland number.
_OTHER_DIGITS = re.compile(r"(?![0-9\uff10-\uff19])\d")
# RFC 3966 §3. Some programs write the scheme with `//`.
_URI = re.compile(r"\s*tel:(?://)?([^;?#]*)((?:;[^;?#]*)*)", re.IGNORECASE)
# Behind an exchange or a terminal adapter there is no mobile phone.
_EXTENSIONS = frozenset({"ext", "isub", "postd"})
_MAINLAND_DIAL_CODE = "86"
_NETWORK_DIGITS = 3
_VISIBLE_PREFIX = 3
_VISIBLE_SUFFIX = 4


class InvalidMobile(ValueError):
    """The text is not a mobile number of an allowed region."""


def parse_mobile(text: str, regions: Collection[str]) -> str:
    """Return the canonical form of a mobile number, used in storage, in messages and by Yunpian.

    Mainland numbers have 11 digits; all others are E.164 with `+`. Every text has one reading: without a
    country code it is a mainland number. The country code is behind `+` or `00`; `86` needs neither.

    Args:
        text: as typed or pasted by a person: with blanks, dashes, brackets, dots, slashes, invisible
            characters, full-width digits, a national 0 in brackets behind the country code, or as a `tel:`
            URI. Digits of other scripts are understood in numbers with a country code.
        regions: ISO 3166-1 codes of the allowed regions.

    Raises:
        InvalidMobile: the number is malformed, too long, of another region, or cannot be a mobile phone's.
    """
    return _parse(text, regions, _MOBILE_TYPES)


def parse_number(text: str, regions: Collection[str]) -> str:
    """Return the canonical form of a number of any type, by which an account may have been made.

    Fixed lines, for instance, were accepted once; their accounts still have these numbers.

    Args:
        text: as for `parse_mobile`.
        regions: ISO 3166-1 codes of the allowed regions.

    Raises:
        InvalidMobile: the number is malformed, too long, or of another region.
    """
    return _parse(text, regions, None)


def canonical_or_given(text: str) -> str:
    """Return the canonical form of a number of any region and type; a text that is none stays as it is.

    For commands, which find accounts by it: also one whose number is none by today's rules.
    """
    try:
        return parse_number(text, phonenumbers.SUPPORTED_REGIONS)
    except InvalidMobile:
        return text


def _parse(text: str, regions: Collection[str], types: Collection[int] | None) -> str:
    if len(text) > MAX_LENGTH:
        raise InvalidMobile
    if MAINLAND.fullmatch(text) and "CN" in regions:
        return text
    # What is allowed does not decide how a number is read: the first reading that is a number does.
    number = next((found for reading in _readings(text) if (found := _number_of(reading))), None)
    if number is None or not _is_allowed(number, regions, types):
        raise InvalidMobile
    return number if isinstance(number, str) else phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _is_allowed(number: str | PhoneNumber, regions: Collection[str], types: Collection[int] | None) -> bool:
    if isinstance(number, str):
        return "CN" in regions
    if phonenumbers.region_code_for_number(number) not in regions:
        return False
    return types is None or phonenumbers.number_type(number) in types


def _readings(text: str) -> Iterator[str]:
    """Yield a typed number's digits and leading sign: without a national 0 in brackets, or as it is.

    Few countries have such a 0 in the number itself, and only there the second one is a number.
    """
    number = _from_uri(text)
    try:
        compact = plain(number)
    except NotDigits:
        return
    without = _NATIONAL_PREFIX.sub(r"\1", compact, count=1)
    is_home = not _OTHER_DIGITS.search(number)
    for reading in dict.fromkeys((without, compact)):
        digits = reading.translate(_BRACKETS)
        if not (is_home or digits.startswith(("+", _INTERNATIONAL_PREFIX))):
            continue
        if not (MAINLAND.fullmatch(digits) and _AREA_CODE.match(reading)):
            yield digits


def _from_uri(text: str) -> str:
    """Return the number of a `tel:` URI, and other texts as they are.

    Raises:
        InvalidMobile: the URI names an extension, or the number is local to anything but a country.
    """
    uri = _URI.fullmatch("".join(filter(str.isprintable, text)))
    if uri is None:
        return text
    number = unquote(uri[1])
    for parameter in filter(None, uri[2].split(";")):
        name, _, value = parameter.partition("=")
        if name.lower() in _EXTENSIONS and value:
            raise InvalidMobile
        if name.lower() == "phone-context":
            if not value.startswith("+"):
                raise InvalidMobile
            number = value + number
    return number


def _number_of(reading: str) -> str | PhoneNumber | None:
    """Return a mainland number's 11 digits, or a valid number of elsewhere."""
    number = _with_country_code(reading)
    if number.startswith("+" + _MAINLAND_DIAL_CODE):
        # By the contract's pattern alone: new ranges are in use before libraries know them.
        national = number.removeprefix("+" + _MAINLAND_DIAL_CODE).removeprefix("0")
        return national if MAINLAND.fullmatch(national) else None
    if not _INTERNATIONAL.fullmatch(number):
        return None
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_valid_number(parsed) else None


def _with_country_code(number: str) -> str:
    if MAINLAND.fullmatch(number):
        return f"+{_MAINLAND_DIAL_CODE}{number}"
    if _COUNTRY_CODE_86.fullmatch(number):
        return f"+{number}"
    if number.startswith(_INTERNATIONAL_PREFIX):
        return "+" + number.removeprefix(_INTERNATIONAL_PREFIX)
    return number


def dial_code(mobile: str) -> str:
    """Return the dial code of a canonical number, without `+`."""
    return str(phonenumbers.parse(mobile).country_code) if mobile.startswith("+") else _MAINLAND_DIAL_CODE


def network_prefix(mobile: str) -> str:
    """Return the first three digits of a mainland number, which identify its network, or an empty string."""
    return "" if mobile.startswith("+") else mobile[:_NETWORK_DIGITS]


def mask_mobile(mobile: str) -> str:
    """Return the number with its middle hidden, as in `138****0000`, for logs."""
    if len(mobile) <= _VISIBLE_PREFIX + _VISIBLE_SUFFIX:
        return "*" * len(mobile)
    return f"{mobile[:_VISIBLE_PREFIX]}****{mobile[-_VISIBLE_SUFFIX:]}"
