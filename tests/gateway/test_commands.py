"""The gateway's commands."""

import pytest
from typer.testing import CliRunner

from services.gateway.__main__ import cli
from services.gateway.client_address import ClientPseudonyms

SECRET = "a secret for tests, and for nothing else"


def test_client_shows_what_stands_for_an_address_in_log_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_PSEUDONYM_SECRET", SECRET)
    done = CliRunner().invoke(cli, ["client", "203.0.113.9"])
    assert (done.exit_code, done.stdout.strip()) == (0, ClientPseudonyms(SECRET).of("203.0.113.9"))


def test_client_needs_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIENT_PSEUDONYM_SECRET", raising=False)
    done = CliRunner().invoke(cli, ["client", "203.0.113.9"])
    assert done.exit_code == 2
    assert "CLIENT_PSEUDONYM_SECRET" in done.stderr
