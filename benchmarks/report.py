"""The results on the terminal, and as a Markdown page with a plot."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.figures import Section, Table
from benchmarks.machine import description, library_versions

PAGE, PLOT = "report.md", "report.png"


def show(console: Console, sections: Sequence[Section]) -> None:
    """Print all tables, then the targets."""
    for section in sections:
        for table in section.tables:
            console.print(_rich(table))
    console.print(_rich(_targets(sections)))


def write(folder: Path, sections: Sequence[Section], busy: float | None) -> None:
    """Write the page.

    Args:
        folder: the target folder.
        sections: the results.
        busy: CPU usage of other processes before the start, in percent.
    """
    before = "" if busy is None else f" It was {busy:.0f} % busy with other things before."
    parts = [
        "# Measured",
        "By `make bench`; the ratios carry over to other machines, absolute figures do not.",
        f"Machine: {description()}.{before} Libraries: {library_versions()}.",
        f"![The figures as bars]({PLOT})",
        "## Asked and reached",
        _markdown(_targets(sections)),
    ]
    for section in sections:
        parts += [f"## {section.title}", *section.notes, *map(_markdown, section.tables)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text("\n\n".join(parts) + "\n")


def _targets(sections: Sequence[Section]) -> Table:
    rows = [
        (target.name, target.asked, target.reached, "yes" if target.holds else "NO")
        for section in sections
        for target in section.targets
    ]
    return Table("Asked and reached", ("", "asked", "reached", "holds"), rows)


def _rich(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left")
    for number, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if number == 0 else "right")
    for row in table.rows:
        shown.add_row(*row)
    return shown


def _markdown(table: Table) -> str:
    rule = ["---", *["---:"] * (len(table.columns) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (table.columns, rule, *table.rows))
