"""One-time codes: requesting one, redeeming it, and the state of its message."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from services.auth.codes.challenges import AltchaChallenges
from services.auth.codes.publisher import SendCodePublisher
from services.auth.codes.repository import CodeRepository
from services.auth.errors import AlreadyRegistered, ChallengeNeeded, ChallengeRequired, InvalidCode
from services.auth.models import Client, CodeRequested
from shared.clock import Clock
from shared.contracts.message_status import MessageStatus
from shared.contracts.messages import Channel, Purpose, SendCode
from shared.errors import NotFound, Unavailable


class CodeService:
    """Sends codes and redeems them.

    Args:
        codes: the codes in Redis.
        challenges: creates and checks proof-of-work challenges.
        publisher: hands messages to the SMS worker.
        ttl: seconds that a code is valid.
        cooldown: seconds between two codes to one number.
        clock: returns the current time.
    """

    def __init__(
        self,
        codes: CodeRepository,
        challenges: AltchaChallenges,
        publisher: SendCodePublisher,
        *,
        ttl: int,
        cooldown: int,
        clock: Clock,
    ) -> None:
        self._codes = codes
        self._challenges = challenges
        self._publisher = publisher
        self._ttl = ttl
        self._cooldown = cooldown
        self._clock = clock

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

        Never reads the accounts, so the answer cannot depend on whether the number has one.

        Args:
            mobile: canonical number.
            purpose: what the code will be valid for.
            client: who asks.
            channel: a text message, or a call that reads the code out.
            challenge: the solution of a challenge, as ALTCHA's widget returns it.

        Raises:
            TooManyCodes: in the cooldown, or a quota is used up.
            ChallengeRequired: the risk rules ask for a challenge.
            SmsUnavailable: the broker did not store the message; the cooldown is released.
            Unavailable: Redis is down.
        """
        message_id = secrets.token_hex(16)
        code = await self._issue(mobile, purpose, client, message_id, challenge)
        now = self._clock()
        message = SendCode(
            message_id=message_id,
            mobile=mobile,
            code=code,
            purpose=purpose,
            channel=channel,
            created_at=now,
            expires_at=now + timedelta(seconds=self._ttl),
        )
        try:
            # Before publishing: the worker may have sent it before a later write arrives.
            await self._codes.record_queued(message_id, now)
            await self._publisher.publish(message)
        except BaseException as error:
            await self._codes.release_cooldown(mobile, message_id)
            if isinstance(error, Unavailable):
                await self._record_unsent(message_id)
            raise
        return CodeRequested(message_id, self._ttl, self._cooldown)

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
    async def redeem(self, mobile: str, purpose: Purpose, code: str, address: str) -> AsyncIterator[None]:
        """Redeem a code for the block; of concurrent uses exactly one enters it.

        The code stays used if the block succeeds or raises `InvalidCode` or `AlreadyRegistered`, the
        answers that it led to. After any other failure it is valid again.

        Raises:
            InvalidCode: on entering; one of the code's tries is counted.
            TooManyAttempts: on entering, after too many wrong codes from the address.
            Unavailable: on entering; Redis is down.
        """
        attempt = secrets.token_hex(8)
        await self._codes.redeem(mobile, purpose, code, address=address, attempt=attempt)
        try:
            yield
        except (InvalidCode, AlreadyRegistered):
            raise
        except BaseException:
            await self._codes.restore(mobile, purpose, attempt)
            raise

    async def _issue(
        self, mobile: str, purpose: Purpose, client: Client, request: str, challenge: str | None
    ) -> str:
        solved = await self._challenges.solved(challenge, mobile, client.ip)
        try:
            return await self._codes.issue(mobile, purpose, request, address=client.ip, solved=solved)
        except ChallengeNeeded as needed:
            raise ChallengeRequired(self._challenges.make(mobile)) from needed

    async def _record_unsent(self, message_id: str) -> None:
        try:
            await self._codes.record_unsent(message_id, self._clock())
        except Unavailable:
            return  # the client got an error and never learns the id
