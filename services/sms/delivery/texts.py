"""The texts of messages, and the keys by which equal texts are recognised."""

import hashlib
from collections.abc import Callable, Mapping

import phonenumbers

from services.sms.provider.base import Outgoing
from shared.contracts.messages import Purpose, SendCode, SendNotice

_DIGEST_BYTES = 16


def text_composer(
    signature: str,
    template: str,
    by_purpose: Mapping[Purpose, str] | None = None,
    *,
    foreign_signature: str = "",
    foreign_template: str = "",
    by_region: Mapping[str, str] | None = None,
) -> Callable[[SendCode], str]:
    """Return a function that composes a message's text, always the same for one message.

    Args:
        signature: of all texts.
        template: of codes.
        by_purpose: templates of codes for one purpose each.
        foreign_signature: of texts to numbers outside mainland China, if it differs.
        foreign_template: of codes to such numbers, whatever their purpose; the others where empty.
        by_region: of codes to the numbers of one region each, by ISO 3166-1 code.
    """
    templates, regions = by_purpose or {}, by_region or {}

    def find_template(message: SendCode) -> str:
        if message.mobile.startswith("+"):
            found = regions.get(_region(message.mobile)) if regions else None
            if found or foreign_template:
                return found or foreign_template
        return templates.get(message.purpose, template)

    def compose(message: SendCode) -> str:
        used = (foreign_signature or signature) if message.mobile.startswith("+") else signature
        if isinstance(message, SendNotice):
            return f"【{used}】{message.text}"
        return f"【{used}】{find_template(message).format(code=message.code)}"

    return compose


def text_keys(secret: str) -> Callable[[Outgoing], str]:
    """Return a function that returns the key of a text to a number in Redis; it shows neither of them."""
    key = hashlib.blake2b(secret.encode(), person=b"dialpass texts").digest()

    def text_key(message: Outgoing) -> str:
        content = f"{message.channel} {message.mobile} {message.text}".encode()
        return f"sms:text:{hashlib.blake2b(content, key=key, digest_size=_DIGEST_BYTES).hexdigest()}"

    return text_key


def _region(mobile: str) -> str:
    return phonenumbers.region_code_for_number(phonenumbers.parse(mobile)) or ""
