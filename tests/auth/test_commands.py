"""The services' commands, run as an operator runs them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from services.auth.db.database import Database
from shared.phone import mask_mobile
from tests.support.accounts import store_account
from tests.support.client import new_mobile
from tests.support.system import API_KEY, CODE_SECRET, DEVELOPMENT, MESSAGE_SECRET, ROOT

NOWHERE = "mysql://user:hunter2@127.0.0.1:1/nowhere"


def attempt(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT, env=clean | DEVELOPMENT | env, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize("service", ["gateway", "auth", "sms"])
def test_help_names_the_commands(service: str) -> None:
    done = attempt(f"services.{service}", "--help")
    assert done.returncode == 0
    assert "serve" in done.stdout


@pytest.mark.parametrize(
    ("service", "missing"),
    [
        ("auth", {"MYSQL_URL", "REDIS_URL", "AMQP_URL", "CODE_SECRET", "MESSAGE_SECRET", "SIGNING_KEYS_DIR"}),
        ("sms", {"REDIS_URL", "AMQP_URL", "MESSAGE_SECRET", "YUNPIAN_API_KEY", "SMS_SIGNATURE"}),
    ],
)
def test_a_start_without_settings_names_each_in_a_line(service: str, missing: set[str]) -> None:
    done = attempt(f"services.{service}", "serve")
    assert done.returncode == 2
    assert {line.split()[0] for line in done.stderr.splitlines()} == missing


@pytest.mark.parametrize(("service", "variable"), [("gateway", "GATEWAY_PORT"), ("sms", "SMS_PORT")])
def test_a_port_in_use_ends_the_start_with_a_line(service: str, variable: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        done = attempt(
            f"services.{service}", "serve",
            REDIS_URL="redis://127.0.0.1:1/0", AMQP_URL="amqp://u:p@127.0.0.1:1/", YUNPIAN_API_KEY=API_KEY,
            SMS_SIGNATURE="Dialpass", MESSAGE_SECRET=MESSAGE_SECRET, GATEWAY_OPS_PORT=str(free_port()),
            **{variable: str(port)},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"cannot listen on port {port}: Address already in use\n"


def test_a_folder_without_keys_ends_the_start_with_a_line(tmp_path: Path) -> None:
    done = attempt(
        "services.auth", "serve",
        MYSQL_URL=NOWHERE, REDIS_URL="redis://127.0.0.1:1/0", AMQP_URL="amqp://u:p@127.0.0.1:1/",
        CODE_SECRET=CODE_SECRET, MESSAGE_SECRET=MESSAGE_SECRET, SIGNING_KEYS_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("SIGNING_KEYS_DIR holds no key for ES256")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["migrate"], ["user", "show", "13800000000"]])
def test_a_database_that_is_not_there_is_said_in_a_line_without_its_password(command: list[str]) -> None:
    done = attempt("services.auth", *command, MYSQL_URL=NOWHERE)
    assert done.returncode == 1
    assert "the database" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_an_unknown_user_is_said_so(mysql_url: str) -> None:
    done = attempt("services.auth", "user", "show", "13000000000", MYSQL_URL=mysql_url)
    assert (done.returncode, done.stderr) == (1, "no account has this number\n")


@pytest.mark.parametrize("typed", ["86{}", "+86 {}", "\u202d{}\u202c", "tel:+86-{}"])
async def test_commands_find_an_account_by_its_number_as_it_is_pasted(
    database: Database, mysql_url: str, typed: str
) -> None:
    mobile = new_mobile()
    await store_account(database, mobile)
    user = attempt("services.auth", "user", "show", typed.format(mobile), MYSQL_URL=mysql_url)
    assert (user.returncode, f"mobile: {mask_mobile(mobile)}" in user.stdout) == (0, True), user.stderr
    environment = {"MYSQL_URL": mysql_url, "CODE_SECRET": CODE_SECRET}
    disabled = attempt("services.auth", "user", "disable", mobile, **environment)
    assert disabled.returncode == 0
    audit = attempt("services.auth", "audit", "--json", "--mobile", typed.format(mobile), **environment)
    assert "user.disabled" in audit.stdout, audit.stderr
