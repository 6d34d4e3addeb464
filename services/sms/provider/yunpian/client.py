"""A client of the Yunpian API (v2) for one account.

Sources: yunpian.com/official/document/sms: domestic_single_send, domestic_sms_record, user_get,
domestic_pull_status, returnvalue_common.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog

from services.sms.provider.base import UNAVAILABLE, Answer, Outgoing, SearchResult, SendStatus
from services.sms.provider.yunpian import records as yunpian_records
from services.sms.provider.yunpian import voice as yunpian_voice
from services.sms.provider.yunpian.details import mask_detail
from services.sms.provider.yunpian.error_codes import ErrorClass, Rule, find_rule
from services.sms.provider.yunpian.transport import NotSent, OutcomeUnknown, TransportError, YunpianTransport
from services.sms.provider.yunpian.values import RMB, read_code, read_decimal, read_sid, read_unit
from shared.clock import now
from shared.contracts.messages import Channel
from shared.observability.metrics import ProviderMetrics
from shared.voice import VoiceHours

_SUCCESS = 0

log = structlog.get_logger()


class QueryFailed(Exception):
    """A call that sends nothing, such as a query, failed.

    Attributes:
        reason: Yunpian's code, or what happened.
        answered: whether Yunpian answered, with a refusal.
    """

    def __init__(self, reason: str, *, answered: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answered = answered


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """The state of an account.

    Attributes:
        balance: RMB; the pieces of an account that is billed by message count at the price of one.
        alarm_balance: Yunpian alerts the account's owner below this balance; RMB in the same way.
        ip_whitelist: the addresses that may call; empty for all.
    """

    balance: Decimal
    alarm_balance: Decimal
    ip_whitelist: str


class YunpianClient:
    """Calls the API with one account.

    Args:
        name: the account's name in settings, metrics and records.
        transport: the account's transport.
        base_url: of all calls but voice.
        voice_url: of voice calls.
        price: RMB for one part, for answers that count parts instead of money.
        voice_hours: when mainland numbers are called.
        metrics: counts answers.
    """

    def __init__(
        self,
        name: str,
        transport: YunpianTransport,
        base_url: str,
        voice_url: str,
        price: Decimal,
        voice_hours: VoiceHours,
        metrics: ProviderMetrics,
    ) -> None:
        self.name = name
        self._transport = transport
        self._base_url = base_url
        self._voice_url = voice_url
        self._price = price
        self._voice_hours = voice_hours
        self._metrics = metrics
        # What the account is billed in, of which `user/get` says nothing: the last answer to a message did.
        self._unit = RMB

    async def send(self, message: Outgoing) -> Answer:
        """Send one message by its channel; never raises, every failure is an answer."""
        with self._metrics.seconds.labels(self.name, message.channel).time():
            answer, error_class = await self._answer(message)
        self._metrics.answers.labels(self.name, message.channel, answer.code, error_class).inc()
        return answer

    async def find(self, message: Outgoing, since: datetime) -> SearchResult:
        """Search for a text that the account accepted at `since` or later."""
        until = now()
        try:
            query = yunpian_records.query(message.mobile, since, until)
            records = await self._query("/v2/sms/get_record.json", **query)
        except QueryFailed as error:
            log.warning("records_not_read", account=self.name, why=error.reason)
            return UNAVAILABLE
        return yunpian_records.find(records, message, since, until)

    async def info(self) -> AccountInfo:
        """Return the state of the account.

        Raises:
            QueryFailed: Yunpian does not answer, or refuses.
        """
        document = await self._query("/v2/user/get.json")
        if not isinstance(document, dict):
            raise QueryFailed("not an object", answered=True)
        in_rmb = 1 if (read_unit(document) or self._unit) == RMB else self._price
        return AccountInfo(
            read_decimal(document.get("balance")) * in_rmb,
            read_decimal(document.get("alarm_balance")) * in_rmb,
            str(document.get("ip_whitelist") or ""),
        )

    async def pull_reports(self, channel: Channel, limit: int) -> object:
        """Return up to `limit` (100 at most) status reports; Yunpian forgets those that it has returned.

        Raises:
            QueryFailed: Yunpian does not answer, or refuses.
        """
        host = self._voice_url if channel == "voice" else self._base_url
        return await self._query(f"/v2/{channel}/pull_status.json", host, page_size=str(limit))

    async def _answer(self, message: Outgoing) -> tuple[Answer, ErrorClass]:
        try:
            document = await self._send(message)
        except NotSent as error:
            return Answer(SendStatus.RETRY, error.reason, self.name), ErrorClass.RETRY
        except OutcomeUnknown as error:
            return Answer(SendStatus.UNKNOWN, error.reason, self.name), ErrorClass.UNKNOWN_OUTCOME
        except yunpian_voice.CodeNotSpeakable:
            return Answer(SendStatus.REJECTED, "code too long", self.name), ErrorClass.REQUEST_ERROR
        except yunpian_voice.NotCalledNow as error:
            return self._not_called(error, message)
        return self._parse(document, message)

    def _not_called(self, error: yunpian_voice.NotCalledNow, message: Outgoing) -> tuple[Answer, ErrorClass]:
        """Let a call wait for the morning if its code is still valid then; nobody has to act."""
        error_class = ErrorClass.RETRY if error.opening < message.expires_at else ErrorClass.REJECTED
        answer = Answer(error_class.status, "not called now", self.name, of_number=True)
        return answer, error_class

    async def _send(self, message: Outgoing) -> Any:  # noqa: ANN401 - any JSON
        if message.channel == "voice":
            yunpian_voice.check_hours(message, self._voice_hours, now())
            url, form = self._voice_url + yunpian_voice.PATH, yunpian_voice.form(message)
            return yunpian_voice.normalise_answer(await self._transport.post(url, **form))
        url = self._base_url + "/v2/sms/single_send.json"
        return await self._transport.post(
            url, mobile=message.mobile, text=message.text, uid=message.message_id
        )

    def _parse(self, document: Any, message: Outgoing) -> tuple[Answer, ErrorClass]:  # noqa: ANN401 - any JSON
        code = read_code(document)
        if code is None:
            return Answer(SendStatus.UNKNOWN, "no code", self.name), ErrorClass.UNKNOWN_OUTCOME
        if code == _SUCCESS:
            return self._accepted(document, message), ErrorClass.ACCEPTED
        rule = find_rule(code, f"{document.get('msg')} {document.get('detail')}")
        if message.is_notice:
            rule = rule.for_notice
        answer = Answer(
            rule.error_class.status,
            str(code),
            self.name,
            duplicate_hint=rule.duplicate_hint,
            of_number=rule.error_class is ErrorClass.REJECTED,
            detail=mask_detail(document.get("detail") or document.get("msg")),
        )
        self._log_refusal(answer, rule)
        return answer, rule.error_class

    def _accepted(self, document: Mapping[str, Any], message: Outgoing) -> Answer:
        parts = int(read_decimal(document.get("count"), Decimal(1)))
        fee = read_decimal(document.get("fee"), parts * self._price)
        unit = read_unit(document) or RMB
        if unit != RMB:
            fee = parts * self._price
        if message.channel == "sms":  # a call's fee is always in pieces
            self._unit = unit
        return Answer(SendStatus.ACCEPTED, "0", self.name, read_sid(document), parts, fee)

    def _log_refusal(self, answer: Answer, rule: Rule) -> None:
        """Log refusals of single messages; the circuit breaker logs an account that refuses all, once.

        A refusal because of the number is in the line of its message.
        """
        code, meaning = int(answer.code), rule.meaning
        if rule.error_class in {ErrorClass.REQUEST_ERROR, ErrorClass.UNKNOWN_CODE}:
            log.error(
                "provider_refused",
                account=self.name,
                provider_code=code,
                meaning=meaning,
                detail=answer.detail,
            )
        elif rule.error_class is ErrorClass.NUMBER_LIMIT:
            seconds = rule.limit_duration.total_seconds() or None
            log.info(
                "number_limited", account=self.name, provider_code=code, meaning=meaning, seconds=seconds
            )

    async def _query(self, path: str, host: str = "", **form: str) -> Any:  # noqa: ANN401 - any JSON
        try:
            document = await self._transport.post((host or self._base_url) + path, **form)
        except TransportError as error:
            raise QueryFailed(error.reason) from error
        code = read_code(document)
        if code not in {None, _SUCCESS}:
            raise QueryFailed(str(code), answered=True)
        return document
