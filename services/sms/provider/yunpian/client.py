"""One Yunpian account: its calls (v2), and what their answers mean.

Sources: yunpian.com/official/document/sms: domestic_single_send, domestic_sms_record, user_get,
domestic_pull_status, returnvalue_common.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import structlog

from services.sms.provider.base import UNKNOWN, Answer, Found, Outgoing, Verdict
from services.sms.provider.yunpian import records as yunpian_records
from services.sms.provider.yunpian import voice as yunpian_voice
from services.sms.provider.yunpian.error_codes import Class, Rule, find_rule
from services.sms.provider.yunpian.transport import InDoubt, NotSent, YunpianHttp
from shared.clock import now
from shared.contracts.messages import Channel
from shared.observability.metrics import ProviderMetrics

_SUCCESS = 0
_RMB = "RMB"

log = structlog.get_logger()


class CannotAsk(Exception):
    """A question to Yunpian was not answered as hoped.

    Args:
        why: Yunpian's code, or what happened.
        answered: whether Yunpian was there and refused.
    """

    def __init__(self, why: str, *, answered: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.answered = answered


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What Yunpian says about an account.

    Attributes:
        balance: RMB, or messages where the account is billed so.
        alarm_balance: below it Yunpian itself sounds an alarm.
        ip_whitelist: the addresses that may call; empty where all may.
    """

    balance: Decimal
    alarm_balance: Decimal
    ip_whitelist: str


class Yunpian:
    """Calls of one account.

    Args:
        name: how settings, metrics and the ledger name the account.
        http: the account's transport.
        base_url: of all calls but voice.
        voice_url: of the voice call.
        price: RMB for one part, where Yunpian counts parts instead of money.
        metrics: counts answers.
    """

    def __init__(
        self,
        name: str,
        http: YunpianHttp,
        base_url: str,
        voice_url: str,
        price: Decimal,
        metrics: ProviderMetrics,
    ) -> None:
        self.name = name
        self._http = http
        self._base_url = base_url
        self._voice_url = voice_url
        self._price = price
        self._metrics = metrics

    async def send(self, message: Outgoing) -> Answer:
        """Send one message by its channel; every failure is an answer, none is raised."""
        with self._metrics.seconds.labels(self.name, message.channel).time():
            answer, class_ = await self._answer(message)
        self._metrics.answers.labels(self.name, message.channel, answer.code, class_).inc()
        return answer

    async def find(self, mobile: str, text: str, since: datetime) -> Found:
        """Look up whether the account accepted a text for a number at `since` or later."""
        try:
            query = yunpian_records.query(mobile, since, now())
            records = await self._ask("/v2/sms/get_record.json", **query)
        except CannotAsk as error:
            log.warning("records_not_read", account=self.name, why=error.why)
            return UNKNOWN
        return yunpian_records.find(records, text, since)

    async def info(self) -> AccountInfo:
        """Return what Yunpian says about the account.

        Raises:
            CannotAsk: it says nothing, or refuses.
        """
        document = await self._ask("/v2/user/get.json")
        return AccountInfo(
            _decimal(document.get("balance")),
            _decimal(document.get("alarm_balance")),
            str(document.get("ip_whitelist") or ""),
        )

    async def pull_reports(self, channel: Channel, limit: int) -> object:
        """Take up to `limit` (100 at most) status reports; Yunpian forgets what it has handed out.

        Raises:
            CannotAsk: it says nothing, or refuses.
        """
        host = self._voice_url if channel == "voice" else self._base_url
        return await self._ask(f"/v2/{channel}/pull_status.json", host, page_size=str(limit))

    async def _answer(self, message: Outgoing) -> tuple[Answer, Class]:
        try:
            document = await self._send(message)
        except NotSent as error:
            return Answer(Verdict.RETRY, error.what, self.name), Class.RETRY
        except InDoubt as error:
            return Answer(Verdict.AMBIGUOUS, error.what, self.name), Class.DOUBT
        except yunpian_voice.CodeNotSpeakable:
            return Answer(Verdict.PERMANENT, "code too long", self.name), Class.BUG
        return self._read(document)

    async def _send(self, message: Outgoing) -> Any:  # noqa: ANN401 - any JSON
        if message.channel == "voice":
            url, form = self._voice_url + yunpian_voice.PATH, yunpian_voice.form(message)
            return yunpian_voice.with_code(await self._http.post(url, **form))
        url = self._base_url + "/v2/sms/single_send.json"
        return await self._http.post(url, mobile=message.mobile, text=message.text)

    def _read(self, document: Any) -> tuple[Answer, Class]:  # noqa: ANN401 - any JSON
        code = _code(document)
        if code is None:
            return Answer(Verdict.AMBIGUOUS, "no code", self.name), Class.DOUBT
        if code == _SUCCESS:
            return self._accepted(document), Class.DELIVERED
        rule = find_rule(code, f"{document.get('msg')} {document.get('detail')}")
        self._note(code, rule)
        once = rule.class_ is Class.UNKNOWN
        answer = Answer(rule.class_.verdict, str(code), self.name, filtered=rule.filtered, once=once)
        return answer, rule.class_

    def _accepted(self, document: Mapping[str, Any]) -> Answer:
        parts = int(_decimal(document.get("count"), Decimal(1)))
        fee = _decimal(document.get("fee"), parts * self._price)
        if document.get("unit", _RMB) != _RMB:
            fee = parts * self._price
        return Answer(Verdict.ACCEPTED, "0", self.name, str(document.get("sid", "")), parts, fee)

    def _note(self, code: int, rule: Rule) -> None:
        """Name what one has to look at, message by message; a paused account is logged once, elsewhere."""
        if rule.class_ in {Class.BUG, Class.UNKNOWN}:
            log.error("provider_refused", account=self.name, code=code, meaning=rule.meaning)
        elif rule.class_ is Class.LIMIT:
            seconds = rule.lasts.total_seconds() or None
            log.info("number_limited", account=self.name, code=code, meaning=rule.meaning, seconds=seconds)

    async def _ask(self, path: str, host: str = "", **form: str) -> Any:  # noqa: ANN401 - any JSON
        try:
            document = await self._http.post((host or self._base_url) + path, **form)
        except (NotSent, InDoubt) as error:
            raise CannotAsk(error.what) from error
        code = _code(document)
        if code not in {None, _SUCCESS}:
            raise CannotAsk(str(code), answered=True)
        return document


def _code(document: Any) -> int | None:  # noqa: ANN401 - any JSON
    code = document.get("code") if isinstance(document, dict) else None
    return code if isinstance(code, int) else None


def _decimal(value: object, default: Decimal = Decimal(0)) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return default
    return number if number.is_finite() else default
