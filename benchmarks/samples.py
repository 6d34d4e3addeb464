"""Statistics."""

import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(values: Sequence[float]) -> float:
    """Return the interquartile range, which is robust against outliers."""
    first, _, third = statistics.quantiles(values, n=4)
    return third - first


def ms(seconds: float) -> str:
    """Format seconds as milliseconds with about three digits."""
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
