"""The gateway's command line: `python -m services.gateway --help`."""

import sys
from functools import partial
from typing import Annotated

import typer

from services.gateway import app
from services.gateway.client_address import ClientPseudonyms
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


@cli.command()
def client(address: Annotated[str, typer.Argument(help="An IPv4 or IPv6 address.")]) -> None:
    """Show what stands for a client's address in log lines (member client), under CLIENT_PSEUDONYM_SECRET."""
    secret = GatewaySettings.load("gateway").client_secret
    if secret is None:
        typer.echo("CLIENT_PSEUDONYM_SECRET is not set: each process uses a random one.", err=True)
        raise typer.Exit(2)
    typer.echo(ClientPseudonyms(secret).of(address))


if __name__ == "__main__":
    cli()
