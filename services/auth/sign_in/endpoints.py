"""`/login/` and `/login/code/`."""

from services.auth import errors
from services.auth.http.handler import JsonHandler, Operation, Routes
from services.auth.sessions.schemas import LoginResponse
from services.auth.sign_in.schemas import LoginCodeRequest, LoginCodeResponse, LoginRequest
from services.auth.sign_in.service import SignInService

_TAG = "Sign-in"


class LoginHandler(JsonHandler[SignInService]):
    """`POST /login/`."""

    @Operation(
        _TAG,
        request=LoginRequest,
        problems=(errors.WrongCredentials, errors.TooManyAttempts, errors.Overloaded),
    )
    async def handle_post(self) -> LoginResponse:
        """Sign in."""
        body = self.body(LoginRequest)
        return LoginResponse.of(await self.service.with_password(body.mobile, body.password, self.client))


class LoginCodeHandler(JsonHandler[SignInService]):
    """`POST /login/code/`."""

    @Operation(
        _TAG,
        request=LoginCodeRequest,
        problems=(errors.InvalidCode, errors.TooManyAttempts),
        note="With a code of purpose `login`. Makes an account where there is none, unless that is "
        "switched off.",
    )
    async def handle_post(self) -> LoginCodeResponse:
        """Sign in with a code."""
        body = self.body(LoginCodeRequest)
        return LoginCodeResponse.of(await self.service.with_code(body.mobile, body.code, self.client))


ROUTES: Routes = [
    (r"/login/?", "/login/", LoginHandler),
    (r"/login/code/?", "/login/code/", LoginCodeHandler),
]
