"""`/password/reset/` and `/password/change/`."""

from services.auth import errors
from services.auth.http.handler import JsonHandler, Operation, Routes
from services.auth.passwords.schemas import (
    EmptyResponse,
    KnownPasswordChangeRequest,
    PasswordChangeRequest,
    PasswordResetRequest,
)
from services.auth.passwords.service import PasswordService

_TAG = "Account"


class PasswordResetHandler(JsonHandler[PasswordService]):
    """`POST /password/reset/`."""

    @Operation(
        _TAG,
        request=PasswordResetRequest,
        problems=(errors.InvalidCode, errors.TooManyAttempts, errors.Overloaded),
        note="With a code of purpose `reset`. Ends every session.",
    )
    async def handle_post(self) -> EmptyResponse:
        """Set a new password by a code."""
        body = self.body(PasswordResetRequest)
        await self.service.reset(body.mobile, body.code, body.password, self.client)
        return EmptyResponse()


class PasswordChangeHandler(JsonHandler[PasswordService]):
    """`POST /password/change/`."""

    @Operation(
        _TAG,
        request=PasswordChangeRequest,
        problems=(
            errors.WrongPassword,
            errors.TooManyAttempts,
            errors.Overloaded,
            errors.ReauthenticationRequired,
        ),
        signed_in=True,
        note="Ends the other sessions. An account without a password gets its first one without "
        "`old_password`, by a session that was opened or proven (`POST /reauthenticate/`) a short time ago.",
    )
    async def handle_post(self) -> EmptyResponse:
        """Set a new password by the old one."""
        caller = await self.caller()
        if caller.user.password_hash is None:
            first = self.body(PasswordChangeRequest)
            if first.old_password is None:
                await self.service.set_first(caller, first.password, self.client)
                return EmptyResponse()
        body = self.body(KnownPasswordChangeRequest)
        await self.service.change(caller, body.old_password, body.password, self.client)
        return EmptyResponse()


ROUTES: Routes = [
    (r"/password/reset/?", "/password/reset/", PasswordResetHandler),
    (r"/password/change/?", "/password/change/", PasswordChangeHandler),
]
