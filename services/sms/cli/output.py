"""The output of the commands: a table for people, JSON for scripts, one line for an error."""

import asyncio
import json
import logging
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from shared.amqp.connection import AMQP_FAILURES
from shared.redis.client import REDIS_FAILURES
from shared.security.tls import explain

EXIT_FAILED = 1
# Wide enough to keep each row on one line in a file or a pipe.
_PIPE_WIDTH = 200

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Row = Mapping[str, Any]

_Result = TypeVar("_Result")


class CommandFailed(Exception):
    """The command cannot continue; the error message says why, in one line."""


def run(work: Coroutine[None, None, _Result]) -> _Result:
    """Run a command's coroutine; a failure ends the process with one line and status 1."""
    logging.disable()  # libraries would log the failure too
    try:
        return asyncio.run(work)
    except CommandFailed as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """End the process with one line and status 1."""
    typer.echo(message, err=True)
    raise typer.Exit(EXIT_FAILED)


@contextmanager
def broker_errors() -> Iterator[None]:
    """Convert failures of RabbitMQ to `CommandFailed`."""
    try:
        yield
    except AMQP_FAILURES as error:
        reason = explain(error) or type(error).__name__
        raise CommandFailed(f"RabbitMQ does not answer ({reason}); see AMQP_URL") from error


@contextmanager
def redis_errors() -> Iterator[None]:
    """Convert failures of Redis to `CommandFailed`."""
    try:
        yield
    except REDIS_FAILURES as error:
        reason = explain(error) or type(error).__name__
        raise CommandFailed(f"Redis does not answer ({reason}); see REDIS_URL") from error


def show_rows(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool) -> None:
    """Print the columns of rows as a table, or all their members as JSON."""
    if as_json:
        _print_json(rows)
        return
    _print_table(columns, [[row.get(column) for column in columns] for row in rows], show_header=True)


def show_record(record: Row, *, as_json: bool) -> None:
    """Print one record, one member per line."""
    if as_json:
        _print_json(record)
        return
    _print_table(("", ""), list(record.items()), show_header=False)


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, default=str))


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, show_header: bool) -> None:
    # Imported here, because the worker imports the commands and prints no tables.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(*columns, box=None, pad_edge=False, show_header=show_header)
    for row in rows:
        table.add_row(*map(_cell, row))
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)
