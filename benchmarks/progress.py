"""How a benchmark tells what it is doing."""

from collections.abc import Callable

Report = Callable[[str], None]
