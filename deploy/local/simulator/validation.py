"""What Yunpian checks before it accepts a message: its content, and how often messages are sent."""

import math
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import phonenumbers

from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import CHINA, Channel
from deploy.local.simulator.settings import SimulatorSettings

_DOMESTIC = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SIGNATURE = re.compile(r"【([^】]*)】")
_VOICE_CODE = re.compile(r"[0-9]{4,6}", re.ASCII)
_MAX_TEXT_LENGTH = 500
_SINGLE_PART_LENGTH, _PART_LENGTH = 70, 67
_DAY_SECONDS = 86_400.0
# Seconds, and how many texts and calls a number may get in them: code 53.
_SHARED_WINDOWS = ((30.0, 1), (3_600.0, 3), (_DAY_SECONDS, 5))


def require(**parameters: str) -> None:
    """Raise `YunpianError` if a parameter is empty."""
    for name, value in parameters.items():
        if not value:
            raise YunpianError(1, name)


def normalise_mobile(mobile: str) -> str:
    """Return a number as reports show it: a mainland one without `+86`."""
    national = mobile.removeprefix("+86")
    pattern = _INTERNATIONAL if national.startswith("+") else _DOMESTIC
    if not pattern.fullmatch(national):
        raise YunpianError(2, "mobile", mobile)
    return national


def is_foreign(mobile: str) -> bool:
    """Return whether a number is outside mainland China."""
    return mobile.removeprefix("+86").startswith("+")


def check_text(text: str, settings: SimulatorSettings, mobile: str) -> None:
    """Raise `YunpianError` unless the text is approved for the number, under its registered signature."""
    if len(text) > _MAX_TEXT_LENGTH:
        raise YunpianError(48, "text")
    signatures = _SIGNATURE.findall(text)
    if len(signatures) > 1:
        raise YunpianError(16)
    signature = _signature(settings, mobile)
    if signatures and signatures[0] != signature:
        raise YunpianError(15, signatures[0])
    if not re.fullmatch(_approved_pattern(signature, _templates(settings, mobile), settings.notices), text):
        raise YunpianError(5)


def check_voice_code(code: str) -> None:
    """Raise `YunpianError` unless the code has 4 to 6 digits."""
    if not _VOICE_CODE.fullmatch(code):
        raise YunpianError(2, "code", code)


def count_parts(text: str) -> int:
    """Return the number of messages that a text is billed as."""
    return 1 if len(text) <= _SINGLE_PART_LENGTH else math.ceil(len(text) / _PART_LENGTH)


def is_voice_time(now: float, hours: str) -> bool:
    """Return whether mainland numbers are called at a time, seconds since the epoch."""
    begin, end = hours.split("-")
    return begin <= datetime.fromtimestamp(now, CHINA).strftime("%H:%M") < end


def _signature(settings: SimulatorSettings, mobile: str) -> str:
    return (is_foreign(mobile) and settings.sms_foreign_signature) or settings.sms_signature


def _templates(settings: SimulatorSettings, mobile: str) -> list[str]:
    """Return the templates for a number: home and foreign ones are approved separately."""
    if not is_foreign(mobile):
        return [settings.sms_template, *settings.sms_templates.values()]
    of_region = settings.sms_region_templates.get(_region(mobile), "")
    return [template for template in (settings.sms_foreign_template, of_region) if template]


def _region(mobile: str) -> str:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(mobile)) or ""
    except phonenumbers.NumberParseException:
        return ""


def _approved_pattern(signature: str, templates: list[str], notices: Iterable[str]) -> str:
    patterns = [
        ".{1,20}".join(re.escape(piece) for piece in re.split(r"\{\w+\}", template)) for template in templates
    ]
    texts = "|".join([*patterns, *map(re.escape, notices)])
    return re.escape(f"【{signature}】") + f"(?:{texts or '(?!)'})"


@dataclass(slots=True)
class NumberLimits:
    """Limits per number, over sliding windows of up to a day.

    Texts have their own codes. Code 53 counts texts and calls together: it refuses calls, and texts to a
    number that was called in the window.
    """

    _history: dict[str, deque[tuple[float, str, Channel]]] = field(default_factory=dict)

    def check(self, now: float, mobile: str, text: str, channel: Channel) -> None:
        """Raise `YunpianError` if the message is one too many for the number."""
        history = self._history.get(mobile, deque())
        while history and history[0][0] <= now - _DAY_SECONDS:
            history.popleft()
        for seconds, most in _SHARED_WINDOWS:
            channels = [its_channel for at, _, its_channel in history if at > now - seconds]
            if len(channels) >= most and "voice" in {channel, *channels}:
                raise YunpianError(53, mobile)
        if channel == "sms":
            self._check_text(now, mobile, text)

    def _check_text(self, now: float, mobile: str, text: str) -> None:
        texts = [(at, sent) for at, sent, channel in self._history.get(mobile, ()) if channel == "sms"]

        def count(seconds: float, same: str | None = None) -> int:
            return sum(at > now - seconds and same in {None, sent} for at, sent in texts)

        for exceeded, code in (
            (count(30, text) >= 1, 8),
            (count(300, text) >= 3, 9),  # noqa: PLR2004 - Yunpian: three in five minutes
            (count(30) >= 1, 33),
            (count(3600) >= 3, 22),  # noqa: PLR2004 - Yunpian: three in an hour
            (count(_DAY_SECONDS) >= 10, 17),  # noqa: PLR2004 - ten in a day
        ):
            if exceeded:
                raise YunpianError(code, mobile)

    def add(self, now: float, mobile: str, text: str, channel: Channel) -> None:
        """Count an accepted message."""
        self._history.setdefault(mobile, deque()).append((now, text, channel))


@dataclass(slots=True)
class CallRateLimit:
    """Limit of an account's sending calls, rejected ones included."""

    _calls: deque[float] = field(default_factory=deque)

    def hit(self, now: float, per_second: int | None, per_day: int | None) -> None:
        """Count a call if there is a limit; raise `YunpianError` if it is exceeded."""
        if per_second is None and per_day is None:
            self._calls.clear()
            return
        self._calls.append(now)
        while self._calls[0] <= now - _DAY_SECONDS:
            self._calls.popleft()
        if per_day is not None and len(self._calls) > per_day:
            raise YunpianError(-4)
        if per_second is not None and self._in_last_second(now) > per_second:
            raise YunpianError(-5)

    def _in_last_second(self, now: float) -> int:
        count = 0
        for at in reversed(self._calls):
            if at <= now - 1:
                break
            count += 1
        return count
