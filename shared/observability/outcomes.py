"""Counting operations by outcome."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter

from shared.errors import AppError


@contextmanager
def count_outcome(counter: Counter, *labels: str) -> Iterator[None]:
    """Count the block as `done`, or by the slug of the problem that it raises.

    Args:
        counter: its last label is the outcome.
        labels: values of the labels before it.
    """
    try:
        yield
    except AppError as error:
        counter.labels(*labels, error.slug).inc()
        raise
    counter.labels(*labels, "done").inc()
