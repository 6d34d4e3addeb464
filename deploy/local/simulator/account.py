"""The simulated account: what it accepts, what it costs, and how often a number may be texted."""

import math
import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deploy.local.simulator.codes import Refused
from deploy.local.simulator.settings import SimulatorSettings

_DOMESTIC = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SIGNATURE = re.compile(r"【([^】]*)】")
_LONGEST_TEXT = 500
_ONE_PART, _PER_PART = 70, 67
_PRICE = 0.05
_FIRST_SID = 10_000_000_001
_DAY = 86_400.0
_INBOX_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class Sent:
    """A text that the account accepted."""

    mobile: str
    text: str
    sid: int
    at: datetime
    parts: int

    def as_json(self) -> dict[str, object]:
        """Return the inbox's form of it."""
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"mobile": self.mobile, "text": self.text, "sid": self.sid, "at": at}


@dataclass(slots=True)
class Account:
    """Checks each text as Yunpian does and keeps what it accepts.

    Args:
        settings: key, signature, template, balance.
        clock: seconds since the epoch; tests move it.
    """

    settings: SimulatorSettings
    clock: Callable[[], float]
    limits: bool = True
    balance: float = 0.0
    ip_whitelist: list[str] = field(default_factory=list)
    blacklist: list[str] = field(default_factory=list)
    inbox: deque[Sent] = field(default_factory=lambda: deque(maxlen=_INBOX_SIZE))
    answers: Counter[str] = field(default_factory=Counter)
    _history: dict[str, deque[tuple[float, str]]] = field(default_factory=dict)
    _next_sid: int = _FIRST_SID

    def __post_init__(self) -> None:
        self.balance = self.settings.simulator_balance

    def accept(self, api_key: str, mobile: str, text: str, ip: str) -> Sent:
        """Accept a text or raise what refuses it.

        Raises:
            Refused: with Yunpian's code.
        """
        self._check_caller(api_key, ip)
        for name, value in (("mobile", mobile), ("text", text)):
            if not value:
                raise Refused(1, name)
        if not (_DOMESTIC.fullmatch(mobile) or _INTERNATIONAL.fullmatch(mobile)):
            raise Refused(2, mobile)
        self._check_text(text)
        if mobile in self.blacklist:
            raise Refused(10)
        if self.limits:
            self._check_windows(mobile, text)
        return self._take(mobile, text)

    def empty_inbox(self) -> None:
        """Forget the texts; the windows stay."""
        self.inbox.clear()

    def texts(self, mobile: str | None) -> list[Sent]:
        """Return the accepted texts of a number, or all, newest last."""
        return [sent for sent in self.inbox if mobile is None or sent.mobile == mobile]

    def _check_caller(self, api_key: str, ip: str) -> None:
        if not api_key:
            raise Refused(1, "apikey")
        if api_key != self.settings.yunpian_api_key:
            raise Refused(-1)
        if self.ip_whitelist and ip not in self.ip_whitelist:
            raise Refused(-3, ip)

    def _check_text(self, text: str) -> None:
        if len(text) > _LONGEST_TEXT:
            raise Refused(48, "text")
        signatures = _SIGNATURE.findall(text)
        if len(signatures) > 1:
            raise Refused(16)
        if signatures and signatures[0] != self.settings.sms_signature:
            raise Refused(15, signatures[0])
        if not re.fullmatch(self._approved(), text):
            raise Refused(5)

    def _approved(self) -> str:
        pieces = re.split(r"\{\w+\}", self.settings.sms_template)
        template = ".{1,20}".join(re.escape(piece) for piece in pieces)
        return re.escape(f"【{self.settings.sms_signature}】") + template

    def _check_windows(self, mobile: str, text: str) -> None:
        now = self.clock()
        history = self._history.get(mobile, deque())
        while history and history[0][0] <= now - _DAY:
            history.popleft()

        def count(seconds: float, same: str | None = None) -> int:
            return sum(at > now - seconds and same in {None, sent} for at, sent in history)

        for refusing, code in (
            (count(30, text) >= 1, 8),
            (count(300, text) >= 3, 9),  # noqa: PLR2004 - Yunpian: three in five minutes
            (count(30) >= 1, 33),
            (count(3600) >= 3, 22),  # noqa: PLR2004 - Yunpian: three in an hour
            (count(_DAY) >= 10, 17),  # noqa: PLR2004 - ten in a day
        ):
            if refusing:
                raise Refused(code, mobile)

    def _take(self, mobile: str, text: str) -> Sent:
        parts = 1 if len(text) <= _ONE_PART else math.ceil(len(text) / _PER_PART)
        cost = parts * _PRICE
        if self.balance < cost:
            raise Refused(3)
        self.balance -= cost
        now = self.clock()
        sent = Sent(mobile, text, self._next_sid, datetime.fromtimestamp(now, UTC), parts)
        self._next_sid += 1
        self._history.setdefault(mobile, deque()).append((now, text))
        self.inbox.append(sent)
        return sent


def success(sent: Sent) -> dict[str, object]:
    """Return the answer of an accepted `single_send`."""
    return {
        "code": 0,
        "msg": "发送成功",
        "count": sent.parts,
        "fee": round(sent.parts * _PRICE, 2),
        "unit": "RMB",
        "mobile": sent.mobile,
        "sid": sent.sid,
    }
