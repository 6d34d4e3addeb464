"""Sessions that are refreshed, listed and ended."""

from typing import Any

from peewee_migrate import Migrator


def migrate(migrator: Migrator, database: Any, *, fake: bool = False) -> None:
    # The defaults are for pods of the version before, which go on opening sessions; without a key of its
    # chain, a session cannot be refreshed and runs out.
    migrator.sql(
        """
        ALTER TABLE sessions
            DROP KEY sessions_refresh_hash,
            ADD chain_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
            ADD generation INT UNSIGNED NOT NULL DEFAULT 0,
            ADD recent_uses VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '[]',
            ADD access_expires_at DATETIME(6) NOT NULL DEFAULT '2000-01-01',
            ADD KEY sessions_expires_at (expires_at)
        """
    )
    # What gateways have to refuse: a session's access tokens outlive it. The server's clock alone
    # tells when a row came, so that the clocks of the replicas do not matter.
    migrator.sql(
        """
        CREATE TABLE ended_sessions (
            session_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
            ended_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            expires_at DATETIME(6) NOT NULL,
            KEY ended_sessions_ended_at (ended_at),
            KEY ended_sessions_expires_at (expires_at)
        ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
        """
    )


def rollback(migrator: Migrator, database: Any, *, fake: bool = False) -> None:
    migrator.sql("DROP TABLE ended_sessions")
    migrator.sql(
        """
        ALTER TABLE sessions
            ADD UNIQUE KEY sessions_refresh_hash (refresh_hash),
            DROP KEY sessions_expires_at,
            DROP chain_key,
            DROP generation,
            DROP recent_uses,
            DROP access_expires_at
        """
    )
