"""Commands of the auth service: `python -m services.auth --help`."""

import json
import sys
from functools import partial
from typing import Annotated, NoReturn

import typer

from services.auth.accounts.cli import user_cli
from services.auth.audit.cli import show_audit
from services.auth.settings import AuthSettings, MysqlSettings
from services.auth.tokens.cli import key_cli

# Without typer's own tracebacks, which show local variables and so secrets.
cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The auth service of Dialpass.",
)
cli.add_typer(key_cli, name="key")
cli.add_typer(user_cli, name="user")
cli.command("audit")(show_audit)


@cli.command()
def serve() -> None:
    """Serve HTTP on AUTH_PORT until SIGTERM."""
    # Imported here: the other commands need none of it.
    from services.auth import app  # noqa: PLC0415
    from services.auth.tokens.key_ring import NoSigningKey  # noqa: PLC0415
    from shared import lifecycle  # noqa: PLC0415

    settings = AuthSettings.load()
    try:
        status = lifecycle.serve("auth", settings, partial(app.build, settings))
    except NoSigningKey as error:
        _fail(str(error))
    sys.exit(status)


@cli.command()
def migrate(
    *,
    wait: Annotated[
        float | None, typer.Option(help="Apply nothing: wait this many seconds until another has.")
    ] = None,
    database_wait: Annotated[
        float, typer.Option(help="Wait this many seconds for a database that lets the user in.")
    ] = 0,
) -> None:
    """Bring the database's tables up to date; safe to run several at once."""
    from services.auth.db import migrate as migrations  # noqa: PLC0415

    url = MysqlSettings.load("auth").mysql_url.get_secret_value()
    done: list[str] = []
    try:
        if wait is None:
            done = migrations.migrate(url, database_wait=database_wait, report=_report)
        else:
            migrations.wait_until_migrated(url, wait, _report)
    except migrations.MigrationFailed as error:
        _fail(str(error))
    typer.echo(f"applied: {', '.join(done)}" if done else "the database is up to date")


@cli.command("openapi")
def describe_api() -> None:
    """Print the description of the public API, to be kept in services/gateway/pages/openapi.json."""
    from services.auth import openapi  # noqa: PLC0415
    from services.auth.routes import PUBLIC_ROUTES  # noqa: PLC0415

    typer.echo(json.dumps(openapi.build(PUBLIC_ROUTES), indent=2, ensure_ascii=False))


def _report(line: str) -> None:
    typer.echo(line, err=True)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(1)


if __name__ == "__main__":
    cli()
