"""What every process measures of its background tasks."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from shared import tasks


class TaskFailuresCollector(Collector):
    """Shows how often each background task has failed since the start of the process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Yield the counter."""
        failures = CounterMetricFamily(
            "dialpass_task_failures",
            "Exceptions that background tasks raised, by task; each was started again.",
            labels=("task",),
        )
        for name, count in sorted(tasks.failures().items()):
            failures.add_metric((name,), count)
        yield failures
