"""Refresh tokens: their text, their family, and what presenting one results in."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.auth.models import Client
from services.auth.sessions.refresh_tokens import (
    RefreshTokenFamily,
    SessionPolicy,
    exchange,
    new_session,
    parse_refresh_token,
)
from tests.support.clock import NOW

CLIENT = Client("192.0.2.1", "test")
POLICY = SessionPolicy(
    access=timedelta(minutes=15),
    refresh=timedelta(days=7),
    total=timedelta(days=90),
    reuse_interval=timedelta(seconds=10),
)


def test_a_token_survives_its_text() -> None:
    session, first = new_session(1, CLIENT, NOW, POLICY)
    family = RefreshTokenFamily(session.id, session.family_key)
    token = family.next(first)
    assert parse_refresh_token(str(token)) == token
    assert family.is_genuine(token)
    assert token.secret.hex() not in repr(token)


@pytest.mark.parametrize("text", ["", "x", "é" * 91, "A" * 90, "A" * 92, "=" * 91, "A" * 10_000])
def test_text_of_another_form_is_no_token(text: str) -> None:
    assert parse_refresh_token(text) is None


def test_a_genuine_token_of_a_row_that_was_restored_from_a_backup_is_unknown() -> None:
    session, token = new_session(1, CLIENT, NOW, POLICY)
    restored = replace(session, refresh_hash="0" * 64)
    assert exchange(restored, token, CLIENT, NOW, POLICY).outcome == "unknown"
