"""`/reauthenticate/`."""

from services.auth import errors
from services.auth.http.handler import JsonHandler, Operation, Routes
from services.auth.reauthentication.schemas import ReauthenticationRequest
from services.auth.reauthentication.service import ReauthenticationService
from services.auth.sessions.schemas import LoginResponse


class ReauthenticationHandler(JsonHandler[ReauthenticationService]):
    """`POST /reauthenticate/`."""

    @Operation(
        "Sign-in",
        request=ReauthenticationRequest,
        problems=(errors.InvalidCode, errors.WrongPassword, errors.TooManyAttempts, errors.Overloaded),
        signed_in=True,
        note="With the password, or with a code of purpose `confirm` that was sent to the account's own "
        "number. The session is then recent enough for what asks for that; its refresh token is replaced.",
    )
    async def handle_post(self) -> LoginResponse:
        """Prove again that the session is in its owner's hands."""
        caller = await self.caller()
        body = self.body(ReauthenticationRequest)
        if body.password is not None:
            signed_in = await self.service.with_password(caller, body.password, self.client)
        else:
            signed_in = await self.service.with_code(caller, body.code or "", self.client)
        return LoginResponse.of(signed_in)


ROUTES: Routes = [(r"/reauthenticate/?", "/reauthenticate/", ReauthenticationHandler)]
