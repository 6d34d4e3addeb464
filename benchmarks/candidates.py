"""The gateway and what it is compared with."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks import nginx
from benchmarks.machine import LOAD_CORE, SERVER_CORE, pinned
from benchmarks.processes import await_port, module, running
from deploy.local.ports import LOOPBACK, free_port

ORIGIN = "https://app.example.com"
BODY = '{"mobile": "13800138000", "password": "correct!!"}'
ANSWER = '{"id": 12, "nick": "13800138000"}'

NGINX = "nginx, keep-alive upstream"
GATEWAY = "gateway"
GATEWAY_ORIGIN = "gateway, with Origin"
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
    """A server that is up; `headers` go with every request."""

    name: str
    version: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the load goes."""
        return f"http://{LOOPBACK}:{self.port}/login/"


@contextmanager
def all_running(folder: Path) -> Iterator[list[Candidate]]:
    """Run the upstream and every candidate for the block's time."""
    with ExitStack() as stack:
        upstream = free_port()
        stack.enter_context(nginx.answering(ANSWER, upstream, folder, LOAD_CORE))
        proxy = free_port()
        stack.enter_context(nginx.forwarding(upstream, proxy, folder, SERVER_CORE))
        gateway = stack.enter_context(_gateway(upstream, folder))
        yield [
            Candidate(NGINX, f"nginx {nginx.version()}", proxy),
            Candidate(GATEWAY, "this one", gateway),
            Candidate(GATEWAY_ORIGIN, "this one", gateway, {"Origin": ORIGIN}),
            *[stack.enter_context(_peer(name, upstream, folder)) for name in PEERS],
        ]


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
        yield port


@contextmanager
def _peer(name: str, upstream: int, folder: Path) -> Iterator[Candidate]:
    program, library = PEERS[name]
    port = free_port()
    command = module(f"benchmarks.peers.{program}", str(port), str(upstream))
    with running(program, pinned(SERVER_CORE, command), folder) as process:
        await_port(process, name, port)
        versions = f"{library} {version(library)}, uvloop {version('uvloop')}"
        yield Candidate(name, versions, port)
