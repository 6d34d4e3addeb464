"""Command line of the benchmarks: `python -m benchmarks [gateway] [sign-in] [memory]`."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import gateway, memory, plot, report, sign_in
from benchmarks.figures import Section
from benchmarks.machine import busy_percent
from benchmarks.progress import Report
from benchmarks.system import running_system
from deploy.local.errors import LocalError

QUIET_PERCENT = 5
RESULTS = Path(__file__).parent / "results"


class Benchmark(StrEnum):
    """What there is to measure."""

    GATEWAY = "gateway"
    SIGN_IN = "sign-in"
    MEMORY = "memory"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Chosen = Annotated[list[Benchmark] | None, typer.Argument(help="What to measure; everything by default.")]
Rounds = Annotated[int, typer.Option(min=1, max=9, help="Rounds of the gateway's comparison.")]
Seconds = Annotated[int, typer.Option(min=1, max=9, help="Length of one load of the gateway.")]
Load = Annotated[int, typer.Option(min=3, max=60, help="Seconds of sign-ins, and of idleness before.")]
Samples = Annotated[int, typer.Option(min=4, max=100, help="Sign-ins that fail, of each kind.")]


@app.command()
def main(
    chosen: Chosen = None,
    rounds: Rounds = 5,
    seconds: Seconds = 3,
    load: Load = 30,
    samples: Samples = 40,
) -> None:
    """Measure, print, and write benchmarks/results/ where everything was measured."""
    names = chosen or list(Benchmark)
    console = Console()
    sections: list[Section] = []
    busy = busy_percent()
    if busy is not None and busy > QUIET_PERCENT:
        console.print(f"the machine is {busy:.0f} % busy with other things: figures suffer", style="yellow")
    try:
        with TemporaryDirectory(prefix="dialpass-bench-") as folder:
            say = _speaker(console)
            if Benchmark.GATEWAY in names:
                sections.append(gateway.measure(Path(folder), rounds, seconds, say))
            sections += _with_system(Path(folder), names, load, samples, say)
    except LocalError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    report.show(console, sections)
    if set(names) == set(Benchmark):
        report.write(RESULTS, sections, busy)
        plot.draw(RESULTS / report.PLOT, sections)
        console.print(f"written: {RESULTS / report.PAGE}")


def _with_system(
    folder: Path, names: Sequence[Benchmark], load: int, samples: int, say: Report
) -> Iterator[Section]:
    if not {Benchmark.SIGN_IN, Benchmark.MEMORY} & set(names):
        return
    with running_system(folder, say) as system:
        if Benchmark.SIGN_IN in names:
            yield sign_in.measure(system, load, samples, say)
        if Benchmark.MEMORY in names:
            yield memory.measure(system, say)


def _speaker(console: Console) -> Report:
    return lambda text: console.print(text, style="dim", markup=False, highlight=False)


if __name__ == "__main__":
    app()
