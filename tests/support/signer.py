"""Access tokens as the auth service signs them."""

from datetime import datetime, timedelta
from pathlib import Path

from services.auth.models import User
from services.auth.tokens.issuer import AccessTokenIssuer
from services.auth.tokens.key_ring import KeyPolicy, KeyRing
from services.auth.tokens.signing_keys import Algorithm, create_key
from shared.clock import now
from shared.observability.metrics import AuthMetrics, new_registry
from tests.support.client import Reply
from tests.support.clock import NOW

USER = User(42, "13800000000", None, None, None, None, NOW)


class Signer:
    """Signs tokens with a key of its own, and publishes that key as the auth service does."""

    def __init__(self, folder: Path, algorithm: Algorithm = "ES256") -> None:
        create_key(folder, algorithm, now())
        self.keys = KeyRing(folder, KeyPolicy(algorithm, timedelta(0)), AuthMetrics(new_registry()))

    def token(self, session_id: str = "s1", at: datetime | None = None, seconds: int = 60) -> str:
        at = at or now()
        tokens = AccessTokenIssuer(self.keys, issuer="dialpass", audience="dialpass")
        return tokens.issue(USER, session_id, at, at + timedelta(seconds=seconds))


def assert_unauthorized(reply: Reply, *, token_given: bool) -> None:
    assert (reply.status, reply["type"]) == (401, "/problems/invalid-token")
    challenge = 'Bearer realm="dialpass"' + (', error="invalid_token"' if token_given else "")
    assert reply.headers["WWW-Authenticate"] == challenge
