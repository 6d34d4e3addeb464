"""The codes on a real Redis, each with budgets of its own: its secret names the keys."""

import secrets
from collections.abc import Mapping

from redis.asyncio import Redis

from services.auth.codes.quota_settings import BudgetSettings
from services.auth.codes.quotas import Budgets
from services.auth.codes.repository import RedisCodes
from services.auth.keyed_hash import CodeSecrets
from shared.contracts.messages import Purpose
from shared.observability.metrics import AuthMetrics

ADDRESS = "192.0.2.1"


def make_codes(
    redis: Redis,
    metrics: AuthMetrics,
    *,
    ttl: int = 600,
    cooldown: int = 60,
    code_secrets: CodeSecrets | None = None,
    budgets: Mapping[str, str] | None = None,
) -> RedisCodes:
    """Return codes; `budgets` are settings by the names of their variables in lower case."""
    return RedisCodes(
        redis,
        code_secrets or CodeSecrets(secrets.token_hex(32), 6),
        Budgets.of(BudgetSettings.model_validate(budgets or {})),
        ttl=ttl,
        cooldown=cooldown,
        max_tries=5,
        metrics=metrics,
    )


async def issue(
    codes: RedisCodes,
    mobile: str,
    purpose: Purpose = "register",
    request: str | None = None,
    address: str = ADDRESS,
    solved: str | None = None,
) -> str:
    """Ask for a code, each time in another request unless it is named."""
    request = request or secrets.token_hex(8)
    return await codes.issue(mobile, purpose, request, address=address, solved=solved)
