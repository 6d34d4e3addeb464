"""Commands of the SMS worker: `python -m services.sms --help`."""

import sys
from functools import partial

import typer

from services.sms.cli import dead_letters as dead
from services.sms.cli import ledger, provider, send
from services.sms.cli import queues as queue
from services.sms.settings import SmsSettings

# Without typer's own tracebacks, which show local variables and so secrets.
cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The SMS worker of Dialpass.",
)


cli.command("send")(send.send)
cli.add_typer(dead.cli, name="dead")
cli.add_typer(queue.cli, name="queue")
cli.add_typer(ledger.cli, name="ledger")
cli.add_typer(provider.cli, name="provider")


@cli.command()
def serve() -> None:
    """Consume send-code messages until SIGTERM."""
    # Imported here: the other commands need none of it.
    from services.sms import app  # noqa: PLC0415
    from shared import lifecycle  # noqa: PLC0415

    settings = SmsSettings.load()
    sys.exit(lifecycle.serve("sms", settings, partial(app.build, settings)))


if __name__ == "__main__":
    cli()
