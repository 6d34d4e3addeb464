"""Delivering one message: skip what is done or expired, call the provider, decide what happens next."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from secrets import token_hex

from services.sms.delivery.ladder import Ladder
from services.sms.delivery.models import (
    FINAL,
    SUPERSEDED,
    Acceptance,
    Attempt,
    Claim,
    Doubt,
    Ending,
    Standing,
    Trace,
)
from services.sms.delivery.outcomes import Delivery, Outcome, Resolution, Wait
from services.sms.delivery.reconciliation import Doubts, Finding
from services.sms.provider.base import Answer, Filtered, Ledger, Outgoing, Provider, Verdict
from shared.clock import Clock
from shared.contracts.messages import SendCode
from shared.phone import dial_code, network_prefix


@dataclass(frozen=True, slots=True)
class _Case:
    """A message in work.

    Attributes:
        message: the message itself.
        trace: what came with it.
        attempt: what was asked of the ledger.
        granted: whether the provider may be called.
        attempts: how often it has been called, this time included.
        resent: whether the message has been sent again because nobody knew it.
        doubt: an attempt that may have been accepted.
        answer: the provider's answer to this attempt.
        resolution: how an earlier doubt was settled.
    """

    message: SendCode
    trace: Trace
    attempt: Attempt
    granted: bool
    attempts: int
    resent: bool
    doubt: Doubt | None
    answer: Answer | None = None
    resolution: Resolution | None = None


def _tokens() -> Iterator[str]:
    """Return names of attempts that no other worker uses; randomness for each costs a system call."""
    worker = token_hex(8)
    return (f"{worker}.{number}" for number in count())


@dataclass(frozen=True, slots=True)
class Courier:
    """Delivers messages; whatever it decides is on record before it is told.

    Every attempt is on record before the provider is called, so a message that comes again with an
    attempt without an end may have been accepted just before a worker died or a connection broke.
    It is never sent again blindly: as long as the provider's filter of repeated texts catches a
    second one, the same text goes to the same account; later the provider is asked for it first, and
    it is sent again at most once on the word that nobody knows it.
    """

    provider: Provider
    ledger: Ledger
    doubts: Doubts
    compose: Callable[[SendCode], str]
    ladder: Ladder
    clock: Clock
    tokens: Iterator[str] = field(default_factory=_tokens)

    async def deliver(self, message: SendCode, trace: Trace) -> Delivery:
        """Send a message unless it is done or expired, and return what became of it."""
        expired = self.clock() >= message.expires_at
        case = await self._claim(Claim.LOOK if expired else Claim.FIRST, message, trace)
        if case is None:
            return Delivery("duplicate", trace.attempts)
        if expired:
            return await self._expire(case)
        if case.doubt is not None:
            return await self._resolve(case, case.doubt)
        return await self._send(case)

    async def _claim(
        self, claim: Claim, message: SendCode, trace: Trace, doubt: Doubt | None = None
    ) -> _Case | None:
        """Return the case as the ledger knows it, None where it has ended."""
        account = doubt.account if doubt else ""
        attempt = Attempt(next(self.tokens), self.clock(), account or self.provider.accounts[0])
        record = await self.ledger.claim(message.message_id, claim, attempt, trace)
        if record.state in FINAL:
            return None
        return _Case(
            message=message,
            trace=trace,
            attempt=attempt,
            granted=record.granted,
            attempts=record.attempts,
            resent=record.resent,
            doubt=doubt or record.doubt,
        )

    async def _send(self, case: _Case) -> Delivery:
        """Make the attempt that was granted, and act on its answer."""
        answer = await self.provider.send(
            self._outgoing(case.message),
            partial(self.ledger.announce, case.message.message_id, case.attempt),
            only_account=case.attempt.account if case.doubt else None,
        )
        case = replace(case, answer=answer)
        if answer.verdict is Verdict.ACCEPTED:
            return await self._accept(case, answer)
        if answer.verdict in {Verdict.LIMITED, Verdict.PERMANENT} or (answer.once and case.attempts > 1):
            return await self._refuse(case, answer)
        if answer.verdict is Verdict.HALTED:  # has cost no attempt
            return await self._come_again(replace(case, attempts=case.attempts - 1), "halted", answer.code)
        if answer.verdict is Verdict.RETRY:
            return await self._come_again(case, "waiting", answer.code)
        doubt = case.doubt or Doubt(case.attempt.at, answer.account or case.attempt.account)
        return await self._come_again(replace(case, doubt=doubt), "in_doubt", answer.code)

    def _outgoing(self, message: SendCode) -> Outgoing:
        return Outgoing(
            message_id=message.message_id,
            mobile=message.mobile,
            text=self.compose(message),
            code=message.code,
            channel=message.channel,
            expires_at=message.expires_at,
        )

    async def _refuse(self, case: _Case, answer: Answer) -> Delivery:
        """End a message that was refused, unless the attempt in doubt before it had been accepted."""
        if case.doubt is not None:
            finding = await self.doubts.find(case.message, case.doubt)
            if finding.found or _tells(answer.filtered, finding):
                return await self._accept(case, _found(finding), "filtered")
            if not finding.certain:
                return await self._come_again(case, "in_doubt", answer.code)
        ended: Ending = "limited" if answer.verdict is Verdict.LIMITED else "failed"
        return await self._end(case, ended, answer.code)

    async def _resolve(self, case: _Case, doubt: Doubt) -> Delivery:
        """Settle the doubt of a message that came again."""
        if self.doubts.filter_catches(case.message, doubt):
            return await self._send_again(Claim.AGAIN, case)
        finding = await self.doubts.find(case.message, doubt)
        if finding.found:
            return await self._accept(case, _found(finding), "found")
        if not finding.certain:
            return await self._come_again(case, "in_doubt", "not found")
        if case.resent:
            return await self._end(case, "failed", "unresolved", "unresolved")
        return await self._send_again(Claim.ANEW, replace(case, doubt=None))

    async def _send_again(self, claim: Claim, case: _Case) -> Delivery:
        granted = await self._claim(claim, case.message, case.trace, case.doubt)
        if granted is None:
            return Delivery("duplicate", case.attempts)
        return await self._send(replace(granted, resolution="resent"))

    async def _expire(self, case: _Case) -> Delivery:
        if case.doubt is None:
            return await self._end(case, "expired", "")
        finding = await self.doubts.find(case.message, case.doubt)
        if finding.found:
            return await self._accept(case, _found(finding), "found")
        if not finding.certain and self.doubts.may_wait(case.message):
            return await self._come_again(case, "in_doubt", "not found")
        return await self._end(case, "expired", "in doubt", "unresolved")

    async def _accept(self, case: _Case, answer: Answer, resolution: Resolution | None = None) -> Delivery:
        acceptance = Acceptance(
            account=answer.account,
            sid=answer.sid,
            at=self.clock(),
            attempts=case.attempts,
            parts=answer.parts,
            fee=answer.fee,
            dial_code=dial_code(case.message.mobile),
            prefix=network_prefix(case.message.mobile),
        )
        first = await self.ledger.accept(case.message.message_id, acceptance)
        settled = replace(case, resolution=resolution or case.resolution)
        return replace(_delivery(settled, "accepted", answer.sid), second_text=not first)

    async def _end(
        self, case: _Case, ending: Ending, why: str, resolution: Resolution | None = None
    ) -> Delivery:
        holds = await self._stand(case, Standing(ending, case.attempts, why))
        if holds == SUPERSEDED:
            return self._wait(case, "superseded", why, self.ladder.shortest)
        settled = replace(case, resolution=resolution or case.resolution)
        return _delivery(settled, ending if holds == ending else "duplicate", why)

    async def _come_again(self, case: _Case, outcome: Outcome, why: str) -> Delivery:
        """Let a message wait, unless its code would be dead by then; a doubt is settled even so."""
        left = (case.message.expires_at - self.clock()).total_seconds()
        delay = self._delay(case, outcome)
        if delay >= left:
            delay = self.ladder.shortest
        if delay >= left and case.doubt is None:
            return await self._end(case, "expired", why)
        standing = Standing("attempting" if case.doubt else "reserved", case.attempts, why, case.doubt)
        holds = await self._stand(case, standing)
        if holds in FINAL:
            return _delivery(case, "duplicate", why)
        return self._wait(case, "superseded" if holds == SUPERSEDED else outcome, why, delay)

    async def _stand(self, case: _Case, standing: Standing) -> str:
        attempt = case.attempt if case.granted else None
        return await self.ledger.stand(case.message.message_id, standing, attempt)

    def _delay(self, case: _Case, outcome: Outcome) -> float:
        in_time = case.doubt is not None and self.doubts.filter_catches(case.message, case.doubt)
        return self.ladder.shortest if in_time or outcome == "halted" else self.ladder.after(case.attempts)

    def _wait(self, case: _Case, outcome: Outcome, why: str, delay: float) -> Delivery:
        since = case.trace.since if case.trace.attempts else case.attempt.at
        account = case.doubt.account if case.doubt else case.attempt.account
        trace = Trace(case.attempts, case.doubt.since if case.doubt else since, account, case.resent)
        return replace(_delivery(case, outcome, why), wait=Wait(delay, trace), resolution=None)


def _tells(filtered: Filtered, finding: Finding) -> bool:
    """Tell whether a filter's refusal means that the attempt in doubt had been accepted.

    A limit of the number says so only where nothing better is to be had: it may have been reached
    by other texts.
    """
    return filtered is Filtered.STRONG or (filtered is Filtered.WEAK and not finding.answered)


def _found(finding: Finding) -> Answer:
    """Return the answer that an attempt in doubt would have had."""
    return Answer(Verdict.ACCEPTED, "0", finding.account, finding.sid)


def _delivery(case: _Case, outcome: Outcome, detail: str) -> Delivery:
    return Delivery(outcome, case.attempts, detail, answer=case.answer, resolution=case.resolution)


def text_composer(signature: str, template: str) -> Callable[[SendCode], str]:
    """Return what makes a message's text; the same message always gets the same text."""

    def compose(message: SendCode) -> str:
        return f"【{signature}】{template.format(code=message.code)}"

    return compose
