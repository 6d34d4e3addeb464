"""Writes what Grafana and Kubernetes read from what people write: `make monitoring`.

`dashboards/*.yaml` says what is shown; Grafana's JSON of it goes to `deploy/dashboards/`. `alerts.yaml` is
what Prometheus reads; the PrometheusRule for Kubernetes holds the same groups, and a ConfigMap the
dashboards, for Grafana's sidecar.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
DASHBOARDS = HERE.parent / "dashboards"
COMPONENT = HERE.parent / "k8s" / "components" / "monitoring"
COLUMNS, WIDTH, HEIGHT = 3, 8, 8
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
NOTE = "# Written by `make monitoring` from deploy/monitoring/{}.\n"


def files() -> Iterator[tuple[Path, str]]:
    """Yield each file to write, and its content."""
    dashboards = {
        f"{source.stem}.json": dashboard(yaml.safe_load(source.read_text(encoding="utf-8")))
        for source in sorted((HERE / "dashboards").glob("*.yaml"))
    }
    for name, content in dashboards.items():
        yield DASHBOARDS / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    yield COMPONENT / "dashboards.yaml", NOTE.format("dashboards/") + config_map(dashboards)
    alerts = (HERE / "alerts.yaml").read_text(encoding="utf-8")
    yield COMPONENT / "prometheusrule.yaml", NOTE.format("alerts.yaml") + prometheus_rule(alerts)


def config_map(dashboards: dict[str, dict[str, Any]]) -> str:
    """Return the ConfigMap that Grafana's sidecar looks for, by its label."""
    return _manifest(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "dialpass-dashboards", "labels": {"grafana_dashboard": "1"}},
            "data": {name: json.dumps(content, ensure_ascii=False) for name, content in dashboards.items()},
        }
    )


def prometheus_rule(alerts: str) -> str:
    """Return the custom resource with the groups of a file of rules."""
    return _manifest(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "dialpass"},
            "spec": yaml.safe_load(alerts),
        }
    )


def _manifest(resource: dict[str, Any]) -> str:
    return yaml.safe_dump(resource, sort_keys=False, width=110, allow_unicode=True)


def dashboard(source: dict[str, Any]) -> dict[str, Any]:
    """Return Grafana's form of a dashboard."""
    return {
        "uid": source["uid"],
        "title": source["title"],
        "tags": ["dialpass"],
        "editable": False,
        "graphTooltip": 1,  # the crosshair is shared
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": list(_panels(source["rows"])),
    }


def _panels(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    number = top = 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row["title"],
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS * WIDTH, "h": 1},
            "panels": [],
        }
        top += 1
        for index, panel in enumerate(row["panels"]):
            number += 1
            line, column = divmod(index, COLUMNS)
            position = {"x": column * WIDTH, "y": top + line * HEIGHT, "w": WIDTH, "h": HEIGHT}
            yield _panel(number, panel, position)
        top += HEIGHT * -(-len(row["panels"]) // COLUMNS)


def _panel(number: int, panel: dict[str, Any], position: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel["title"],
        "datasource": DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel["unit"], "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query["expr"],
                "legendFormat": query["legend"],
            }
            for index, query in enumerate(panel["queries"])
        ],
    }


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
