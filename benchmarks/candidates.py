"""The gateway and the proxies and servers that it is compared with."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path

from benchmarks import nginx
from benchmarks.machine import LOAD_CORE, SERVER_CORE, pinned
from benchmarks.processes import PATIENCE, await_port, module, running
from deploy.local.errors import LocalError
from deploy.local.ports import LOOPBACK, free_port
from services.auth.models import User
from services.auth.tokens.issuer import AccessTokenIssuer
from services.auth.tokens.key_ring import KeyPolicy, KeyRing
from services.auth.tokens.signing_keys import create_key
from shared.observability.metrics import AuthMetrics, new_registry

ORIGIN = "https://app.example.com"
BODY = '{"mobile": "13800138000", "password": "correct!!"}'
NO_ENDED_SESSIONS = '{"ended": {}}'
ANSWER = '{"id": 12, "nick": "13800138000"}'

NGINX = "nginx, keep-alive upstream"
GATEWAY = "gateway"
GATEWAY_ORIGIN = "gateway, with Origin"
GATEWAY_TOKEN = "gateway, with a token to check"
AIOHTTP = "aiohttp server + aiohttp client"
TORNADO = "Tornado handler, no upstream"
TORNADO_AIOHTTP = "Tornado handler + aiohttp client"
TORNADO_SIMPLE = "Tornado handler + its simple client"

PEERS = {
    AIOHTTP: ("aiohttp_proxy", "aiohttp"),
    TORNADO: ("tornado_plain", "tornado"),
    TORNADO_AIOHTTP: ("tornado_aiohttp", "tornado"),
    TORNADO_SIMPLE: ("tornado_simple", "tornado"),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A running server; `headers` are sent with every request."""

    name: str
    version: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = "/login/"

    @property
    def url(self) -> str:
        """The URL that is measured."""
        return f"http://{LOOPBACK}:{self.port}{self.path}"


@contextmanager
def all_running(folder: Path) -> Iterator[list[Candidate]]:
    """Run the upstream and every candidate while the block runs."""
    with ExitStack() as stack:
        upstream = free_port()
        keys = _key_ring(folder)
        documents = {
            "/.well-known/jwks.json": json.dumps(keys.jwks()),
            "/internal/ended-sessions/": NO_ENDED_SESSIONS,
            "/internal/ended-sessions/recent/": NO_ENDED_SESSIONS,
        }
        stack.enter_context(nginx.answering(ANSWER, upstream, folder, LOAD_CORE, documents))
        proxy = free_port()
        stack.enter_context(nginx.forwarding(upstream, proxy, folder, SERVER_CORE))
        gateway = stack.enter_context(_gateway(upstream, folder))
        yield [
            Candidate(NGINX, f"nginx {nginx.version()}", proxy),
            Candidate(GATEWAY, "this one", gateway),
            Candidate(GATEWAY_ORIGIN, "this one", gateway, {"Origin": ORIGIN}),
            Candidate(GATEWAY_TOKEN, "this one", gateway, {"Authorization": _bearer(keys)}, "/me/"),
            *[stack.enter_context(_peer(name, upstream, folder)) for name in PEERS],
        ]


def _key_ring(folder: Path) -> KeyRing:
    create_key(folder / "keys", "ES256", datetime.now(UTC))
    return KeyRing(folder / "keys", KeyPolicy("ES256", timedelta(0)), AuthMetrics(new_registry()))


def _bearer(keys: KeyRing) -> str:
    now = datetime.now(UTC)
    user = User(12, "13800138000", None, None, None, None, now)
    tokens = AccessTokenIssuer(keys, issuer="dialpass", audience="dialpass")
    return f"Bearer {tokens.issue(user, 'session', now, now + timedelta(hours=1))}"


@contextmanager
def _gateway(upstream: int, folder: Path) -> Iterator[int]:
    """Run the gateway as it is shipped: limits, request ids, metrics and JSON logs on."""
    port = free_port()
    settings = {
        "GATEWAY_PORT": str(port),
        "GATEWAY_OPS_PORT": str(free_port([port])),
        "AUTH_URL": f"http://{LOOPBACK}:{upstream}",
        "CORS_ORIGINS": ORIGIN,
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "DRAIN_DELAY": "0",
    }
    command = pinned(SERVER_CORE, module("services.gateway", "serve"))
    with running("gateway", command, folder, settings) as process:
        await_port(process, "gateway", port)
        _await_ready(int(settings["GATEWAY_OPS_PORT"]))
        yield port


def _await_ready(ops_port: int) -> None:
    """Wait until the gateway has the keys and the ended sessions."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        connection = HTTPConnection(LOOPBACK, ops_port, timeout=5)
        connection.request("GET", "/readyz")
        ready = connection.getresponse().status == HTTPStatus.OK
        connection.close()
        if ready:
            return
        time.sleep(0.05)
    raise LocalError("the gateway does not become ready")


@contextmanager
def _peer(name: str, upstream: int, folder: Path) -> Iterator[Candidate]:
    program, library = PEERS[name]
    port = free_port()
    command = module(f"benchmarks.peers.{program}", str(port), str(upstream))
    with running(program, pinned(SERVER_CORE, command), folder) as process:
        await_port(process, name, port)
        versions = f"{library} {version(library)}, uvloop {version('uvloop')}"
        yield Candidate(name, versions, port)
