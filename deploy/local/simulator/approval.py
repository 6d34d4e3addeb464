"""What Yunpian checks in a message itself: number, signature, template, length."""

import math
import re

from deploy.local.simulator.codes import Refused
from deploy.local.simulator.settings import SimulatorSettings

_DOMESTIC = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SIGNATURE = re.compile(r"【([^】]*)】")
_VOICE_CODE = re.compile(r"[0-9]{4,6}", re.ASCII)
_LONGEST_TEXT = 500
_ONE_PART, _PER_PART = 70, 67


def check_given(**parameters: str) -> None:
    """Refuse a request without one of its parameters."""
    for name, value in parameters.items():
        if not value:
            raise Refused(1, name)


def normalised_mobile(mobile: str) -> str:
    """Return a number as reports show it: a mainland one without `+86`."""
    national = mobile.removeprefix("+86")
    pattern = _INTERNATIONAL if national.startswith("+") else _DOMESTIC
    if not pattern.fullmatch(national):
        raise Refused(2, "mobile", mobile)
    return national


def check_text(text: str, settings: SimulatorSettings) -> None:
    """Refuse a text that is not the approved template under the registered signature."""
    if len(text) > _LONGEST_TEXT:
        raise Refused(48, "text")
    signatures = _SIGNATURE.findall(text)
    if len(signatures) > 1:
        raise Refused(16)
    if signatures and signatures[0] != settings.sms_signature:
        raise Refused(15, signatures[0])
    if not re.fullmatch(_approved(settings), text):
        raise Refused(5)


def check_voice_code(code: str) -> None:
    """Refuse a code that cannot be read out."""
    if not _VOICE_CODE.fullmatch(code):
        raise Refused(2, "code", code)


def count_parts(text: str) -> int:
    """Return how many messages a text is billed as."""
    return 1 if len(text) <= _ONE_PART else math.ceil(len(text) / _PER_PART)


def _approved(settings: SimulatorSettings) -> str:
    pieces = re.split(r"\{\w+\}", settings.sms_template)
    template = ".{1,20}".join(re.escape(piece) for piece in pieces)
    return re.escape(f"【{settings.sms_signature}】") + template
