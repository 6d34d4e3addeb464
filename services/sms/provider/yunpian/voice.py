"""Yunpian's voice calls, which read a code out, as far as they differ from texts.

Source: yunpian.com/official/document/sms/zh_CN/voicecode_list and scene_voice: the address, the form,
and that mainland numbers are not called from 22:00 to 7:30. Assumed, not verified with a live account:
- a success has a `count`, mostly a `sid`, and no `code`, a failure has a `code`, with the same meaning as
  for texts;
- `fee` counts messages, not money: a call costs as much as one part;
- the duplicate filter compares the code and the number, as it does for texts;
- `get_record` does not show calls.
"""

from datetime import datetime
from typing import Any

from services.sms.provider.base import Outgoing
from shared.voice import SPOKEN_DIGITS, VoiceHours

PATH = "/v2/voice/send.json"
_SUCCESS_MEMBERS = frozenset({"sid", "count"})
_SMS_HOST, _VOICE_HOST = "https://sms.yunpian.com", "https://voice.yunpian.com"


class CodeNotSpeakable(Exception):
    """A voice call reads out 4 to 6 digits."""


class NotCalledNow(Exception):
    """The number is not called at this time of day.

    Auth refuses such requests; a message may still have waited in the queue until after the last hour.

    Args:
        opening: when it can be called again.
    """

    def __init__(self, opening: datetime) -> None:
        super().__init__(opening)
        self.opening = opening


def voice_url(base_url: str) -> str:
    """Return the base URL of voice calls: its own host in mainland China, the same one elsewhere."""
    return _VOICE_HOST if base_url == _SMS_HOST else base_url


def form(message: Outgoing) -> dict[str, str]:
    """Return the call's form.

    Raises:
        CodeNotSpeakable: the code is too short or too long.
    """
    if len(message.code) not in SPOKEN_DIGITS:
        raise CodeNotSpeakable
    return {"mobile": message.mobile, "code": message.code, "uid": message.message_id}


def check_hours(message: Outgoing, hours: VoiceHours, at: datetime) -> None:
    """Check that the number of a call is called at a time.

    Raises:
        NotCalledNow: it is not.
    """
    opening = hours.opening(message.mobile, at)
    if opening > at:
        raise NotCalledNow(opening)


def normalise_answer(document: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a voice call's answer with the members of a text's answer."""
    if not isinstance(document, dict) or "code" in document or _SUCCESS_MEMBERS.isdisjoint(document):
        return document
    return document | {"code": 0, "unit": "COUNT"}
