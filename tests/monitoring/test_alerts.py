"""promtool accepts rules, configuration and queries, and each alert fires when it should."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.local.programs import ensure_programs, require
from tests.monitoring.dashboards import queries

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "monitoring" / "alerts.yaml"
CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))


@pytest.fixture(name="promtool", scope="module")
def _promtool() -> Path:
    ensure_programs("prometheus")
    return require("promtool")


def check(promtool: Path, *command: str | Path) -> None:
    done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_rules(promtool: Path) -> None:
    check(promtool, "check", "rules", ALERTS)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_not_before(promtool: Path, case: Path, tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path / "rules.yaml")
    check(promtool, "test", "rules", shutil.copy(case, tmp_path))


def test_prometheus_accepts_the_configuration_of_the_compose_file(promtool: Path, tmp_path: Path) -> None:
    settings = (ALERTS.parent / "prometheus.yaml").read_text()
    shutil.copy(ALERTS, tmp_path)
    path = tmp_path / "prometheus.yaml"
    path.write_text(settings.replace("/etc/prometheus", str(tmp_path)))
    check(promtool, "check", "config", path)


def test_prometheus_accepts_every_query_of_the_dashboards(promtool: Path, tmp_path: Path) -> None:
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries())]
    assert len(rules) > 30
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    check(promtool, "check", "rules", path)
