"""Commands of the auth service: `python -m services.auth --help`."""

import asyncio
import sys
from collections.abc import Coroutine
from functools import partial
from typing import Annotated, NoReturn

import typer

from services.auth.key_commands import key_cli
from services.auth.settings import AuthSettings, MysqlSettings
from shared.errors import Unavailable

# Without typer's own tracebacks, which show local variables and so secrets.
cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The auth service of Dialpass.",
)
user_cli = typer.Typer(no_args_is_help=True, help="Accounts.")
cli.add_typer(key_cli, name="key")
cli.add_typer(user_cli, name="user")

Mobile = Annotated[str, typer.Argument(help="The account's mobile number.")]


@cli.command()
def serve() -> None:
    """Serve HTTP on AUTH_PORT until SIGTERM."""
    # Imported here: the other commands need none of it.
    from services.auth import app  # noqa: PLC0415
    from services.auth.keys import NoSigningKey  # noqa: PLC0415
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
) -> None:
    """Bring the database's tables up to date; safe to run several at once."""
    from services.auth import migrate as migrations  # noqa: PLC0415

    url = MysqlSettings.load().mysql_url.get_secret_value()
    done: list[str] = []
    try:
        if wait is None:
            done = migrations.migrate(url)
        else:
            migrations.wait_until_migrated(url, wait)
    except migrations.MigrationFailed as error:
        _fail(str(error))
    typer.echo(f"applied: {', '.join(done)}" if done else "the database is up to date")


@user_cli.command("show")
def show_user(mobile: Mobile) -> None:
    """Show an account."""
    from services.auth import admin  # noqa: PLC0415

    _report(admin.show(MysqlSettings.load(), mobile))


@user_cli.command("disable")
def disable_user(mobile: Mobile) -> None:
    """Disable an account: signing in and its tokens stop working."""
    from services.auth import admin  # noqa: PLC0415

    _report(admin.set_disabled(MysqlSettings.load(), mobile, disabled=True))


@user_cli.command("enable")
def enable_user(mobile: Mobile) -> None:
    """Enable a disabled account again."""
    from services.auth import admin  # noqa: PLC0415

    _report(admin.set_disabled(MysqlSettings.load(), mobile, disabled=False))


def _report(work: Coroutine[None, None, dict[str, str] | None]) -> None:
    try:
        account = asyncio.run(work)
    except Unavailable:
        _fail("the database cannot be reached")
    if account is None:
        _fail("no account has this number")
    for name, value in account.items():
        typer.echo(f"{name}: {value}")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(1)


if __name__ == "__main__":
    cli()
