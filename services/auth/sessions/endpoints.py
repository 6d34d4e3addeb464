"""`/token/refresh/`, `/logout/`, `/sessions/`, and the list of ended sessions for gateways."""

from contextlib import suppress

from services.auth import errors
from services.auth.http.handler import JsonHandler, Operation, Routes
from services.auth.sessions.revocations import Revocations
from services.auth.sessions.schemas import (
    EndedSessionsResponse,
    LoginResponse,
    LogoutRequest,
    RefreshRequest,
    SessionsResponse,
)
from services.auth.sessions.service import SessionService
from shared.errors import NotFound, TooManyRequests, Unauthorized

_TAG = "Sessions"


class RefreshHandler(JsonHandler[SessionService]):
    """`POST /token/refresh/`."""

    @Operation(
        "Sign-in",
        request=RefreshRequest,
        problems=(errors.SessionEnded, TooManyRequests),
        note="The refresh token is exchanged for a new one. A client that has lost the answer asks again and "
        "gets the same one, as long as that has not been used; after that, and a few seconds, the old one "
        "ends the session.",
    )
    async def handle_post(self) -> LoginResponse:
        """Exchange a refresh token."""
        body = self.body(RefreshRequest)
        return LoginResponse.of(await self.service.refresh(body.refresh_token, self.client))


class LogoutHandler(JsonHandler[SessionService]):
    """`POST /logout/`."""

    @Operation(
        _TAG,
        request=LogoutRequest,
        signed_in=True,
        token_or_body=True,
        note="Of the access token, or of `refresh_token` in the body, which takes its place: then the access "
        "token may have expired or be missing, and a refresh token of no session, or of one that has ended, "
        "is no error.",
    )
    async def handle_post(self) -> None:
        """End the current session."""
        given = self.body(LogoutRequest).refresh_token if self.request.body else None
        if given is None:
            await self._end_current()
            return
        if "Authorization" in self.request.headers:
            with suppress(Unauthorized, NotFound):
                await self._end_current()
        await self.service.end_by_refresh_token(given, self.client)

    async def _end_current(self) -> None:
        caller = await self.caller()
        await self.service.end(caller, caller.session_id, self.client, "signed_out")


class SessionHandler(JsonHandler[SessionService]):
    """`DELETE /sessions/{id}/`."""

    @Operation(_TAG, problems=(NotFound,), signed_in=True)
    async def handle_delete(self, session_id: str) -> None:
        """End one of the caller's sessions."""
        await self.service.end(await self.caller(), session_id, self.client, "ended_by_user")


class SessionsHandler(JsonHandler[SessionService]):
    """`GET` and `DELETE /sessions/`."""

    @Operation(_TAG, signed_in=True)
    async def handle_get(self) -> SessionsResponse:
        """List the caller's sessions."""
        caller = await self.caller()
        return SessionsResponse.of(await self.service.list_own(caller), caller.session_id)

    @Operation(_TAG, signed_in=True)
    async def handle_delete(self) -> None:
        """End all of the caller's sessions but the current one."""
        await self.service.end_others(await self.caller(), self.client)


class RecentlyEndedHandler(JsonHandler[Revocations]):
    """`GET /internal/ended-sessions/recent/`."""

    quiet = True

    async def handle_get(self) -> EndedSessionsResponse:
        """List the sessions that ended within the last half minute."""
        return EndedSessionsResponse(ended=await self.service.recent())


class AllEndedHandler(JsonHandler[Revocations]):
    """`GET /internal/ended-sessions/`."""

    quiet = True

    async def handle_get(self) -> EndedSessionsResponse:
        """List all ended sessions of which an access token may still be valid."""
        return EndedSessionsResponse(ended=await self.service.all())


ROUTES: Routes = [
    (r"/token/refresh/?", "/token/refresh/", RefreshHandler),
    (r"/logout/?", "/logout/", LogoutHandler),
    (r"/sessions/?", "/sessions/", SessionsHandler),
    (r"/sessions/([0-9a-f]{32})/?", "/sessions/{id}/", SessionHandler),
]
# The gateways' route tables do not contain `/internal`, so that only they reach these.
INTERNAL_ROUTES: Routes = [
    (r"/internal/ended-sessions/?", "/internal/ended-sessions/", AllEndedHandler),
    (r"/internal/ended-sessions/recent/?", "/internal/ended-sessions/recent/", RecentlyEndedHandler),
]
