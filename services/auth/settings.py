"""The auth service's settings."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from services.auth.limit_settings import ChangeSettings, QuotaSettings
from shared.server_urls import MYSQL_URL_FORMAT
from shared.settings import (
    AmqpSettings,
    CommaSeparated,
    GatewaySecretSettings,
    MysqlUrl,
    Networks,
    Port,
    RedisSettings,
    SealingSettings,
    Seconds,
    ServiceSettings,
    split_commas,
)
from shared.voice_settings import VoiceSettings

Notice = Annotated[str, Field(max_length=500, pattern=r"^[^【】]*$")]


class MysqlSettings(ServiceSettings):
    """The settings of commands that use MySQL alone."""

    mysql_url: MysqlUrl = Field(description=MYSQL_URL_FORMAT)
    mysql_pool_size: Annotated[int, Field(ge=1, le=500)] = Field(
        16,
        description="connections per process, 1 to 500; "
        "with one more, times the replicas, it must fit the server",
    )


class OperatorSettings(MysqlSettings):
    """The settings of commands that change accounts or read the audit trail."""

    code_secret: Annotated[SecretStr, Field(min_length=32)] = Field(
        description="at least 32 random characters; codes, keys in Redis and hashed numbers in the audit "
        "trail are derived from it"
    )


class TokenSettings(ServiceSettings):
    """How access tokens are signed, and how long they are valid."""

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
    """The settings of commands that use the signing keys alone."""

    signing_keys_dir: Path = Field(
        description="the folder with the signing keys, as made by python -m services.auth key create"
    )


class AuthSettings(
    OperatorSettings,
    KeySettings,
    RedisSettings,
    AmqpSettings,
    SealingSettings,
    GatewaySecretSettings,
    QuotaSettings,
    ChangeSettings,
    VoiceSettings,
):
    """The settings of `serve`."""

    auth_port: Port = Field(8001, description="a TCP port, 1 to 65535")
    trusted_gateways: Networks = Field(
        (),
        description="addresses or networks, separated by commas, whose word about a request's client is taken"
        " without GATEWAY_SECRET; this machine's own where neither is set",
    )

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

    max_sessions: Annotated[int, Field(ge=1, le=1000)] = Field(
        100,
        description="sessions of an account, 1 to 1000; one more ends the least recently used one",
    )
    reauth_max_age: Annotated[int, Field(ge=0, le=86400)] = Field(
        600,
        description="seconds after a password or a code in which a session may change the number, set a "
        "first password or delete the account, 0 to 86400; 0 for no limit",
    )

    notice_mobile_changed: Notice = Field(
        "",
        description="text to the old number after a change of number, approved by Yunpian, without the "
        "signature; none is sent where empty",
    )
    notice_password_reset: Notice = Field(
        "", description="text to the number after a reset of the password, as NOTICE_MOBILE_CHANGED"
    )
    notice_account_deleted: Notice = Field(
        "", description="text to the number after the account was deleted, as NOTICE_MOBILE_CHANGED"
    )

    audit_retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        365, description="days that entries of the audit trail are kept, 1 to 3650"
    )

    @field_validator("sms_regions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_commas(value)
