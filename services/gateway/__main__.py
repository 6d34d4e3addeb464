"""The gateway's command line: `python -m services.gateway --help`."""

import sys
from functools import partial

import typer

from services.gateway import app
from services.gateway.settings import GatewaySettings
from shared import lifecycle

# No tracebacks by typer: they show local variables, secrets among them.
cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The gateway of Dialpass.",
)


@cli.callback()
def main() -> None:
    """Keep `serve` a subcommand, as in the other services."""


@cli.command()
def serve() -> None:
    """Serve HTTP on GATEWAY_PORT until SIGTERM."""
    settings = GatewaySettings.load()
    sys.exit(lifecycle.serve("gateway", settings, partial(app.build, settings)))


if __name__ == "__main__":
    cli()
