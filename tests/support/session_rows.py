"""Sessions to be stored."""

from datetime import UTC, datetime, timedelta

from services.auth.models import Client, Session
from services.auth.sessions.refresh_tokens import new_chain_key, new_session_id

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def new_session(user_id: int, at: datetime = NOW) -> Session:
    return Session(
        id=new_session_id(), user_id=user_id, chain_key=new_chain_key(), refresh_hash="0" * 64, generation=0,
        recent_uses=(), client=Client("2001:db8::1", "агент 🐼"), created_at=at, last_used_at=at,
        expires_at=at + timedelta(days=7), access_expires_at=at + timedelta(minutes=15),
    )  # fmt: skip
