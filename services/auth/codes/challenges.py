"""Proof-of-work challenges by ALTCHA's protocol (version 2), which its widget solves by itself."""

import asyncio
import time

from altcha import Payload, create_challenge, verify_solution

from services.auth.keyed_hash import KeyedHash
from shared.observability.metrics import AuthMetrics

CHALLENGE_SECONDS = 600

# Browsers compute PBKDF2 natively. One try in 256 succeeds, the library's default.
_ALGORITHM = "PBKDF2/SHA-256"


class AltchaChallenges:
    """Creates challenges and checks solutions, and stores neither.

    A challenge is signed, expires, and is bound to one number. The issuing script, which marks its
    name as used in Redis, lets each solution be used once.

    Args:
        keyed_hash: signs challenges and hashes their numbers.
        cost: PBKDF2 iterations of one try; checking a solution takes one try.
        metrics: counts challenges.
    """

    def __init__(self, keyed_hash: KeyedHash, *, cost: int, metrics: AuthMetrics) -> None:
        self._hash = keyed_hash
        self._key = keyed_hash.challenge_key()
        self._cost = cost
        self._metrics = metrics

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

    async def solved(self, payload: str | None, mobile: str) -> str | None:
        """Return the name of the challenge that a payload solves, or None if it solves none in time."""
        if payload is None:
            return None
        # PBKDF2 takes milliseconds and releases the GIL.
        name = await asyncio.to_thread(self._check, payload, self._hash.challenge_subject(mobile))
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
