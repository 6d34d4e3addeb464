"""Command line of the benchmarks: `python -m benchmarks [gateway] [sign-in] [codes] [worker] [memory]`."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import codes, gateway, memory, plot, report, sign_in, worker
from benchmarks.figures import Section
from benchmarks.machine import busy_percent
from benchmarks.progress import Report
from benchmarks.system import System, running_system
from deploy.local.errors import LocalError

QUIET_PERCENT = 5
RESULTS = Path(__file__).parent / "results"


class Benchmark(StrEnum):
    """What there is to measure."""

    GATEWAY = "gateway"
    SIGN_IN = "sign-in"
    CODES = "codes"
    WORKER = "worker"
    MEMORY = "memory"


Measure = Callable[[System], Section]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Chosen = Annotated[list[Benchmark] | None, typer.Argument(help="What to measure; everything by default.")]
Rounds = Annotated[int, typer.Option(min=1, max=9, help="Rounds of each comparison.")]
Seconds = Annotated[int, typer.Option(min=1, max=9, help="Length of one load.")]
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
            measures = _measures(rounds, seconds, load, samples, say)
            sections += _with_system(
                Path(folder), [measures[name] for name in measures if name in names], say
            )
    except LocalError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    report.show(console, sections)
    if set(names) == set(Benchmark):
        report.write(RESULTS, sections, busy)
        plot.draw(RESULTS / report.PLOT, sections)
        console.print(f"written: {RESULTS / report.PAGE}")


def _with_system(folder: Path, measures: Sequence[Measure], say: Report) -> Iterator[Section]:
    if not measures:
        return
    with running_system(folder, say) as system:
        for measure in measures:
            yield measure(system)


def _measures(rounds: int, seconds: int, load: int, samples: int, say: Report) -> dict[Benchmark, Measure]:
    """Return what measures the whole system, in the order in which it is done."""
    return {
        Benchmark.SIGN_IN: lambda system: sign_in.measure(system, load, samples, say),
        Benchmark.CODES: lambda system: codes.measure(system, rounds, seconds, say),
        Benchmark.WORKER: lambda system: worker.measure(system, rounds, seconds, say),
        Benchmark.MEMORY: lambda system: memory.measure(system, say),
    }


def _speaker(console: Console) -> Report:
    return lambda text: console.print(text, style="dim", markup=False, highlight=False)


if __name__ == "__main__":
    app()
