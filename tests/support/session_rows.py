"""Sessions to be stored."""

import secrets
from datetime import UTC, datetime, timedelta

from services.auth.models import Client, Session

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def new_session(user_id: int, at: datetime = NOW) -> Session:
    return Session(
        id=secrets.token_hex(16), user_id=user_id, family_key=secrets.token_hex(32), refresh_hash="0" * 64,
        generation=0, recent_uses=(), client=Client("2001:db8::1", "агент 🐼"), created_at=at,
        last_used_at=at, expires_at=at + timedelta(days=7), access_expires_at=at + timedelta(minutes=15),
    )  # fmt: skip
