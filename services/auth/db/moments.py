"""Times between Python and MySQL: DATETIME columns hold UTC without a zone."""

from datetime import UTC, datetime


def naive(moment: datetime) -> datetime:
    """Return a moment as a column holds it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """Return a column's moment with its zone."""
    return moment.replace(tzinfo=UTC)
