"""The simulator's settings."""

import re

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

FIRST_ACCOUNT = "first"


class SimulatorSettings(BaseSettings):
    """The simulated accounts; variables of the services are shared where they mean the same."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    simulator_host: str = Field("127.0.0.1", description="the address to listen on")
    simulator_allowed_hosts: str = Field(
        "",
        description="names other than localhost by which it may be called, separated by commas",
    )
    simulator_port: int = Field(8899, ge=1, le=65535, description="a TCP port, 1 to 65535")
    yunpian_api_key: str = Field("0123456789abcdef" * 2, description="the first account's API key")
    simulator_more_accounts: str = Field(
        "second=" + "fedcba9876543210" * 2,
        description="further accounts: name=key pairs, separated by commas",
    )
    sms_signature: str = Field("Dialpass", description="the registered signature")
    sms_template: str = Field(
        "您的验证码是{code}。如非本人操作，请忽略本短信", description="the approved template"
    )
    sms_foreign_signature: str = Field(
        "", description="the registered signature of foreign messages; SMS_SIGNATURE where empty"
    )
    sms_foreign_template: str = Field(
        "Your verification code is {code}. If you did not ask for it, please ignore this message.",
        description="the approved template for numbers outside mainland China, none where empty",
    )
    sms_region_templates: dict[str, str] = Field(
        {}, description="approved templates for the numbers of one region each, by ISO 3166-1 code, as JSON"
    )
    voice_hours: str = Field(
        "07:30-22:00", description="when mainland numbers are called, China time; 00:00-24:00 for always"
    )
    notice_mobile_changed: str = Field("", description="an approved text, none where empty")
    notice_password_reset: str = Field("", description="an approved text, none where empty")
    notice_account_deleted: str = Field("", description="an approved text, none where empty")
    sms_templates: dict[str, str] = Field({}, description="further approved templates, by purpose, as JSON")
    simulator_balance: float = Field(10_000.0, description="balance of each account, RMB")
    simulator_report_delay: float = Field(
        1.0, ge=0, description="seconds from a message to its status report"
    )
    simulator_callback_url: str = Field(
        "", description="where status reports are pushed to; kept for pulling if not set"
    )
    simulator_push_retry: float = Field(
        300.0, gt=0, description="seconds between two tries to push a status report"
    )

    @field_validator("simulator_more_accounts")
    @classmethod
    def _pairs(cls, value: str) -> str:
        if any(pair.count("=") != 1 for pair in value.split(",") if pair):
            raise ValueError("takes name=key pairs, separated by commas")
        return value

    @field_validator("voice_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        if not re.fullmatch(r"\d\d:\d\d-\d\d:\d\d", value):
            raise ValueError("takes two times such as 07:30-22:00")
        return value

    @property
    def notices(self) -> set[str]:
        """The texts without variables that are approved beside the template."""
        texts = {self.notice_mobile_changed, self.notice_password_reset, self.notice_account_deleted}
        return texts - {""}

    @property
    def keys(self) -> dict[str, str]:
        """The API key of each account, by the account's name."""
        more = (pair.split("=") for pair in self.simulator_more_accounts.split(",") if pair)
        return {FIRST_ACCOUNT: self.yunpian_api_key} | {name.strip(): key.strip() for name, key in more}
