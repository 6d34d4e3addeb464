"""Delivering a message: skip it if it is final or expired, call the provider, record the outcome."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from secrets import token_hex

from services.sms.delivery.models import (
    FINAL_STATES,
    SUPERSEDED,
    Acceptance,
    Attempt,
    AttemptHistory,
    Claim,
    DeliveryResult,
    DeliveryStatus,
    Job,
    Outcome,
    Resolution,
    Retry,
    State,
    UnknownOutcome,
    UnsentState,
    to_outgoing,
)
from services.sms.delivery.reconciliation import LookupResult, Reconciler
from services.sms.delivery.repository import MessageRepository
from services.sms.delivery.retries import RetrySchedule
from services.sms.provider.base import Answer, DuplicateHint, Outgoing, Provider, SendStatus
from services.sms.reports.service import ReportService
from shared.clock import Clock
from shared.contracts.messages import SendCode
from shared.phone import dial_code, network_prefix


class DeliveryService:
    """Delivers messages, each at most once.

    Every attempt is recorded before the provider is called, and every outcome before it is returned. A
    message that comes back with an attempt of unknown outcome may have been accepted just before a worker
    died or a connection broke, so it is not simply sent again. As long as the provider's duplicate filter
    catches a second text, the same text goes to the same account. Later the message is looked up at the
    provider first, and resent at most once if the provider has no record of it.

    A refusal because the number has had the same text tells that the user has it: the message gets the state
    of that text, whether it went out by an earlier attempt or by another message with the same code.

    Args:
        provider: sends messages.
        repository: the messages' records.
        reports: counts acceptances.
        reconciler: resolves unknown outcomes.
        compose: returns the text of a message, the same for each attempt.
        schedule: the delays between attempts.
        clock: the current time, UTC.
        text_key: returns the key by which messages with the same text to a number find each other.
    """

    def __init__(
        self,
        provider: Provider,
        repository: MessageRepository,
        reports: ReportService,
        reconciler: Reconciler,
        compose: Callable[[SendCode], str],
        schedule: RetrySchedule,
        clock: Clock,
        text_key: Callable[[Outgoing], str] = lambda _: "",
    ) -> None:
        self._provider = provider
        self._text_key = text_key
        self._repository = repository
        self._reports = reports
        self._reconciler = reconciler
        self._compose = compose
        self._schedule = schedule
        self._clock = clock
        # Attempt tokens are unique by worker and number: randomness for each would cost a system call.
        self._worker = token_hex(8)
        self._numbers = count()

    async def deliver(self, message: SendCode, history: AttemptHistory) -> DeliveryResult:
        """Send a message unless it is final or expired, and return what became of it."""
        expired = self._clock() >= message.expires_at
        job = await self._claim(Claim.READ if expired else Claim.FIRST, message, history)
        if job is None:
            return DeliveryResult("duplicate", history.attempts)
        if expired:
            return await self._expire(job)
        if job.unknown is not None:
            return await self._reconcile(job, job.unknown)
        return await self._send(job)

    async def _claim(
        self, claim: Claim, message: SendCode, history: AttemptHistory, unknown: UnknownOutcome | None = None
    ) -> Job | None:
        """Return the message as a job, or None if its state is final."""
        account = unknown.account if unknown else ""
        token = f"{self._worker}.{next(self._numbers)}"
        mobile = message.mobile
        outgoing = to_outgoing(message, self._compose(message), history.halted)
        attempt = Attempt(
            token,
            self._clock(),
            account or self._provider.accounts[0],
            dial_code(mobile),
            network_prefix(mobile),
            self._text_key(outgoing),
        )
        record = await self._repository.claim(message.message_id, claim, attempt, history)
        if record.state in FINAL_STATES:
            return None
        return Job(
            message=message,
            outgoing=outgoing,
            history=history,
            attempt=attempt,
            granted=record.granted,
            attempts=record.attempts,
            resent=record.resent,
            unknown=unknown or record.unknown,
        )

    async def _send(self, job: Job) -> DeliveryResult:
        """Make the attempt that was granted, and act on the answer."""
        answer = await self._provider.send(
            job.outgoing,
            partial(self._repository.record_failover, job.message.message_id, job.attempt),
            only_account=job.attempt.account if job.unknown else None,
        )
        job = replace(job, answer=answer)
        if answer.status is SendStatus.ACCEPTED:
            return await self._accept(job, answer)
        if answer.status in {SendStatus.LIMITED, SendStatus.REJECTED}:
            return await self._refuse(job, answer)
        if answer.status is SendStatus.DEFERRED:  # does not count as an attempt
            return await self._retry(replace(job, attempts=job.attempts - 1), "halted", answer.code)
        if answer.status is SendStatus.RETRY:
            return await self._retry(job, "waiting", answer.code)
        unknown = job.unknown or UnknownOutcome(job.attempt.started_at, answer.account or job.attempt.account)
        return await self._retry(replace(job, unknown=unknown), "in_doubt", answer.code)

    async def _refuse(self, job: Job, answer: Answer) -> DeliveryResult:
        """End a message that was refused, unless its text has been accepted before."""
        lookup = await self._look_up_earlier(job, answer)
        if lookup is not None and lookup.found:
            return await self._accept(job, lookup.as_answer(), "filtered")
        hint = answer.duplicate_hint
        if hint is not DuplicateHint.NONE:
            key = job.attempt.text_key
            sent = await self._repository.find_sent_text(job.message.message_id, key)
            if sent is not None and (sent.accepted or hint is DuplicateHint.CERTAIN):
                known = Answer(SendStatus.ACCEPTED, "0", sent.account, sent.sid)
                return await self._accept(job, known, "same_text")
            if sent is not None:  # its outcome will tell
                return await self._retry(job, "in_doubt" if job.unknown else "waiting", answer.code)
        if lookup is not None and lookup.confirms(hint):
            return await self._accept(job, lookup.as_answer(), "filtered")
        if lookup is not None and not lookup.certain:
            return await self._retry(job, "in_doubt", answer.code)
        state: UnsentState = "limited" if answer.status is SendStatus.LIMITED else "failed"
        return await self._end(job, state, answer.code)

    async def _look_up_earlier(self, job: Job, answer: Answer) -> LookupResult | None:
        """Look up the earlier attempt that a refusal may tell of; return None if there is none."""
        unknown = job.unknown
        if unknown is None and answer.duplicate_hint is DuplicateHint.CERTAIN and job.attempts > 1:
            # No attempt seemed to be accepted, but one was.
            unknown = UnknownOutcome(job.history.since, answer.account)
        return await self._reconciler.look_up(job.message, unknown) if unknown else None

    async def _reconcile(self, job: Job, unknown: UnknownOutcome) -> DeliveryResult:
        """Resolve the unknown outcome of an earlier attempt, if need be by sending again."""
        if self._reconciler.filter_applies(job.message, unknown):
            return await self._send_again(Claim.RETRY, job)
        lookup = await self._reconciler.look_up(job.message, unknown)
        if lookup.found:
            return await self._accept(job, lookup.as_answer(), "found")
        if not lookup.certain:
            return await self._retry(job, "in_doubt", "not found")
        if job.resent:
            return await self._end(job, "failed", "unresolved", "unresolved")
        return await self._send_again(Claim.RESEND, replace(job, unknown=None))

    async def _send_again(self, claim: Claim, job: Job) -> DeliveryResult:
        granted = await self._claim(claim, job.message, job.history, job.unknown)
        if granted is None:
            return DeliveryResult("duplicate", job.attempts)
        return await self._send(replace(granted, resolution="resent"))

    async def _expire(self, job: Job) -> DeliveryResult:
        if job.unknown is None:
            return await self._end(job, "expired", "")
        lookup = await self._reconciler.look_up(job.message, job.unknown)
        if lookup.found:
            return await self._accept(job, lookup.as_answer(), "found")
        if not lookup.certain and self._reconciler.may_wait(job.message):
            return await self._retry(job, "in_doubt", "not found")
        return await self._end(job, "expired", "in doubt", "unresolved")

    async def _accept(self, job: Job, answer: Answer, resolution: Resolution | None = None) -> DeliveryResult:
        acceptance = Acceptance(
            account=answer.account,
            sid=answer.sid,
            accepted_at=self._clock(),
            attempts=job.attempts,
            parts=answer.parts,
            fee=answer.fee,
            dial_code=job.attempt.dial_code,
            prefix=job.attempt.prefix,
            text_key="" if resolution == "same_text" else job.attempt.text_key,
        )
        recorded = await self._repository.record_acceptance(job.message.message_id, acceptance)
        if recorded.effect == "accepted" and resolution != "same_text":  # which is counted already
            self._reports.count_acceptance(acceptance, recorded.early_report)
        return DeliveryResult(
            "accepted",
            job.attempts,
            answer.sid,
            answer=job.answer,
            resolution=resolution or job.resolution,
            sent_twice=recorded.effect == "twice",
        )

    async def _end(
        self, job: Job, state: UnsentState, detail: str, resolution: Resolution | None = None
    ) -> DeliveryResult:
        recorded = await self._record(job, Outcome(state, job.attempts, detail))
        if recorded == SUPERSEDED:
            return self._result_with_retry(job, "superseded", detail, self._schedule.shortest)
        return DeliveryResult(
            state if recorded == state else "duplicate",
            job.attempts,
            detail,
            answer=job.answer,
            resolution=resolution or job.resolution,
        )

    async def _retry(self, job: Job, status: DeliveryStatus, detail: str) -> DeliveryResult:
        """Retry a message unless it would expire meanwhile; an unknown outcome is resolved even then."""
        seconds_left = (job.message.expires_at - self._clock()).total_seconds()
        filtered = job.unknown is not None and self._reconciler.filter_applies(job.message, job.unknown)
        delay = self._schedule.delay(job.attempts, seconds_left, urgent=filtered or status == "halted")
        if delay >= seconds_left and job.unknown is None:
            return await self._end(job, "expired", detail)
        state: State = "attempting" if job.unknown else "reserved"
        recorded = await self._record(job, Outcome(state, job.attempts, detail, job.unknown))
        if recorded in FINAL_STATES:
            return DeliveryResult(
                "duplicate", job.attempts, detail, answer=job.answer, resolution=job.resolution
            )
        if recorded == SUPERSEDED:
            status = "superseded"
        return self._result_with_retry(job, status, detail, delay)

    async def _record(self, job: Job, outcome: Outcome) -> str:
        attempt = job.attempt if job.granted else None
        return await self._repository.record_outcome(job.message.message_id, outcome, attempt)

    def _result_with_retry(
        self, job: Job, status: DeliveryStatus, detail: str, delay: float
    ) -> DeliveryResult:
        if job.unknown:
            since, account = job.unknown.since, job.unknown.account
        else:
            since = job.history.since if job.history.attempts else job.attempt.started_at
            account = job.attempt.account
        halted = job.history.halted | (job.answer.halted if job.answer else frozenset())
        history = AttemptHistory(job.attempts, since, account, job.resent, halted=halted)
        return DeliveryResult(status, job.attempts, detail, Retry(delay, history), job.answer)
