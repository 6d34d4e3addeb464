"""A bar chart of the results, with one panel per kind."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figures import Section

COLOUR = "#33658a"
BAR_INCHES, PANEL_INCHES, WIDTH_INCHES = 0.32, 0.9, 8.0
Bar = tuple[str, float]


def draw(path: Path, sections: Sequence[Section]) -> None:
    """Write the plot."""
    panels: dict[str, list[Bar]] = {}
    for section in sections:
        for panel, label, value in section.bars:
            panels.setdefault(panel, []).append((label, value))
    heights = [PANEL_INCHES + BAR_INCHES * len(bars) for bars in panels.values()]
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(WIDTH_INCHES, sum(heights)), layout="constrained")
        grid = figure.add_gridspec(len(panels), height_ratios=heights)
        for number, (title, bars) in enumerate(panels.items()):
            _draw_panel(figure.add_subplot(grid[number]), title, bars)
        # Without date and version, so that the same results give the same file.
        figure.savefig(path, dpi=90, metadata={"Software": None})


def _draw_panel(axes: Axes, title: str, bars: Sequence[Bar]) -> None:
    labels, values = zip(*reversed(bars), strict=True)
    drawn = axes.barh(range(len(values)), values, color=COLOUR, height=0.7)
    axes.set_yticks(range(len(labels)), labels)
    axes.bar_label(drawn, [_short(value) for value in values], padding=3)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlim(0, max(values) * 1.12)
    axes.spines[["top", "right"]].set_visible(False)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
