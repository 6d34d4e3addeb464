"""Command line of the one-machine run: `python -m deploy.local up`."""

import shutil
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from deploy.local.errors import LocalError
from deploy.local.files import hold_lock
from deploy.local.newer_servers import PACKAGES, unpack
from deploy.local.run import up as run_up
from shared.running_system import LOCK, run_folder

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
    run = run_folder()
    try:
        with hold_lock(run / LOCK):
            shutil.rmtree(run)
    except LocalError as error:
        _exit_with(error)


@app.command()
def servers(
    release: Annotated[str, typer.Argument(help=f"Its name: {', '.join(PACKAGES)}.")],
) -> None:
    """Fetch the servers of another Debian release; print the folder for SERVER_PROGRAMS."""
    try:
        programs = unpack(release, run_folder() / "servers", partial(typer.echo, err=True))
    except LocalError as error:
        _exit_with(error)
    typer.echo(programs)


def _exit_with(error: LocalError) -> NoReturn:
    typer.secho(str(error), fg="red", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
