"""What gateways ask. Their route tables do not hold `/internal`, so nobody else reaches it."""

from pydantic import BaseModel, Field

from services.auth.http.handler import JsonHandler, Routes
from services.auth.http.schemas import Request, Text_
from services.auth.sessions.revocations import Ended


class EndedSessionsResponse(BaseModel):
    """Ended sessions with the end of their last access tokens, in seconds since 1970."""

    ended: Ended


class TokenRequest(Request):
    """`POST /internal/tokens/`."""

    token: Text_ = Field(repr=False)


class TokenResponse(BaseModel):
    """What a valid access token says."""

    user_id: int
    session_id: str
    expires_at: int


class RecentlyEndedHandler(JsonHandler):
    """`GET /internal/ended-sessions/recent/`."""

    quiet = True

    async def handle_get(self) -> EndedSessionsResponse:
        """List the sessions that ended within the last half minute."""
        return EndedSessionsResponse(ended=await self.auth.ended_sessions.recent())


class AllEndedHandler(JsonHandler):
    """`GET /internal/ended-sessions/`."""

    quiet = True

    async def handle_get(self) -> EndedSessionsResponse:
        """List every ended session of which an access token may still be valid."""
        return EndedSessionsResponse(ended=await self.auth.ended_sessions.all())


class TokensHandler(JsonHandler):
    """`POST /internal/tokens/`."""

    quiet = True

    async def handle_post(self) -> TokenResponse:
        """Verify a token that only the holder of the secret can (HS256)."""
        token = self.auth.tokens.verify(self.body(TokenRequest).token)
        return TokenResponse(user_id=token.user_id, session_id=token.session_id, expires_at=token.expires_at)


INTERNAL_ROUTES: Routes = [
    (r"/internal/ended-sessions/?", "/internal/ended-sessions/", AllEndedHandler),
    (r"/internal/ended-sessions/recent/?", "/internal/ended-sessions/recent/", RecentlyEndedHandler),
    (r"/internal/tokens/?", "/internal/tokens/", TokensHandler),
]
