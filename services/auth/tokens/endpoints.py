"""`/.well-known/jwks.json`, and the verification of HS256 tokens for gateways."""

from services.auth.errors import TokenRefused
from services.auth.http.handler import JsonHandler, Operation, Routes
from services.auth.tokens.issuer import AccessTokenIssuer
from services.auth.tokens.schemas import JwksResponse, TokenRequest, TokenResponse
from shared.errors import Unauthorized

_JWKS_SECONDS = 300


class JwksHandler(JsonHandler[AccessTokenIssuer]):
    """`GET /.well-known/jwks.json`."""

    quiet = True  # every gateway asks each ten seconds; requests of clients are in the gateway's log

    @Operation("Sign-in", note="RFC 7517; may be cached.")
    async def handle_get(self) -> JwksResponse:
        """Publish the keys that verify access tokens."""
        self.set_header("Cache-Control", f"public, max-age={_JWKS_SECONDS}")
        return JwksResponse.model_validate(self.service.keys.jwks())


class TokensHandler(JsonHandler[AccessTokenIssuer]):
    """`POST /internal/tokens/`."""

    quiet = True

    async def handle_post(self) -> TokenResponse:
        """Verify a token that only holders of the secret can verify (HS256)."""
        given = self.body(TokenRequest).token
        try:
            token = self.service.verify(given)
        except Unauthorized as error:
            raise TokenRefused(self.service.keys.secret_kids()) from error
        return TokenResponse(user_id=token.user_id, session_id=token.session_id, expires_at=token.expires_at)


ROUTES: Routes = [(r"/\.well-known/jwks\.json/?", "/.well-known/jwks.json", JwksHandler)]
# The gateways' route tables do not contain `/internal`, so that only they reach it.
INTERNAL_ROUTES: Routes = [(r"/internal/tokens/?", "/internal/tokens/", TokensHandler)]
