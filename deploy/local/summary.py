"""The summary that is printed once everything runs."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from deploy.local.environment import Settings
from deploy.local.provisioning import ProvisionedServers


def lines(ports: Settings, servers: ProvisionedServers, run: Path) -> list[tuple[str, str]]:
    """Return the labels and values of the summary."""
    gateway = f"http://localhost:{ports['GATEWAY_PORT']}/"
    rows = [("gateway", f"{gateway}   a page to try it all; the API at {gateway}docs/")]
    if "SIMULATOR_PORT" in ports:
        inbox = f"http://localhost:{ports['SIMULATOR_PORT']}/"
        rows.append(("inbox", f"{inbox}   the SMS texts show up here"))
    operations = {"gateway": "GATEWAY_OPS_PORT", "auth": "AUTH_PORT", "sms": "SMS_PORT"}
    for name, variable in operations.items():
        label = f"{name} ops"
        rows.append((label, f"http://127.0.0.1:{ports[variable]}/readyz   also /healthz, /metrics"))
    if servers.management_url:
        sign_in = f"user dialpass, password in {run / 'rabbitmq' / 'password'}"
        rows.append(("RabbitMQ page", f"{servers.management_url}   {sign_in}"))
    rows += servers.origins.items()
    return [*rows, ("data and logs", f"{run}   removed by: make clean")]


def first_request(ports: Settings) -> str:
    """Return a command that requests a code."""
    return (
        f"curl -X POST http://localhost:{ports['GATEWAY_PORT']}/code/"
        " -H 'Content-Type: application/json' -d '{\"mobile\": \"13800138000\"}'"
    )


def show(console: Console, ports: Settings, servers: ProvisionedServers, run: Path) -> None:
    """Print the summary, without wrapping lines, so that they can be copied."""
    text = ["", "[bold green]Dialpass is running.[/]  Ctrl-C stops it."]
    text += [f"  [bold]{label:<14}[/] {escape(value)}" for label, value in lines(ports, servers, run)]
    text += ["Ask for a code:", f"  {escape(first_request(ports))}", ""]
    console.print("\n".join(text), soft_wrap=True, highlight=False)
