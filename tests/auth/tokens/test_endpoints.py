"""What gateways hear about HS256 tokens."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from tornado.web import Application

from deploy.local.ports import LOOPBACK, free_port
from services.auth.http.fields import ValidationContext
from services.auth.http.handler import HttpContext
from services.auth.models import Caller
from services.auth.tokens.endpoints import TokensHandler
from services.auth.tokens.issuer import AccessTokenIssuer
from shared.clock import now
from shared.http.server import DrainableServer
from shared.observability.access_log import AccessLog
from shared.observability.metrics import HttpMetrics, new_registry
from tests.support.client import Api
from tests.support.gateway import VERIFY_PATH
from tests.support.signer import USER, Signer


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path / "keys", "HS256")


@pytest.fixture
async def auth(session: aiohttp.ClientSession, signer: Signer) -> AsyncIterator[Api]:
    context = HttpContext(
        no_caller,
        no_charge,
        ValidationContext(("CN",), frozenset()),
        AccessLog("auth", "json"),
        HttpMetrics(new_registry()),
    )
    tokens = AccessTokenIssuer(signer.keys, issuer="dialpass", audience="dialpass")
    options = {"context": context, "route": VERIFY_PATH, "service": tokens}
    server = DrainableServer(Application([(VERIFY_PATH, TokensHandler, options)]), free_port())
    yield Api(session, f"http://{LOOPBACK}:{server.port}")
    await server.close()


async def no_charge(caller: Caller) -> None:
    raise NotImplementedError


async def no_caller(_token: str | None) -> Caller:
    raise AssertionError


async def test_a_valid_token_is_described(auth: Api, signer: Signer) -> None:
    reply = await auth.post(VERIFY_PATH, {"token": signer.token("s9")})
    assert (reply.status, reply["user_id"], reply["session_id"]) == (200, USER.id, "s9")


async def test_a_refusal_tells_all_keys_of_which_a_token_could_be(
    auth: Api, signer: Signer, tmp_path: Path
) -> None:
    expired = signer.token(at=now() - timedelta(hours=1))
    for token in (expired, "nonsense", Signer(tmp_path / "other", "HS256").token()):
        reply = await auth.post(VERIFY_PATH, {"token": token})
        assert (reply.status, reply["secret_kids"]) == (401, signer.keys.secret_kids())
