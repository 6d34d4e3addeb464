"""The Prometheus registry of a process."""

from prometheus_client import CollectorRegistry
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
