"""The commands for accounts: `python -m services.auth user --help`."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated

import typer

from services.auth import admin
from services.auth.settings import MysqlSettings, OperatorSettings
from shared.errors import NotFound, Unavailable

user_cli = typer.Typer(no_args_is_help=True, help="Accounts.")

Mobile = Annotated[str, typer.Argument(help="The account's mobile number.")]


@user_cli.command("show")
def show_user(mobile: Mobile) -> None:
    """Show an account."""
    _report(admin.show(MysqlSettings.load(), mobile))


@user_cli.command("disable")
def disable_user(mobile: Mobile) -> None:
    """Disable an account: its sessions end, and signing in stops working."""
    _report(admin.disable(OperatorSettings.load(), mobile))


@user_cli.command("enable")
def enable_user(mobile: Mobile) -> None:
    """Enable a disabled account again."""
    _report(admin.enable(OperatorSettings.load(), mobile))


@user_cli.command("delete")
def delete_user(
    mobile: Mobile,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Erase an account, its sessions and its personal data; its number is free again."""
    settings = OperatorSettings.load()
    if not yes:
        typer.confirm("Erase this account for good?", abort=True)
    _report(admin.delete(settings, mobile))


def _report(work: Coroutine[None, None, admin.Facts]) -> None:
    try:
        facts = asyncio.run(work)
    except Unavailable:
        _fail("the database cannot be reached")
    except NotFound:
        _fail("no account has this number")
    else:
        for name, value in facts.items():
            typer.echo(f"{name}: {value}")


def _fail(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(1)
