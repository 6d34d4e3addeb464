"""nginx as a fast upstream, and as a proxy for comparison."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import pinned
from benchmarks.processes import await_port, running
from deploy.local.ports import LOOPBACK
from deploy.local.programs import require

MANY = 1_000_000_000

CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests {many};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {upstream}
    server {{
        listen {host}:{port} reuseport backlog=1024;
        {documents}
        location / {{ {location} }}
    }}
}}
"""
UPSTREAM = "upstream stub {{ server {host}:{port}; keepalive 256; keepalive_requests {many}; }}"
FORWARD = 'proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection "";'


@contextmanager
def answering(
    body: str, port: int, folder: Path, core: int, documents: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Serve the same JSON for every request, except for the paths of `documents`."""
    own = "".join(
        f"location = {path} {{ return 200 '{document}'; }}" for path, document in (documents or {}).items()
    )
    with _serving(f"stub-{port}", f"return 200 '{body}';", "", port, folder, core, own):
        yield


@contextmanager
def forwarding(to: int, port: int, folder: Path, core: int) -> Iterator[None]:
    """Forward every request over keep-alive connections."""
    upstream = UPSTREAM.format(host=LOOPBACK, port=to, many=MANY)
    with _serving(f"proxy-{port}", FORWARD, upstream, port, folder, core):
        yield


@contextmanager
def _serving(
    name: str, location: str, upstream: str, port: int, folder: Path, core: int, documents: str = ""
) -> Iterator[None]:
    own = folder / name
    own.mkdir()
    configuration = own / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=own,
            many=MANY,
            host=LOOPBACK,
            port=port,
            location=location,
            upstream=upstream,
            documents=documents,
        )
    )
    command = [str(require("nginx")), "-c", str(configuration), "-p", str(own)]
    with running(name, pinned(core, command), own) as process:
        await_port(process, name, port)
        yield


def version() -> str:
    """Return nginx's version."""
    shown = subprocess.run([str(require("nginx")), "-v"], capture_output=True, text=True, check=True)
    return shown.stderr.strip().rpartition("/")[2]
