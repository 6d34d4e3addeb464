"""What the stored password hashes have in common."""

from services.auth.db.database import Database

# Accounts that one statement reads: some milliseconds.
_CHUNK = 20_000
_HIGHEST = """
SELECT MAX(chunk.id), MAX(
    CASE WHEN chunk.password_hash REGEXP '^[$]2[abxy][$][0-9][0-9][$]'
    THEN SUBSTRING(chunk.password_hash, 5, 2) END
) FROM (SELECT id, password_hash FROM users WHERE id > %s ORDER BY id LIMIT %s) AS chunk
"""


class PasswordRepository:
    """The password hashes of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def highest_cost(self) -> int:
        """Return the highest bcrypt cost of a stored hash, 0 without one; reads all accounts, in steps.

        Raises:
            Unavailable: the database is down.
        """
        highest = after = 0
        while True:
            row = await self._database.fetch_one(_HIGHEST, (after, _CHUNK))
            if row is None or row[0] is None:
                return highest
            after, highest = row[0], max(highest, int(row[1] or 0))
