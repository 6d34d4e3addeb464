"""`python -m services.sms provider …`."""

import typer

from services.sms.cli.output import EXIT_FAILED, AsJson, Row, run, show_rows
from services.sms.provider.setup import open_accounts
from services.sms.provider.yunpian.client import QueryFailed, YunpianClient
from services.sms.provider.yunpian.error_codes import find_rule
from services.sms.provider.yunpian.transport import new_session
from services.sms.settings import ProviderSettings
from shared.observability.metrics import ProviderMetrics, new_registry

cli = typer.Typer(no_args_is_help=True, help="Yunpian's accounts.")

_COLUMNS = ("account", "state", "balance", "alarm_balance", "ip_whitelist")


@cli.callback()
def main() -> None:
    """Keep `check` a command of its own."""


@cli.command()
def check(*, as_json: AsJson = False) -> None:
    """Ask Yunpian about each account: is the key right, this address allowed, how much money is left.

    Ends with status 1 where an account cannot send.
    """
    settings = ProviderSettings.load("sms")
    rows = run(_check(settings))
    show_rows(rows, _COLUMNS, as_json=as_json)
    if any(row["state"] != "ok" for row in rows):
        raise typer.Exit(EXIT_FAILED)


async def _check(settings: ProviderSettings) -> list[Row]:
    async with new_session() as session:
        accounts = open_accounts(settings, session, ProviderMetrics(new_registry()))
        return [await _row(account) for account in accounts]


async def _row(account: YunpianClient) -> Row:
    try:
        info = await account.info()
    except QueryFailed as error:
        return {"account": account.name, "state": _meaning(error)}
    return {
        "account": account.name,
        "state": "ok" if info.balance > 0 else "no money",
        "balance": str(info.balance),
        "alarm_balance": str(info.alarm_balance),
        "ip_whitelist": info.ip_whitelist or None,
    }


def _meaning(error: QueryFailed) -> str:
    return f"{error.reason} {find_rule(int(error.reason)).meaning}" if error.answered else error.reason
