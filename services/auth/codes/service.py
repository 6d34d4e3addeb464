"""One-time codes: requesting one, redeeming it, and the state of its message."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from services.auth.codes.challenges import AltchaChallenges
from services.auth.codes.leases import REPEAT_PAUSE_MS, CodeInUse, LeaseEndings, RepetitionPending
from services.auth.codes.publisher import SendCodePublisher
from services.auth.codes.repository import CodeRepository, Issued
from services.auth.codes.voice import VoicePolicy
from services.auth.errors import (
    AlreadyRegistered,
    ChallengeNeeded,
    ChallengeRequired,
    InvalidCode,
    Overloaded,
    SmsUnavailable,
    TooManyAttempts,
)
from services.auth.models import Client, CodeRequested
from shared.clock import Clock
from shared.contracts.message_status import MessageStatus
from shared.contracts.messages import Channel, Purpose, SendCode
from shared.errors import NotFound, Unavailable
from shared.tasks import contain

# Codes that are decided on after their answers; beyond it, requests for them get 503.
_MAX_UNDECIDED = 200
_DECISION_SECONDS = 5.0

# Between two looks at a code that another attempt is using.
_POLL_SECONDS = 0.1

log = structlog.get_logger()


@dataclass(slots=True)
class CodeUse:
    """The use of a code.

    Attributes:
        repeats: the answer of an earlier use of the same code by a client that may have lost it, within the
            last minute; None if this is the only use.
        answer: to be set to what a repetition needs; where it stays empty, there is none.
    """

    repeats: str | None = None
    answer: str = ""


class CodeService:
    """Sends codes and redeems them.

    Args:
        codes: the codes in Redis.
        challenges: creates and checks proof-of-work challenges.
        publisher: hands messages to the SMS worker.
        has_account: tells whether a number has an account that may be used.
        cooldown: seconds between two codes to one number for one asker.
        voice: whether a code can be read out by a call.
        clock: returns the current time.
    """

    def __init__(
        self,
        codes: CodeRepository,
        challenges: AltchaChallenges,
        publisher: SendCodePublisher,
        *,
        has_account: Callable[[str], Awaitable[bool]],
        cooldown: int,
        voice: VoicePolicy,
        clock: Clock,
    ) -> None:
        self._codes = codes
        self._challenges = challenges
        self._publisher = publisher
        self._has_account = has_account
        self._cooldown = cooldown
        self._voice = voice
        self._clock = clock
        self._undecided: set[asyncio.Task[None]] = set()
        self._leases = LeaseEndings()

    async def request(
        self,
        mobile: str,
        purpose: Purpose,
        client: Client,
        *,
        channel: Channel = "sms",
        challenge: str | None = None,
    ) -> CodeRequested:
        """Issue a code for a number and publish it to the SMS worker.

        The answer does not depend on whether the number has an account: the accounts are not read before
        it. While only what is reserved of the day's money is left, a code for a stranger is sent after
        the answer, if its number has an account; the message that the answer names stays queued either way.

        Args:
            mobile: canonical number.
            purpose: what the code will be valid for.
            client: who asks.
            channel: a text message, or a call that reads the code out.
            challenge: the solution of a challenge, as ALTCHA's widget returns it.

        Raises:
            VoiceUnavailable: a call is asked for, and the code cannot be read out now.
            TooManyCodes: in the cooldown, or a quota is used up.
            ChallengeRequired: the risk rules ask for a challenge.
            SmsUnavailable: the broker did not store the message; the cooldown is released.
            Unavailable: Redis is down.
        """
        message_id, now = secrets.token_hex(16), self._clock()
        if channel == "voice":
            self._voice.check(mobile, now)
        issued = await self._issue(mobile, purpose, client, message_id, challenge)
        message = SendCode(
            message_id=message_id,
            mobile=mobile,
            code=issued.code,
            purpose=purpose,
            channel=channel,
            created_at=now,
            expires_at=now + issued.lifetime,
        )
        try:
            if issued.withheld:
                await self._withhold(message, client)
            else:
                await self._publish(message)
        except BaseException as error:
            await self._codes.release_cooldown(mobile, message_id)
            if isinstance(error, Unavailable):
                await self._record_unsent(message_id)
            raise
        return CodeRequested(message_id, int(issued.lifetime.total_seconds()), self._cooldown)

    async def close(self) -> None:
        """Wait until the codes that were withheld are decided on, and leases have been ended."""
        await asyncio.gather(*self._undecided, return_exceptions=True)
        await self._leases.close()

    async def status(self, message_id: str) -> MessageStatus:
        """Return the state of a message.

        Raises:
            NotFound: there is no such message, or it is older than a day.
            Unavailable: Redis is down.
        """
        status = await self._codes.message_status(message_id)
        if status is None:
            raise NotFound
        return status

    @asynccontextmanager
    async def redeem(self, mobile: str, purpose: Purpose, code: str, address: str) -> AsyncIterator[CodeUse]:
        """Redeem a code for the block; of concurrent uses exactly one enters it.

        The code stays used if the block succeeds or raises `InvalidCode` or `AlreadyRegistered`, the
        answers that it led to. After any other failure it is valid again; also if Redis did not answer
        on entering, and carries the command out later, or does not answer after the block.

        If the block has set an answer, the same code enters the block again for a minute, but not at the
        same time as others, and `repeats` is the answer: the block must do nothing but find out whether it
        is the same request, and raise `InvalidCode` otherwise.

        Raises:
            InvalidCode: on entering; one of the code's tries is counted, unless it is right but used.
            TooManyAttempts: on entering, after too many wrong codes from the address.
            Unavailable: on entering; Redis is down.
        """
        attempt = secrets.token_hex(8)
        restore = partial(self._codes.restore, mobile, purpose, attempt)
        try:
            use = CodeUse(await self._take(mobile, purpose, code, address, attempt))
        except (InvalidCode, TooManyAttempts):
            raise
        except BaseException:  # Redis may have the command, or get it later
            self._leases.settle_later(restore)
            raise
        if use.repeats is not None:
            yield use
            return
        try:
            yield use
        except (InvalidCode, AlreadyRegistered):
            await self._leases.settle(partial(self._codes.confirm, mobile, purpose, attempt, ""))
            raise
        except BaseException:
            await self._leases.settle(restore)
            raise
        await self._leases.settle(partial(self._codes.confirm, mobile, purpose, attempt, use.answer))

    async def _take(self, mobile: str, purpose: Purpose, code: str, address: str, attempt: str) -> str | None:
        """Take the lease of a code, or return the answer of its use; waits while another attempt has it."""
        rival = paused = False
        while True:
            try:
                return await self._codes.redeem(
                    mobile, purpose, code, address=address, attempt=attempt, paused=paused
                )
            except CodeInUse as in_use:
                rival = rival or in_use.rival
                await asyncio.sleep(_POLL_SECONDS)
            except RepetitionPending:
                if rival:
                    raise InvalidCode from None
                paused = True
                await asyncio.sleep(REPEAT_PAUSE_MS / 1000)

    async def _issue(
        self, mobile: str, purpose: Purpose, client: Client, request: str, challenge: str | None
    ) -> Issued:
        solved = await self._challenges.solved(challenge, mobile)
        try:
            return await self._codes.issue(mobile, purpose, request, address=client.ip, solved=solved)
        except ChallengeNeeded as needed:
            raise ChallengeRequired(self._challenges.make(mobile, needed.difficulty)) from needed

    async def _publish(self, message: SendCode) -> None:
        # Before publishing: the worker may have sent it before a later write arrives.
        await self._codes.record_queued(message.message_id, message.created_at)
        await self._publisher.publish(message)

    async def _withhold(self, message: SendCode, client: Client) -> None:
        """Decide after the answer whether a message is sent."""
        if len(self._undecided) >= _MAX_UNDECIDED:
            raise Overloaded(retry_after=1)
        self._publisher.refuse_if_down(message.purpose)
        await self._codes.record_queued(message.message_id, message.created_at)
        task = asyncio.create_task(contain("withheld_code", self._decide, message, client))
        self._undecided.add(task)
        task.add_done_callback(self._undecided.discard)

    async def _decide(self, message: SendCode, client: Client) -> None:
        """Send a withheld message if its number has an account; never raises.

        It is sent under an id of its own, so that the state of the message that the client knows of does
        not tell whether it was sent.
        """
        mobile, request = message.mobile, message.message_id
        try:
            async with asyncio.timeout(_DECISION_SECONDS):
                if await self._has_account(mobile) and await self._codes.send_withheld(
                    mobile, message.purpose, request, address=client.ip
                ):
                    await self._publish(message.model_copy(update={"message_id": secrets.token_hex(16)}))
        except (Unavailable, TimeoutError) as error:
            # The cooldown stays, as it does for a number without an account.
            log.warning("withheld_code_lost", error=type(error).__name__)
            if not isinstance(error, SmsUnavailable):  # which the publisher has counted
                self._codes.count_unsent(message.purpose)

    async def _record_unsent(self, message_id: str) -> None:
        try:
            await self._codes.record_unsent(message_id, self._clock())
        except Unavailable:
            return  # the client got an error and never learns the id
