"""The queries of the dashboards."""

import json
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "dashboards"


def queries() -> Iterator[str]:
    """Yield every query of every dashboard, as Grafana would send it."""
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield target["expr"].replace("$__rate_interval", "5m")
