"""Accounts and sessions."""

from typing import Any

from peewee_migrate import Migrator


def migrate(migrator: Migrator, database: Any, *, fake: bool = False) -> None:
    migrator.sql(
        """
        CREATE TABLE users (
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            mobile VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            password_hash VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            nickname VARCHAR(64) NULL,
            avatar VARCHAR(512) NULL,
            disabled_at DATETIME(6) NULL,
            created_at DATETIME(6) NOT NULL,
            UNIQUE KEY users_mobile (mobile)
        ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
        """
    )
    migrator.sql(
        """
        CREATE TABLE sessions (
            id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
            user_id BIGINT UNSIGNED NOT NULL,
            refresh_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            ip VARCHAR(45) CHARACTER SET ascii NOT NULL,
            user_agent VARCHAR(255) NOT NULL,
            created_at DATETIME(6) NOT NULL,
            last_used_at DATETIME(6) NOT NULL,
            expires_at DATETIME(6) NOT NULL,
            UNIQUE KEY sessions_refresh_hash (refresh_hash),
            KEY sessions_user_id (user_id),
            CONSTRAINT sessions_of_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
        ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
        """
    )


def rollback(migrator: Migrator, database: Any, *, fake: bool = False) -> None:
    migrator.sql("DROP TABLE sessions")
    migrator.sql("DROP TABLE users")
