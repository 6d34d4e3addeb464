"""The Prometheus registry of a process."""

from collections.abc import Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from shared.observability.metrics.tasks import TaskFailuresCollector


def new_registry() -> CollectorRegistry:
    """Return a registry with the metrics of the process, of its background tasks and of Python."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    TaskFailuresCollector(registry)
    return registry


def expose(counter: Counter, *values: Iterable[str]) -> None:
    """Expose the series of all combinations of label values from the start, at zero.

    A series that appears with its first count shows no increase, and what never happened cannot be told
    from what is not measured.

    Args:
        counter: a counter whose labels are all from closed sets.
        values: of each of its labels.
    """
    for labels in product(*values):
        counter.labels(*labels)
