"""What a service does not import, because it costs memory and time at the start."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Of traces, where they are off; of pictures of tracebacks; of metrics that are not ours.
UNUSED = {
    "shared.observability.otel",
    "opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.sdk.metrics",
    "google.protobuf", "requests", "rich", "pygments", "phonenumbers.geodata", "zxcvbn",
}  # fmt: skip


@pytest.mark.parametrize("service", ["gateway", "auth", "sms"])
def test_a_service_imports_nothing_that_it_does_not_use(service: str) -> None:
    program = (
        f"import sys, services.{service}.__main__, services.{service}.app\n"
        "print(*(name for name, module in sys.modules.items() if module))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    imported = set(done.stdout.split())
    assert f"services.{service}.app" in imported, done.stderr
    assert UNUSED & imported == set()
