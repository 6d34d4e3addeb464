"""The sessions in MySQL."""

from datetime import UTC

from services.auth.database import Database
from services.auth.domain import NewSession
from services.auth.models import SessionRow


class MysqlSessions:
    """One row per sign-in; of the refresh token only the SHA-256."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session: NewSession) -> None:
        """Store a session."""
        created_at = session.created_at.astimezone(UTC).replace(tzinfo=None)
        await self._database.insert(
            SessionRow.insert(
                id=session.id,
                user_id=session.user_id,
                refresh_hash=session.refresh_hash,
                ip=session.client.ip,
                user_agent=session.client.user_agent,
                created_at=created_at,
                last_used_at=created_at,
                expires_at=session.expires_at.astimezone(UTC).replace(tzinfo=None),
            )
        )
