"""`python -m services.sms dead …`."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from aio_pika.abc import AbstractChannel

from services.sms.cli import broker
from services.sms.cli.dead_letter_queue import DeadLetter, Replayer, ReplayResult, hold_letters
from services.sms.cli.output import EXIT_FAILED, AsJson, CommandFailed, Row, run, show_record, show_rows
from services.sms.delivery.repository import MessageRepository
from services.sms.settings import MessageSettings
from shared.clock import now
from shared.redis import client as redis_client
from shared.security.sealing import Sealer

cli = typer.Typer(no_args_is_help=True, help="Messages that nobody could read or send.")

Ids = Annotated[list[str] | None, typer.Argument(help="The letters' ids, as `dead list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All letters instead of some.")]

_COLUMNS = ("id", "reason", "code", "mobile", "purpose", "channel", "attempts", "expires_at", "died_at")
_OUTCOME_COLUMNS = ("id", "outcome", "reason", "mobile", "expires_at")


@cli.command("list")
def list_letters(
    limit: Annotated[int, typer.Option(min=1, help="The oldest so many.")] = 100,
    *,
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first."""
    settings = MessageSettings.load("sms")
    rows = run(_summaries(settings, limit))
    show_rows(rows, _COLUMNS, as_json=as_json)


@cli.command()
def show(letter_id: Annotated[str, typer.Argument()], *, as_json: AsJson = False) -> None:
    """Show one dead letter."""
    settings = MessageSettings.load("sms")
    show_record(run(_details(settings, letter_id)), as_json=as_json)


@cli.command("replay")
def replay_letters(
    ids: Ids = None,
    *,
    every: All = False,
    expired: Annotated[bool, typer.Option("--expired", help="Send expired codes too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue dead letters anew; safe to interrupt and to repeat.

    Ends with status 1 where a letter that was asked for stays dead.
    """
    settings = MessageSettings.load("sms")
    rows = run(_replay(settings, _chosen(ids, every=every), include_expired=expired))
    show_rows(rows, _OUTCOME_COLUMNS, as_json=as_json)
    failed = {ReplayResult.EXPIRED, ReplayResult.UNREADABLE}
    if any(row["outcome"] in failed for row in rows):
        raise typer.Exit(EXIT_FAILED)


@cli.command()
def drop(
    ids: Ids = None,
    *,
    every: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove dead letters for good."""
    settings = MessageSettings.load("sms")
    chosen = _chosen(ids, every=every)
    if not yes:
        typer.confirm(f"drop {'all letters' if chosen is None else len(chosen)} for good?", abort=True)
    show_rows(run(_drop(settings, chosen)), _OUTCOME_COLUMNS, as_json=as_json)


def _chosen(ids: list[str] | None, *, every: bool) -> Collection[str] | None:
    """Return the given ids, or None for all."""
    if bool(ids) == every:
        raise typer.BadParameter("takes either ids or --all")
    return ids


async def _summaries(settings: MessageSettings, limit: int) -> list[Row]:
    async with _held(settings, limit) as (letters, _):
        return [letter.summary() for letter in letters]


async def _details(settings: MessageSettings, letter_id: str) -> Row:
    async with _held(settings) as (letters, _):
        return _find(letters, [letter_id])[0].details()


async def _replay(
    settings: MessageSettings, ids: Collection[str] | None, *, include_expired: bool
) -> list[Row]:
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    try:
        async with _held(settings) as (letters, channel):
            sealer = Sealer(settings.message_secrets)
            replayer = Replayer(
                channel, sealer, MessageRepository(redis), include_expired, settings.sms_accept_v1
            )
            return [
                letter.summary() | {"outcome": await replayer.replay(letter, now())}
                for letter in _find(letters, ids)
            ]
    finally:
        await redis.aclose()


async def _drop(settings: MessageSettings, ids: Collection[str] | None) -> list[Row]:
    async with _held(settings) as (letters, _):
        dropped = _find(letters, ids)
        for letter in dropped:
            await letter.incoming.ack()
        return [letter.summary() | {"outcome": "dropped"} for letter in dropped]


@asynccontextmanager
async def _held(
    settings: MessageSettings, limit: int | None = None
) -> AsyncIterator[tuple[list[DeadLetter], AbstractChannel]]:
    async with (
        broker.open_channel(settings.amqp_urls) as channel,
        hold_letters(channel, Sealer(settings.message_secrets), limit=limit) as letters,
    ):
        yield letters, channel


def _find(letters: list[DeadLetter], ids: Collection[str] | None) -> list[DeadLetter]:
    if ids is None:
        return letters
    found = [letter for letter in letters if letter.key in ids]
    if missing := set(ids) - {letter.key for letter in found}:
        raise CommandFailed(f"no such dead letter: {', '.join(sorted(missing))}")
    return found
