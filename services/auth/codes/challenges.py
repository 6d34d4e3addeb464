"""Proof-of-work challenges by ALTCHA's protocol (version 2), which its widget solves by itself."""

import asyncio
import math
import time
from dataclasses import dataclass

from altcha import Payload, create_challenge, verify_solution

from services.auth.keyed_hash import KeyedHash
from shared.observability.metrics import AuthMetrics

CHALLENGE_SECONDS = 600

# Browsers compute PBKDF2 natively. One try in 256 succeeds, the library's default.
_ALGORITHM = "PBKDF2/SHA-256"
_PREFIX = "00"
# From here on one try in 65536 succeeds and costs less, so that checking a solution stays cheap for us.
_LONG_PREFIX = "0000"
_LONG_PREFIX_FROM = 4
_TRIES_PER_BYTE = 256


@dataclass(frozen=True, slots=True)
class Solved:
    """A challenge that was solved: its name, and how often its work was doubled."""

    name: str
    difficulty: int = 0


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

    def make(self, mobile: str, difficulty: int = 0) -> dict[str, object]:
        """Return a new challenge, bound to a number, for ALTCHA's widget.

        Args:
            mobile: canonical number.
            difficulty: how often the work is doubled.
        """
        self._metrics.challenges.labels("asked").inc()
        cost, prefix = self._cost * 2**difficulty, _PREFIX
        if difficulty >= _LONG_PREFIX_FROM:
            cost, prefix = max(1, math.ceil(cost / _TRIES_PER_BYTE)), _LONG_PREFIX
        challenge: dict[str, object] = create_challenge(
            _ALGORITHM,
            cost,
            key_prefix=prefix,
            expires_at=int(time.time()) + CHALLENGE_SECONDS,
            data={"for": self._hash.challenge_subject(mobile)},
            hmac_secret=self._key,
        ).to_dict()
        return challenge

    async def solved(self, payload: str | None, mobile: str) -> Solved | None:
        """Return the challenge that a payload solves, or None if it solves none in time."""
        if payload is None:
            return None
        # PBKDF2 takes milliseconds and releases the GIL.
        solved = await asyncio.to_thread(self._check, payload, self._hash.challenge_subject(mobile))
        if solved is None:
            self._metrics.challenges.labels("wrong").inc()
        return solved

    def _check(self, payload: str, subject: str) -> Solved | None:
        try:
            solution = Payload.from_base64(payload)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        parameters, name = solution.challenge.parameters, solution.challenge.signature
        if parameters.data != {"for": subject} or name is None:
            return None
        if not verify_solution(solution, self._key).verified:
            return None
        return Solved(name, self._difficulty(parameters.cost, parameters.key_prefix))

    def _difficulty(self, cost: int, prefix: str) -> int:
        """Return the difficulty of a challenge that this system has signed; old ones do not say it."""
        tries = _TRIES_PER_BYTE ** (len(prefix) // 2)
        return max(0, round(math.log2(cost * tries / (self._cost * _TRIES_PER_BYTE))))
