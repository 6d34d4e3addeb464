"""Commands of the SMS worker: `python -m services.sms --help`."""

import sys
from functools import partial

import typer

from services.sms.cli import dead_letters, ledger, provider, queues, send
from services.sms.settings import SmsSettings

# Typer's tracebacks show local variables, and thereby secrets.
cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The SMS worker of Dialpass.",
)


cli.command("send")(send.send)
cli.add_typer(dead_letters.cli, name="dead")
cli.add_typer(queues.cli, name="queue")
cli.add_typer(ledger.cli, name="ledger")
cli.add_typer(provider.cli, name="provider")


@cli.command()
def serve() -> None:
    """Consume send-code messages until SIGTERM."""
    # Imported here, because the other commands do not need it.
    from services.sms import app  # noqa: PLC0415
    from shared import lifecycle  # noqa: PLC0415

    settings = SmsSettings.load()
    sys.exit(lifecycle.serve("sms", settings, partial(app.build, settings)))


if __name__ == "__main__":
    cli()
