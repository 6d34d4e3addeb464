"""The endpoints of signing in and of sessions."""

from services.auth.http.handler import JsonHandler, Routes, counted
from services.auth.sessions import schemas
from services.auth.sessions.refreshing import refresh
from services.auth.sessions.session_ending import end_others, end_session, own_sessions
from services.auth.sign_in.code_sign_in import sign_in_with_code
from services.auth.sign_in.service import sign_in
from shared.contracts.events import EndReason


class LoginHandler(JsonHandler):
    """`POST /login/`."""

    async def handle_post(self) -> schemas.LoginResponse:
        """Sign in."""
        body = self.body(schemas.LoginRequest)
        with counted(self.auth.metrics.sign_ins):
            signed_in = await sign_in(
                body.mobile,
                body.password,
                self.client,
                guard=self.auth.sign_in_guard,
                users=self.auth.users,
                passwords=self.auth.passwords,
                sessions=self.auth.sessions,
                tokens=self.auth.tokens,
                journal=self.auth.journal,
                policy=self.auth.session_policy,
                clock=self.auth.clock,
            )
        return schemas.LoginResponse.of(signed_in)


class LoginCodeHandler(JsonHandler):
    """`POST /login/code/`."""

    async def handle_post(self) -> schemas.LoginCodeResponse:
        """Sign in with a code."""
        body = self.body(schemas.LoginCodeRequest)
        with counted(self.auth.metrics.sign_ins):
            signed_in = await sign_in_with_code(
                body.mobile,
                body.code,
                self.client,
                creates_accounts=self.auth.login_code_creates_accounts,
                codes=self.auth.codes,
                users=self.auth.users,
                sessions=self.auth.sessions,
                tokens=self.auth.tokens,
                journal=self.auth.journal,
                policy=self.auth.session_policy,
                clock=self.auth.clock,
            )
        return schemas.LoginCodeResponse.of(signed_in)


class RefreshHandler(JsonHandler):
    """`POST /token/refresh/`."""

    async def handle_post(self) -> schemas.LoginResponse:
        """Exchange a refresh token."""
        body = self.body(schemas.RefreshRequest)
        with counted(self.auth.metrics.refreshes):
            signed_in = await refresh(
                body.refresh_token,
                self.client,
                sessions=self.auth.sessions,
                users=self.auth.users,
                tokens=self.auth.tokens,
                journal=self.auth.journal,
                policy=self.auth.session_policy,
                clock=self.auth.clock,
            )
        return schemas.LoginResponse.of(signed_in)


class _EndingHandler(JsonHandler):
    """What ends one session."""

    async def end(self, session_id: str | None, reason: EndReason) -> None:
        """End the caller's session with an id; None stands for the current one."""
        caller = await self.caller()
        await end_session(
            caller,
            session_id or caller.session_id,
            self.client,
            reason=reason,
            users=self.auth.users,
            sessions=self.auth.sessions,
            journal=self.auth.journal,
            clock=self.auth.clock,
        )


class LogoutHandler(_EndingHandler):
    """`POST /logout/`."""

    async def handle_post(self) -> None:
        """End the current session."""
        await self.end(None, "signed_out")


class SessionHandler(_EndingHandler):
    """`DELETE /sessions/{id}/`."""

    async def handle_delete(self, session_id: str) -> None:
        """End one of the caller's sessions."""
        await self.end(session_id, "ended_by_user")


class SessionsHandler(JsonHandler):
    """`GET` and `DELETE /sessions/`."""

    async def handle_get(self) -> schemas.SessionsResponse:
        """List the caller's sessions."""
        caller = await self.caller()
        found = await own_sessions(caller, sessions=self.auth.sessions, clock=self.auth.clock)
        return schemas.SessionsResponse.of(found, caller.session_id)

    async def handle_delete(self) -> None:
        """End all of the caller's sessions but the current one."""
        await end_others(
            await self.caller(),
            self.client,
            users=self.auth.users,
            sessions=self.auth.sessions,
            journal=self.auth.journal,
            clock=self.auth.clock,
        )


SESSION_ROUTES: Routes = [
    (r"/login/?", "/login/", LoginHandler),
    (r"/login/code/?", "/login/code/", LoginCodeHandler),
    (r"/token/refresh/?", "/token/refresh/", RefreshHandler),
    (r"/logout/?", "/logout/", LogoutHandler),
    (r"/sessions/?", "/sessions/", SessionsHandler),
    (r"/sessions/([0-9a-f]{32})/?", "/sessions/{id}/", SessionHandler),
]
