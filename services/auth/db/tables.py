"""The tables, as peewee models without a database: `services.auth.db.database` runs the SQL.

DATETIME columns hold UTC without a zone.
"""

from datetime import UTC, datetime

import peewee


def to_column(moment: datetime) -> datetime:
    """Return a time as a DATETIME column holds it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def from_column(moment: datetime) -> datetime:
    """Return the time of a DATETIME column, in UTC."""
    return moment.replace(tzinfo=UTC)


class UserRow(peewee.Model):
    """An account."""

    id = peewee.BigAutoField()
    mobile = peewee.CharField(max_length=16, unique=True)
    password_hash = peewee.CharField(max_length=100, null=True)
    nickname = peewee.CharField(max_length=64, null=True)
    avatar = peewee.CharField(max_length=512, null=True)
    disabled_at = peewee.DateTimeField(null=True)
    created_at = peewee.DateTimeField()
    sessions_valid_from = peewee.DateTimeField(null=True, index=True)
    sessions_kept = peewee.CharField(max_length=32, null=True)
    sessions_end_cause = peewee.CharField(max_length=32, null=True)

    class Meta:
        """peewee's settings."""

        table_name = "users"


class SessionRow(peewee.Model):
    """A sign-in on one device."""

    id = peewee.CharField(max_length=32, primary_key=True)
    user_id = peewee.BigIntegerField(index=True)
    refresh_hash = peewee.CharField(max_length=64)
    chain_key = peewee.CharField(max_length=64)
    generation = peewee.IntegerField()
    recent_uses = peewee.CharField(max_length=512)
    ip = peewee.CharField(max_length=45)
    user_agent = peewee.CharField(max_length=255)
    created_at = peewee.DateTimeField()
    last_used_at = peewee.DateTimeField()
    expires_at = peewee.DateTimeField()
    access_expires_at = peewee.DateTimeField()
    authenticated_at = peewee.DateTimeField(null=True)
    replaced_hash = peewee.CharField(max_length=64, null=True)

    class Meta:
        """peewee's settings."""

        table_name = "sessions"


class EndedSessionRow(peewee.Model):
    """A session that was ended while an access token of it may still be valid."""

    session_id = peewee.CharField(max_length=32, primary_key=True)
    ended_at = peewee.DateTimeField()
    expires_at = peewee.DateTimeField()

    class Meta:
        """peewee's settings."""

        table_name = "ended_sessions"


class OutboxRow(peewee.Model):
    """An event that is still to be published."""

    id = peewee.BigAutoField()
    user_id = peewee.BigIntegerField()
    event_id = peewee.CharField(max_length=32)
    type = peewee.CharField(max_length=64)
    body = peewee.TextField()
    request_id = peewee.CharField(max_length=64)
    created_at = peewee.DateTimeField()

    class Meta:
        """peewee's settings."""

        table_name = "outbox"


class AuditRow(peewee.Model):
    """A security-relevant act."""

    id = peewee.BigAutoField()
    at = peewee.DateTimeField()
    action = peewee.CharField(max_length=64)
    user_id = peewee.BigIntegerField(null=True)
    mobile = peewee.CharField(max_length=16)
    mobile_key = peewee.CharField(max_length=32)
    ip = peewee.CharField(max_length=45)
    user_agent = peewee.CharField(max_length=255)
    request_id = peewee.CharField(max_length=64)
    details = peewee.TextField()
    times = peewee.IntegerField(default=1)
    fold = peewee.CharField(max_length=32, null=True)

    class Meta:
        """peewee's settings."""

        table_name = "audit"


def not_ended() -> peewee.Expression:
    """Return the condition that a session was not ended together with all others of its account."""
    return (
        UserRow.sessions_valid_from.is_null()
        | (SessionRow.created_at >= UserRow.sessions_valid_from)
        | (SessionRow.id == UserRow.sessions_kept)
    )
