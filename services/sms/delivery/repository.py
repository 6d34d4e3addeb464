"""The record of each message in Redis: one hash per message, without number, code or text."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Literal, cast

from redis.asyncio import Redis

from services.sms.delivery import scripts
from services.sms.delivery.models import (
    Acceptance,
    AcceptanceResult,
    Attempt,
    AttemptHistory,
    Claim,
    OpenMessages,
    Outcome,
    Record,
    SentText,
    State,
    UnknownOutcome,
)
from services.sms.reports.models import ReportResult, ReportStatus, StatusReport
from shared.clock import now
from shared.contracts.message_status import OPEN_MESSAGES, RECORD_LIFETIME_SECONDS, record_key
from shared.redis.retry import retry_until_available
from shared.redis.scripts import Argument, RedisScripts

# How long a report of an unknown message is kept for it.
_EARLY_REPORT_SECONDS = 3600
# The longest window of the provider's filter of repeated texts.
_SENT_TEXT_SECONDS = 300


class MessageRepository:
    """Reads and writes the records; each method is one script, atomic and safe to run twice.

    The methods that an attempt needs wait until Redis is available: without a record, a message could be
    sent twice. The worker holds its messages unacknowledged meanwhile; its concurrency bounds them, the
    rest stays in the queue, and a shutdown returns them. The other methods raise
    `shared.redis.client.REDIS_FAILURES`.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        batched = RedisScripts(redis)
        self._claim = batched.register(scripts.CLAIM)
        self._failover = batched.register(scripts.RECORD_FAILOVER)
        self._outcome = batched.register(scripts.RECORD_OUTCOME)
        self._acceptance = batched.register(scripts.RECORD_ACCEPTANCE)
        self._find_sent_text = batched.register(scripts.FIND_SENT_TEXT)
        self._reopen = batched.register(scripts.REOPEN)
        self._apply_reports = redis.register_script(scripts.APPLY_REPORTS)

    @retry_until_available
    async def claim(self, message_id: str, claim: Claim, attempt: Attempt, history: AttemptHistory) -> Record:
        """Return a message's record and, where the claim is granted, begin the attempt in it.

        A record that is behind the message's history, or missing although a worker has held the message,
        was lost by Redis: the outcome of the attempts in the history is then unknown.
        """
        args: list[Argument] = [
            claim.value, attempt.token, attempt.started_at.isoformat(), attempt.account,
            history.attempts, history.since.isoformat(), history.account, int(history.resent),
            int(history.redelivered), RECORD_LIFETIME_SECONDS, attempt.dial_code, attempt.prefix,
        ]  # fmt: skip
        args += [message_id, _SENT_TEXT_SECONDS]
        keys = [record_key(message_id), *filter(None, (attempt.text_key,))]
        granted, state, attempts, since, account, resent = await self._claim(keys, args)
        return Record(
            state=cast("State", state.decode()) or None,
            attempts=int(attempts),
            granted=bool(granted),
            unknown=UnknownOutcome(datetime.fromisoformat(since.decode()), account.decode())
            if since
            else None,
            resent=resent == b"1",
        )

    @retry_until_available
    async def record_failover(self, message_id: str, attempt: Attempt, account: str) -> None:
        """Record that an attempt goes on with another account."""
        await self._failover([record_key(message_id)], [attempt.token, account])

    @retry_until_available
    async def record_outcome(self, message_id: str, outcome: Outcome, attempt: Attempt | None = None) -> str:
        """Record the outcome of an attempt, or of none.

        Returns:
            The state on record afterwards. A final state stays as it was; `SUPERSEDED` means that another
            attempt has begun since and nothing was recorded.
        """
        unknown = outcome.unknown
        args: list[Argument] = [
            attempt.token if attempt else "",
            outcome.state,
            outcome.attempts,
            outcome.detail,
            unknown.since.isoformat() if unknown else "",
            unknown.account if unknown else "",
            now().isoformat(),
            RECORD_LIFETIME_SECONDS,
        ]
        reply: bytes = await self._outcome([record_key(message_id)], args)
        return reply.decode()

    @retry_until_available
    async def record_acceptance(self, message_id: str, acceptance: Acceptance) -> AcceptanceResult:
        """Record that the provider has accepted a message, and apply a report that came before."""
        args: list[Argument] = [
            message_id, acceptance.account, acceptance.sid, acceptance.accepted_at.isoformat(),
            acceptance.attempts, acceptance.parts, str(acceptance.fee), acceptance.dial_code,
            acceptance.prefix, RECORD_LIFETIME_SECONDS, _SENT_TEXT_SECONDS, record_key(""),
        ]  # fmt: skip
        keys = [record_key(message_id), sid_key(acceptance.sid), *filter(None, (acceptance.text_key,))]
        reply = await self._acceptance(keys, args)
        effect, *report = (part.decode() for part in reply)
        if not report:
            return AcceptanceResult(cast('Literal["accepted", "known", "twice"]', effect))
        status, code, at = report
        return AcceptanceResult(
            "accepted",
            StatusReport(acceptance.sid, cast("ReportStatus", status), code, datetime.fromisoformat(at)),
        )

    @retry_until_available
    async def find_sent_text(self, message_id: str, text_key: str) -> SentText | None:
        """Find another message with the same text that was or may have been accepted a few minutes ago."""
        found = await self._find_sent_text([text_key], [message_id, record_key("")]) if text_key else ()
        if not found:
            return None
        state, account, sid = (part.decode() for part in found)
        return SentText(account, sid, accepted=state != "attempting")

    async def apply_reports(self, reports: Sequence[StatusReport], account: str) -> list[ReportResult]:
        """Apply status reports, all in one script; order and repetition do not matter.

        Args:
            reports: the reports of one push or pull.
            account: the account that they belong to, empty where it is not known.
        """
        args: list[Argument] = [
            account, now().isoformat(), record_key(""), _EARLY_REPORT_SECONDS, RECORD_LIFETIME_SECONDS,
        ]  # fmt: skip
        for report in reports:
            args += [report.status, report.at.isoformat(), report.code, report.uid]
        replies = await self._apply_reports([sid_key(report.sid) for report in reports], args)
        return [_report_result(*reply) for reply in replies]

    async def reopen(self, message_id: str) -> str:
        """Allow a message that ended without an acceptance to be sent; return its state afterwards."""
        keys = [record_key(message_id)]
        reply: bytes = await self._reopen(keys, [now().isoformat(), RECORD_LIFETIME_SECONDS])
        return reply.decode()

    async def fields(self, message_id: str) -> Mapping[str, str]:
        """Return the fields of a message's record, for people to read; empty without a record."""
        reply = self._redis.hgetall(record_key(message_id))
        fields = await cast("Awaitable[dict[bytes, bytes]]", reply)
        return {name.decode(): value.decode() for name, value in fields.items()}

    async def open_messages(self, at: datetime) -> OpenMessages:
        """Return how many messages have no final state; those older than a record are left out."""
        moment = at.timestamp()
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zremrangebyscore(OPEN_MESSAGES, "-inf", moment - RECORD_LIFETIME_SECONDS)
            pipeline.zcard(OPEN_MESSAGES)
            pipeline.zrange(OPEN_MESSAGES, 0, 0, withscores=True)
            reply = await cast("Awaitable[tuple[int, int, list[tuple[bytes, float]]]]", pipeline.execute())
        _, count, oldest = reply
        return OpenMessages(count, max(0.0, moment - oldest[0][1]) if oldest else 0.0)


def sid_key(sid: str) -> str:
    """Return the key of the index from a provider's message id to our messages, by account."""
    return f"sms:sid:{sid}"


def _report_result(
    known: int, applied: int, accepted_at: bytes, dial_code: bytes, prefix: bytes, recovered: int
) -> ReportResult:
    return ReportResult(
        known=bool(known),
        applied=bool(applied),
        accepted_at=datetime.fromisoformat(accepted_at.decode()) if accepted_at else None,
        dial_code=dial_code.decode(),
        prefix=prefix.decode(),
        recovered=bool(recovered),
    )
