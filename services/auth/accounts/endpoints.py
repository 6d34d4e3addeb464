"""`/register/`, `/me/`, `/me/delete/` and `/me/mobile/`."""

from services.auth import errors
from services.auth.accounts.schemas import (
    DeletionRequest,
    MobileRequest,
    MobileResponse,
    ProfileRequest,
    ProfileResponse,
    RegisterRequest,
    RegisterResponse,
)
from services.auth.accounts.service import AccountService
from services.auth.http.handler import JsonHandler, Operation, Routes

_TAG = "Account"
_DELETION_NOTE = (
    "With a code of purpose `delete`, and a session that was opened or proven (`POST /reauthenticate/`) a "
    "short time ago. Personal data is erased and the number is free again."
)


def _deletion(note: str = "") -> Operation:
    return Operation(
        _TAG,
        request=DeletionRequest,
        problems=(errors.InvalidCode, errors.TooManyAttempts, errors.ReauthenticationRequired),
        signed_in=True,
        note=note + _DELETION_NOTE,
    )


class RegisterHandler(JsonHandler[AccountService]):
    """`POST /register/`."""

    @Operation(
        _TAG,
        request=RegisterRequest,
        problems=(errors.InvalidCode, errors.AlreadyRegistered, errors.TooManyAttempts, errors.Overloaded),
        note="With a code of purpose `register`.",
    )
    async def handle_post(self) -> RegisterResponse:
        """Create an account."""
        body = self.body(RegisterRequest)
        user_id = await self.service.register(
            body.mobile, body.code, body.password, self.client, nickname=body.nickname, avatar=body.avatar
        )
        return RegisterResponse(id=user_id)


class MeHandler(JsonHandler[AccountService]):
    """`/me/`."""

    @Operation(_TAG, signed_in=True)
    async def handle_get(self) -> ProfileResponse:
        """Show the caller's account."""
        return ProfileResponse.model_validate((await self.caller()).user)

    @Operation(_TAG, request=ProfileRequest, signed_in=True, note="What is missing stays, null takes away.")
    async def handle_patch(self) -> ProfileResponse:
        """Change nickname and avatar."""
        caller = await self.caller()
        changes = self.body(ProfileRequest).changes
        return ProfileResponse.model_validate(await self.service.change_profile(caller, changes, self.client))

    @_deletion()
    async def handle_delete(self) -> None:
        """Delete the account."""
        caller = await self.caller()
        await self.service.delete(caller, self.body(DeletionRequest).code, self.client)


class DeletionHandler(JsonHandler[AccountService]):
    """`POST /me/delete/`."""

    @_deletion("As `DELETE /me/`, for clients behind something that drops the body of that. ")
    async def handle_post(self) -> None:
        """Delete the account."""
        caller = await self.caller()
        await self.service.delete(caller, self.body(DeletionRequest).code, self.client)


class MobileHandler(JsonHandler[AccountService]):
    """`POST /me/mobile/`."""

    @Operation(
        _TAG,
        request=MobileRequest,
        problems=(
            errors.InvalidCode,
            errors.AlreadyRegistered,
            errors.TooManyAttempts,
            errors.ReauthenticationRequired,
        ),
        signed_in=True,
        note="With a code of purpose `change_mobile` that was sent to the new number, and a session that was "
        "opened or proven (`POST /reauthenticate/`) a short time ago. Ends the other sessions.",
    )
    async def handle_post(self) -> MobileResponse:
        """Give the account another number."""
        caller = await self.caller()
        body = self.body(MobileRequest)
        await self.service.change_mobile(caller, body.mobile, body.code, self.client)
        return MobileResponse(mobile=body.mobile)


ROUTES: Routes = [
    (r"/register/?", "/register/", RegisterHandler),
    (r"/me/?", "/me/", MeHandler),
    (r"/me/delete/?", "/me/delete/", DeletionHandler),
    (r"/me/mobile/?", "/me/mobile/", MobileHandler),
]
