"""The command that shows the audit trail: `python -m services.auth audit --help`."""

import asyncio
import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from services.auth.audit.repository import AuditRecord, AuditRepository
from services.auth.db.database import Database
from services.auth.keyed_hash import KeyedHash
from services.auth.settings import OperatorSettings
from shared.clock import now
from shared.errors import Unavailable
from shared.phone import canonical_or_given

_AGO = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
# Output that goes into a file or a pipe is not wrapped.
_PIPED_WIDTH = 240


def _moment(text: str) -> datetime:
    if ago := _AGO.fullmatch(text):
        return now() - int(ago["number"]) * _UNITS[ago["unit"]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("takes 30m, 24h, 7d or a time as in 2026-01-31T12:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def show_audit(
    user: Annotated[int | None, typer.Option(help="Entries about the account with this id.")] = None,
    mobile: Annotated[
        str | None,
        typer.Option(
            parser=canonical_or_given,
            metavar="MOBILE",
            help="Entries about this number, also after it was erased.",
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=_moment, metavar="WHEN", help="30m, 24h, 7d ago, or a time in UTC."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the newest.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,  # noqa: FBT002
) -> None:
    """Show what was done to accounts: who, what, from where, in which request."""
    settings = OperatorSettings.load("auth")
    try:
        records = asyncio.run(_find(settings, user, mobile, since, limit))
    except Unavailable:
        typer.echo("the database cannot be reached", err=True)
        raise typer.Exit(1) from None
    if as_json:
        for record in records:
            typer.echo(json.dumps(_as_json(record), ensure_ascii=False))
    else:
        _print(records)


async def _find(
    settings: OperatorSettings, user: int | None, mobile: str | None, since: datetime | None, limit: int
) -> list[AuditRecord]:
    database = Database(settings.mysql_url.get_secret_value(), pool_size=1)
    try:
        audit = AuditRepository(database, KeyedHash(settings.code_secret.get_secret_value()))
        return await audit.find(user_id=user, mobile=mobile, since=since, limit=limit)
    finally:
        await database.close()


def _as_json(record: AuditRecord) -> dict[str, object]:
    return {**dataclasses.asdict(record), "at": record.at.isoformat(timespec="milliseconds")}


def _print(records: list[AuditRecord]) -> None:
    # Imported here, because the service does not need it.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("at (UTC)", "action", "user", "mobile", "address", "request", "details", box=None)
    for record in records:
        details = dict(record.details) | ({"times": record.times} if record.times > 1 else {})
        table.add_row(
            f"{record.at:%Y-%m-%d %H:%M:%S}",
            record.action,
            "-" if record.user_id is None else str(record.user_id),
            record.mobile or "-",
            record.ip or record.user_agent,
            record.request_id,
            ", ".join(f"{name}={value}" for name, value in details.items()),
        )
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=_PIPED_WIDTH)
    console.print(table, markup=False)
