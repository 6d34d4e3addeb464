"""Accounts without a password, the outbox of events, the audit trail."""

from typing import Any

from peewee_migrate import Migrator


def migrate(migrator: Migrator, database: Any, *, fake: bool = False) -> None:
    migrator.sql(
        """
        ALTER TABLE users
            MODIFY password_hash VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NULL
        """
    )
    migrator.sql(
        """
        CREATE TABLE outbox (
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            user_id BIGINT UNSIGNED NOT NULL,
            event_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            type VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            body TEXT NOT NULL,
            request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            created_at DATETIME(6) NOT NULL
        ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
        """
    )
    # No foreign key: the trail outlives what it tells of. `fold` joins what repeats into one row.
    migrator.sql(
        """
        CREATE TABLE audit (
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            at DATETIME(6) NOT NULL,
            action VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            user_id BIGINT UNSIGNED NULL,
            mobile VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            mobile_key CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            ip VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            user_agent VARCHAR(255) NOT NULL,
            request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            details TEXT NOT NULL,
            times INT UNSIGNED NOT NULL DEFAULT 1,
            fold CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
            UNIQUE KEY audit_fold (fold),
            KEY audit_at (at),
            KEY audit_user (user_id, at),
            KEY audit_mobile (mobile_key, at)
        ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
        """
    )


def rollback(migrator: Migrator, database: Any, *, fake: bool = False) -> None:
    migrator.sql("DROP TABLE audit")
    migrator.sql("DROP TABLE outbox")
    # Fails, as it should, where an account has no password.
    migrator.sql(
        """
        ALTER TABLE users
            MODIFY password_hash VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
        """
    )
