"""The routes: each domain's endpoints with the service behind them."""

from dataclasses import dataclass
from typing import Any

from tornado.web import Application, RequestHandler

from services.auth.accounts import endpoints as accounts
from services.auth.accounts.service import AccountService
from services.auth.change_limits import ChangeLimiter
from services.auth.codes import endpoints as codes
from services.auth.codes.service import CodeService
from services.auth.http.handler import HttpContext, JsonHandler, Routes
from services.auth.passwords import endpoints as passwords
from services.auth.passwords.service import PasswordService
from services.auth.reauthentication import endpoints as reauthentication
from services.auth.reauthentication.service import ReauthenticationService
from services.auth.sessions import endpoints as sessions
from services.auth.sessions.revocations import Revocations
from services.auth.sessions.service import SessionService
from services.auth.sign_in import endpoints as sign_in
from services.auth.sign_in.service import SignInService
from services.auth.tokens import endpoints as tokens
from services.auth.tokens.issuer import AccessTokenIssuer
from shared.errors import NotFound

PUBLIC_ROUTES: Routes = [
    *codes.ROUTES,
    *accounts.ROUTES,
    *passwords.ROUTES,
    *sign_in.ROUTES,
    *reauthentication.ROUTES,
    *sessions.ROUTES,
    *tokens.ROUTES,
]


@dataclass(frozen=True, slots=True)
class Services:
    """The services, each of which some endpoints are on, and what counts changes for all of them."""

    codes: CodeService
    accounts: AccountService
    passwords: PasswordService
    sign_in: SignInService
    reauthentication: ReauthenticationService
    sessions: SessionService
    revocations: Revocations
    tokens: AccessTokenIssuer
    change_limiter: ChangeLimiter


def make_application(
    services: Services,
    context: HttpContext,
    ops_routes: list[tuple[str, type[RequestHandler], dict[str, Any]]],
) -> Application:
    """Return the Tornado application of all endpoints, including the operators' ones."""
    domains: list[tuple[Routes, object]] = [
        (codes.ROUTES, services.codes),
        (accounts.ROUTES, services.accounts),
        (passwords.ROUTES, services.passwords),
        (sign_in.ROUTES, services.sign_in),
        (reauthentication.ROUTES, services.reauthentication),
        (sessions.ROUTES, services.sessions),
        (sessions.INTERNAL_ROUTES, services.revocations),
        (tokens.ROUTES + tokens.INTERNAL_ROUTES, services.tokens),
    ]
    routes = [
        (pattern, handler, {"context": context, "route": route, "service": service})
        for domain, service in domains
        for pattern, route, handler in domain
    ]
    return Application(
        [*routes, *ops_routes],
        default_handler_class=NotFoundHandler,
        default_handler_args={"context": context, "route": "other", "service": None},
        log_function=lambda _handler: None,  # each handler writes its own line
    )


class NotFoundHandler(JsonHandler[None]):
    """Answers every path that no route matches."""

    def prepare(self) -> None:
        """Refuse every method."""
        super().prepare()
        raise NotFound
