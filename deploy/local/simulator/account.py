"""One simulated account: what it accepts, what it costs, what it remembers."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from deploy.local.simulator import approval
from deploy.local.simulator.codes import Refused
from deploy.local.simulator.limits import CallRate, NumberWindows
from deploy.local.simulator.messages import Channel, Sent
from deploy.local.simulator.settings import SimulatorSettings

_PRICE = 0.05
_KEPT = 10_000
_REPORTS_KEPT = timedelta(hours=72)


class Terms(BaseModel):
    """What `PUT /_account` may change.

    Attributes:
        limits: whether the windows of a number count.
        balance: RMB.
        ip_whitelist: the only addresses that may call, unless it is empty.
        blacklist: numbers that get nothing.
        keywords: words that no text may contain.
        calls_per_second: sending calls; the next one is refused with -5.
        calls_per_day: sending calls; the next one is refused with -4.
        record_lag: seconds until `get_record` knows a message.
        callback_url: where status reports are pushed to, unless a request says otherwise.
    """

    model_config = ConfigDict(extra="forbid")

    limits: bool = True
    balance: float = 0.0
    ip_whitelist: list[str] = Field(default_factory=list)
    blacklist: list[str] = Field(default_factory=list)
    keywords: list[str] = Field(default_factory=list)
    calls_per_second: int | None = Field(None, ge=0)
    calls_per_day: int | None = Field(None, ge=0)
    record_lag: float = Field(0.0, ge=0)
    callback_url: str = ""


@dataclass(slots=True)
class Account:
    """Checks each message as Yunpian does and keeps what it accepts.

    Args:
        name: what the inbox and the rules call it.
        settings: signature, template, balance.
        clock: seconds since the epoch; tests move it.
        sids: numbers the messages of all accounts.
    """

    name: str
    settings: SimulatorSettings
    clock: Callable[[], float]
    sids: Iterator[int]
    terms: Terms = field(default_factory=Terms)
    answers: Counter[str] = field(default_factory=Counter)
    records: deque[Sent] = field(default_factory=lambda: deque(maxlen=_KEPT))
    unread: dict[Channel, list[Sent]] = field(default_factory=lambda: {"sms": [], "voice": []})
    _windows: dict[Channel, NumberWindows] = field(
        default_factory=lambda: {"sms": NumberWindows(), "voice": NumberWindows()}
    )
    _rate: CallRate = field(default_factory=CallRate)

    def __post_init__(self) -> None:
        self.terms.balance = self.settings.simulator_balance
        self.terms.callback_url = self.settings.simulator_callback_url

    @property
    def now(self) -> datetime:
        """The account's time."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def send_text(self, mobile: str, text: str, uid: str | None = None) -> Sent:
        """Accept a text or raise what refuses it.

        Raises:
            Refused: with Yunpian's code.
        """
        self._count_call()
        approval.check_given(mobile=mobile, text=text)
        mobile = approval.normalised_mobile(mobile)
        approval.check_text(text, self.settings)
        for word in self.terms.keywords:
            if word in text:
                raise Refused(4, word)
        return self._accept("sms", mobile, text, uid)

    def send_voice(self, mobile: str, code: str, uid: str | None = None) -> Sent:
        """Accept a call that reads a code out, or raise what refuses it.

        Raises:
            Refused: with Yunpian's code.
        """
        self._count_call()
        approval.check_given(mobile=mobile, code=code)
        mobile = approval.normalised_mobile(mobile)
        approval.check_voice_code(code)
        return self._accept("voice", mobile, f"语音验证码：{code}", uid)

    def take_reports(self, channel: Channel, most: int) -> list[Sent]:
        """Return messages whose reports nobody has read, oldest first, and forget that they were unread."""
        now, taken, left = self.now, list[Sent](), list[Sent]()
        for sent in self.unread[channel]:
            if sent.reported(now - _REPORTS_KEPT):
                continue
            wanted = sent.reported(now) and len(taken) < most
            (taken if wanted else left).append(sent)
        self.unread[channel] = left
        return taken

    def check_address(self, ip: str) -> None:
        """Refuse an address that is not on the white list."""
        if self.terms.ip_whitelist and ip not in self.terms.ip_whitelist:
            raise Refused(-3, ip)

    def _count_call(self) -> None:
        self._rate.count(self.clock(), self.terms.calls_per_second, self.terms.calls_per_day)

    def _accept(self, channel: Channel, mobile: str, text: str, uid: str | None) -> Sent:
        if mobile in self.terms.blacklist:
            raise Refused(10)
        windows = self._windows[channel]
        if self.terms.limits:
            windows.check(self.clock(), mobile, text)
        parts = approval.count_parts(text)
        fee = round(parts * _PRICE, 2)
        if self.terms.balance < fee:
            raise Refused(3)
        self.terms.balance = round(self.terms.balance - fee, 2)
        windows.add(self.clock(), mobile, text)
        number = next(self.sids)
        sid = number if channel == "sms" else f"{number:032x}"
        sent = Sent(self.name, channel, mobile, text, sid, self.now, parts, fee, uid)
        self.records.append(sent)
        return sent
