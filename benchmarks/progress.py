"""Progress messages of the benchmarks."""

from collections.abc import Callable

Report = Callable[[str], None]
