"""Codes on the real Redis, each harness with quotas of its own: its secret names the keys."""

import base64
import json
import secrets
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass

from altcha import Challenge, Payload, solve_challenge
from redis.asyncio import Redis

from services.auth.codes.challenges import AltchaChallenges, Solved
from services.auth.codes.generator import CodeGenerator
from services.auth.codes.publisher import SendCodePublisher
from services.auth.codes.quotas import Quotas
from services.auth.codes.repository import CodeRepository
from services.auth.codes.service import CodeService
from services.auth.codes.voice import VoicePolicy
from services.auth.errors import ChallengeNeeded, SmsUnavailable, TooManyCodes
from services.auth.keyed_hash import KeyedHash
from services.auth.limit_settings import QuotaSettings
from shared.clock import Clock, now
from shared.contracts.messages import Purpose, SendCode
from shared.observability.metrics import AuthMetrics
from shared.security.sealing import Sealer

ADDRESS = "192.0.2.1"
CALLED_AT_ANY_TIME = VoicePolicy.parse("00:00-24:00", code_length=6)
# Quotas and limits that no test reaches, by the names of their variables in lower case.
UNLIMITED = {
    "code_limit_number": "1000000/hour",
    "code_limit_strangers": "1000000/hour",
    "code_limit_address": "1000000/hour",
    "code_limit_network": "1000000/hour",
    "code_limit_prefix": "1000000/hour",
    "code_limit_conversion": "0",
    "code_challenge_number": "1000000/hour",
    "code_limit_dial_code": "*=1000000/day",
    "code_limit_spend": "1000000",
    "code_challenge_address": "1000000/hour",
    "code_challenge_network": "1000000/hour",
    "code_challenge_prefix": "1000000/hour",
    "code_challenge_global": "1000000/hour",
    "code_challenge_conversion": "0",
    "code_wrong_address": "1000000/hour",
    "code_wrong_network": "1000000/hour",
    "sign_in_limit_address": "1000000/hour",
    "sign_in_limit_network": "1000000/hour",
}


class RecordingPublisher(SendCodePublisher):
    """Keeps messages instead of publishing them; `down` makes it fail as with a broker that is down."""

    def __init__(self, metrics: AuthMetrics) -> None:
        super().__init__(["amqp://unused"], Sealer(["x" * 32]), metrics)
        self.messages: list[SendCode] = []
        self.down = False

    def refuse_if_down(self, purpose: Purpose) -> None:
        if self.down:
            raise SmsUnavailable

    async def publish(self, message: SendCode) -> None:
        if self.down:
            raise SmsUnavailable
        self.messages.append(message)


@dataclass(frozen=True)
class CodeHarness:
    """The codes, and the messages that would have been paid for."""

    repository: CodeRepository
    service: CodeService
    publisher: RecordingPublisher
    challenges: AltchaChallenges


def make_codes(
    redis: Redis,
    metrics: AuthMetrics,
    *,
    ttl: int = 600,
    cooldown: int = 60,
    keyed_hash: KeyedHash | None = None,
    quotas: Mapping[str, str] | None = None,
    accounts: Collection[str] = (),
    clock: Clock = now,
) -> CodeHarness:
    """Return codes.

    Args:
        redis: where the codes are.
        metrics: counts.
        ttl: seconds that a code is valid.
        cooldown: seconds between two codes.
        keyed_hash: names the keys; by default each harness has keys of its own.
        quotas: settings by the names of their variables in lower case; nothing is reserved by default.
        accounts: the numbers that have one.
        clock: returns the current time.
    """

    async def has_account(mobile: str) -> bool:
        return mobile in accounts

    keyed_hash = keyed_hash or KeyedHash(secrets.token_hex(32))
    repository = CodeRepository(
        redis,
        keyed_hash,
        CodeGenerator(keyed_hash, 6),
        Quotas.of(QuotaSettings.model_validate({"code_reserve": "0", **(quotas or {})})),
        ttl=ttl,
        cooldown=cooldown,
        max_tries=5,
        metrics=metrics,
    )
    challenges = AltchaChallenges(keyed_hash, cost=1, metrics=metrics)
    publisher = RecordingPublisher(metrics)
    service = CodeService(
        repository,
        challenges,
        publisher,
        has_account=has_account,
        cooldown=cooldown,
        voice=CALLED_AT_ANY_TIME,
        clock=clock,
    )
    return CodeHarness(repository, service, publisher, challenges)


async def issue(
    codes: CodeHarness,
    mobile: str,
    purpose: Purpose = "register",
    request: str | None = None,
    address: str = ADDRESS,
    solved: str | None = None,
    difficulty: int = 0,
) -> str:
    """Issue a code, each time in another request unless it is named; `solved` names a challenge."""
    request = request or secrets.token_hex(8)
    challenge = None if solved is None else Solved(solved, difficulty)
    issued = await codes.repository.issue(mobile, purpose, request, address=address, solved=challenge)
    return issued.code


def solve(challenge: object) -> str:
    """Solve a challenge as ALTCHA's widget does."""
    parsed = Challenge.from_dict(json.loads(json.dumps(challenge)))
    solution = solve_challenge(parsed)
    assert solution is not None
    return base64.b64encode(json.dumps(Payload(parsed, solution).to_dict()).encode()).decode()


async def outcome(attempt: Awaitable[object]) -> str:
    """Return `code`, or the name of the error by which a request for a code was refused."""
    try:
        await attempt
    except (TooManyCodes, ChallengeNeeded) as error:
        return type(error).__name__
    return "code"
