"""The simulator's settings."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SimulatorSettings(BaseSettings):
    """What the simulated account looks like; the services' own variables where they mean the same."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    simulator_host: str = Field("127.0.0.1", description="the address to listen on")
    simulator_port: int = Field(8899, ge=1, le=65535, description="a TCP port, 1 to 65535")
    yunpian_api_key: str = Field("0123456789abcdef" * 2, description="the account's API key")
    sms_signature: str = Field("Dialpass", description="the registered signature")
    sms_template: str = Field(
        "您的验证码是{code}。如非本人操作，请忽略本短信", description="the approved template"
    )
    simulator_balance: float = Field(10_000.0, description="money on the account, RMB")
