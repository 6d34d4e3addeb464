"""The endpoints of one's own account."""

from services.auth.accounts import schemas
from services.auth.accounts.deletion import delete_account
from services.auth.accounts.mobile_change import change_mobile
from services.auth.accounts.profile import change_profile
from services.auth.http.handler import JsonHandler, Routes, counted
from services.auth.passwords.password_change import change_password
from services.auth.passwords.password_reset import reset_password


class MeHandler(JsonHandler):
    """`/me/`."""

    async def handle_get(self) -> schemas.ProfileResponse:
        """Show the caller's account."""
        caller = await self.caller()
        return schemas.ProfileResponse.of(caller.user)

    async def handle_patch(self) -> schemas.ProfileResponse:
        """Change nickname and avatar."""
        caller = await self.caller()
        changes = self.body(schemas.ProfileRequest).changes
        with counted(self.auth.metrics.account_changes, "profile"):
            user = await change_profile(
                caller,
                changes,
                self.client,
                users=self.auth.users,
                journal=self.auth.journal,
                clock=self.auth.clock,
            )
        return schemas.ProfileResponse.of(user)

    async def handle_delete(self) -> None:
        """Delete the account."""
        caller = await self.caller()
        body = self.body(schemas.DeletionRequest)
        with counted(self.auth.metrics.account_changes, "deletion"):
            await delete_account(
                caller,
                body.code,
                self.client,
                codes=self.auth.codes,
                users=self.auth.users,
                sessions=self.auth.sessions,
                journal=self.auth.journal,
                clock=self.auth.clock,
            )


class MobileHandler(JsonHandler):
    """`POST /me/mobile/`."""

    async def handle_post(self) -> schemas.MobileResponse:
        """Give the account another number."""
        caller = await self.caller()
        body = self.body(schemas.MobileRequest)
        with counted(self.auth.metrics.account_changes, "mobile"):
            await change_mobile(
                caller,
                body.mobile,
                body.code,
                self.client,
                codes=self.auth.codes,
                users=self.auth.users,
                journal=self.auth.journal,
                clock=self.auth.clock,
            )
        return schemas.MobileResponse(mobile=body.mobile)


class PasswordResetHandler(JsonHandler):
    """`POST /password/reset/`."""

    async def handle_post(self) -> schemas.EmptyResponse:
        """Set a new password by a code."""
        body = self.body(schemas.PasswordResetRequest)
        with counted(self.auth.metrics.account_changes, "password_reset"):
            await reset_password(
                body.mobile,
                body.code,
                body.password,
                self.client,
                codes=self.auth.codes,
                passwords=self.auth.passwords,
                users=self.auth.users,
                sessions=self.auth.sessions,
                journal=self.auth.journal,
                clock=self.auth.clock,
            )
        return schemas.EmptyResponse()


class PasswordChangeHandler(JsonHandler):
    """`POST /password/change/`."""

    async def handle_post(self) -> schemas.EmptyResponse:
        """Set a new password by the old one."""
        caller = await self.caller()
        body = self.body(schemas.PasswordChangeRequest)
        with counted(self.auth.metrics.account_changes, "password_change"):
            await change_password(
                caller,
                body.old_password,
                body.password,
                self.client,
                guard=self.auth.sign_in_guard,
                passwords=self.auth.passwords,
                users=self.auth.users,
                sessions=self.auth.sessions,
                journal=self.auth.journal,
                clock=self.auth.clock,
            )
        return schemas.EmptyResponse()


ACCOUNT_ROUTES: Routes = [
    (r"/me/?", "/me/", MeHandler),
    (r"/me/mobile/?", "/me/mobile/", MobileHandler),
    (r"/password/reset/?", "/password/reset/", PasswordResetHandler),
    (r"/password/change/?", "/password/change/", PasswordChangeHandler),
]
