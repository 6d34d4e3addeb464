"""The auth service's settings."""

import ipaddress
import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from services.auth.limits import LimitByDialCode, Limits, PriceByDialCode, Rate
from shared.server_urls import MYSQL_URL_FORMAT
from shared.settings import (
    AmqpSettings,
    CommaSeparated,
    GatewaySecretSettings,
    MysqlUrl,
    Port,
    RedisSettings,
    SealingSettings,
    Seconds,
    ServiceSettings,
    split_commas,
)

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


class QuotaSettings(ServiceSettings):
    """Quotas of codes and money, thresholds of challenges, and limits of failed attempts."""

    code_limit_number: Limits = Field(
        "3/hour,5/day",
        validate_default=True,
        description="codes to one number that one address gets, such as 3/hour,5/day; more are refused",
    )
    code_limit_strangers: Limits = Field(
        "10/hour,20/day",
        validate_default=True,
        description="codes to one number that all addresses which it does not trust get together, such as "
        "10/hour,20/day; more are refused",
    )
    code_limit_address: Limits = Field(
        "60/10minutes,300/day",
        validate_default=True,
        description="codes that one address gets, even with solved challenges, such as 60/10minutes",
    )
    code_limit_network: Limits = Field(
        "200/10minutes,1200/day",
        validate_default=True,
        description="codes that one IPv4 /24, IPv6 /64 or IPv6 /48 gets, even with solved challenges, such "
        "as 200/10minutes",
    )
    code_limit_prefix: Limits = Field(
        "100/hour,300/day",
        validate_default=True,
        description="codes that 10000 neighbouring numbers get, even with solved challenges, such as "
        "100/hour",
    )
    code_limit_dial_code: LimitByDialCode = Field(
        "86=20000/day,*=500/day",
        validate_default=True,
        description="codes to one dial code, such as 86=20000/day,*=500/day; more are refused",
    )
    code_limit_spend: Annotated[Decimal, Field(ge=0)] = Field(
        Decimal(1000), description="RMB that the codes of 24 hours may cost; beyond it all are refused"
    )
    code_limit_conversion: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05,
        description="the part of a prefix's codes that must get used in a day, 0 to 1; below it codes are "
        "refused, also with a solved challenge",
    )
    code_limit_volume: Annotated[int, Field(ge=1)] = Field(
        100, description="codes to a prefix in a day before codes are refused for its conversion, 1 or more"
    )
    code_reserve: Annotated[float, Field(ge=0, le=0.9)] = Field(
        0.3,
        description="the part of CODE_LIMIT_SPEND and CODE_LIMIT_DIAL_CODE that is kept for trusted "
        "addresses and numbers with an account, 0 to 0.9",
    )
    code_price: PriceByDialCode = Field(
        "86=0.05,*=0.6",
        validate_default=True,
        description="RMB that one code costs by dial code, such as 86=0.05,*=0.6",
    )
    code_challenge_number: Limits = Field(
        "3/hour,5/day",
        validate_default=True,
        description="codes to one number that all addresses which it does not trust get together without a "
        "challenge, such as 3/hour,5/day",
    )
    code_challenge_address: Limits = Field(
        "10/10minutes,60/day",
        validate_default=True,
        description="codes that one address gets without a challenge, such as 10/10minutes",
    )
    code_challenge_network: Limits = Field(
        "50/10minutes,300/day",
        validate_default=True,
        description="codes that one IPv4 /24, IPv6 /64 or IPv6 /48 gets without a challenge, such as "
        "50/10minutes",
    )
    code_challenge_prefix: Limits = Field(
        "20/hour",
        validate_default=True,
        description="codes that 10000 neighbouring numbers get without a challenge, such as 20/hour",
    )
    code_challenge_global: Limits = Field(
        "600/minute",
        validate_default=True,
        description="codes that all together get without a challenge, such as 600/minute",
    )
    code_challenge_conversion: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2,
        description="the part of a prefix's codes that must get used in a day, 0 to 1; "
        "below it a challenge is asked",
    )
    code_challenge_volume: Annotated[int, Field(ge=1)] = Field(
        20, description="codes to a prefix in a day before its conversion is looked at, 1 or more"
    )
    challenge_cost: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        5000,
        description="PBKDF2 iterations of one try at a challenge, of which 256 are needed on average; each "
        "overrun of a CODE_CHALLENGE_* quota doubles the work",
    )

    code_wrong_address: Limits = Field(
        "300/hour",
        validate_default=True,
        description="wrong codes from one address before it has to wait, such as 300/hour; whoever asked "
        "for the code does not",
    )
    code_wrong_network: Limits = Field(
        "1000/hour",
        validate_default=True,
        description="wrong codes from one IPv4 /24 or IPv6 /64 before it has to wait, such as 1000/hour",
    )
    sign_in_limit_account: Rate = Field(
        "10/hour",
        validate_default=True,
        description="failed sign-ins to an account before the next has to wait, such as 10/hour",
    )
    sign_in_limit_address: Rate = Field(
        "100/hour",
        validate_default=True,
        description="failed sign-ins from an address before the next has to wait, such as 100/hour",
    )
    sign_in_limit_network: Rate = Field(
        "300/hour",
        validate_default=True,
        description="failed sign-ins from an IPv4 /24 or IPv6 /64 before the next has to wait",
    )
    sign_in_limit_newcomers: Rate = Field(
        "30/hour",
        validate_default=True,
        description="failed sign-ins to an account that has to wait, each from another IPv4 /24 or IPv6 /48, "
        "before it waits for those, too",
    )
    sign_in_checks_account: Rate = Field(
        "300/hour",
        validate_default=True,
        description="checks of an account's password, right or wrong, before the next has to wait",
    )
    sign_in_checks_address: Rate = Field(
        "3000/hour",
        validate_default=True,
        description="checks of passwords from one address, right or wrong, before the next has to wait",
    )
    checks_in_progress_account: Annotated[int, Field(ge=1)] = Field(
        2,
        description="passwords, and solutions of challenges, of an account that a process checks at a time, "
        "1 or more; beyond it 429",
    )
    checks_in_progress_address: Annotated[int, Field(ge=1)] = Field(
        4,
        description="passwords, and solutions of challenges, from an IPv4 address or IPv6 /64 that a process "
        "checks at a time, 1 or more; beyond it 429",
    )


class ChangeSettings(ServiceSettings):
    """Limits of what signed-in users do."""

    change_limit_session: Limits = Field(
        "120/minute,600/hour,2000/day",
        validate_default=True,
        description="changes that one session may make, such as 120/minute; more have to wait",
    )
    change_limit_account: Limits = Field(
        "300/minute,1500/hour,4000/day",
        validate_default=True,
        description="changes that all sessions of an account may make, such as 300/minute; more have to wait",
    )
    refresh_limit: Limits = Field(
        "120/minute",
        validate_default=True,
        description="refreshes of one session from one network at each replica, such as 120/minute",
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
):
    """The settings of `serve`."""

    auth_port: Port = Field(8001, description="a TCP port, 1 to 65535")
    trusted_gateways: CommaSeparated = Field(
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

    @field_validator("trusted_gateways")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value

    @field_validator("sms_regions", "trusted_gateways", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_commas(value)
