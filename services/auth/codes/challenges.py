"""Proof-of-work challenges by ALTCHA's protocol (version 2), which its widget solves by itself."""

import os
import time

from altcha import Payload, create_challenge, verify_solution

from services.auth.errors import Overloaded, TooManyCodes
from services.auth.keyed_hash import KeyedHash
from services.auth.work_queue import Busy, Places, QueueFull, Requester, WorkQueue
from shared.observability.metrics import AuthMetrics

CHALLENGE_SECONDS = 600

# Browsers compute PBKDF2 natively. One try in 256 succeeds, the library's default.
_ALGORITHM = "PBKDF2/SHA-256"
# Each takes some milliseconds.
_MAX_QUEUED = 256
_BUSY_SECONDS = 1


class AltchaChallenges:
    """Creates challenges and checks solutions, and stores neither.

    A challenge is signed, expires, and is bound to one number. The issuing script, which marks its
    name as used in Redis, lets each solution be used once.

    Args:
        keyed_hash: signs challenges and hashes their numbers.
        cost: PBKDF2 iterations of one try; checking a solution takes one try.
        metrics: counts challenges.
        places: limits the solutions of a number and of an address that are checked at a time.
    """

    def __init__(
        self, keyed_hash: KeyedHash, *, cost: int, metrics: AuthMetrics, places: Places | None = None
    ) -> None:
        self._hash = keyed_hash
        self._key = keyed_hash.challenge_key()
        self._cost = cost
        self._metrics = metrics
        self._places = places or Places()
        cores = len(os.sched_getaffinity(0))
        self._queue = WorkQueue("pbkdf2", workers=cores, capacity=_MAX_QUEUED)

    def make(self, mobile: str) -> dict[str, object]:
        """Return a new challenge, bound to a number, for ALTCHA's widget."""
        self._metrics.challenges.labels("asked").inc()
        challenge: dict[str, object] = create_challenge(
            _ALGORITHM,
            self._cost,
            expires_at=int(time.time()) + CHALLENGE_SECONDS,
            data={"for": self._hash.challenge_subject(mobile)},
            hmac_secret=self._key,
        ).to_dict()
        return challenge

    async def solved(self, payload: str | None, mobile: str, address: str = "") -> str | None:
        """Return the name of the challenge that a payload solves, or None if it solves none in time.

        Raises:
            TooManyCodes: as many solutions of the number or the address are being checked as may be.
            Overloaded: too many checks are queued.
        """
        if payload is None:
            return None
        subject = self._hash.challenge_subject(mobile)
        try:
            with self._places.hold(Requester(mobile, address)):
                # PBKDF2 takes milliseconds and releases the GIL.
                name = await self._queue.run(lambda: self._check(payload, subject))
        except Busy as error:
            self._metrics.throttled.labels("in_progress", error.subject).inc()
            raise TooManyCodes(retry_after=_BUSY_SECONDS) from error
        except QueueFull as error:
            raise Overloaded from error
        if name is None:
            self._metrics.challenges.labels("wrong").inc()
        return name

    def _check(self, payload: str, subject: str) -> str | None:
        try:
            solution = Payload.from_base64(payload)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if solution.challenge.parameters.data != {"for": subject}:
            return None
        if not verify_solution(solution, self._key).verified:
            return None
        return solution.challenge.signature
