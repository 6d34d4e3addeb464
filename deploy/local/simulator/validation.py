"""What Yunpian checks before it accepts a message: its content, and how often messages are sent."""

import math
import re
from collections import deque
from dataclasses import dataclass, field

from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.settings import SimulatorSettings

_DOMESTIC = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SIGNATURE = re.compile(r"【([^】]*)】")
_VOICE_CODE = re.compile(r"[0-9]{4,6}", re.ASCII)
_MAX_TEXT_LENGTH = 500
_SINGLE_PART_LENGTH, _PART_LENGTH = 70, 67
_DAY_SECONDS = 86_400.0


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


def check_text(text: str, settings: SimulatorSettings) -> None:
    """Raise `YunpianError` unless the text is an approved one under the registered signature."""
    if len(text) > _MAX_TEXT_LENGTH:
        raise YunpianError(48, "text")
    signatures = _SIGNATURE.findall(text)
    if len(signatures) > 1:
        raise YunpianError(16)
    if signatures and signatures[0] != settings.sms_signature:
        raise YunpianError(15, signatures[0])
    if not re.fullmatch(_approved_pattern(settings), text):
        raise YunpianError(5)


def check_voice_code(code: str) -> None:
    """Raise `YunpianError` unless the code has 4 to 6 digits."""
    if not _VOICE_CODE.fullmatch(code):
        raise YunpianError(2, "code", code)


def count_parts(text: str) -> int:
    """Return the number of messages that a text is billed as."""
    return 1 if len(text) <= _SINGLE_PART_LENGTH else math.ceil(len(text) / _PART_LENGTH)


def _approved_pattern(settings: SimulatorSettings) -> str:
    templates = [
        ".{1,20}".join(re.escape(piece) for piece in re.split(r"\{\w+\}", template))
        for template in (settings.sms_template, *settings.sms_templates.values())
    ]
    texts = "|".join([*templates, *map(re.escape, settings.notices)])
    return re.escape(f"【{settings.sms_signature}】") + f"(?:{texts})"


@dataclass(slots=True)
class NumberLimits:
    """Limits per number, over sliding windows of up to a day."""

    _history: dict[str, deque[tuple[float, str]]] = field(default_factory=dict)

    def check(self, now: float, mobile: str, text: str) -> None:
        """Raise `YunpianError` if the text is one too many for the number."""
        history = self._history.get(mobile, deque())
        while history and history[0][0] <= now - _DAY_SECONDS:
            history.popleft()

        def count(seconds: float, same: str | None = None) -> int:
            return sum(at > now - seconds and same in {None, sent} for at, sent in history)

        for exceeded, code in (
            (count(30, text) >= 1, 8),
            (count(300, text) >= 3, 9),  # noqa: PLR2004 - Yunpian: three in five minutes
            (count(30) >= 1, 33),
            (count(3600) >= 3, 22),  # noqa: PLR2004 - Yunpian: three in an hour
            (count(_DAY_SECONDS) >= 10, 17),  # noqa: PLR2004 - ten in a day
        ):
            if exceeded:
                raise YunpianError(code, mobile)

    def add(self, now: float, mobile: str, text: str) -> None:
        """Count an accepted text."""
        self._history.setdefault(mobile, deque()).append((now, text))


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
