"""The results of a benchmark: tables and targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """A target; the values are text with units."""

    name: str
    asked: str
    reached: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text; the first column is the label."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(slots=True)
class Section:
    """The results of a benchmark.

    Attributes:
        bars: the values of the plot, as (panel, label, value).
    """

    title: str
    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    bars: list[tuple[str, str, float]] = field(default_factory=list)


def at_least(name: str, asked: float, reached: float) -> Target:
    """Return a target with a lower limit."""
    return Target(name, f"≥ {asked:g}", f"{reached:.2f}", reached >= asked)


def at_most(name: str, asked: float, reached: float, unit: str = "") -> Target:
    """Return a target with an upper limit."""
    return Target(name, f"≤ {asked:g}{unit}", f"{reached:.2f}{unit}", reached <= asked)
