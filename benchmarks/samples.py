"""The few statistics that are needed."""

import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(values: Sequence[float]) -> float:
    """Return the distance between the quartiles, which a few outliers do not move."""
    first, _, third = statistics.quantiles(values, n=4)
    return third - first


def ms(seconds: float) -> str:
    """Return seconds as milliseconds with three digits or so."""
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
