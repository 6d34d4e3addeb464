"""What the user is told once everything runs."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from deploy.local.environment import Settings
from deploy.local.provisioning import Supply


def lines(ports: Settings, supply: Supply, run: Path) -> list[tuple[str, str]]:
    """Return what there is to know, label by label."""
    gateway = f"http://localhost:{ports['GATEWAY_PORT']}/"
    shown = [("gateway", f"{gateway}   a page to try it all; the API at {gateway}docs/")]
    if "SIMULATOR_PORT" in ports:
        inbox = f"http://localhost:{ports['SIMULATOR_PORT']}/"
        shown.append(("inbox", f"{inbox}   the SMS texts show up here"))
    operations = {"gateway": "GATEWAY_OPS_PORT", "auth": "AUTH_PORT", "sms": "SMS_PORT"}
    for name, variable in operations.items():
        label = f"{name} ops"
        shown.append((label, f"http://127.0.0.1:{ports[variable]}/readyz   also /healthz, /metrics"))
    if supply.management_url:
        sign_in = f"user dialpass, password in {run / 'rabbitmq' / 'password'}"
        shown.append(("RabbitMQ page", f"{supply.management_url}   {sign_in}"))
    shown += supply.origins.items()
    return [*shown, ("data and logs", f"{run}   removed by: make clean")]


def first_request(ports: Settings) -> str:
    """Return a command that has the first code sent."""
    return (
        f"curl -X POST http://localhost:{ports['GATEWAY_PORT']}/code/"
        " -H 'Content-Type: application/json' -d '{\"mobile\": \"13800138000\"}'"
    )


def show(console: Console, ports: Settings, supply: Supply, run: Path) -> None:
    """Print the summary; long lines are left to the terminal, so that they can be copied."""
    text = ["", "[bold green]Dialpass is running.[/]  Ctrl-C stops it."]
    text += [f"  [bold]{label:<14}[/] {escape(value)}" for label, value in lines(ports, supply, run)]
    text += ["Ask for a code:", f"  {escape(first_request(ports))}", ""]
    console.print("\n".join(text), soft_wrap=True, highlight=False)
