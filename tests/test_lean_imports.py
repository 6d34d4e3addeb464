"""Services do not import modules that they do not use, which would cost memory and start time."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# For tracing, which is off by default; rich tracebacks; data and libraries used on demand.
UNUSED = {
    "shared.observability.otel",
    "opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.sdk.metrics",
    "google.protobuf", "requests", "rich", "pygments", "phonenumbers.geodata", "zxcvbn",
}  # fmt: skip


@pytest.mark.parametrize("service", ["gateway", "auth", "sms"])
def test_a_service_does_not_import_unused_modules(service: str) -> None:
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
