"""Settings from the environment: typed, read once at the start, all errors reported together."""

import sys
from typing import Annotated, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    HttpUrl,
    RedisDsn,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.server_urls import (
    SENTINEL_URL_FORMAT,
    is_sentinel_url,
    parse_mysql_url,
    parse_sentinel_url,
)

EXIT_BAD_SETTINGS = 2
_EXPLAINED = "explained"
_MIN_SECRET_LENGTH = 32


def _check_mysql_url(value: SecretStr) -> SecretStr:
    parse_mysql_url(value.get_secret_value())
    return value


def _check_redis_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if is_sentinel_url(url):
        parse_sentinel_url(url)
    else:
        TypeAdapter(RedisDsn).validate_python(url)
    return value


def _check_amqp_urls(value: SecretStr) -> SecretStr:
    for url in value.get_secret_value().split(","):
        if not url.strip().startswith(("amqp://", "amqps://")):
            raise ValueError
    return value


def _without_slash(url: str) -> str:
    TypeAdapter(HttpUrl).validate_python(url)
    return url.rstrip("/")


def _check_secrets(value: SecretStr) -> SecretStr:
    if any(len(secret) < _MIN_SECRET_LENGTH for secret in value.get_secret_value().split(",")):
        raise ValueError
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
BaseUrl = Annotated[str, AfterValidator(_without_slash)]
CommaSeparated = Annotated[tuple[str, ...], NoDecode]
RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]
MysqlUrl = Annotated[SecretStr, AfterValidator(_check_mysql_url)]
AmqpUrls = Annotated[SecretStr, AfterValidator(_check_amqp_urls)]
Secrets = Annotated[SecretStr, AfterValidator(_check_secrets)]


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


class ServiceSettings(BaseSettings):
    """Settings of every service: logging, lifecycle, tracing."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
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

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment, or exit.

        Exits with status 2 after one line on standard error for each missing or malformed variable.
        Values are never printed: some are secrets.
        """
        try:
            return cls()
        except ValidationError as error:
            _report(cls, error)


class RedisSettings(ServiceSettings):
    """The Redis server."""

    redis_url: RedisUrl = Field(
        description=f"redis://[user:password@]host:port/database, or {SENTINEL_URL_FORMAT}"
    )


class AmqpSettings(ServiceSettings):
    """The RabbitMQ server."""

    amqp_url: AmqpUrls = Field(
        description="amqp://user:password@host:port/vhost, several nodes separated by commas"
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


_Settings = TypeVar("_Settings", bound=ServiceSettings)


def _report(settings: type[_Settings], error: ValidationError) -> NoReturn:
    for problem in error.errors(include_input=False, include_context=False):
        name = str(problem["loc"][0])
        what = "is missing" if problem["type"] == "missing" else "is malformed"
        if problem["type"] == _EXPLAINED:
            what += f": {problem['msg']}"
        takes = settings.model_fields[name].description
        sys.stderr.write(f"{name.upper()} {what}; it takes {takes}\n")
    raise SystemExit(EXIT_BAD_SETTINGS)
