"""The record of each message in Redis, one hash per message; it holds neither number nor code nor text."""

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Protocol, cast

from redis.asyncio import Redis

from services.sms.delivery import scripts as ledger_scripts
from services.sms.delivery.models import Acceptance, Attempt, Claim, Doubt, Record, Standing, State, Trace
from services.sms.delivery.patience import until_redis_answers
from services.sms.reports.repository import sid_key
from services.sms.reports.service import Outcome, Reported, StatusReport
from shared.clock import now
from shared.contracts.message_status import RECORD_LIFETIME_SECONDS, record_key
from shared.redis.scripts import Argument, RedisScripts


class LedgerTally(Protocol):
    """What counts acceptances, and the reports that were waiting for them."""

    def accepted(self, dial_code: str, prefix: str) -> None:
        """Count a message that the provider has accepted."""

    def stored(self, report: StatusReport, reported: Reported) -> None:
        """Count a report by what it did."""


class RedisLedger:
    """The records; each method is one script, atomic and harmless when it runs twice.

    Every method raises one of `shared.redis.client.REDIS_FAILURES` where Redis does not answer.

    Args:
        redis: where they are.
        tally: counts what is accepted.
    """

    def __init__(self, redis: Redis, tally: LedgerTally | None = None) -> None:
        self._redis = redis
        self._tally = tally
        scripts = RedisScripts(redis)
        self._claim = scripts.register(ledger_scripts.CLAIM)
        self._announce = scripts.register(ledger_scripts.ANNOUNCE)
        self._stand = scripts.register(ledger_scripts.STAND)
        self._accept = scripts.register(ledger_scripts.ACCEPT)
        self._reopen = scripts.register(ledger_scripts.REOPEN)

    async def claim(self, message_id: str, claim: Claim, attempt: Attempt, trace: Trace) -> Record:
        """Find a message's record and, where the claim holds, begin the attempt in it.

        Where the record is behind what the message tells of itself, or is missing although a worker
        has had the message, Redis has lost it, and the message is in doubt.
        """
        told: list[Argument] = [
            trace.attempts, trace.since.isoformat(), trace.account, int(trace.resent), int(trace.redelivered),
        ]  # fmt: skip
        mine: list[Argument] = [claim.value, attempt.token, attempt.at.isoformat(), attempt.account]
        reply = await self._claim([record_key(message_id)], [*mine, *told, RECORD_LIFETIME_SECONDS])
        granted, state, attempts, since, account, resent = reply
        return Record(
            state=cast("State", state.decode()) or None,
            attempts=int(attempts),
            granted=bool(granted),
            doubt=Doubt(datetime.fromisoformat(since.decode()), account.decode()) if since else None,
            resent=resent == b"1",
        )

    async def announce(self, message_id: str, attempt: Attempt, account: str) -> None:
        """Record that an attempt goes on with another account."""
        await self._announce([record_key(message_id)], [attempt.token, account])

    async def stand(self, message_id: str, standing: Standing, attempt: Attempt | None = None) -> str:
        """Record where a message stands after an attempt, or without one.

        Returns:
            the state that holds afterwards: an end that was on record stays; `superseded` where
            another attempt has begun since.
        """
        doubt = standing.doubt
        args: list[Argument] = [
            attempt.token if attempt else "",
            standing.state,
            standing.attempts,
            standing.detail,
            doubt.since.isoformat() if doubt else "",
            doubt.account if doubt else "",
            now().isoformat(),
            RECORD_LIFETIME_SECONDS,
        ]
        reply: bytes = await self._stand([record_key(message_id)], args)
        return reply.decode()

    async def accept(self, message_id: str, acceptance: Acceptance) -> bool:
        """Record that the provider has accepted a message; a report that came before is applied.

        Returns:
            False where it had accepted the message before under another number: a second text.
        """
        reply = await self._accept(
            [record_key(message_id), sid_key(acceptance.sid)],
            [
                message_id,
                acceptance.account,
                acceptance.sid,
                acceptance.at.isoformat(),
                acceptance.attempts,
                acceptance.parts,
                str(acceptance.fee),
                acceptance.dial_code,
                acceptance.prefix,
                RECORD_LIFETIME_SECONDS,
            ],
        )
        outcome, *report = (str(part.decode()) for part in reply)
        if self._tally is not None and outcome == "accepted":
            self._count(self._tally, acceptance, report)
        return outcome != "twice"

    @staticmethod
    def _count(tally: LedgerTally, acceptance: Acceptance, waiting: list[str]) -> None:
        tally.accepted(acceptance.dial_code, acceptance.prefix)
        if waiting:
            outcome, code, at = waiting
            report = StatusReport(acceptance.sid, cast("Outcome", outcome), code, datetime.fromisoformat(at))
            tally.stored(
                report,
                Reported(
                    known=True,
                    applied=True,
                    accepted_at=acceptance.at,
                    dial_code=acceptance.dial_code,
                    prefix=acceptance.prefix,
                ),
            )

    async def reopen(self, message_id: str) -> str:
        """Let a message be sent that had ended without an acceptance; returns its state afterwards."""
        keys = [record_key(message_id)]
        reply: bytes = await self._reopen(keys, [now().isoformat(), RECORD_LIFETIME_SECONDS])
        return reply.decode()

    async def fields(self, message_id: str) -> Mapping[str, str]:
        """Return a message's record as it is, for people; empty where there is none."""
        reply = self._redis.hgetall(record_key(message_id))
        fields = await cast("Awaitable[dict[bytes, bytes]]", reply)
        return {name.decode(): value.decode() for name, value in fields.items()}


class PatientLedger:
    """Tries until Redis answers.

    Sending without a record could send twice, so the worker holds its messages unacknowledged
    meanwhile. They are bounded by its concurrency, the rest waits at the broker, and a shutdown
    gives them back.
    """

    def __init__(self, ledger: RedisLedger) -> None:
        self._ledger = ledger

    @until_redis_answers
    async def claim(self, message_id: str, claim: Claim, attempt: Attempt, trace: Trace) -> Record:
        """Find a message's record and, where the claim holds, begin the attempt in it."""
        return await self._ledger.claim(message_id, claim, attempt, trace)

    @until_redis_answers
    async def announce(self, message_id: str, attempt: Attempt, account: str) -> None:
        """Record that an attempt goes on with another account."""
        await self._ledger.announce(message_id, attempt, account)

    @until_redis_answers
    async def stand(self, message_id: str, standing: Standing, attempt: Attempt | None = None) -> str:
        """Record where a message stands."""
        return await self._ledger.stand(message_id, standing, attempt)

    @until_redis_answers
    async def accept(self, message_id: str, acceptance: Acceptance) -> bool:
        """Record that the provider has accepted a message; False where it is a second text."""
        return await self._ledger.accept(message_id, acceptance)
