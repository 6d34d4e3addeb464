"""The SMS worker's settings."""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr, TypeAdapter, field_validator
from pydantic_settings import NoDecode

from shared.contracts.messages import Purpose
from shared.settings import (
    AmqpSettings,
    BaseUrl,
    Port,
    RedisSettings,
    SealingSettings,
    Seconds,
    ServiceSettings,
    split_commas,
    split_secrets,
)
from shared.voice_settings import VoiceSettings

Delays = Annotated[tuple[Annotated[float, Field(ge=0.1, le=600)], ...], Field(min_length=1, max_length=10)]
Money = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=4)]

FIRST_ACCOUNT = "main"
_ACCOUNT = re.compile(r"(?P<name>[a-z][a-z0-9_-]{0,19})=(?P<key>[^\s@,=]{8,64})(?:@(?P<url>https?://\S+))?")
_CALLBACK_SECRET = re.compile(r"[A-Za-z0-9._~\-]{16,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """A Yunpian account.

    Attributes:
        name: its name in metrics, logs and records.
        api_key: its key.
        base_url: its URL, if it differs from that of the first account.
    """

    name: str
    api_key: SecretStr
    base_url: str = ""


def parse_accounts(value: str) -> tuple[AccountEntry, ...]:
    """Parse the accounts beyond the first, `name=key, name=key@url`.

    Raises:
        ValueError: it is malformed, or a name is repeated.
    """
    entries = tuple(_parse_account(entry.strip()) for entry in value.split(",") if entry.strip())
    names = {FIRST_ACCOUNT, *(entry.name for entry in entries)}
    if len(names) != len(entries) + 1:
        raise ValueError
    return entries


def _parse_account(entry: str) -> AccountEntry:
    match = _ACCOUNT.fullmatch(entry)
    if match is None:
        raise ValueError
    url = (match["url"] or "").rstrip("/")
    if url:
        TypeAdapter(HttpUrl).validate_python(url)
    return AccountEntry(match["name"], SecretStr(match["key"]), url)


def _parse_text(value: object) -> object:
    return parse_accounts(value) if isinstance(value, str) else value


def _check_callback_secrets(value: SecretStr) -> SecretStr:
    if any(not _CALLBACK_SECRET.fullmatch(secret) for secret in split_secrets(value)):
        raise ValueError
    return value


def _check_http_url(value: SecretStr) -> SecretStr:
    TypeAdapter(HttpUrl).validate_python(value.get_secret_value())
    return value


def _check_template(value: str) -> str:
    if value.count("{code}") != 1 or value.count("{") != 1:
        raise ValueError
    return value


def _parse_json(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def _check_region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError
    return value


Template = Annotated[str, AfterValidator(_check_template)]
Region = Annotated[str, AfterValidator(_check_region)]
RegionTemplates = Annotated[dict[Region, Template], NoDecode, BeforeValidator(_parse_json)]
Templates = Annotated[dict[Purpose, Template], NoDecode, BeforeValidator(_parse_json)]
CallbackSecrets = Annotated[SecretStr, AfterValidator(_check_callback_secrets)]
HttpUrlWithPassword = Annotated[SecretStr, AfterValidator(_check_http_url)]


class ProviderSettings(VoiceSettings):
    """Yunpian's accounts, and the limits of rate and money."""

    yunpian_base_url: BaseUrl = Field(
        "https://sms.yunpian.com",
        description="Yunpian's URL; https://us.yunpian.com where hosted outside China",
    )
    yunpian_voice_base_url: BaseUrl | None = Field(
        None,
        description="the URL of Yunpian's voice calls, where it is neither https://voice.yunpian.com nor an"
        " account's own",
    )
    yunpian_api_key: Annotated[SecretStr, Field(min_length=8)] = Field(
        description="the API key of the Yunpian account, 32 hexadecimal digits"
    )
    yunpian_accounts: Annotated[tuple[AccountEntry, ...], NoDecode, BeforeValidator(_parse_text)] = Field(
        (),
        description="more accounts, which send when the ones before cannot: name=key or name=key@URL,"
        " separated by commas",
    )
    sms_rate_limit: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,4}/s|none)$")] = Field(
        "100/s", description="calls that send, over all workers: a number per second such as 50/s, or none"
    )
    sms_daily_spend_cap: Money = Field(
        Decimal(0), description="RMB that may be spent a day (UTC+8), 0 for no limit"
    )
    sms_price: Annotated[Money, Field(gt=0)] = Field(
        Decimal("0.05"), description="RMB that one part of a message is expected to cost"
    )

    @property
    def sends_per_second(self) -> int | None:
        """The rate limit, or None for no limit."""
        number = self.sms_rate_limit.removesuffix("/s")
        return int(number) if number.isdecimal() else None


class ReportSettings(ServiceSettings):
    """How status reports are received."""

    sms_reports: Literal["push", "pull", "off"] = Field(
        "push", description="how status reports of accepted messages come: push, pull or off"
    )
    sms_pull_interval: Seconds = Field(
        5.0, description="seconds between two rounds of pulling status reports"
    )
    yunpian_callback_secret: CallbackSecrets = Field(
        SecretStr(""),
        description="what the URL that status reports are pushed to ends with, at least 16 characters out of"
        " A-Z a-z 0-9 . _ ~ -; several, separated by commas, are all accepted, none means no push",
    )

    @property
    def callback_secrets(self) -> list[str]:
        """The secrets that the webhook accepts; none if reports are not pushed."""
        return split_secrets(self.yunpian_callback_secret) if self.sms_reports == "push" else []


class RetrySettings(ServiceSettings):
    """The delays between attempts; each has a wait queue."""

    sms_retry_delays: Annotated[Delays, NoDecode] = Field(
        (5.0, 15.0, 60.0),
        description="seconds that a message waits between two attempts, ascending, separated by commas",
    )

    @field_validator("sms_retry_delays", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_commas(value)

    @field_validator("sms_retry_delays")
    @classmethod
    def _ascends(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError
        return value


class UnsealedSettings(ServiceSettings):
    """Whether messages without a seal are sent."""

    sms_accept_v1: bool = Field(
        default=False,
        description="true or false: whether messages of version 1 are sent, which anybody with an account on"
        " the broker can write; only for the time of an update from a version that publishes them",
    )


class TextSettings(ServiceSettings):
    """The texts of messages, as they are approved by Yunpian."""

    sms_signature: Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[^【】]+$")] = Field(
        description="the signature registered with Yunpian, without its brackets"
    )
    sms_template: Template = Field(
        "您的验证码是{code}。如非本人操作，请忽略本短信",
        description="the template approved by Yunpian, without the signature, with {code} in it",
    )
    sms_templates: Templates = Field(
        {},
        description='approved templates that say what a code is for, by its purpose, as JSON: {"login": '
        '"…{code}…"}; SMS_TEMPLATE for the other purposes',
    )
    sms_foreign_signature: Annotated[str, Field(max_length=20, pattern=r"^[^【】]*$")] = Field(
        "", description="the signature of texts to numbers outside mainland China; SMS_SIGNATURE where empty"
    )
    sms_foreign_template: Template = Field(
        "Your verification code is {code}. If you did not ask for it, please ignore this message.",
        description="the approved template for numbers outside mainland China, with {code} in it",
    )
    sms_region_templates: RegionTemplates = Field(
        {},
        description='approved templates for the numbers of single regions, as JSON: {"GB": "…{code}…"};'
        " SMS_FOREIGN_TEMPLATE for the other regions",
    )


class SmsSettings(
    TextSettings,
    ProviderSettings,
    ReportSettings,
    RetrySettings,
    RedisSettings,
    AmqpSettings,
    SealingSettings,
    UnsealedSettings,
):
    """The settings of the worker."""

    sms_port: Port = Field(
        8002, description="the TCP port of status reports, /healthz, /readyz and /metrics, 1 to 65535"
    )
    sms_concurrency: Annotated[int, Field(ge=1, le=1000)] = Field(
        32,
        description="messages in work at once, 1 to 1000; some more are fetched ahead while calls are quick",
    )
    sms_filter_window: Seconds = Field(
        20.0,
        description="seconds after an attempt of unknown outcome in which Yunpian's filter of repeated "
        "texts, 30 s long, is sure to catch another one",
    )
    sms_record_lag: Seconds = Field(
        60.0, description="seconds after which Yunpian's records are sure to show what it has accepted"
    )
    # Stopping at once loses nothing: a status report that meets a closed port is pushed again.
    drain_delay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="seconds to keep consuming after SIGTERM"
    )


class QueueSettings(RetrySettings, RedisSettings, AmqpSettings):
    """The settings of `queue status`."""

    rabbitmq_management_url: HttpUrlWithPassword | None = Field(
        None,
        description="http://user:password@host:port of RabbitMQ's management plug-in, for the rates of"
        " python -m services.sms queue status",
    )


class MessageSettings(RedisSettings, AmqpSettings, SealingSettings, UnsealedSettings):
    """The settings of the commands that read or publish messages."""
