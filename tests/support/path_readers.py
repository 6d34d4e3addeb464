"""Servers that answer every request with the path that they read: uvicorn, gunicorn and Node."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.programs import ensure_programs, require
from tests.support.system import ROOT

_MODULE = "tests.support.path_readers"
_NODE_PROGRAM = Path(__file__).with_name("path_reader.mjs")
_COMMANDS: dict[str, list[str]] = {
    "uvicorn with httptools": ["uvicorn", f"{_MODULE}:asgi", "--http", "httptools", "--port"],
    "uvicorn with h11": ["uvicorn", f"{_MODULE}:asgi", "--http", "h11", "--port"],
    "gunicorn": ["gunicorn", f"{_MODULE}:wsgi", "--worker-class", "gthread", "--keep-alive", "60", "--bind"],
}
_QUIET = ["--log-level", "warning"]


async def asgi(scope: Mapping[str, Any], _receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    """The application for uvicorn; Starlette and FastAPI match the same member."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps({"scope": scope["path"]}).encode()})


def wsgi(environ: Mapping[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """The application for gunicorn; Flask and Django match the same member."""
    path = environ["PATH_INFO"].encode("latin1").decode()  # PEP 3333
    body = json.dumps({"PATH_INFO": path}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class PathReader:
    """A running server, and a connection to it."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)

    def read(self, target: str) -> dict[str, str]:
        """Return the paths that the server reads in a request target, by how it is read."""
        try:
            self._connection.request("GET", target)
        except ConnectionError:  # it was closed after the last request
            self._connection.close()
            self._connection.request("GET", target)
        with self._connection.getresponse() as response:
            content = response.read()
            assert response.status == 200, f"{self.name} answers {target} with {response.status}"
        return {f"{self.name}: {way}": path for way, path in json.loads(content).items()}

    def close(self) -> None:
        self._connection.close()


@contextmanager
def running_path_readers() -> Iterator[list[PathReader]]:
    """Run the servers."""
    ensure_programs("node")
    with ExitStack() as stack:
        readers = []
        for name, command in _COMMANDS.items():
            port = free_port()
            address = f"{LOOPBACK}:{port}" if name == "gunicorn" else str(port)
            stack.enter_context(_running([sys.executable, "-m", *command, address, *_QUIET], port))
            readers.append(PathReader(name, port))
        port = free_port()
        stack.enter_context(_running([str(require("node")), str(_NODE_PROGRAM), str(port)], port))
        readers.append(PathReader("Node", port))
        yield readers
        for reader in readers:
            reader.close()


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + 20
        while not _listens(port):
            assert process.poll() is None, f"{command} has ended"
            assert time.monotonic() < deadline, f"{command} does not listen"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
