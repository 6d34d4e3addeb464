"""A second replica of a system's gateway."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.ports import free_ports
from tests.support.system import Process, System


@contextmanager
def second_gateway(system: System) -> Iterator[tuple[Process, str]]:
    """Run another gateway with the same upstreams, and yield its process and its URL."""
    ports = free_ports(["gateway", "ops"])
    env = system.env | {"GATEWAY_PORT": str(ports["gateway"]), "GATEWAY_OPS_PORT": str(ports["ops"])}
    log = system.gateway.log.with_suffix(".second.log")
    probe = f"http://127.0.0.1:{ports['ops']}/readyz"
    process = Process("services.gateway", ["serve"], env, log, probe)
    process.start()
    try:
        yield process, f"http://127.0.0.1:{ports['gateway']}"
    finally:
        process.stop()
