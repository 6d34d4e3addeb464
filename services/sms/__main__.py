"""Commands of the SMS worker: `python -m services.sms --help`."""

import sys
from functools import partial

import typer

from services.sms import app
from services.sms.settings import SmsSettings
from shared import lifecycle

# Without typer's own tracebacks, which show local variables and so secrets.
cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The SMS worker of Dialpass.",
)


@cli.callback()
def main() -> None:
    """Keep `serve` a command of its own, as in the other services."""


@cli.command()
def serve() -> None:
    """Consume send-code messages until SIGTERM."""
    settings = SmsSettings.load()
    sys.exit(lifecycle.serve("sms", settings, partial(app.build, settings)))


if __name__ == "__main__":
    cli()
