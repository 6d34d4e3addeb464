"""A simulated account: its configuration, its balance, the messages it accepted."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from deploy.local.simulator import validation
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import Channel, Message, SidStyle, Unit
from deploy.local.simulator.rules import Endpoint, includes
from deploy.local.simulator.settings import SimulatorSettings
from deploy.local.simulator.validation import CallRateLimit, NumberLimits

_PRICE = 0.05
_MAX_RECORDS = 10_000
_NIGHT = 13  # no document names the code of a call at night
_REPORT_RETENTION = timedelta(hours=72)


class AccountConfig(BaseModel):
    """What `PUT /_account` can change.

    Attributes:
        limits: whether the limits per number apply.
        balance: RMB.
        ip_whitelist: the only addresses that may call; everybody may if empty.
        blacklist: numbers that are rejected.
        keywords: words that no text may contain.
        calls_per_second: sending calls; the next one is rejected with -5.
        calls_per_day: sending calls; the next one is rejected with -4.
        record_lag: seconds until `get_record` shows a message.
        record_mask: whether `get_record` hides the digits of texts and numbers.
        record_shift: hours by which the times of `get_record` differ from China's.
        callback_url: where status reports are pushed to, unless a request has its own URL.
        denied: endpoints that the account may not use (-2), of which `user/get` says nothing.
        uid: whether `uid` is switched on: echoed in reports and records.
        unit: what balance and fees are in: RMB, or pieces.
        codes_as_text: whether codes are strings.
        answer_sids: the form of the sid in responses to messages.
        report_sids: the form of the sid in status reports.
        single_report_as_object: whether a report that is alone comes without the array around it.
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
    record_mask: bool = False
    record_shift: float = Field(0.0, ge=-24, le=24)
    callback_url: str = ""
    denied: list[Endpoint] = Field(default_factory=list)
    uid: bool = True
    unit: Unit = "RMB"
    codes_as_text: bool = False
    answer_sids: SidStyle = "native"
    report_sids: SidStyle = "native"
    single_report_as_object: bool = False


@dataclass(slots=True)
class Account:
    """Validates messages as Yunpian does and keeps the accepted ones.

    Args:
        name: shown in the inbox and used in rules.
        settings: signature, template, balance.
        clock: returns seconds since the epoch; tests replace it.
        sids: the message numbers, shared by all accounts.
    """

    name: str
    settings: SimulatorSettings
    clock: Callable[[], float]
    sids: Iterator[int]
    config: AccountConfig = field(default_factory=AccountConfig)
    answers: Counter[str] = field(default_factory=Counter)
    records: deque[Message] = field(default_factory=lambda: deque(maxlen=_MAX_RECORDS))
    unread: dict[Channel, list[Message]] = field(default_factory=lambda: {"sms": [], "voice": []})
    _number_limits: NumberLimits = field(default_factory=NumberLimits)
    _call_rate: CallRateLimit = field(default_factory=CallRateLimit)

    def __post_init__(self) -> None:
        self.config.balance = self.settings.simulator_balance
        self.config.callback_url = self.settings.simulator_callback_url

    @property
    def now(self) -> datetime:
        """The current time, UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def send_text(self, mobile: str, text: str, uid: str | None = None) -> Message:
        """Accept a text.

        Raises:
            YunpianError: the text is rejected.
        """
        self._count_call()
        validation.require(mobile=mobile, text=text)
        mobile = validation.normalise_mobile(mobile)
        validation.check_text(text, self.settings, mobile)
        for word in self.config.keywords:
            if word in text:
                raise YunpianError(4, word)
        return self._accept("sms", mobile, text, uid)

    def send_voice(self, mobile: str, code: str, uid: str | None = None) -> Message:
        """Accept a voice call that reads out a code.

        Raises:
            YunpianError: the call is rejected.
        """
        self._count_call()
        validation.require(mobile=mobile, code=code)
        mobile = validation.normalise_mobile(mobile)
        validation.check_voice_code(code)
        if not validation.is_foreign(mobile) and not validation.is_voice_time(
            self.clock(), self.settings.voice_hours
        ):
            raise YunpianError(_NIGHT)
        return self._accept("voice", mobile, f"语音验证码：{code}", uid)

    def pull_reports(self, channel: Channel, limit: int) -> list[Message]:
        """Return messages with unread reports, oldest first, and mark them as read."""
        now, pulled, left = self.now, list[Message](), list[Message]()
        for message in self.unread[channel]:
            if message.report_at(now - _REPORT_RETENTION):
                continue
            available = message.report_at(now) and len(pulled) < limit
            (pulled if available else left).append(message)
        self.unread[channel] = left
        return pulled

    def check_ip(self, ip: str) -> None:
        """Raise `YunpianError` if there is a white list without the address."""
        if self.config.ip_whitelist and ip not in self.config.ip_whitelist:
            raise YunpianError(-3, ip)

    def check_permission(self, endpoint: Endpoint) -> None:
        """Raise `YunpianError` if the account may not use the endpoint."""
        if any(includes(denied, endpoint) for denied in self.config.denied):
            raise YunpianError(-2)

    def _count_call(self) -> None:
        self._call_rate.hit(self.clock(), self.config.calls_per_second, self.config.calls_per_day)

    def _accept(self, channel: Channel, mobile: str, text: str, uid: str | None) -> Message:
        if mobile in self.config.blacklist:
            raise YunpianError(10)
        if self.config.limits:
            self._number_limits.check(self.clock(), mobile, text, channel)
        parts = 1 if channel == "voice" else validation.count_parts(text)
        fee = round(parts * _PRICE, 2) if self.config.unit == "RMB" else float(parts)
        if self.config.balance < fee:
            raise YunpianError(3)
        self.config.balance = round(self.config.balance - fee, 2)
        self._number_limits.add(self.clock(), mobile, text, channel)
        number = next(self.sids)
        sid = number if channel == "sms" else f"{number:032x}"
        uid = uid if self.config.uid else None
        message = Message(self.name, channel, mobile, text, sid, self.now, parts, fee, uid, self.config.unit)
        self.records.append(message)
        return message
