"""The auth service's settings."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from services.auth.codes.quota_settings import BudgetSettings
from shared.server_urls import MYSQL_URL_FORMAT
from shared.settings import (
    AmqpSettings,
    CommaSeparated,
    MysqlUrl,
    Port,
    RedisSettings,
    SealingSettings,
    Seconds,
    ServiceSettings,
    split_commas,
)


class MysqlSettings(ServiceSettings):
    """What the commands that touch nothing but MySQL need."""

    mysql_url: MysqlUrl = Field(description=MYSQL_URL_FORMAT)
    mysql_pool_size: Annotated[int, Field(ge=1, le=500)] = Field(
        16,
        description="connections per process, 1 to 500; "
        "with one more, times the replicas, it must fit the server",
    )


class OperatorSettings(MysqlSettings):
    """What the commands need that change accounts or read the audit trail."""

    code_secret: Annotated[SecretStr, Field(min_length=32)] = Field(
        description="at least 32 random characters; codes, keys in Redis and pseudonyms in the audit trail "
        "are derived from it"
    )


class TokenSettings(ServiceSettings):
    """What decides how access tokens are signed, and how long they live."""

    token_algorithm: Literal["ES256", "RS256", "EdDSA", "HS256"] = Field(
        "ES256", description="what signs access tokens: ES256, RS256, EdDSA or HS256"
    )
    access_token_ttl: Annotated[int, Field(ge=10, le=31 * 86400)] = Field(
        900, description="seconds that an access token is valid, 10 to 2678400"
    )
    signing_key_delay: Annotated[int, Field(ge=0, le=7 * 86400)] = Field(
        600,
        description="seconds that a new signing key is only published before it signs, 0 to 604800; "
        "longer than it takes to reach every replica",
    )


class KeySettings(TokenSettings):
    """What the commands that touch nothing but the signing keys need."""

    signing_keys_dir: Path = Field(
        description="the folder with the signing keys, as made by python -m services.auth key create"
    )


class AuthSettings(
    OperatorSettings, KeySettings, RedisSettings, AmqpSettings, SealingSettings, BudgetSettings
):
    """Everything `serve` needs."""

    auth_port: Port = Field(8001, description="a TCP port, 1 to 65535")

    code_ttl: Annotated[int, Field(ge=30, le=3600)] = Field(
        600, description="seconds that a code is valid, 30 to 3600"
    )
    code_length: Annotated[int, Field(ge=4, le=8)] = Field(6, description="digits of a code, 4 to 8")
    code_cooldown: Annotated[int, Field(ge=1, le=3600)] = Field(
        60, description="seconds between two codes to one number, 1 to 3600"
    )
    code_max_tries: Annotated[int, Field(ge=1, le=10)] = Field(
        5, description="wrong tries after which a code is dead, 1 to 10"
    )
    sms_regions: CommaSeparated = Field(
        ("CN",),
        description="ISO 3166-1 codes of the regions that may get codes, separated by commas",
    )

    bcrypt_rounds: Annotated[int, Field(ge=4, le=16)] = Field(
        12, description="bcrypt's cost, 4 to 16; each step doubles the time"
    )
    bcrypt_workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)),
        description="threads that compute bcrypt; the number of cores where not set",
    )
    bcrypt_max_wait: Seconds = Field(
        3.0, description="seconds that a password check may wait for its turn; beyond it 503"
    )

    token_issuer: str = Field("dialpass", description="the tokens' iss claim")
    token_audience: str = Field("dialpass", description="the tokens' aud claim")
    refresh_token_ttl: Annotated[int, Field(ge=60, le=90 * 86400)] = Field(
        604800, description="seconds that a refresh token is valid, 60 to 7776000"
    )
    session_max_age: Annotated[int, Field(ge=60, le=3650 * 86400)] = Field(
        7776000, description="seconds that a session lasts at most, however often refreshed, 60 to 315360000"
    )
    refresh_grace: Annotated[int, Field(ge=1, le=60)] = Field(
        10, description="seconds that a used refresh token still gets an answer, 1 to 60"
    )
    login_code_creates_accounts: bool = Field(
        default=True,
        description="true or false: whether signing in with a code makes an account where there is none",
    )

    audit_retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        365, description="days that entries of the audit trail are kept, 1 to 3650"
    )

    @field_validator("sms_regions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_commas(value)
