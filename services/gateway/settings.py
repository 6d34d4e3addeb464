"""The gateway's settings."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from services.gateway.cors import parse_origin_pattern
from services.gateway.routes import RouteSetting, parse_route_settings
from shared.settings import (
    Addresses,
    BaseUrl,
    CommaSeparated,
    GatewaySecretSettings,
    Networks,
    Port,
    Seconds,
    split_commas,
    unusable,
)


class GatewaySettings(GatewaySecretSettings):
    """The gateway's environment variables."""

    gateway_port: Port = Field(8888, description="the public TCP port, 1 to 65535")
    gateway_ops_bind_address: Addresses | None = Field(
        None,
        description="the addresses of GATEWAY_OPS_PORT, separated by commas; BIND_ADDRESS where not set",
    )
    gateway_ops_port: Port = Field(
        8889, description="the TCP port of /healthz, /readyz and /metrics, 1 to 65535; never public"
    )
    gateway_max_connections: Annotated[int, Field(ge=16, le=1_000_000)] = Field(
        4096,
        description="connections of clients, 16 to 1000000; less where the limit of descriptors is lower. At "
        "the limit no further one is accepted, and the replica is not ready",
    )
    gateway_max_connections_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        512,
        description="connections of one client address (IPv4, or a /64 of IPv6), 1 to 1000000; further ones "
        "are closed at once. TRUSTED_PROXIES are not limited",
    )
    gateway_read_timeout: Seconds = Field(
        20.0,
        description="seconds that a client may send nothing of a request's body; the whole body may take 60, "
        "and one more for each 500 bytes",
    )
    gateway_write_timeout: Seconds = Field(
        75.0, description="seconds that a client may take nothing of a response"
    )
    auth_url: BaseUrl = Field("http://127.0.0.1:8001", description="the auth service's URL, http://host:port")
    sms_url: BaseUrl = Field("http://127.0.0.1:8002", description="the SMS worker's URL, http://host:port")
    cors_origins: CommaSeparated = Field(
        (),
        description="origins allowed to call from a browser, separated by commas: "
        "https://app.example.com, or https://*.example.com for every subdomain",
    )
    trusted_proxies: Networks = Field(
        (),
        description="addresses or networks, separated by commas, whose X-Forwarded-For is believed",
    )
    upstream_timeout: Seconds = Field(
        10.0, description="seconds that a service behind the gateway gets to answer"
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=1024 * 1024)] = Field(
        64 * 1024, description="bytes that a request's body may have, 1024 to 1048576"
    )

    gateway_routes: Annotated[tuple[RouteSetting, ...], NoDecode] = Field(
        (),
        description="routes to further services, separated by commas: /orders=http://orders:9000, each with "
        ";token=required, optional or none (required), ;timeout=seconds, ;max_body=bytes and "
        ";authorization=forward or drop (drop) where wanted",
    )
    token_issuer: str = Field("dialpass", description="the tokens' iss claim")
    token_audience: str = Field("dialpass", description="the tokens' aud claim")
    client_pseudonym_secret: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        None,
        description="at least 32 random characters, the same for all gateways, with which clients' addresses "
        "in log lines are hashed; a random one at each start where not set",
    )
    ended_sessions_max_age: Seconds = Field(
        60.0,
        description="seconds that the list of ended sessions is relied on while the auth service cannot be "
        "reached; beyond it a request with a token is answered 503",
    )

    @property
    def client_secret(self) -> str | None:
        """The secret of clients' pseudonyms, if it is set."""
        secret = self.client_pseudonym_secret
        return None if secret is None else secret.get_secret_value()

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return split_commas(value)

    @field_validator("gateway_routes", mode="before")
    @classmethod
    def _parse_routes(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse_route_settings(value)
        except ValueError as error:
            raise unusable(str(error)) from error

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            parse_origin_pattern(pattern)
        return value
