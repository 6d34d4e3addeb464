"""Tokens as the auth service signs them, and what a gateway makes of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp

from services.auth.models import User
from services.auth.tokens.issuer import AccessTokenIssuer
from services.auth.tokens.key_ring import KeyPolicy, KeyRing
from services.auth.tokens.signing_keys import Algorithm, create_key
from shared.clock import now
from shared.observability.metrics import AuthMetrics, new_registry
from tests.support.client import Reply
from tests.support.clock import NOW
from tests.support.gateway import Gateway

RECENT, ALL = "/internal/ended-sessions/recent/", "/internal/ended-sessions/"
JWKS = "/.well-known/jwks.json"
USER = User(42, "13800000000", None, None, None, None, NOW)


class Signer:
    """Signs as the auth service does, and publishes its keys."""

    def __init__(self, folder: Path, algorithm: Algorithm = "ES256") -> None:
        create_key(folder, algorithm, now())
        self.folder = folder
        self.keys = KeyRing(folder, KeyPolicy(algorithm, timedelta(0)), AuthMetrics(new_registry()))

    def token(self, session_id: str = "s1", at: datetime | None = None, seconds: int = 60) -> str:
        at = at or now()
        tokens = AccessTokenIssuer(self.keys, issuer="dialpass", audience="dialpass")
        return tokens.issue(USER, session_id, at, at + timedelta(seconds=seconds))


async def ready(gateway: Gateway) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{gateway.ops_port}/readyz") as reply,
    ):
        return reply.status == 200


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


def assert_refused(reply: Reply, *, token_given: bool) -> None:
    assert (reply.status, reply["type"]) == (401, "/problems/invalid-token")
    challenge = 'Bearer realm="dialpass"' + (', error="invalid_token"' if token_given else "")
    assert reply.headers["WWW-Authenticate"] == challenge
