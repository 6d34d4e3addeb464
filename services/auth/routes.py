"""The endpoints: schema, use case, answer."""

from typing import Any

from tornado.web import Application, RequestHandler

from services.auth.accounts.endpoints import ACCOUNT_ROUTES
from services.auth.accounts.registration import Registration, register
from services.auth.codes.service import Asked, message_status, request_code
from services.auth.http import schemas
from services.auth.http.handler import JsonHandler, NotFoundHandler, Routes, counted
from services.auth.sessions.endpoints import SESSION_ROUTES
from services.auth.sessions.internal_endpoints import INTERNAL_ROUTES
from services.auth.wiring import Auth

_JWKS_SECONDS = 300


class CodeHandler(JsonHandler):
    """`POST /code/`."""

    async def handle_post(self) -> schemas.CodeResponse:
        """Send a code."""
        body = self.body(schemas.CodeRequest)
        requested = await request_code(
            Asked(body.mobile, body.purpose, body.challenge, body.channel),
            self.client,
            codes=self.auth.codes,
            challenges=self.auth.challenges,
            statuses=self.auth.statuses,
            queue=self.auth.queue,
            policy=self.auth.code_policy,
            clock=self.auth.clock,
        )
        return schemas.CodeResponse(
            message_id=requested.message_id,
            expires_in=requested.expires_in,
            resend_after=requested.resend_after,
        )


class CodeStatusHandler(JsonHandler):
    """`GET /code/{message_id}/`."""

    async def handle_get(self, message_id: str) -> schemas.CodeStatusResponse:
        """Tell what became of a message."""
        status = await message_status(message_id, statuses=self.auth.statuses)
        return schemas.CodeStatusResponse(
            message_id=message_id, status=status.state, updated_at=status.updated_at
        )


class RegisterHandler(JsonHandler):
    """`POST /register/`."""

    async def handle_post(self) -> schemas.RegisterResponse:
        """Create an account."""
        body = self.body(schemas.RegisterRequest)
        with counted(self.auth.metrics.registrations):
            user_id = await register(
                Registration(**body.model_dump()),
                self.client,
                codes=self.auth.codes,
                passwords=self.auth.passwords,
                users=self.auth.users,
                journal=self.auth.journal,
                clock=self.auth.clock,
            )
        return schemas.RegisterResponse(id=user_id)


class JwksHandler(JsonHandler):
    """`GET /.well-known/jwks.json`."""

    async def handle_get(self) -> schemas.JwksResponse:
        """Publish the keys that verify access tokens."""
        self.set_header("Cache-Control", f"public, max-age={_JWKS_SECONDS}")
        return schemas.JwksResponse.model_validate(self.auth.keys.jwks())


PUBLIC_ROUTES: Routes = [
    (r"/code/?", "/code/", CodeHandler),
    (r"/code/([0-9a-f]{32})/?", "/code/{message_id}/", CodeStatusHandler),
    (r"/register/?", "/register/", RegisterHandler),
    (r"/\.well-known/jwks\.json/?", "/.well-known/jwks.json", JwksHandler),
    *ACCOUNT_ROUTES,
    *SESSION_ROUTES,
]


def make_application(
    auth: Auth, ops_routes: list[tuple[str, type[RequestHandler], dict[str, Any]]]
) -> Application:
    """Return the Tornado application of the endpoints and, beside them, the operators' ones."""
    routes = [
        (pattern, handler, {"auth": auth, "route": route})
        for pattern, route, handler in (*PUBLIC_ROUTES, *INTERNAL_ROUTES)
    ]
    return Application(
        [*routes, *ops_routes],
        default_handler_class=NotFoundHandler,
        default_handler_args={"auth": auth, "route": "other"},
        log_function=lambda _handler: None,  # each handler writes its own line
    )
