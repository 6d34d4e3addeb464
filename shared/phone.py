"""Phone numbers: parsing to the canonical form, and masking."""

import re
from collections.abc import Collection

import phonenumbers

# Of a number as it is typed or pasted, with blanks, dashes and invisible characters.
MAX_LENGTH = 64
MAINLAND = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_SEPARATORS = re.compile(r"[ \-]")
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_MAINLAND_DIAL_CODE = "86"
_NETWORK_DIGITS = 3
_VISIBLE_PREFIX = 3
_VISIBLE_SUFFIX = 4


class InvalidMobile(ValueError):
    """The text is not a mobile number of an allowed region."""


def parse_mobile(text: str, regions: Collection[str]) -> str:
    """Return the canonical form of a mobile number, used in storage, in messages and by Yunpian.

    Mainland numbers have 11 digits; all others are E.164 with `+`.

    Args:
        text: as typed by a person; spaces, dashes and `+86` are removed.
        regions: ISO 3166-1 codes of the allowed regions.

    Raises:
        InvalidMobile: the number is malformed, too long, or of another region.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidMobile
    compact = _SEPARATORS.sub("", text)
    if "CN" in regions and MAINLAND.fullmatch(compact.removeprefix("+86")):
        return compact.removeprefix("+86")
    if not _INTERNATIONAL.fullmatch(compact) or compact.startswith("+86"):
        raise InvalidMobile
    return _parse_international(compact, regions)


def _parse_international(compact: str, regions: Collection[str]) -> str:
    try:
        number = phonenumbers.parse(compact)
    except phonenumbers.NumberParseException as error:
        raise InvalidMobile from error
    if phonenumbers.region_code_for_number(number) not in regions:
        raise InvalidMobile
    if not phonenumbers.is_valid_number(number):
        raise InvalidMobile
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


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
