"""The command line of the benchmarks: `python -m benchmarks [gateway] [codes] …`, by default all."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import codes, gateway, lookups, memory, plot, report, sign_in, starving, worker
from benchmarks.figures import Section
from benchmarks.machine import busy_percent
from benchmarks.progress import Report
from benchmarks.system import System, running_system
from deploy.local.errors import LocalError

QUIET_PERCENT = 5
RESULTS = Path(__file__).parent / "results"


class Benchmark(StrEnum):
    """The benchmarks."""

    GATEWAY = "gateway"
    SIGN_IN = "sign-in"
    STARVING = "starving"
    CODES = "codes"
    WORKER = "worker"
    MEMORY = "memory"
    LOOKUPS = "lookups"


@dataclass(frozen=True, slots=True)
class Effort:
    """Durations and repetitions."""

    rounds: int
    seconds: int
    load: int
    samples: int
    millions: int


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Chosen = Annotated[list[Benchmark] | None, typer.Argument(help="The benchmarks to run; all by default.")]
Rounds = Annotated[int, typer.Option(min=1, max=9, help="Rounds of each comparison.")]
Seconds = Annotated[int, typer.Option(min=1, max=9, help="Seconds of each load.")]
Load = Annotated[int, typer.Option(min=3, max=60, help="Seconds of sign-ins, and of the idle time before.")]
Samples = Annotated[int, typer.Option(min=4, max=100, help="Failed sign-ins of each kind.")]
Millions = Annotated[int, typer.Option(min=1, max=100, help="Millions of accounts in the large table.")]


@app.command()
def main(
    chosen: Chosen = None,
    rounds: Rounds = 5,
    seconds: Seconds = 3,
    load: Load = 30,
    samples: Samples = 40,
    millions: Millions = 10,
) -> None:
    """Run the benchmarks, print the results, and write benchmarks/results/ if all were run."""
    names = set(chosen or Benchmark)
    console = Console()
    busy = busy_percent()
    if busy is not None and busy > QUIET_PERCENT:
        console.print(
            f"the machine is {busy:.0f} % busy with other processes: results are less accurate",
            style="yellow",
        )
    effort = Effort(rounds, seconds, load, samples, millions)
    try:
        with TemporaryDirectory(prefix="dialpass-bench-") as folder:
            sections = list(_sections(names, Path(folder), effort, _reporter(console)))
    except LocalError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    report.show(console, sections)
    if names == set(Benchmark):
        report.write(RESULTS, sections, busy)
        plot.draw(RESULTS / report.PLOT, sections)
        console.print(f"written: {RESULTS / report.PAGE}")


def _sections(names: Collection[Benchmark], folder: Path, effort: Effort, say: Report) -> Iterator[Section]:
    if Benchmark.GATEWAY in names:
        yield gateway.measure(folder, effort.rounds, effort.seconds, say)
    measures = _system_benchmarks(effort, say)
    if measures.keys() & names:
        with running_system(folder, say) as system:
            yield from (measure(system) for name, measure in measures.items() if name in names)
    if Benchmark.LOOKUPS in names:
        yield lookups.measure(folder, effort.rounds, effort.seconds, effort.millions * 1_000_000, say)


def _system_benchmarks(effort: Effort, say: Report) -> dict[Benchmark, Callable[[System], Section]]:
    """Return the benchmarks of the whole system, in their order."""
    rounds, seconds = effort.rounds, effort.seconds
    return {
        Benchmark.SIGN_IN: lambda system: sign_in.measure(system, effort.load, effort.samples, say),
        Benchmark.STARVING: lambda system: starving.measure(system, effort.load, say),
        Benchmark.CODES: lambda system: codes.measure(system, rounds, seconds, say),
        Benchmark.WORKER: lambda system: worker.measure(
            system, min(rounds, worker.MOST_ROUNDS), seconds, say
        ),
        Benchmark.MEMORY: lambda system: memory.measure(system, say),
    }


def _reporter(console: Console) -> Report:
    return lambda text: console.print(text, style="dim", markup=False, highlight=False)


if __name__ == "__main__":
    app()
