"""Yunpian's voice call, which reads a code out; all that is particular to it is here.

Source: yunpian.com/official/document/sms/zh_CN/voicecode_list and scene_voice: the address, the form,
and that mainland numbers are not called from 22:00 to 7:30. From a live account nothing is known; in
particular these are readings of the page:
- success has no `code`, but the `sid` that failures lack; the same codes mean the same as for texts;
- `fee` counts messages, not money: a call costs what one part costs;
- the filter of repeated contents knows the code and the number, as it does for texts;
- `get_record` does not show calls.
"""

from typing import Any

from services.sms.provider.base import Outgoing

PATH = "/v2/voice/send.json"
_DIGITS = range(4, 7)
_SMS_HOST, _VOICE_HOST = "https://sms.yunpian.com", "https://voice.yunpian.com"


class CodeNotSpeakable(Exception):
    """The voice call reads out 4 to 6 digits."""


def voice_url(base_url: str) -> str:
    """Return where an account's voice calls go: a host of its own at home, the same one elsewhere."""
    return _VOICE_HOST if base_url == _SMS_HOST else base_url


def form(message: Outgoing) -> dict[str, str]:
    """Return the call's form.

    Raises:
        CodeNotSpeakable: the code is too long.
    """
    if len(message.code) not in _DIGITS:
        raise CodeNotSpeakable
    return {"mobile": message.mobile, "code": message.code}


def with_code(document: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return an answer in the form of a text's."""
    if not isinstance(document, dict) or "code" in document or "sid" not in document:
        return document
    return document | {"code": 0, "unit": "COUNT"}
