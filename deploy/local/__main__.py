"""Command line of the one-machine run: `python -m deploy.local up`."""

import shutil
from pathlib import Path

import typer
from rich.console import Console

from deploy.local.errors import LocalError
from deploy.local.files import hold_lock
from deploy.local.run import LOCK
from deploy.local.run import up as run_up

ROOT = Path(__file__).resolve().parents[2]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Dialpass on one machine.",
    pretty_exceptions_enable=False,  # tracebacks would contain secrets in local variables
)


@app.command()
def up() -> None:
    """Start the servers and services, and run them until Ctrl-C."""
    try:
        run_up(ROOT, Console())
    except LocalError as error:
        _exit_with(error)
    except KeyboardInterrupt:
        typer.echo("stopped")


@app.command()
def clean() -> None:
    """Remove the data, secrets and logs of earlier runs."""
    run = ROOT / ".run"
    try:
        with hold_lock(run / LOCK):
            shutil.rmtree(run)
    except LocalError as error:
        _exit_with(error)


def _exit_with(error: LocalError) -> None:
    typer.secho(str(error), fg="red", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
