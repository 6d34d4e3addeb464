"""Bodies of the requests and answers about access tokens."""

from pydantic import BaseModel, Field

from services.auth.http.fields import AccessTokenString, RequestBody


class JwksResponse(BaseModel):
    """The answer to `GET /.well-known/jwks.json` (RFC 7517 §5)."""

    keys: list[dict[str, str]]


class TokenRequest(RequestBody):
    """`POST /internal/tokens/`."""

    token: AccessTokenString = Field(repr=False)


class TokenResponse(BaseModel):
    """The claims of a valid access token that gateways use."""

    user_id: int
    session_id: str
    expires_at: int
