"""When each session was last proven, and the mark that ends all sessions of an account at once."""

from typing import Any

from peewee_migrate import Migrator


def migrate(migrator: Migrator, database: Any, *, fake: bool = False) -> None:
    # NULL is for the pods of the version before, which go on opening sessions: such a session was proven
    # when it was opened.
    migrator.sql(
        """
        ALTER TABLE sessions
            ADD authenticated_at DATETIME(6) NULL,
            ADD replaced_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL
        """
    )
    # Pods of the version before end sessions by removing all their rows, and so need no mark.
    migrator.sql(
        """
        ALTER TABLE users
            ADD sessions_valid_from DATETIME(6) NULL,
            ADD sessions_kept CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
            ADD sessions_end_cause VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
            ADD KEY users_sessions_valid_from (sessions_valid_from)
        """
    )


def rollback(migrator: Migrator, database: Any, *, fake: bool = False) -> None:
    migrator.sql(
        """
        ALTER TABLE users
            DROP KEY users_sessions_valid_from,
            DROP sessions_valid_from,
            DROP sessions_kept,
            DROP sessions_end_cause
        """
    )
    migrator.sql("ALTER TABLE sessions DROP authenticated_at, DROP replaced_hash")
