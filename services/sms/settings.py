"""The SMS worker's settings."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from shared.settings import AmqpSettings, BaseUrl, Port, RedisSettings, SealingSettings


class SmsSettings(RedisSettings, AmqpSettings, SealingSettings):
    """Everything the worker takes."""

    sms_port: Port = Field(8002, description="the TCP port of /healthz, /readyz and /metrics, 1 to 65535")
    sms_concurrency: Annotated[int, Field(ge=1, le=1000)] = Field(
        32, description="messages in work at once and fetched ahead, 1 to 1000"
    )
    yunpian_base_url: BaseUrl = Field(
        "https://sms.yunpian.com",
        description="Yunpian's URL; https://us.yunpian.com where hosted outside China",
    )
    yunpian_api_key: Annotated[SecretStr, Field(min_length=8)] = Field(
        description="the API key of the Yunpian account, 32 hexadecimal digits"
    )
    sms_signature: Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[^【】]+$")] = Field(
        description="the signature registered with Yunpian, without its brackets"
    )
    sms_template: str = Field(
        "您的验证码是{code}。如非本人操作，请忽略本短信",
        description="the template approved by Yunpian, without the signature, with {code} in it",
    )
    # Nothing balances load to a worker, so there is nobody to take note of its end.
    drain_delay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="seconds to keep consuming after SIGTERM"
    )

    @field_validator("sms_template")
    @classmethod
    def _has_the_code(cls, value: str) -> str:
        if value.count("{code}") != 1 or value.count("{") != 1:
            raise ValueError
        return value
