"""Settings from the environment: typed, read once at the start, all errors reported together."""

import ipaddress
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from typing import Annotated, Literal, NoReturn, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    RedisDsn,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared import running_system
from shared.networks import parse_networks
from shared.security.development_secrets import is_published
from shared.security.tls import TlsFiles, UnusableFile, client_context
from shared.server_urls import (
    SENTINEL_URL_FORMAT,
    is_sentinel_url,
    parse_mysql_url,
    parse_sentinel_url,
    redis_tls,
)

EXIT_BAD_SETTINGS = 2
_EXPLAINED = "explained"
_MIN_SECRET_LENGTH = 32
ALL_ADDRESSES = "*"
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


def _check_mysql_url(value: SecretStr) -> SecretStr:
    try:
        parse_mysql_url(value.get_secret_value())
    except UnusableFile as error:
        raise unusable(str(error)) from error
    return value


def _check_redis_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if is_sentinel_url(url):
        parse_sentinel_url(url)
    else:
        TypeAdapter(RedisDsn).validate_python(url)
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    _check_tls(redis_tls(query), "rediss", parts.scheme.startswith("rediss"))
    return value


def _check_amqp_urls(value: SecretStr) -> SecretStr:
    for url in split_secrets(value):
        if not url.startswith(("amqp://", "amqps://")):
            raise ValueError
        query = dict(parse_qsl(urlsplit(url).query))
        files = TlsFiles(query.get("cafile"), query.get("certfile"), query.get("keyfile"))
        _check_tls(files, "amqps", url.startswith("amqps://"))
    return value


def _check_tls(files: TlsFiles, scheme: str, secure: bool) -> None:  # noqa: FBT001
    """Raise if a file of TLS is unusable, or if it is given without TLS."""
    if files == TlsFiles():
        return
    if not secure:
        raise unusable(f"a CA or a certificate needs {scheme}://")
    try:
        client_context(files)
    except UnusableFile as error:
        raise unusable(str(error)) from error


def _without_slash(url: str) -> str:
    TypeAdapter(HttpUrl).validate_python(url)
    return url.rstrip("/")


def _check_secrets(value: SecretStr) -> SecretStr:
    if any(len(secret) < _MIN_SECRET_LENGTH for secret in value.get_secret_value().split(",")):
        raise ValueError
    return value


def _check_header_secrets(value: SecretStr) -> SecretStr:
    if any(not _HEADER_SAFE.fullmatch(secret) for secret in split_secrets(value)):
        raise ValueError
    return _check_secrets(value)


def _check_addresses(value: tuple[str, ...]) -> tuple[str, ...]:
    for address in value:
        if address not in {ALL_ADDRESSES, "localhost"}:
            ipaddress.ip_address(address)
    return value


def _check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    parse_networks(value)
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
BaseUrl = Annotated[str, AfterValidator(_without_slash)]
CommaSeparated = Annotated[tuple[str, ...], NoDecode]
RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]
MysqlUrl = Annotated[SecretStr, AfterValidator(_check_mysql_url)]
AmqpUrls = Annotated[SecretStr, AfterValidator(_check_amqp_urls)]
Secrets = Annotated[SecretStr, AfterValidator(_check_secrets)]
HeaderSecrets = Annotated[SecretStr, AfterValidator(_check_header_secrets)]


def unusable(why: str) -> PydanticCustomError:
    """Return the error that a validator raises to report `why`, which must not contain a secret."""
    return PydanticCustomError(_EXPLAINED, "{why}", {"why": why})


def split_secrets(value: SecretStr) -> list[str]:
    """Return the secrets in a comma-separated value."""
    return [part.strip() for part in value.get_secret_value().split(",") if part.strip()]


def split_commas(value: object) -> object:
    """Split a string `a, b` into `("a", "b")`; other values are returned unchanged."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


Addresses = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(split_commas), AfterValidator(_check_addresses)
]


Networks = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(split_commas), AfterValidator(_check_networks)
]


class ServiceSettings(BaseSettings):
    """Settings of every service: logging, lifecycle, tracing, addresses; published secrets are refused."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    # First, because the validation of the other fields reads it.
    allow_development_secrets: bool = Field(
        default=False,
        description="true or false: whether secrets are accepted that everybody can read, because they are or"
        " were in Dialpass's repository; for development only",
    )
    bind_address: Addresses = Field(
        ("localhost",),
        description="the addresses to listen on, separated by commas; localhost for this machine alone, * for"
        " all, as a container needs",
    )

    log_format: Literal["json", "console"] = Field("json", description="json or console")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error"
    )
    drain_delay: Annotated[float, Field(ge=0)] = Field(
        5.0, description="seconds to keep serving after SIGTERM until load balancers notice"
    )
    drain_timeout: Seconds = Field(
        20.0, description="seconds for work in flight to finish after intake has stopped"
    )

    otel_exporter_otlp_endpoint: BaseUrl | None = Field(
        None,
        description="the URL of the OTLP/HTTP collector for traces, http://collector:4318; off if not set",
    )

    @field_validator("*", mode="after")
    @classmethod
    def _refuse_published_secrets(cls, value: object, info: ValidationInfo) -> object:
        if not info.data.get("allow_development_secrets") and any(map(is_published, _secrets_in(value))):
            raise unusable(
                "it is published in Dialpass's repository, so it is no secret; for development only,"
                " ALLOW_DEVELOPMENT_SECRETS=true accepts it"
            )
        return value

    @classmethod
    def load(cls, command_of: str = "") -> Self:
        """Read the settings from the environment, or exit.

        Exits with status 2 after one line on standard error for each missing or malformed variable.
        Values are never printed: some are secrets.

        Args:
            command_of: for a command, its service: variables that are not set are those of the system that
                `make run` runs in this checkout.
        """
        left_out = running_system.complete(command_of) if command_of else ""
        try:
            return cls()
        except ValidationError as error:
            _report(cls, error, left_out)


class RedisSettings(ServiceSettings):
    """The Redis server."""

    redis_url: RedisUrl = Field(
        description=f"redis://[user:password@]host:port/database, or {SENTINEL_URL_FORMAT}; with TLS"
        " rediss://…?ssl_ca_certs=FILE"
    )


class AmqpSettings(ServiceSettings):
    """The RabbitMQ server."""

    amqp_url: AmqpUrls = Field(
        description="amqp://user:password@host:port/vhost, several nodes separated by commas; with TLS"
        " amqps://…?cafile=FILE"
    )

    @property
    def amqp_urls(self) -> list[str]:
        """The broker's nodes."""
        return split_secrets(self.amqp_url)


class SealingSettings(ServiceSettings):
    """The secrets that seal messages in RabbitMQ."""

    message_secret: Secrets = Field(
        description="at least 32 random characters, the same for auth and the SMS worker; several separated"
        " by commas: the first seals the messages between them, all open them"
    )

    @property
    def message_secrets(self) -> list[str]:
        """The secrets; the first one seals."""
        return split_secrets(self.message_secret)


class GatewaySecretSettings(ServiceSettings):
    """The secret by which auth recognises the gateway."""

    gateway_secret: HeaderSecrets | None = Field(
        None,
        description="at least 32 random characters, the same for the gateway and auth, by which auth knows"
        " that a request's client address and id are the gateway's word; several separated by commas: the"
        " gateway sends the first, auth accepts all",
    )

    @property
    def gateway_secrets(self) -> list[str]:
        """The secrets; the gateway sends the first one."""
        return split_secrets(self.gateway_secret) if self.gateway_secret else []


_Settings = TypeVar("_Settings", bound=ServiceSettings)


def _secrets_in(value: object) -> Iterator[str]:
    """Yield the secrets in a setting: itself, or those of each item of a tuple of dataclasses."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, tuple):
        for item in value:
            if is_dataclass(item) and not isinstance(item, type):
                yield from (member.get_secret_value() for member in asdict(item).values()
                            if isinstance(member, SecretStr))  # fmt: skip


def _report(settings: type[_Settings], error: ValidationError, hint: str = "") -> NoReturn:
    for problem in error.errors(include_input=False, include_context=False):
        name = str(problem["loc"][0])
        what = "is missing" if problem["type"] == "missing" else "is malformed"
        if problem["type"] == _EXPLAINED:
            what += f": {problem['msg']}"
        takes = settings.model_fields[name].description
        sys.stderr.write(f"{name.upper()} {what}; it takes {takes}\n")
    sys.stderr.write(f"{hint}\n" if hint else "")
    raise SystemExit(EXIT_BAD_SETTINGS)
