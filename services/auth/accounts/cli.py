"""The commands for accounts: `python -m services.auth user --help`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from services.auth.accounts.administration import AccountAdministration
from services.auth.accounts.repository import UserRepository
from services.auth.audit.repository import AuditRepository
from services.auth.db.database import Database
from services.auth.keyed_hash import KeyedHash
from services.auth.models import Client, User
from services.auth.outbox.repository import OutboxRepository
from services.auth.sessions.repository import SessionRepository
from services.auth.settings import MysqlSettings, OperatorSettings
from services.auth.unit_of_work import UnitOfWork
from shared.clock import now
from shared.errors import NotFound, Unavailable
from shared.http import request_ids
from shared.phone import canonical_or_given, mask_mobile

user_cli = typer.Typer(no_args_is_help=True, help="Accounts.")

Mobile = Annotated[
    str, typer.Argument(help="The account's mobile number.", parser=canonical_or_given, metavar="MOBILE")
]


@user_cli.command("show")
def show_user(mobile: Mobile) -> None:
    """Show an account."""

    async def show(database: Database) -> User | None:
        return await UserRepository(database).find_by_mobile(mobile)

    _print(_facts(_run(MysqlSettings.load("auth"), show)))


@user_cli.command("disable")
def disable_user(mobile: Mobile) -> None:
    """Disable an account: its sessions end, and signing in stops working."""
    _print(_facts(_administer(mobile, lambda accounts, user: accounts.disable(user.id, _operator()))))


@user_cli.command("enable")
def enable_user(mobile: Mobile) -> None:
    """Enable a disabled account again."""
    _print(_facts(_administer(mobile, lambda accounts, user: accounts.enable(user.id, _operator()))))


@user_cli.command("delete")
def delete_user(
    mobile: Mobile,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Erase an account, its sessions and its personal data; its number is free again."""

    async def delete(accounts: AccountAdministration, user: User) -> User:
        await accounts.delete(user.id, _operator())
        return user

    settings = OperatorSettings.load("auth")
    if not yes:
        typer.confirm("Erase this account for good?", abort=True)
    _print({"deleted": str(_administer(mobile, delete, settings).id)})


def _administer(
    mobile: str,
    work: Callable[[AccountAdministration, User], Awaitable[User]],
    settings: OperatorSettings | None = None,
) -> User:
    """Run `work` on the account of a number and return the account."""
    settings = settings or OperatorSettings.load("auth")

    async def administer(database: Database) -> User:
        outbox = OutboxRepository(database)
        audit = AuditRepository(database, KeyedHash(settings.code_secret.get_secret_value()))
        uow = UnitOfWork(database, outbox, audit, now)
        accounts = AccountAdministration(uow, UserRepository(database), SessionRepository(database, outbox))
        return await work(accounts, await accounts.find(mobile))

    return _run(settings, administer)


def _run(settings: MysqlSettings, work: Callable[[Database], Awaitable[User | None]]) -> User:
    async def run() -> User | None:
        database = Database(settings.mysql_url.get_secret_value(), pool_size=1)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        user = asyncio.run(run())
    except Unavailable:
        raise _failure("the database cannot be reached") from None
    except NotFound:
        user = None
    if user is None:
        raise _failure("no account has this number")
    return user


def _operator() -> Client:
    return Client("", "an operator's command", request_ids.accept_or_create(None))


def _facts(user: User) -> dict[str, str]:
    return {
        "id": str(user.id),
        "mobile": mask_mobile(user.mobile),
        "nickname": user.nickname or "-",
        "created": user.created_at.isoformat(timespec="seconds"),
        "disabled": user.disabled_at.isoformat(timespec="seconds") if user.disabled_at else "no",
    }


def _print(facts: dict[str, str]) -> None:
    for name, value in facts.items():
        typer.echo(f"{name}: {value}")


def _failure(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)
