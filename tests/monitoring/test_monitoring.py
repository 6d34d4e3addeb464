"""Alerts, dashboards and runbooks speak of what there is, and of all of it; `tests/monitoring/` runs them."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from deploy.monitoring import generate
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


def own_metrics() -> CollectorRegistry:
    """Return a registry with every metric that shared/metrics declares."""
    registry = CollectorRegistry()
    for _, member in inspect.getmembers(metrics, inspect.isclass):
        if member.__module__.startswith(metrics.__name__):
            declare: Any = member
            declare(registry)
    return registry


def known_metrics() -> dict[str, set[str]]:
    """Return every series that the services can have, with its labels."""
    known: dict[str, set[str]] = {rule["record"]: set() for rule in RULES if "record" in rule}
    for family in metrics.new_registry().collect():
        known |= {sample.name: set(sample.labels) for sample in family.samples}
    for collector, names in own_metrics()._collector_to_names.items():
        known |= {name: set(getattr(collector, "_labelnames", ())) for name in names}
    return known


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_each_alert_is_tested_in_both_ways(alert: str) -> None:
    cases = [
        bool(case.get("exp_alerts"))
        for path in CASES
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert {True, False} == set(cases)


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in RULES), *queries()])
def test_every_metric_and_label_that_is_asked_for_exists(expression: str) -> None:
    known = known_metrics()
    used = set(METRIC.findall(expression))
    assert used - set(known) == set()
    if any(":" in name for name in used):  # what a recording rule keeps is its own matter
        return
    labels = set(SELECTED_LABEL.findall(expression))
    labels |= {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
    assert labels - set.union(set(), *(known[name] for name in used)) - FROM_PROMETHEUS == set()


def test_every_metric_of_our_own_is_shown_or_alerted_on() -> None:
    text = " ".join([*(rule["expr"] for rule in RULES), *queries()])
    declared = own_metrics()._collector_to_names.values()
    unused = {names[0] for names in declared if not any(name in text for name in names)}
    assert unused - {"dialpass_upstream_connections"} == set(), "add them to deploy/monitoring/dashboards/"


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_each_alert_has_a_runbook_a_summary_and_somebody_to_act(alert: str) -> None:
    (rule,) = (rule for rule in RULES if rule.get("alert") == alert)
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["labels"]["audience"] in {"on-call", "messaging", "abuse"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"deploy/runbooks/{alert}.md"
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert all(f"\n## {part}\n" in text for part in ("Meaning", "Look", "Do"))


def test_no_runbook_is_left_over() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == set(ALERT_NAMES)


@pytest.mark.parametrize("name", [path.name for path, _ in generate.files()])
def test_what_is_generated_is_up_to_date(name: str) -> None:
    wanted: dict[str, tuple[Path, Any]] = {path.name: (path, text) for path, text in generate.files()}
    path, text = wanted[name]
    assert path.read_text() == text, "run: make monitoring"
