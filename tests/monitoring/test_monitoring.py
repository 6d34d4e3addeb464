"""Alerts, dashboards and runbooks cover the metrics and refer only to existing ones."""

import inspect
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from deploy.monitoring import generate
from shared import tasks
from shared.observability import metrics
from tests.monitoring.dashboards import queries

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "monitoring" / "alerts.yaml"
CASES = sorted((ROOT / "tests" / "monitoring" / "alerts").glob("*.yaml"))
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
ALERT_NAMES = sorted(rule["alert"] for rule in RULES if "alert" in rule)
RUNBOOKS = ROOT / "deploy" / "runbooks"
METRIC = re.compile(r"\b(?:dialpass|process|python)_[a-z0-9_]+|\bdialpass:[a-z0-9_:]+")
SELECTED_LABEL = re.compile(r"[{,]\s*([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
GROUPED = re.compile(r"\bby \(([a-z_, ]+)\)")
FROM_PROMETHEUS = {"job", "instance", "le"}
MAX_LABELS = 6


class RecordingRegistry(CollectorRegistry):
    """A registry whose metrics all have a sample."""

    def __init__(self) -> None:
        super().__init__()
        self.collectors: list[Any] = []

    def register(self, collector: Collector) -> None:
        super().register(collector)
        self.collectors.append(collector)

    def add_samples(self) -> None:
        """Give each labelled metric a sample, without which it has no label names."""
        for collector in self.collectors:
            for count in range(1, MAX_LABELS + 1):
                with suppress(ValueError):  # another number of labels
                    collector.labels(*["x"] * count)


def own_metrics() -> CollectorRegistry:
    """Return a registry with every metric of shared/observability/metrics, with a sample each."""
    registry = RecordingRegistry()
    for _, member in inspect.getmembers(metrics, inspect.isclass):
        if member.__module__.startswith(metrics.__name__):
            declare: Any = member
            declare(registry)
    registry.add_samples()
    tasks.count_failure("x")  # of a metric that belongs to no class
    return registry


def known_metrics() -> dict[str, set[str]]:
    """Return the labels of every series that the services can have, by its name."""
    known: dict[str, set[str]] = {rule["record"]: set() for rule in RULES if "record" in rule}
    for registry in (metrics.new_registry(), own_metrics()):
        for family in registry.collect():
            known |= {sample.name: set(sample.labels) for sample in family.samples}
    return known


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_each_alert_has_a_case_that_fires_and_one_that_does_not(alert: str) -> None:
    cases = [
        bool(case.get("exp_alerts"))
        for path in CASES
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert {True, False} == set(cases)


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in RULES), *queries()])
def test_every_queried_metric_and_label_exists(expression: str) -> None:
    known = known_metrics()
    used = set(METRIC.findall(expression))
    assert used - set(known) == set()
    if any(":" in name for name in used):  # recording rules define their own labels
        return
    labels = set(SELECTED_LABEL.findall(expression))
    labels |= {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
    assert labels - set.union(set(), *(known[name] for name in used)) - FROM_PROMETHEUS == set()


def test_every_metric_is_shown_or_alerted_on() -> None:
    text = " ".join([*(rule["expr"] for rule in RULES), *queries()])
    unused = {
        family.name
        for family in own_metrics().collect()
        if not any(name in text for name in [family.name, *(sample.name for sample in family.samples)])
    }
    assert unused - {"dialpass_upstream_connections"} == set(), "add them to deploy/monitoring/dashboards/"


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_each_alert_has_a_runbook_a_summary_and_an_audience(alert: str) -> None:
    (rule,) = (rule for rule in RULES if rule.get("alert") == alert)
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["labels"]["audience"] in {"on-call", "messaging", "abuse"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"deploy/runbooks/{alert}.md"
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert all(f"\n## {part}\n" in text for part in ("Meaning", "Look", "Do"))


def test_every_runbook_has_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == set(ALERT_NAMES)


@pytest.mark.parametrize("name", [path.name for path, _ in generate.files()])
def test_generated_files_are_up_to_date(name: str) -> None:
    wanted: dict[str, tuple[Path, Any]] = {path.name: (path, text) for path, text in generate.files()}
    path, text = wanted[name]
    assert path.read_text() == text, "run: make monitoring"
